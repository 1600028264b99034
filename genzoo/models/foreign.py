"""Layouts: how weights of other programs become those of a model, by the shapes and order of their layers.

A plugin says for its class how a foreign state dict is read:

    @layouts.register(DCGAN)
    def of_dcgan(found: Foreign, settings: Mapping[str, Any]) -> Layout:
        ...

It finds the layers of each net in what the file holds, and the config that has their shapes. The rest is done
here for every class: `fitted` puts the layers into a net, one after the other, and names what does not fit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from genzoo.errors import WeightsError, safe_text

_PARTS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
_KINDS = {4: "convolution", 2: "fully connected layer", 1: "normalisation"}
_WRAPPERS = ("module.", "_orig_mod.", "_forward_module.")  # of DataParallel, torch.compile and Lightning


def natural(name: str) -> tuple[Any, ...]:
    """Return the key that sorts `main.3` before `main.12`."""
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"[.]", name))


@dataclass(frozen=True)
class Layer:
    """One layer: its name in the file, and its tensors by their last name (`weight`, `bias`, …)."""

    name: str
    tensors: Mapping[str, Tensor]

    @property
    def weight(self) -> Tensor:
        """The weight, by which a layer is known."""
        return self.tensors["weight"]

    @property
    def kind(self) -> str:
        """What it is by the shape of its weight: a convolution, a fully connected layer, a normalisation."""
        return _KINDS.get(self.weight.ndim, f"layer of {self.weight.ndim} dimensions")

    @property
    def words(self) -> str:
        """Return its name and the shape of its weight."""
        return f"{safe_text(self.name, 80) or 'the layer'} {tuple(self.weight.shape)}"


@dataclass(frozen=True)
class Net:
    """Layers that belong together: a whole file, or the part of it under one name."""

    name: str
    layers: tuple[Layer, ...]
    odd: str = ""  # a tensor in it that belongs to no layer that can be read

    def of(self, kind: str) -> list[Layer]:
        """Return the layers of one kind, in order."""
        return [layer for layer in self.layers if layer.kind == kind]

    @property
    def convolutions(self) -> list[Layer]:
        """The convolutions, in order."""
        return self.of("convolution")

    @property
    def linears(self) -> list[Layer]:
        """The fully connected layers, in order."""
        return self.of("fully connected layer")

    @property
    def norms(self) -> list[Layer]:
        """The normalisations, in order."""
        return self.of("normalisation")

    @property
    def words(self) -> str:
        """Return what it is made of."""
        shown = [layer.words for layer in self.layers if layer.kind != "normalisation"]
        if self.odd:
            shown.insert(0, f"{safe_text(self.odd, 80)}, which belongs to no layer that can be read")
        return ", ".join(shown[:4]) + (f" and {len(shown) - 4} more" if len(shown) > 4 else "")


@dataclass(frozen=True)
class Foreign:
    """What one or more files hold, by the names that they give it; `where` names the files in messages."""

    where: str
    files: tuple[Mapping[str, Tensor], ...]

    def nets(self) -> list[Net]:
        """Return the nets that the files may hold: each file as a whole, then its parts by their first
        name.
        """
        found = []
        for tensors in self.files:
            named = unwrapped(tensors)
            found.append(_net("", named))
            # of `layer.weight` the first name is that of a layer, not of a net
            heads = dict.fromkeys(name.partition(".")[0] for name in named if name.count(".") > 1)
            found += [_net(head, _under(named, head)) for head in heads]
        return found

    def the_net(self, what: str, fits: Callable[[Net], bool]) -> Net | None:
        """Return the one net that `fits`, or None; `what` names it in the error where there are several.

        Raises:
            WeightsError: several fit.
        """
        fitting = [net for net in self.nets() if not net.odd and fits(net)]
        if len(fitting) > 1:
            names = ", ".join(safe_text(net.name, 60) or "a whole file" for net in fitting)
            raise WeightsError(
                f"{self.where} holds {len(fitting)} {what}s: {names}", "choose one with --key NAME"
            )
        return fitting[0] if fitting else None

    @property
    def words(self) -> str:
        """Return what the files are made of."""
        return "; ".join(_net("", unwrapped(tensors)).words for tensors in self.files)

    def named_as(self, keys: Iterable[str]) -> dict[str, Tensor] | None:
        """Return the tensors of all files if their names are exactly `keys`, else None."""
        together: dict[str, Tensor] = {}
        for tensors in self.files:
            together |= tensors
        wanted = set(keys)
        for named in (together, unwrapped(together, whole=False), unwrapped(together)):
            if set(named) == wanted:
                return named
        return None


@dataclass(frozen=True)
class Layout:
    """What a foreign state dict is for one class.

    Attributes:
        config: keys of the class's `Config` that the shapes determine.
        parts: name of a submodule -> its layers, in order.
        notes: what a person should know, one line each.
    """

    config: Mapping[str, Any]
    parts: Mapping[str, Sequence[Layer]]
    notes: tuple[str, ...] = field(default=())


Reading: TypeAlias = Callable[[Foreign, Mapping[str, Any]], Layout]


class Layouts:
    """Class -> the function that reads foreign state dicts for it; a subclass has none of its own until one
    is registered.
    """

    def __init__(self) -> None:
        self._known: dict[type[Any], Reading] = {}

    def register(self, cls: type[Any]) -> Callable[[Reading], Reading]:
        """Return the decorator that registers a function for `cls`."""

        def add(reading: Reading) -> Reading:
            self._known[cls] = reading
            return reading

        return add

    def of(self, cls: type[Any]) -> Reading | None:
        """Return the function of exactly this class, or None."""
        return self._known.get(cls)


layouts = Layouts()


def unwrapped(tensors: Mapping[str, Tensor], *, whole: bool = True) -> dict[str, Tensor]:
    """Return `tensors` without what wraps their names: `module.` of DataParallel and its like anywhere, and
    (`whole`) the names that all have in common, such as `state_dict.` or `main.`.
    """
    named = {}
    for name, value in tensors.items():
        for wrapper in _WRAPPERS:
            name = re.sub(rf"(^|\.){re.escape(wrapper)}", r"\1", name)
        named[name] = value
    while named and (whole or _is_nest(named)):
        heads = {name.partition(".")[0] for name in named}
        # the last name is that of the tensor itself
        if len(heads) != 1 or not all("." in name for name in named):
            break
        named = {name.partition(".")[2]: value for name, value in named.items()}
    return named


def _is_nest(named: Mapping[str, Tensor]) -> bool:
    """Return whether all names begin with the one under which training loops keep their model."""
    return all(re.match(r"(model_)?(state_dict|state|model)\.", name) for name in named)


def _under(named: Mapping[str, Tensor], head: str) -> dict[str, Tensor]:
    own = {
        name.removeprefix(f"{head}."): value for name, value in named.items() if name.startswith(f"{head}.")
    }
    return unwrapped(own)


def _net(name: str, tensors: Mapping[str, Tensor]) -> Net:
    """Return the layers of a state dict, in its order."""
    grouped: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        owner, _, last = key.rpartition(".")
        grouped.setdefault(owner, {})[last] = value
    layers, odd = [], ""
    for owner, own in grouped.items():
        strange = sorted(set(own) - set(_PARTS)) or ([] if "weight" in own else sorted(own))
        if strange:
            odd = odd or f"{owner}.{strange[0]}".lstrip(".")
        else:
            layers.append(Layer(owner, own))
    return Net(name, tuple(layers), odd)


def fitted(net: nn.Module, layers: Sequence[Layer], what: str) -> dict[str, Tensor]:
    """Return the state dict of `net` (which may be on the meta device) with the numbers of `layers`, matched
    by kind and order.

    A missing bias is 0. A bias before batch norm that `net` lacks is subtracted from the running mean, which
    is the same function in evaluation mode.

    Raises:
        WeightsError: other layers or shapes; `what` says whose they are.
    """
    own = _net("", net.state_dict()).layers
    for kind in dict.fromkeys([*_KINDS.values(), *(layer.kind for layer in layers)]):
        theirs, ours = [x for x in layers if x.kind == kind], [x for x in own if x.kind == kind]
        if len(theirs) != len(ours):
            raise WeightsError(
                f"{what}: the file has {_count(theirs, kind)}, the model {_count(ours, kind)}",
                "see the model's layers with: genzoo info NAME --net",
            )
    queues = {kind: iter([x for x in layers if x.kind == kind]) for kind in _KINDS.values()}
    state: dict[str, Tensor] = {}
    spare: Tensor | None = None  # the bias of the layer before
    for target in own:
        layer = next(queues[target.kind])
        filled, spare = _fill(target, layer, spare, what)
        state |= {f"{target.name}.{key}" if target.name else key: value for key, value in filled.items()}
    if spare is not None:
        raise WeightsError(f"{what}: the last layer has a bias, the model's has none", "it is another net")
    return state


def _count(layers: Sequence[Layer], kind: str) -> str:
    shapes = "; ".join(layer.words for layer in layers[:6]) + "; …" * (len(layers) > 6)
    return f"{len(layers)} {kind}{'s' * (len(layers) != 1)}" + (f" ({shapes})" if shapes else "")


def _fill(
    target: Layer, layer: Layer, spare: Tensor | None, what: str
) -> tuple[dict[str, Tensor], Tensor | None]:
    """Return the tensors of `target` with the numbers of `layer`, and the bias that has no place in it."""
    values = dict(layer.tensors)
    if "running_mean" in target.tensors and "running_mean" not in values:
        raise WeightsError(
            f"{what}: {layer.words} has no running statistics, as batch norm has in evaluation mode",
            "it is another normalisation: --set norm=instance or norm=layer",
        )
    for key, expected in target.tensors.items():
        fresh = torch.zeros(expected.shape, dtype=expected.dtype)
        value = values.setdefault(key, fresh)
        if value.shape != expected.shape:
            raise WeightsError(
                f"{what}: {safe_text(layer.name, 80)}.{key} has the shape {tuple(value.shape)}, where the "
                f"model has {tuple(expected.shape)}",
                "it is another net, or another size of it: see genzoo info NAME --net",
            )
    odd = sorted(set(values) - set(target.tensors) - {"bias"})
    if odd or (spare is not None and "running_mean" not in target.tensors):
        raise WeightsError(
            f"{what}: {layer.words} has {odd[0] if odd else 'a bias before it'}, which the model lacks",
            "it is another normalisation: --set norm=batch, instance, layer or none",
        )
    if spare is not None:
        values["running_mean"] = values["running_mean"] - spare
    rest = None if "bias" in target.tensors else values.pop("bias", None)
    return {key: values[key].to(target.tensors[key].dtype) for key in target.tensors}, rest
