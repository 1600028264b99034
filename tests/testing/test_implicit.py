"""Laws of a model that can only be sampled, with a z or without."""

import pytest
import torch
from torch import nn

from genzoo import Family
from genzoo.data import open_data
from genzoo.errors import NoDensityError, TrainingError
from genzoo.evaluation import score_model
from genzoo.models import ImplicitModel, LatentModel
from genzoo.request import Request
from genzoo.testing import LawError, check_implicit, check_model
from genzoo.training import players


@pytest.fixture
def smears(kinds):
    """A model without z: noise, smeared over the image as often as it is wide."""

    class Smears(ImplicitModel):
        Config = kinds.config

        def __init__(self, config):
            super().__init__()
            self.config = config
            self.smear = nn.Conv2d(config.image_shape[0], config.image_shape[0], 3, padding=1)

        def _sample(self, draws):
            x = draws.normal(*self.image_shape)
            for step in range(self.image_shape[2]):
                x = torch.tanh(self.smear(x))
                draws.tell(step + 1, self.image_shape[2])
            return (x + 1) / 2

    return Smears


def test_an_honest_game_passes(kinds, made):
    check_implicit(made(kinds.game))


def planted(base, made, words, change=None, **members):
    model = made(type("Broken", (base,), members))
    if change is not None:
        change(model)
    with pytest.raises(LawError, match=words):
        check_implicit(model)


def test_a_density_model_is_refused(kinds, made):
    planted(kinds.pixels, made, "ImplicitModel")


def test_another_family_is_refused(kinds, made):
    planted(kinds.game, made, "family 'implicit'", lambda model: setattr(model, "family", Family.TRACTABLE))


def test_a_made_up_likelihood_is_refused(kinds, made):
    planted(
        kinds.game,
        made,
        r"log_prob\(x\) is accepted",
        lambda model: setattr(model, "log_prob", lambda x: x.sum()),
    )


def test_a_model_without_z_keeps_every_law_and_is_measured(smears, made, card_of):
    check_model(card_of(smears, recipe=None))
    model = made(smears, image_shape=(1, 8, 8))
    assert not isinstance(model, LatentModel) and model.sample(3, seed=0).shape == (3, 1, 8, 8)
    with pytest.raises(
        NoDensityError, match=r"Smears has no likelihood: it defines p.x. only through its samples —"
    ):
        model.log_prob(torch.zeros(1, 1, 8, 8))
    train, test = (open_data("digits", split=split) for split in ("train", "test"))
    records = score_model(model, train, test, Request(n=64, metrics=("swd",)), subject="smears")
    assert records and {record.subject for record in records} == {"smears", "train"}


def test_its_game_is_its_author_s(smears, made):
    from genzoo import Recipe

    with pytest.raises(TrainingError, match=r"Smears has no game to train it.*AdversarialModel"):
        players(made(smears), Recipe())
