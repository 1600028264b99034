"""The watch names what went wrong, with the step and what to try."""

from __future__ import annotations

import pytest
import toys

from genzoo.errors import TrainingError
from genzoo.training.players import players
from genzoo.training.watch import PATIENCE, Watch


@pytest.fixture
def game():
    return players(toys.gan(), toys.RECIPE)


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("stop", [True, False])
def test_a_loss_that_is_not_finite(game, tmp_path, loss, stop):
    path = tmp_path / "checkpoint"
    with pytest.raises(TrainingError, match="step 17: the loss of the generator is") as caught:
        Watch(game, path, stop).look(17, {"discriminator": 1.0, "generator": loss})
    assert "no checkpoint had been written yet" in caught.value.message
    assert "rate.generator" in caught.value.hint
    path.write_bytes(b"x")
    with pytest.raises(TrainingError, match=f"the last good checkpoint is kept at {path}"):
        Watch(game, path, stop).look(17, {"generator": loss})


def looks(watch, loss, count):
    for step in range(count):
        watch.look(step, {"discriminator": loss, "generator": 9.0})


def test_a_discriminator_that_has_won(game, tmp_path):
    watch = Watch(game, tmp_path / "checkpoint", True)
    looks(watch, 0.001, PATIENCE - 1)
    with pytest.raises(
        TrainingError, match=r"step 999: the discriminator has collapsed the game: its mean loss over 200 rounds is 0.0010"
    ) as caught:
        watch.look(999, {"discriminator": 0.001, "generator": 9.0})
    assert "rate.discriminator" in caught.value.hint and "watch=false" in caught.value.hint


def test_a_short_run_of_luck_is_no_collapse(game, tmp_path):
    watch = Watch(game, tmp_path / "checkpoint", True)
    for _ in range(4):
        looks(watch, 0.0, PATIENCE - 1)
        looks(watch, 5.0, 1)


def test_watch_false_goes_on(game, tmp_path):
    looks(Watch(game, tmp_path / "checkpoint", False), 0.0, 3 * PATIENCE)


def test_a_player_without_a_floor_may_win(tmp_path, game):
    watch = Watch(game[1:], tmp_path / "checkpoint", True)
    for step in range(2 * PATIENCE):
        watch.look(step, {"generator": 0.0})
