"""What a checkpoint keeps of an optimiser, as named tensors.

`optimiser.NAME.INDEX.SLOT` is a tensor that the optimiser NAME keeps of its weight INDEX. Someone else's
optimiser may keep numbers too: `optimiser-number`, a tensor without axes, or an empty one for None. Its
`param_groups` may hold both: `group` and `group-number`, where INDEX is that of the group.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from genzoo.errors import TrainingError, safe_repr

# what the optimisers that genzoo makes keep of each of their weights
_SLOTS: Mapping[str, set[str]] = {
    "torch.optim.adam.Adam": {"step", "exp_avg", "exp_avg_sq"},
    "torch.optim.rmsprop.RMSprop": {"step", "square_avg"},
    "torch.optim.sgd.SGD": set(),
    "genzoo.training.optimisers.Muon": {"momentum_buffer"},
}
_MORE = ("amsgrad", "centered", "momentum")  # with these, which genzoo never sets, torch's keep more
# of a group: set in every round, or how to compute on a machine
_ELSEWHERE = ("params", "lr", "foreach", "fused", "capturable", "differentiable")
_NUMBERS: Mapping[type, torch.dtype] = {bool: torch.bool, int: torch.int64, float: torch.float64}
FIRST_CALLS = 4  # of a hook, which torch calls for the step of a base class as well
_KINDS = ("optimiser", "optimiser-number", "group", "group-number")


class Place(NamedTuple):
    """Where in an optimiser a tensor of a checkpoint belongs: `kind.name.at.slot`."""

    kind: str
    name: str
    at: str  # index of a weight or group
    slot: str


def place_of(key: str) -> Place | None:
    """Return the place that `key` names, or None if it names none of an optimiser."""
    kind, _, rest = key.partition(".")
    rest, _, slot = rest.rpartition(".")
    name, _, at = rest.rpartition(".")
    return Place(kind, name, at, slot) if kind in _KINDS else None


def kept(name: str, optimiser: Optimizer) -> dict[str, Tensor]:
    """Return what a checkpoint keeps of `optimiser`, by the names of the tensors.

    Raises:
        TrainingError: it keeps something that is neither a tensor nor a number, or not of a weight.
    """
    found: dict[str, Tensor] = {}
    indices = {id(weight): index for index, weight in enumerate(weights_of(optimiser))}
    for weight, slots in optimiser.state.items():
        if id(weight) not in indices or not isinstance(slots, Mapping):
            raise _unkept(name, optimiser, f"{safe_repr(weight)} of no weight", slots)
        for slot, value in slots.items():
            found |= _encoded(name, optimiser, "optimiser", indices[id(weight)], slot, value)
    for index, group in enumerate(() if _known(optimiser) is not None else optimiser.param_groups):
        for slot, value in group.items():
            if slot not in _ELSEWHERE and isinstance(value, (bool, int, float, Tensor)):
                found |= _encoded(name, optimiser, "group", index, slot, value)
    return found


def _encoded(
    name: str, optimiser: Optimizer, kind: str, index: int, slot: Any, value: Any
) -> dict[str, Tensor]:
    dtype = next((found for kind_of, found in _NUMBERS.items() if isinstance(value, kind_of)), None)
    if not isinstance(slot, str) or "." in slot:
        raise _unkept(name, optimiser, safe_repr(slot), value)
    if type(value) in (Tensor, nn.Parameter) and value.layout is torch.strided and not value.is_complex():
        return {f"{kind}.{name}.{index}.{slot}": value}
    if value is None:
        return {f"{kind}-number.{name}.{index}.{slot}": torch.empty(0, dtype=torch.float64)}
    if dtype is None or (dtype is torch.int64 and not -(2**63) <= value < 2**63):
        raise _unkept(name, optimiser, safe_repr(slot), value)
    return {f"{kind}-number.{name}.{index}.{slot}": torch.tensor(value, dtype=dtype)}


def _unkept(name: str, optimiser: Optimizer, what: str, value: Any) -> TrainingError:
    return TrainingError(
        f"the optimiser of {name} ({type(optimiser).__name__}) keeps {what}, a {type(value).__name__}, which "
        "a checkpoint cannot keep, so the run could not be resumed",
        "choose an optimizer that keeps tensors and numbers of each weight, and numbers in param_groups",
    )


def check_first_steps(name: str, optimiser: Optimizer) -> None:
    """Let the first steps of someone else's `optimiser` raise TrainingError if a checkpoint cannot keep what
    it then has, instead of after hours.
    """
    calls = itertools.count()

    def check(*_: object) -> None:
        if next(calls) < FIRST_CALLS:
            kept(name, optimiser)

    with contextlib.suppress(AttributeError):  # a wrapper that has not initialised its base class
        optimiser.register_step_post_hook(check)


def fits(place: Place, value: Tensor, optimiser: Optimizer) -> bool:
    """Return whether `optimiser` has such a weight or group, and `value` is of the kind that it says."""
    groups = place.kind.startswith("group")
    count = len(optimiser.param_groups if groups else weights_of(optimiser))
    number = place.kind.endswith("-number")
    return (
        place.at in map(str, range(count))
        and not (groups and place.slot in _ELSEWHERE)
        and (not number or (value.dtype in _NUMBERS.values() and value.ndim * value.numel() == 0))
    )


def weights_of(optimiser: Optimizer) -> list[Tensor]:
    """Return the weights that `optimiser` updates, in its order."""
    return [p for group in optimiser.param_groups for p in group["params"]]


def flaw(optimiser: Optimizer, tensors: Mapping[Place, Tensor]) -> str:
    """Return why `tensors` are not what an optimiser that genzoo makes keeps, or "". Of someone else's, only
    it knows what it keeps.
    """
    known = _known(optimiser)
    if known is None:
        return ""
    slots: dict[str, set[str]] = {}
    weights = weights_of(optimiser)
    for place, value in tensors.items():
        key = ".".join(place)
        if place.kind != "optimiser":
            return f"{key} is none that {type(optimiser).__name__} keeps"
        slots.setdefault(place.at, set()).add(place.slot)
        weight = weights[int(place.at)]
        found = _flaw_of_step(key, value) if place.slot == "step" else unlike(key, value, weight)
        if found:
            return found
    for index, names in slots.items():
        if names != known:
            return f"the optimiser {place.name} keeps {sorted(names)} of weight {index}, not {sorted(known)}"
    return ""


def _flaw_of_step(key: str, value: Tensor) -> str:
    dtype = value.dtype if value.is_floating_point() else torch.float32
    if found := unlike(key, value, torch.zeros((), dtype=dtype)):
        return found
    return "" if 0 <= float(value) < math.inf else f"{key} is {float(value):g}"


def unlike(key: str, found: Tensor, wanted: Tensor) -> str:
    """Return how the tensor `found` under `key` differs from one like `wanted` in shape or type, or ""."""
    for what, theirs, ours in (
        ("shape", tuple(found.shape), tuple(wanted.shape)),
        ("type", found.dtype, wanted.dtype),
    ):
        if theirs != ours:
            return f"{key} has the {what} {theirs}, not {ours}"
    return ""


def _known(optimiser: Optimizer) -> set[str] | None:
    """Return the slots of an optimiser that genzoo makes, None for any other."""
    kind = type(optimiser)
    name = f"{kind.__module__}.{kind.__qualname__}"
    more = name.startswith("torch.") and any(g.get(key) for g in optimiser.param_groups for key in _MORE)
    return None if more else _SLOTS.get(name)


def restore(optimiser: Optimizer, tensors: Iterable[tuple[Place, Tensor]]) -> None:
    """Put `tensors`, which `fits` and `flaw` have passed, into their places; the rest of the state is
    cleared.
    """
    weights = weights_of(optimiser)
    optimiser.state.clear()
    for place, value in sorted(tensors, key=lambda pair: int(pair[0].at)):
        index, slot = int(place.at), place.slot
        group = optimiser.param_groups[index] if place.kind.startswith("group") else None
        if place.kind.endswith("-number"):
            made: Any = value.item() if value.numel() else None
        elif group is not None:
            made = value.clone().to(group["params"][0].device)
        else:
            made = _like(optimiser, weights[index], slot, value)
        (optimiser.state[weights[index]] if group is None else group)[slot] = made


def _like(optimiser: Optimizer, weight: Tensor, slot: str, value: Tensor) -> Tensor:
    # Moments keep their weight's memory layout: an update in another order of memory is not the same bits.
    same = value.shape == weight.shape
    made = torch.empty_like(weight, dtype=value.dtype).copy_(value) if same else value.clone()
    settings = optimiser.defaults
    on_host = slot == "step" and not settings.get("fused") and not settings.get("capturable")
    return made if on_host else made.to(weight.device)
