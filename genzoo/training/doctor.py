"""The training doctor: reports in one line what is wrong with a run and the hack that may fix it, before the
run wastes hours.

It checks the losses of each round and, every fifty rounds, the gradients, averaged weights, batch statistics
and the images that a player offers for inspection. A game that has curves of its own examines them itself
(`Player.examine`). The doctor never changes the run. A fatal problem stops the run
(with `watch=false` it continues when a player has won); any other kind of problem is reported once.
"""

from __future__ import annotations

import math
import os
import statistics
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genzoo.errors import CollapseError
from genzoo.hacks import hack
from genzoo.training.ema import EMA
from genzoo.training.findings import Finding
from genzoo.training.players import Player

# rounds over which the mean loss must stay below a player's floor, and per point of a critic's curve
PATIENCE = 200
EXAMINED = 50  # rounds from one examination to the next
# norm of the gradient of a player of a game; hack 10 says 100, which healthy nets with batch norm and small
# weights exceed for many rounds
STEEPEST = 1000.0
LASTING = 4  # consecutive examinations that must find the same problem
GROWN_UP = 500  # rounds before samples are expected to differ
ALIKE = 0.1  # share of the data's diversity below which samples have collapsed
# share of a batch norm's eps below which a channel counts as having no variance: it is no longer normalised
FLAT = 1e-2
CURVE = 10  # means of PATIENCE rounds after which a critic's curve must have fallen
FALLEN = 0.9  # of its peak
_SHOWN = 256  # components of a weight that stand for it


