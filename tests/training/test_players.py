"""Who plays is a question to the model's class; nobody's game is a teaching error."""

from __future__ import annotations

import pytest
import toys
from toys import Bernoulli, Coder, ToyConfig

from genzoo import Recipe
from genzoo.errors import TrainingError
from genzoo.training import players


def test_nobody_registered_a_game():
    with pytest.raises(TrainingError, match="Coder has no game to train it") as caught:
        players(Coder(ToyConfig()), Recipe())
    assert "genzoo.training.players.register" in caught.value.hint


def test_the_games_of_the_core():
    assert [p.name for p in players(toys.gan(), Recipe())] == ["discriminator", "generator"]
    assert [p.name for p in players(Bernoulli(ToyConfig()), Recipe())] == ["model"]


def test_turns_come_from_the_recipe():
    game = players(toys.gan(), Recipe(turns={"discriminator": 5, "generator": 2}))
    assert [p.turns for p in game] == [5, 2]
    assert players(Bernoulli(ToyConfig()), Recipe(turns={"model": 3}))[0].turns == 3
