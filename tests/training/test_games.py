"""Options of a game: the recipe of one game says nothing of another's."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import toys
from toys import Bernoulli, ToyConfig, ToyGAN

from genzoo import Adversarial, GameOptions, Recipe
from genzoo.cli.info import recipe_keys
from genzoo.errors import ArgumentError, TrainingError, UnknownNameError
from genzoo.schema import limits
from genzoo.training import Player, players
from genzoo.training.plan import plan
from genzoo.training.terms import fingerprint


@dataclass(frozen=True, kw_only=True)
class Weighed(GameOptions):
    lam: float = field(default=10.0, metadata=limits(0, 100))


class Cycle(ToyGAN):
    """A GAN whose game is its own."""


@players.register(options=Weighed)
def cycle_players(model: Cycle, recipe: Recipe):
    lam = recipe.options(Weighed).lam

    def loss(batch, noise):
        return lam * model._discriminate(batch.images).square().mean()

    return [Player(name="critic", module=model.discriminator, loss=loss)]


CARD = toys.CARDS["toy-gan"].replace(
    name="cycle", model="test_games:Cycle", recipe=Recipe(data="digits", game=Weighed(lam=3.0))
)


def test_each_model_has_the_keys_of_its_own_game():
    assert "weight_clip" in recipe_keys(toys.CARDS["toy-gan"]) and "weight_clip" not in recipe_keys(
        toys.CARDS["coin"]
    )
    assert (
        recipe_keys(CARD)["lam"] == 3.0
        and "weight_clip" not in recipe_keys(CARD)
        and "game" not in recipe_keys(CARD)
    )
    assert "weight_clip" in recipe_keys(toys.CARDS["toy-gan"].replace(recipe=Recipe()))


@pytest.fixture
def here(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "test_games", sys.modules[__name__])


def test_settings_find_them_and_check_them(here):
    assert plan(CARD, {"lam": 5})[0].game == Weighed(lam=5.0)
    with pytest.raises(ArgumentError, match="recipe of cycle: lam must lie between 0 and 100"):
        plan(CARD, {"lam": 101})
    with pytest.raises(UnknownNameError, match="has no setting 'lan'; did you mean 'lam'"):
        plan(CARD, {"lan": 1})
    with pytest.raises(UnknownNameError, match="has no setting 'weight_clip'"):
        plan(CARD, {"weight_clip": 0.01})
    with pytest.raises(UnknownNameError, match="coin has no setting 'objective'"):
        plan(toys.CARDS["coin"], {"objective": "hinge"})


def test_a_game_that_is_told_nothing_has_its_defaults():
    model = Cycle(ToyConfig())
    assert players.completed(model, Recipe()).game == Weighed()
    assert players.completed(toys.gan(), Recipe()).game == Adversarial()
    assert players.completed(Bernoulli(ToyConfig()), Recipe()).game is None


@pytest.mark.parametrize(
    ("model", "game", "words"),
    [
        (
            Cycle,
            Adversarial(),
            "Adversarial options, but the game of Cycle takes Weighed — write game=Weighed",
        ),
        (ToyGAN, Weighed(), "Weighed options, but the game of ToyGAN takes Adversarial"),
        (Bernoulli, Adversarial(), "game of Bernoulli takes none — leave the recipe's game out"),
    ],
)
def test_options_of_another_game_are_refused_in_one_line(model, game, words):
    with pytest.raises(TrainingError, match=words):
        players(model(ToyConfig()), Recipe(game=game))


def test_they_are_part_of_what_decides_the_bits(start):
    run = start(Cycle(ToyConfig()), game=Weighed(lam=3.0))
    run.play_round()
    run.save()
    assert fingerprint(run.recipe)["lam"] == 3.0
    with pytest.raises(TrainingError, match=r"made with other recipe: lam was 3\.0, is 4\.0"):
        start(Cycle(ToyConfig()), game=Weighed(lam=4.0)).resume()


def test_what_is_no_option_is_refused_where_the_recipe_is_written():
    with pytest.raises(ArgumentError, match="must be GameOptions, not"):
        Recipe(game={"weight_clip": 0.01})

    @dataclass(frozen=True, kw_only=True)
    class Twice(GameOptions):
        batch_size: int = 3

    with pytest.raises(
        ArgumentError, match="Twice has the option 'batch_size', a key of every recipe — rename"
    ):
        Recipe(game=Twice())
