"""Laws of games against a discriminator: each broken game is refused with the law and the place to look."""

import pytest
import torch
from torch import nn
from toys import recipe_of

from genzoo import Adversarial, Recipe
from genzoo.losses.objectives import OBJECTIVES
from genzoo.testing import LawError, check_game
from genzoo.training import Player, players
from genzoo.training.adversarial import AdversarialGame

CALM = {"optimizer": {"all": "rmsprop"}}


@pytest.mark.parametrize("objective", list(OBJECTIVES))
@pytest.mark.parametrize("held", [{"weight_clip": 0.01, **CALM}, {"gp_weight": 10.0}])
def test_honest_games_pass_and_change_nothing(kinds, made, objective, held):
    model = made(kinds.game)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    check_game(model, recipe_of(objective=objective, **held))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.fixture
def planted(kinds, made):
    """planted(words, play, recipe): a game of these players, of a GAN, must be refused with these words."""

    def check(words, play, model=None, **recipe):
        cls = type("Planted", (type(model) if model else kinds.game,), {})
        players.register(cls, play, options=Adversarial)
        with pytest.raises(LawError, match=words):
            check_game(made(cls), recipe_of(**recipe))

    return check


def adversaries(model, loss, **more):
    return [
        Player(name="discriminator", module=model.discriminator, loss=loss, **more),
        Player(
            name="generator",
            module=model.generator,
            loss=AdversarialGame(model, Recipe()).generator_loss,
            fresh=False,
        ),
    ]


def test_fakes_that_are_not_detached_are_seen(planted):
    def play(model, recipe):
        def loss(batch, noise):
            images = batch.images
            fake = model._decode(torch.randn(len(images), 12, generator=noise))
            return OBJECTIVES["minimax"].discriminator_loss(
                model._discriminate(images), model._discriminate(fake)
            )

        return adversaries(model, loss)

    planted("the discriminator's loss has no gradient in the generator", play)


def test_a_penalty_that_is_the_generators_too_is_seen(planted):
    def play(model, recipe):
        def loss(batch, noise):
            images = batch.images
            fake = model._decode(torch.randn(len(images), 12, generator=noise))
            # What `between` leaves out: the points of the penalty still hang on G.
            points = (images + fake) / 2
            (slope,) = torch.autograd.grad(model._discriminate(points).sum(), points, create_graph=True)
            judged = OBJECTIVES["wasserstein"].discriminator_loss(
                model._discriminate(images), model._discriminate(fake.detach())
            )
            return judged + ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean() + 0 * points.sum()

        return adversaries(model, loss)

    planted("no gradient in the generator", play)


def test_weights_that_are_not_clipped_are_seen(planted):
    honest = AdversarialGame

    def play(model, recipe):
        return adversaries(model, honest(model, recipe).discriminator_loss)

    planted("within ±weight_clip, ±0.01", play, weight_clip=0.01, **CALM)


def test_a_bias_that_is_forgotten_in_clipping_is_seen(planted):
    def play(model, recipe):
        def clip():
            for parameter in model.discriminator.parameters():
                if parameter.ndim > 1:
                    parameter.data.clamp_(-recipe.game.weight_clip, recipe.game.weight_clip)

        return adversaries(model, AdversarialGame(model, recipe).discriminator_loss, after_turn=clip)

    planted("within ±weight_clip", play, weight_clip=0.01, **CALM)


def test_a_critic_that_compares_images_is_seen(kinds, made):
    """Batch norm is refused by name when training starts; a layer of one's own is not, and breaks the same
    law."""

    class Mean(nn.Module):
        def forward(self, x):
            return x - x.mean(0) if self.training else x

    class Comparing(kinds.game):
        def __init__(self, config):
            super().__init__(config)
            self.discriminator = nn.Sequential(
                nn.Flatten(), Mean(), nn.Linear(24, 8), nn.Tanh(), nn.Linear(8, 1)
            )

    check_game(made(Comparing), Recipe())
    with pytest.raises(LawError, match=r"depends on its own image alone.*other images of the batch"):
        check_game(made(Comparing), recipe_of(gp_weight=1.0))
