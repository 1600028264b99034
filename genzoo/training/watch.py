"""The watch: names a run that has gone wrong, with the step and what to try, before it burns hours."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from genzoo.errors import TrainingError
from genzoo.training.players import Player

PATIENCE = 200  # rounds over which a mean loss must stay below a player's floor


class Watch:
    """Looks at the losses of each round; `stop_when_won` is the recipe's `watch`."""

    def __init__(self, players: Sequence[Player], checkpoint: Path, stop_when_won: bool) -> None:
        self.players = {player.name: player for player in players}
        self.checkpoint = checkpoint
        self.stop_when_won = stop_when_won
        self._recent: dict[str, deque[float]] = {player.name: deque(maxlen=PATIENCE) for player in players}

    def look(self, step: int, losses: Mapping[str, float]) -> None:
        """Raise TrainingError where a loss is not finite, or where a player has won for good."""
        for name, loss in losses.items():
            if not math.isfinite(loss):
                raise TrainingError(
                    f"step {step}: the loss of the {name} is {loss}; {kept(self.checkpoint)}",
                    f"start anew in another --out with a lower rate.{name}, precision=fp32 or another seed",
                )
            recent, floor = self._recent[name], self.players[name].floor
            recent.append(loss)
            if floor is not None and self.stop_when_won and len(recent) == PATIENCE and sum(recent) / PATIENCE < floor:
                raise TrainingError(
                    f"step {step}: the {name} has collapsed the game: its mean loss over {PATIENCE} rounds is "
                    f"{sum(recent) / PATIENCE:.4f}, so the others learn nothing; {kept(self.checkpoint)}",
                    f"{self.players[name].remedy}; watch=false trains on regardless",
                )


def kept(checkpoint: Path) -> str:
    """Return what is left of a run that went wrong, in a few words."""
    if checkpoint.is_file():
        return f"the last good checkpoint is kept at {checkpoint}"
    return "no checkpoint had been written yet"
