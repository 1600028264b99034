"""Laws of games whose batches hold more than images: what is known of an image counts, and for its own row
alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from genzoo.models import AdversarialModel, Model
from genzoo.recipe import Recipe
from genzoo.rng import generator
from genzoo.testing.law import hold
from genzoo.testing.stirring import STRENGTHS, stirred
from genzoo.training import Batch, Player, players

OWN_ROW = 1e-5  # of the largest gradient: what rounding may change in other rows
_SHUFFLED = "rows of images and {} in one order"


@dataclasses.dataclass(frozen=True)
class Turn:
    """What a loss was in one turn.

    Attributes:
        loss: the scalar.
        slopes: its gradients in the images of the batch, and in every batch of images that the discriminator
            judged, (N, …) each; those that are not there are left out.
        taught: whether the first of them is that of the batch.
    """

    loss: Tensor
    slopes: list[Tensor]
    taught: bool


def turn_of(model: Model, game: Sequence[Player], player: Player, batch: Batch, noise: str = "laws") -> Turn:
    """Return the loss of the player of this name in `game`, which is made anew, since it may remember what it
    was shown.
    """
    again = next(each for each in game if each.name == player.name)
    images = batch.images.clone().requires_grad_(True)
    with _watched(model) as judged:
        source = generator(noise, player.name, device=images.device)
        loss = again.loss(dataclasses.replace(batch, images=images), source)
    slopes = torch.autograd.grad(loss, [images, *judged], allow_unused=True)
    return Turn(loss.detach(), [s for s in slopes if s is not None], slopes[0] is not None)


@contextlib.contextmanager
def _watched(model: Model) -> Iterator[list[Tensor]]:
    """Yield a list that gets every batch of images that the discriminator judges in the block, as points to
    take gradients at.
    """
    judged: list[Tensor] = []
    if not isinstance(model, AdversarialModel):
        yield judged
        return
    honest = model._discriminate

    def judge(x: Tensor, *condition: Tensor) -> Tensor:
        point = x if x.requires_grad else x.detach().requires_grad_(True)
        judged.append(point)
        return honest(point, *condition)

    vars(model)["_discriminate"] = judge
    try:
        yield judged
    finally:
        del vars(model)["_discriminate"]


def check_own_rows(before: Turn, after: Turn, what: str, look: str) -> None:
    """Hold that what changed in row 0 alone, a label or a condition, changes no gradient in another row."""
    law = f"a {what} affects the image of its own row alone"
    seen = f"another {what} in one row changes the gradient of other rows"
    for one, other in zip(before.slopes, after.slopes, strict=True):
        apart = (one - other)[1:].abs().max()
        hold(apart <= OWN_ROW * one.abs().max(), law, seen, f"{look}: {_SHUFFLED.format(what + 's')}")


def check_conditions(model: Model, recipe: Recipe, player: Player, batch: Batch) -> None:
    """Hold a player of a conditional model to its condition: it counts, and for the image of its own row
    alone.

    In evaluation mode, where no layer compares the rows, on copies with noise in every weight.

    Raises:
        LawError: the first law that is broken.
    """
    rows = batch.get("condition")
    if bool((rows == rows[:1]).all()):  # there is but one
        return
    changed = rows.clone()
    changed[0] = rows[-1]
    other = dataclasses.replace(batch, condition=changed)
    look = f"the loss of the player {player.name}"
    for strength in STRENGTHS:
        loud = stirred(model, strength)

        def turn(of: Batch, noise: str = "laws", loud: Model = loud) -> Turn:
            return turn_of(loud, players(loud, recipe), player, of, noise)

        before, after = turn(batch), turn(other)
        if not player.mixes_rows:
            check_own_rows(before, after, "condition", look)
        if _heeded(before, after):
            _check_order(batch, turn, before, look)
            return
    law = "a player of a conditional model learns from its condition"
    hold(False, law, "the same with another condition", f"{look}: batch.given where the model is asked")


def _heeded(before: Turn, after: Turn) -> bool:
    """Say whether the condition of row 0 changed the loss, and what image 0 of the batch counts for."""
    if not abs(float(before.loss - after.loss)) > 1e-6 * abs(float(before.loss)):
        return False
    if not before.taught or not before.slopes[0][0].any():
        return True
    one, other = before.slopes[0][0], after.slopes[0][0]
    return bool((one - other).abs().max() > OWN_ROW * one.abs().max())


def _check_order(batch: Batch, turn: Callable[..., Turn], before: Turn, look: str) -> None:
    """Hold that another order of the rows leaves the loss as it is, where it has no noise, which is drawn row
    by row.
    """
    if not torch.equal(turn(batch, "other").loss, before.loss):
        return
    turned = turn(batch.map(lambda rows: rows.roll(1, 0))).loss
    same = torch.allclose(turned, before.loss, rtol=1e-4, atol=1e-6)
    law = "the loss of images and their conditions does not depend on their order"
    hold(same, law, f"{float(turned):.6g}, not {float(before.loss):.6g}", look)


def check_other(model: Model, recipe: Recipe, player: Player, batch: Batch) -> None:
    """Hold a player that needs the second side of an unpaired set to it: it counts, and its order beside the
    first side does not.

    Raises:
        LawError: the first law that is broken.
    """
    look = f"the loss of the player {player.name}"
    loud = stirred(model, STRENGTHS[0])

    def loss(other: Tensor, noise: str = "laws") -> Tensor:
        changed = dataclasses.replace(batch, other=other)
        return turn_of(loud, players(loud, recipe), player, changed, noise).loss

    other = batch.get("other")
    before = loss(other)
    law = "a player that needs the second side learns from it"
    hold(not torch.equal(loss(1 - other), before), law, "the same loss with other images", look)
    if not torch.equal(loss(other, "other"), before):  # its noise is drawn row by row
        return
    same = torch.allclose(loss(other.roll(1, 0)), before, rtol=1e-4, atol=1e-6)
    law = "two sides are not paired: the order of the second beside the first changes nothing"
    hold(same, law, f"{float(loss(other.roll(1, 0))):.6g}, not {float(before):.6g}", look)
