"""Start a run from weights that exist (`--init-from`): what fits is taken, the rest starts at random and is
named.

A tensor fits if the new model has one of its name and shape. One level of the name may be missing on one
side: `generator.net.1.weight` of a net that takes labels is `generator.1.weight` of the same net without. Of
such a net, the layer that reads input and label is taken as far as it reads the input, which comes first.
Tensors whose shape depends on the number of labels fit only if the labels are the same ones in the same
order: a row of an embedding belongs to its label.
The weights are those that `genzoo.load` gives, so of a run that keeps an average they are the averaged ones.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genzoo import hub, places
from genzoo.card import Card
from genzoo.catalogue import Entry, catalogue
from genzoo.condition import Labels
from genzoo.errors import ArgumentError, TrainingError
from genzoo.ledger import FolderSource, Row
from genzoo.models import Model
from genzoo.models.weights import build_empty, build_filled
from genzoo.places import Target

SHOWN = 6  # tensors that a line names
LONGEST = 32  # generations of a lineage that are kept


@dataclass(frozen=True)
class Start:
    """The weights that a run starts from.

    Attributes:
        name: what the user called them.
        row: what pins them.
        card: the card of their model, with their config.
        model: the model that they fill.
    """

    name: str
    row: Row
    card: Card
    model: Model

    @property
    def lineage(self) -> tuple[str, ...]:
        """`NAME@SHA256` of these weights, then of those that they were trained from."""
        return (f"{self.row.name}@{self.row.sha256}", *self.row.lineage)[:LONGEST]


@dataclass(frozen=True)
class Taken:
    """What `take` has done: names of tensors of the new model, and what did not fit in words.

    Attributes:
        fitting: tensors that have the values of the start.
        fresh: tensors that start at random.
        reasons: a few words for each of `fresh`, and for each tensor of the start that was left out.
    """

    fitting: frozenset[str]
    fresh: frozenset[str]
    reasons: tuple[str, ...]

    def words(self, start: Start) -> str:
        """Return one line that says what was taken."""
        total = len(self.fitting) + len(self.fresh)
        head = f"starting from {start.name} (sha256 {start.row.sha256[:12]}…): "
        if not self.reasons:
            return f"{head}all {total} tensors fit"
        more = len(self.reasons) - SHOWN
        shown = "; ".join(self.reasons[:SHOWN]) + (f"; and {more} more" if more > 0 else "")
        return f"{head}{len(self.fitting)} of {total} tensors fit; {shown}"


def starting(target: Target | None, out: Path, card: Card) -> tuple[Start | None, Card]:
    """Return the weights that `target` stands for, None if it is None, and `card` with what it inherits.

    `out` is the folder of the new run, and `card` that of its model, see `inherited`.

    Raises:
        ArgumentError: `target` is the folder that the run is written to.
        GenzooError: as `genzoo.load`.
    """
    if target is None:
        return None, card
    name = target.card.name if isinstance(target, Entry) else str(os.fspath(target))
    _refuse_itself(name, [Path(name).expanduser()] if places.is_place(target) else [], out)
    entry = places.find(target)
    row = entry.row if entry.row is not None else catalogue().row_of(entry)
    files = [source.path.parent for source in row.places() if isinstance(source, FolderSource)]
    _refuse_itself(name, files, out)
    blob = hub.pull_bytes(row)
    theirs = hub.configured(entry.card, blob)
    start = Start(name, row, theirs, build_filled(theirs, blob, f"the weights file of {name!r}"))
    return start, inherited(card, start)


def _refuse_itself(name: str, folders: Iterable[Path], out: Path) -> None:
    if any(os.path.realpath(folder) == os.path.realpath(out) for folder in folders):
        raise ArgumentError(
            f"--init-from {name} is the folder that this run would be written to",
            "choose another --out; to continue the run itself: --resume",
        )


def inherited(card: Card, start: Start | None) -> Card:
    """Return `card` with the config of the weights it starts from, if they are of the same class: a net of
    another width would have no tensor that fits. The labels stay those of `card`.
    """
    if start is None or start.card.model != card.model:
        return card
    return card.replace(config={**card.config, **start.card.config})


def take(model: Model, condition: Any, start: Start) -> Taken:
    """Fill `model`, whose labels are `condition`, in place with what fits of `start`.

    Raises:
        TrainingError: nothing fits.
    """
    theirs, ours = start.model.state_dict(), model.state_dict()
    of_labels = _of_labels(start.card, condition)
    fitting: set[str] = set()
    reasons = []
    met = counterparts(ours, theirs)
    for key, value in ours.items():
        found = theirs.get(met.get(key, ""))
        if found is None:
            reasons.append(f"{key} {_shape(value)} at random: it has none")
        elif found.is_floating_point() != value.is_floating_point():
            reasons.append(f"{key} {_shape(value)} at random: it has {_shape(found)}")
        elif found.shape != value.shape:
            reasons.append(
                f"{key} {_shape(value)} {_filled(value, found, met[key] != key)}: it has {_shape(found)}"
            )
        elif key in of_labels:
            reasons.append(f"{key} {_shape(value)} at random: it has other labels")
        else:
            with torch.no_grad():
                value.copy_(found)
            fitting.add(key)
    if not fitting:
        raise TrainingError(
            f"nothing of {start.name} fits: {'; '.join(reasons[:3])}",
            "start from weights of the same kind of net, or leave --init-from out",
        )
    used = set(met.values())
    reasons += [f"{key} {_shape(theirs[key])} left out" for key in theirs if key not in used]
    return Taken(frozenset(fitting), frozenset(set(ours) - fitting), tuple(reasons))


def counterparts(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> dict[str, str]:
    """Return the name among `theirs` of each tensor of `ours` that has one: the same name, or else the only
    one that differs by a level between the first and the last and has its shape, or a shape that is shorter
    along one axis if no other tensor has that one.
    """
    found = {key: key for key in ours if key in theirs}
    for longer in (False, True):
        free = {name: _without_a_level(name) for name in theirs.keys() - set(found.values())}
        met: dict[str, str] = {}
        for key in ours.keys() - found.keys():
            shorter = _without_a_level(key)
            near = [name for name, names in free.items() if name in shorter or key in names]
            alike = [name for name in near if _alike(ours[key], theirs[name], longer)]
            if len(alike) == 1:
                met[key] = alike[0]
        uses = Counter(met.values())
        found |= {key: name for key, name in met.items() if uses[name] == 1}
    return found


def _alike(ours: Tensor, theirs: Tensor, longer: bool) -> bool:
    return _longer_axis(ours, theirs) is not None if longer else ours.shape == theirs.shape


def _longer_axis(ours: Tensor, theirs: Tensor) -> int | None:
    """Return the only axis along which two tensors of equal rank differ, if `ours` is longer; else None."""
    if ours.ndim != theirs.ndim:
        return None
    axes = [axis for axis in range(ours.ndim) if ours.shape[axis] != theirs.shape[axis]]
    return axes[0] if len(axes) == 1 and ours.shape[axes[0]] > theirs.shape[axes[0]] else None


def _filled(value: Tensor, found: Tensor, inner: bool) -> str:
    """Fill the first part of `value` with `found` where `found` is of the net inside and shorter along one
    axis; return what was done.
    """
    axis = _longer_axis(value, found) if inner else None
    if axis is None:
        return "at random"
    with torch.no_grad():
        value.narrow(axis, 0, found.shape[axis]).copy_(found)
    return f"at random but for the first {found.shape[axis]} along axis {axis}"


def _without_a_level(name: str) -> set[str]:
    """Return `name` without each of its inner levels that is not a number, which would be a position."""
    parts = name.split(".")
    inner = [i for i in range(1, len(parts) - 1) if not parts[i].isdigit()]
    return {".".join(parts[:i] + parts[i + 1 :]) for i in inner}


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "scalar"


def _of_labels(card: Card, condition: Any) -> set[str]:
    """Return the tensors of the model of `card` whose shape depends on the number of labels, if those of the
    new model, `condition`, are others.
    """
    own = card.condition
    if not isinstance(own, Labels) or condition == own:
        return set()
    longer = Labels((*own.names, _another(own.names)))
    shapes = [
        {key: value.shape for key, value in build_empty(one).state_dict().items()}
        for one in (card, card.replace(condition=longer))
    ]
    return {key for key, shape in shapes[0].items() if shapes[1].get(key) != shape}


def _another(names: Sequence[str]) -> str:
    known = {name.casefold() for name in names}
    return next(name for name in (f"label {i}" for i in range(len(names) + 1)) if name not in known)


def check_frozen(frozen: Sequence[str], taken: Taken | None) -> None:
    """Raise if `frozen` layers would keep random weights.

    Args:
        frozen: names of tensors that the game does not train.
        taken: what was taken from other weights, None if the run starts at random.

    Raises:
        TrainingError: the message names the first of them.
    """
    at_random = [name for name in frozen if taken is None or name not in taken.fitting]
    if at_random:
        raise TrainingError(
            f"freeze would keep {at_random[0]} at random weights"
            + (f", and {len(at_random) - 1} more tensors" if len(at_random) > 1 else ""),
            "freeze needs --init-from with weights that fit these layers; or set freeze=0",
        )
