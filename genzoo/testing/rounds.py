"""Laws of what a game keeps from round to round, and of the curves that it reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from genzoo.models import Model
from genzoo.process import seed_global
from genzoo.rng import generator
from genzoo.testing.law import hold
from genzoo.training import Ailment, Batch, Player

RESERVED = ("step", "doctor", "words")  # what a line of log.jsonl says besides losses and curves
_LENGTHS = (0, 1, 2, 9, 10, 11, 60)  # of the curves that the doctor may ask about

Make = Callable[[], Sequence[Player]]
BatchOf = Callable[[Player], Batch]


def check_rounds(model: Model, make: Make, batch_of: BatchOf) -> None:
    """Check what the game that `make` returns does between rounds: its curves, what it says of them, and that
    its memory holds all that a resumed run needs. `batch_of` gives each player its batch.

    `model` is in training mode; its weights and statistics may change.

    Raises:
        LawError: the first law that is broken.
    """
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    game = list(make())
    for player in game:
        _check_shared(player)
    _play(model, game, batch_of, 0)
    names = _check_curves(game)
    for player in game:
        if player.examine is not None:
            _check_examination(player, names)
    again = list(make())
    for ours, theirs in zip(game, again, strict=True):
        if ours.memory is not None and theirs.memory is not None:
            theirs.memory.load_state_dict(ours.memory.state_dict())
    ends = []
    for each in (game, again):
        model.load_state_dict(weights)
        ends.append(_play(model, each, batch_of, 1))
    for name, loss in ends[0].items():
        seen = f"{float(ends[1][name]):.9g}, not {float(loss):.9g}, with the memory of a round restored"
        law = "a resumed game has the losses of one that was never interrupted"
        hold(torch.equal(loss, ends[1][name]), law, seen, f"what the {name} keeps outside Player.memory")


def _play(model: Model, game: Sequence[Player], batch_of: BatchOf, step: int) -> dict[str, Tensor]:
    """Let every player compute its loss once, as in round `step`, without learning; return the losses."""
    losses = {}
    for player in game:
        seed_global(step, model.device)  # dropout
        if player.before_turn is not None:
            player.before_turn(step)
        noise = generator("laws", player.name, step, device=model.device)
        losses[player.name] = player.loss(batch_of(player), noise).detach().clone()
        if player.after_turn is not None:
            player.after_turn()
    return losses


def _check_shared(player: Player) -> None:
    if not player.shared or player.memory is None:
        return
    odd = [name for name, _ in player.memory.named_parameters()]
    odd += [name for name, value in player.memory.named_buffers() if not value.is_floating_point()]
    law = "a shared memory has only floating-point buffers, which several processes average"
    hold(not odd, law, f"{', '.join(odd[:3])}", f"memory of the player {player.name}")


def _check_curves(game: Sequence[Player]) -> list[str]:
    """Check what `after_round` returns after round 0; return the names of all curves."""
    taken = {player.name: "a player" for player in game} | dict.fromkeys(RESERVED, "a key of the log")
    names: list[str] = []
    for player in game:
        look = f"after_round of the player {player.name}"
        for name, value in ({} if player.after_round is None else player.after_round(0)).items():
            law = "a curve has a name of its own"
            hold(name not in taken, law, f"{name!r}, which is also {taken.get(name)}", look)
            law = "a curve is a finite scalar tensor"
            hold(isinstance(value, Tensor) and value.ndim == 0, law, f"{name} is {value!r}", look)
            hold(torch.isfinite(value), law, f"{name} is {value.item()}", look)
            taken[name] = "a curve"
            names.append(name)
    return names


def _check_examination(player: Player, names: Sequence[str]) -> None:
    """Check that `examine` accepts curves of any length and returns ailments."""
    look = f"examine of the player {player.name}"
    for length in _LENGTHS:
        for level in (0.0, 1.0):
            curves = dict.fromkeys(names, (level,) * length) if length else {}
            for found in player.examine(curves) if player.examine is not None else ():
                named = isinstance(found, Ailment) and all(isinstance(text, str) and text for text in found)
                hold(named, "an ailment has a kind, words and a remedy", repr(found), look)