class Doctor:
    """Monitors one run; `stop_when_won` is the recipe's `watch`, and `look_every` is the number of rounds
    from one look at the losses to the next.
    """

    def __init__(
        self,
        players: Sequence[Player],
        averages: EMA,
        checkpoint: Path,
        stop_when_won: bool,
        look_every: int = 1,
    ) -> None:
        self.players = {player.name: player for player in players}
        self.averages, self.checkpoint, self.stop_when_won = averages, checkpoint, stop_when_won
        self.look_every = look_every
        self.told: set[str] = set()
        looks = max(1, PATIENCE // look_every)
        self._losses: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=looks))
        self._norms: dict[str, deque[float]] = {name: deque(maxlen=LASTING) for name in self.players}
        self._diversity: dict[str, deque[float]] = {name: deque(maxlen=LASTING) for name in self.players}
        self._curves: dict[str, list[float]] = {
            name: [] for name, player in self.players.items() if player.distance
        }
        # by the name of what was examined: a few numbers from the previous examination
        self._seen: dict[str, Tensor] = {}

    def look(self, step: int, losses: Mapping[str, float]) -> list[Finding]:
        """Return the new findings after round `step` - 1, which had these losses and curves.

        Raises:
            CollapseError: a loss or a curve is not finite, or a player has won for good.
        """
        found = list(self._of_losses(step, losses))
        if step % EXAMINED == 0:
            found += [
                Finding(step=step, kind=kind, words=words, remedy=remedy)
                for kind, words, remedy in self._of_run(step)
            ]
        new = {finding.kind: finding for finding in reversed(found) if finding.kind not in self.told}
        self.told |= new.keys()
        return list(reversed(new.values()))

    @property
    def figures(self) -> dict[str, float]:
        """What the last examination measured: "gradient/PLAYER", the norm of the player's gradient, and
        "diversity/PLAYER", how far apart its images are, as a share of that of the data.
        """
        found = {"gradient": self._norms, "diversity": self._diversity}
        return {
            f"{what}/{name}": values[-1]
            for what, players in found.items()
            for name, values in players.items()
            if values
        }

    def state(self) -> dict[str, Any]:
        """Return what a resumed run needs: the kinds already reported, the curves, and the losses of the last
        rounds, from which the next point of each curve is made.
        """
        return {
            "told": tuple(sorted(self.told)),
            "curves": {name: tuple(means) for name, means in self._curves.items()},
            "recent": {name: tuple(losses) for name, losses in self._losses.items()},
        }

    def restore(
        self,
        told: Iterable[str],
        curves: Mapping[str, Iterable[float]],
        recent: Mapping[str, Iterable[float]],
    ) -> None:
        """Restore what `state` returned."""
        self.told = set(told)
        for name, losses in recent.items():
            self._losses[name].extend(losses)
        self._curves |= {
            name: list(means)
            for name, means in curves.items()
            if name in self._curves or name not in self.players
        }

    def _of_losses(self, step: int, losses: Mapping[str, float]) -> Iterator[Finding]:
        for name, loss in losses.items():
            player = self.players.get(name)
            if not math.isfinite(loss):
                what, lr = (name, "lr") if player is None else (f"the loss of the {name}", f"lr.{name}")
                raise CollapseError(
                    f"step {step}: {what} is {loss}; {kept(self.checkpoint)}",
                    f"start again in another --out with a lower {lr}, precision=fp32 or another seed",
                )
            recent = self._losses[name]
            recent.append(loss)
            mean = sum(recent) / len(recent)
            if player is not None and len(recent) == recent.maxlen:
                yield from self._won(step, player, mean)
            if (player is None or player.distance) and step % PATIENCE == 0:
                self._curves.setdefault(name, []).append(mean)

    def _won(self, step: int, player: Player, mean: float) -> Iterator[Finding]:
        if player.floor is None or mean >= player.floor:
            return
        words = f"its mean loss over {PATIENCE} rounds is {mean:.4f}, so the others cannot learn"
        if self.stop_when_won:
            raise CollapseError(
                f"step {step}: the {player.name} has collapsed the game: {words}; {kept(self.checkpoint)}",
                f"{player.remedy}; watch=false continues regardless",
            )
        words = f"the {player.name} has won, {words}"
        yield Finding(step=step, kind="a loss at 0", words=words, remedy=player.remedy)

    def _of_run(self, step: int) -> Iterator[tuple[str, str, str]]:
        for name, player in self.players.items():
            yield from self._steep(name, player.module)
            yield from self._collapsed(step, name, player)
            if self._moved(f"weights of {name}", player.module):
                yield from self._dead_average(name)
                yield from self._dead_statistics(name, player.module)
            yield from self._level(name)
            if player.examine is not None:
                yield from player.examine(self._of_game())

    def _of_game(self) -> dict[str, tuple[float, ...]]:
        return {name: tuple(means) for name, means in self._curves.items() if name not in self.players}

    def _steep(self, name: str, module: nn.Module) -> Iterator[tuple[str, str, str]]:
        self._norms[name].append(gradient_norm(module))
        norm = statistics.median(self._norms[name])
        if len(self.players) == 1:
            return  # the limit is that of games; the gradient of nats per image grows with the pixels
        if len(self._norms[name]) == LASTING and norm > STEEPEST:
            words = (
                f"the gradient of the {name} has norm {norm:,.0f}, and training usually fails above "
                f"{STEEPEST:.0f}"
            )
            yield "exploding gradients", words, f"a lower lr.{name}; {hack('adam')}"

    def _collapsed(self, step: int, name: str, player: Player) -> Iterator[tuple[str, str, str]]:
        shown = player.shown() if player.shown is not None and step >= GROWN_UP else None
        if shown is None:
            return
        real, made = (diversity(images) for images in shown)
        self._diversity[name].append(made / real if real else 1.0)
        share = max(self._diversity[name])
        if len(self._diversity[name]) == LASTING and share < ALIKE:
            words = f"images of the {name} are only {share:.2g} times as far apart as images of the data"
            yield "mode collapse", words, f"{hack('minibatch-discrimination')}, or {hack('replay')}"

    def _dead_average(self, name: str) -> Iterator[tuple[str, str, str]]:
        key, average = f"average of {name}", self.averages.modules.get(name)
        if average is None:
            return
        followed = self._moved(key, average.module)
        if followed is False or not bool(torch.isfinite(self._seen[key]).all()):
            yield (
                "dead averages",
                f"the averaged weights of the {name} do not follow its current weights",
                "a lower ema, or ema=0",
            )

    def _dead_statistics(self, name: str, module: nn.Module) -> Iterator[tuple[str, str, str]]:
        for path, layer in module.named_modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.running_var is not None:
                ailment = self._of_norm(f"{name}.{path}".rstrip("."), layer)
                if ailment:
                    words = f"{f'{name}.{path}'.rstrip('.')} {ailment}"
                    yield "dead batch statistics", words, f"{hack('instance-norm')}, or norm=none"

    def _of_norm(self, path: str, layer: Any) -> str:
        if not all(bool(torch.isfinite(tensor).all()) for tensor in (layer.running_mean, layer.running_var)):
            return "has batch statistics that are not finite"
        flat = float((layer.running_var < FLAT * layer.eps).float().mean())
        if flat > 0.5:
            return f"sees no variance in {flat:.0%} of its channels"
        return "has not been updated by training" if self._moved(path, layer, "running_mean") is False else ""

    def _level(self, name: str) -> Iterator[tuple[str, str, str]]:
        means = self._curves.get(name, [])
        distances = [-mean for mean in means]
        if len(distances) < CURVE or min(distances[-2:]) <= FALLEN * max(distances):
            return
        rounds = len(means) * PATIENCE
        words = (
            f"minus the loss of the {name} is {distances[-1]:.3g} after {rounds:,} rounds, and its "
            f"highest value was {max(distances):.3g}"
        )
        yield "a critic's curve that does not fall", words, f"{hack('more-turns')}, or lower learning rates"

    def _moved(self, key: str, module: nn.Module, what: str = "") -> bool | None:
        """Return whether a few numbers of `module` have changed since the previous examination; None at the
        first one.
        """
        tensor = (
            getattr(module, what)
            if what
            else next((p for p in module.parameters() if p.requires_grad), torch.empty(0))
        )
        row = tensor.detach()[0] if tensor.ndim > 1 else tensor.detach()
        now, before = row.flatten()[:_SHOWN].clone(), self._seen.get(key)
        self._seen[key] = now
        return None if before is None else not torch.equal(now, before)


def gradient_norm(module: nn.Module) -> float:
    """Return the norm of the gradient that the last turn left in the weights of `module`; 0 without one."""
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    return float(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))) if gradients else 0.0


def diversity(images: Tensor) -> float:
    """Return the median distance of the `images` (N, C, H, W) from their nearest neighbour in the batch; 0
    for fewer than two.

    It is 0 after a total collapse and almost 0 for a generator with a few modes, even if the variance of its
    pixels equals that of the data.
    """
    rows = images.detach().flatten(1).float()
    if len(rows) < 2:
        return 0.0
    distances = torch.cdist(rows, rows).fill_diagonal_(torch.inf)  # (N, N)
    return float(distances.min(1).values.median())


def kept(checkpoint: Path) -> str:
    """Return a phrase for a message: which checkpoint of a failed run remains."""
    if os.path.isfile(checkpoint):
        return f"the last good checkpoint is {checkpoint}"
    return "no checkpoint was written"
