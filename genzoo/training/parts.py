"""`accumulate=N`: a turn whose batch is computed in N parts, one after the other, whose gradients are added.

A loss is a mean over rows, as it is for several processes. So the mean of the gradients of equal parts is
the gradient of the batch, with the activations of one part in memory. What describes the batch as a whole
cannot be had from parts: a run is refused if a turn changes a buffer (batch statistics, power iteration), if
a loss compares rows of the whole batch, or if a player keeps a memory; and so is a batch norm that has no
running statistics to change. Noise is drawn for the whole batch,
and a part keeps its rows (`genzoo.shares`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from genzoo.errors import ArgumentError, TrainingError
from genzoo.recipe import Recipe
from genzoo.shares import Share
from genzoo.training.batch import Batch
from genzoo.training.players import Player


def check_divides(recipe: Recipe, processes: int) -> None:
    """Raise if a batch does not divide among the processes and the recipe's `accumulate` parts of each.

    Raises:
        ArgumentError: it does not.
    """
    parts = processes * recipe.accumulate
    if recipe.batch_size % parts:
        into = f"among {processes} processes" if recipe.accumulate == 1 else f"into {parts} equal parts"
        each = f", accumulate={recipe.accumulate} for each process" if recipe.accumulate > 1 else ""
        raise ArgumentError(
            f"batch_size={recipe.batch_size} cannot be divided {into}{each}",
            f"choose a multiple of {parts}: --set batch_size=…",
        )


def check_parts(recipe: Recipe, players: Sequence[Player]) -> None:
    """Raise if the turns of a game cannot be computed in the recipe's `accumulate` parts.

    Raises:
        ArgumentError: a player keeps a memory or the images of the player before, or has batch norm without
            running statistics.
    """
    for player in players if recipe.accumulate > 1 else ():
        what = ""
        norm = _untracked(player.module)
        if player.memory is not None:
            what = "keeps a memory of whole batches"
        elif not player.fresh and not player.in_parts:
            what = "uses what the player before has made of the whole batch"
        elif norm is not None:
            what = f"has batch norm ({norm}), which would normalise each part by itself"
        if what:
            raise ArgumentError(
                f"accumulate={recipe.accumulate} needs turns in parts, but the {player.name} {what}",
                "set accumulate=1 and a smaller batch_size",
            )


def _untracked(module: nn.Module) -> str | None:
    """Return the name of a batch norm of `module` without running statistics, which thus normalises by those
    of the batch and changes no buffer that `Watch` could notice; None if there is none.
    """
    for name, layer in module.named_modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.running_mean is None:
            return str(name)
    return None


def parts_of(batch: Batch, parts: int) -> list[Batch]:
    """Return `batch` in equal parts, in order."""
    rows = len(batch) // parts
    return [batch.map(lambda x, i=i: x[i * rows : (i + 1) * rows]) for i in range(parts)]  # type: ignore[misc]


def shares_of(share: Share, parts: int) -> list[Share]:
    """Return the shares of the whole batch that the parts of one process's `share` are."""
    first = share.number * parts
    return [Share(first + i, share.parts * parts, _refuse, share.norms) for i in range(parts)]


def computed(
    compute: Callable[[Batch, Share], Tensor],
    batch: Batch,
    shares: Sequence[Share],
    player: Player,
    players: Sequence[Player],
) -> Tensor:
    """Compute the gradients of a turn of `player` in parts, of which `compute` adds them part by part; return
    the mean of the losses.

    Raises:
        TrainingError: a part changes a buffer of one of the `players`.
    """
    watch = Watch([each.module for each in players])
    losses = []
    for part, share in zip(parts_of(batch, len(shares)), shares, strict=True):
        losses.append(compute(part, share))
        watch.check(len(shares))
    torch._foreach_div_([p.grad for p in player.learning if p.grad is not None], len(shares))
    return torch.stack(losses).mean()


def _refuse(rows: Tensor) -> None:
    raise TrainingError(
        "accumulate computes a batch in parts, but a loss or a net compares images of the whole batch",
        "set accumulate=1, or leave out what compares them (minibatch features, sync_batch_norm)",
    )


class Watch:
    """Notices buffers that a turn changes: they describe the rows that it saw.

    Args:
        modules: those of all players.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self._buffers: dict[str, Tensor] = {
            name: buffer for module in modules for name, buffer in module.named_buffers()
        }
        self._before = {name: buffer._version for name, buffer in self._buffers.items()}

    def check(self, parts: int) -> None:
        """Raise if a buffer has been changed since.

        Raises:
            TrainingError: the message names the first of them.
        """
        changed = [name for name, buffer in self._buffers.items() if buffer._version != self._before[name]]
        if changed:
            raise TrainingError(
                f"accumulate={parts} is not the whole batch for these nets: each part changes {changed[0]}",
                "set accumulate=1, or choose nets without batch norm, spectral norm or minibatch features "
                "(genzoo info lists what the config offers)",
            )
