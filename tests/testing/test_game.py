import math

import pytest
import torch
from torch import nn

from genzoo import Recipe
from genzoo.errors import TrainingError
from genzoo.testing import LawError, check_game
from genzoo.training import Player, players


def test_honest_games_pass_and_change_nothing(kinds, made):
    for cls in (kinds.game, kinds.pixels, kinds.bound):
        model = made(cls)
        before = {key: value.clone() for key, value in model.state_dict().items()}
        check_game(model)
        assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
        assert not model.training


def test_a_model_that_nobody_can_train_is_named(kinds, made):
    with pytest.raises(TrainingError, match="Coder"):
        check_game(made(kinds.coder))


def test_a_recipe_for_a_player_that_is_not_there_is_refused(kinds, made):
    with pytest.raises(LawError, match="'critic'; players: discriminator, generator"):
        check_game(made(kinds.game), Recipe(lr={"critic": 1e-4}))
    with pytest.raises(LawError, match="'generator'; players: model"):
        check_game(made(kinds.pixels), Recipe(turns={"generator": 2}))


@pytest.fixture
def planted(kinds, made):
    """planted(words, players): a game of these players must be refused with these words."""

    def check(words, play):
        cls = type("Played", (kinds.coder,), {})
        players.register(cls, lambda model, recipe: play(model))
        with pytest.raises(LawError, match=words):
            check_game(made(cls))

    return check


def squares(model):
    return lambda batch, noise: (
        (model.decode(model.into(batch.images.flatten(1))) - batch.images).square().mean()
    )


def test_a_game_without_players_is_refused(planted):
    planted("a game has players", lambda model: [])


def test_two_players_of_one_name_are_refused(planted):
    def play(model):
        return [Player(name="a", module=part, loss=squares(model)) for part in (model.into, model.out)]

    planted("different names", play)


def test_a_player_without_weights_is_refused(planted):
    planted("has weights to learn", lambda model: [Player(name="a", module=nn.ReLU(), loss=squares(model))])


def test_players_that_share_weights_are_refused(planted):
    def play(model):
        return [
            Player(name="a", module=model, loss=squares(model)),
            Player(name="b", module=model.out, loss=squares(model)),
        ]

    planted("a and b do", play)


def test_averaged_weights_that_the_model_does_not_have_are_refused(planted):
    def play(model):
        pair = nn.ModuleList([model.into, model.out])
        return [Player(name="a", module=pair, loss=squares(model), average=True)]

    planted("the module of a is made for the game", play)


@pytest.mark.parametrize(
    ("words", "loss"),
    [
        ("a scalar", lambda model: lambda batch, noise: model.into(batch.images.flatten(1))),
        (
            "finite on black and white noise",
            lambda model: lambda batch, noise: squares(model)(batch, noise) * math.nan,
        ),
        ("no gradient at all", lambda model: lambda batch, noise: squares(model)(batch, noise).detach()),
        ("a gradient of zero", lambda model: lambda batch, noise: squares(model)(batch, noise) * 0),
        (
            "a gradient is finite",
            lambda model: lambda batch, noise: (model.into.weight * 0).square().sum().sqrt(),
        ),
    ],
)
def test_a_loss_that_teaches_nothing_is_refused(planted, words, loss):
    planted(words, lambda model: [Player(name="a", module=model, loss=loss(model))])
