"""A generator made ready for sampling: batch norm folded into the convolutions, channels_last, bf16 where the CPU is fast at it.

Folding is exact algebra: γ (w ⋆ x + b - μ) / σ + β is a convolution with the weights γ w / σ and the bias γ (b - μ) / σ + β. bf16
moves a pixel by a grey level or two. It is used for samples and decoded images, never where gradients are wanted.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class _Made:
    """A compact net, the state it was made from, and that state's memory, held so that no other tensor can take its address."""

    net: nn.Sequential
    state: list[tuple[int, int]]
    memory: list[torch.UntypedStorage]


_MADE: WeakKeyDictionary[nn.Sequential, _Made] = WeakKeyDictionary()


def compact(net: nn.Sequential) -> nn.Sequential:
    """Return what computes `net` in evaluation mode, faster; made again whenever a weight or a statistic of `net` has changed.

    It takes and returns float32, and has no gradients.
    """
    tensors = [*net.parameters(), *net.buffers()]
    if any(tensor.is_inference() for tensor in tensors):
        return _make(net)  # such tensors do not count their changes
    state = [(tensor.data_ptr(), tensor._version) for tensor in tensors]
    made = _MADE.get(net)
    if made is None or made.state != state:
        made = _Made(_make(net), state, [tensor.untyped_storage() for tensor in tensors])
        _MADE[net] = made
    return made.net


def fast_bf16(device: torch.device) -> bool:
    """Whether bf16 is faster than float32 on `device`: AMX tiles or AVX-512 bf16 instructions on a CPU, which otherwise emulates it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    if device.type == "cpu":
        return any(getattr(torch.cpu, name, bool)() for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"))
    return False


def _make(net: nn.Sequential) -> nn.Sequential:
    with torch.inference_mode(False), torch.no_grad():  # in this order: the first turns gradients on
        layers = list(_folded(net))
        first = next((p for p in net.parameters()), torch.empty(0))
        if first.device.type == "cpu" and fast_bf16(first.device):
            layers = _in_bf16(layers)
        compacted: nn.Sequential = nn.Sequential(*layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return compacted.requires_grad_(False).eval()


def _folded(net: nn.Sequential) -> Iterator[nn.Module]:
    previous: nn.Module | None = None
    for layer, following in zip_longest(net, list(net)[1:]):
        if _can_take(layer, following):
            yield _with(layer, following)
        elif not _can_take(previous, layer):
            yield copy.deepcopy(layer)
        previous = layer


def _can_take(layer: nn.Module | None, norm: nn.Module | None) -> bool:
    plain = isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)) and layer.groups == 1
    return plain and isinstance(norm, nn.BatchNorm2d) and norm.running_var is not None


def _with(layer: Any, norm: Any) -> nn.Module:
    """Return a copy of the convolution `layer` that is `layer` followed by `norm` in evaluation mode."""
    scale = torch.rsqrt(norm.running_var + norm.eps) * (1 if norm.weight is None else norm.weight)
    shift = (0 if norm.bias is None else norm.bias) - norm.running_mean * scale
    of_outputs = (-1, 1, 1) if isinstance(layer, nn.ConvTranspose2d) else (-1, 1, 1, 1)  # the axis of the output channels
    new: nn.Module = copy.deepcopy(layer)
    new.weight = nn.Parameter(layer.weight * scale.view(of_outputs))
    new.bias = nn.Parameter(shift if layer.bias is None else layer.bias * scale + shift)
    return new


def _in_bf16(layers: list[nn.Module]) -> list[nn.Module]:
    """Compute in bf16 between the first convolution, which reads z, and the last: z and the pixels keep their precision."""
    places = [i for i, layer in enumerate(layers) if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))]
    if len(places) < 2:
        return layers
    first, end = places[0] + 1, places[-1] + 1
    middle = [layer.to(torch.bfloat16) for layer in layers[first:end]]
    return [*layers[:first], _To(torch.bfloat16), *middle, _To(torch.float32), *layers[end:]]


class _To(nn.Module):
    """Change the dtype."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        return x.to(self.dtype)
