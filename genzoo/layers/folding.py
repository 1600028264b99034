"""Prepare a generator for sampling: fold batch norm into the convolutions, use channels_last, and bf16 if the
CPU is fast at it.

Folding is exact algebra: γ (w ⋆ x + b - μ) / σ + β is a convolution with the weights γ w / σ and the bias γ
(b - μ) / σ + β. bf16 moves a pixel by a grey level or two.

Folding makes a copy, which is valid only while the original stays unchanged. Torch does not report every
change (`p.data` and numpy views raise no version, hooks and `eps` are no tensors), so no copy outlives the
call of the public method that it was made for.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from contextvars import ContextVar
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor, nn

from genzoo.layers.balanced import BalancedConvTranspose2d
from genzoo.layers.instance import InstanceNorm2d
from genzoo.layers.plain import Forwards, is_plain, is_stock
from genzoo.layers.spectral import SpectralConv2d
from genzoo.layers.strided import StridedConv2d, StridedConvTranspose2d

_CONVOLUTIONS = (
    nn.Conv2d,
    nn.ConvTranspose2d,
    StridedConv2d,
    StridedConvTranspose2d,
    BalancedConvTranspose2d,
    SpectralConv2d,
)
_SETTLING = (BalancedConvTranspose2d, SpectralConv2d)  # they compute their weight at every call
# Layers whose every attribute is known, in evaluation mode. A net that holds any other, a subclass of these
# included, stays as it is.
_LAYERS = (
    *_CONVOLUTIONS,
    nn.BatchNorm2d,
    nn.InstanceNorm2d,
    InstanceNorm2d,
    nn.GroupNorm,
    nn.ReLU,
    nn.LeakyReLU,
    nn.Tanh,
    nn.Sigmoid,
    nn.SiLU,
    nn.ELU,
    nn.GELU,
    nn.Softplus,
    nn.Identity,
    nn.Dropout,
    nn.Dropout2d,
    nn.Linear,
    nn.Flatten,
    nn.Unflatten,
    nn.Upsample,
    nn.PixelShuffle,
)
_KNOWN: Forwards = {kind: kind.forward for kind in (*_LAYERS, nn.Sequential)}
_MADE: ContextVar[dict[nn.Module, nn.Module] | None] = ContextVar("made", default=None)
_OFF: ContextVar[bool] = ContextVar("off", default=False)


@contextlib.contextmanager
def folding_once(fresh: bool = True) -> Iterator[None]:
    """Fold every net at most once inside the block, for this thread; with `fresh` false, share the folded
    nets of an outer block.
    """
    if not fresh and _MADE.get() is not None:
        yield
        return
    token = _MADE.set({})
    try:
        yield
    finally:
        _MADE.reset(token)


@contextlib.contextmanager
def unfolded() -> Iterator[None]:
    """Leave every net as it is inside the block, for this thread: what is exported or compared to other
    programs is float32, layer by layer.
    """
    token = _OFF.set(True)
    try:
        yield
    finally:
        _OFF.reset(token)


def compact(net: nn.Module) -> nn.Module:
    """Return a faster equivalent of `net` as it is now, without gradients, from float32 to float32; `net`
    itself if it is not supported.

    Supported are `nn.Sequential`s in evaluation mode, on one device and in float32, of torch's own layers and
    the strided ones of `genzoo.layers`: no subclasses, hooks, compiled modules or reparametrised weights.
    Call it each time: inside a public method of a model the work is done once, elsewhere on every call.
    """
    made = _MADE.get()
    if _OFF.get():
        return net
    if made is not None and net in made:
        return made[net]
    ready = _make(net) if isinstance(net, nn.Sequential) and _can_be_folded(net) else net
    if made is not None:
        made[net] = ready
    return ready


def decoded(net: nn.Module, z: Tensor) -> Tensor:
    """Return net(z), as `compact` computes it, contiguous; gradients, if recorded, are those of `net` itself.

    A net with any part in training mode is simply called.
    """
    fast = net if is_stock() else compact(net)
    if fast is net:
        images: Tensor = net(z)
        return images
    with torch.no_grad():
        values: Tensor = fast(z).contiguous()
    if not torch.is_grad_enabled():
        return values
    shown: Tensor = _Shown.apply(net(z), values)  # type: ignore[no-untyped-call]
    return shown


class _Shown(torch.autograd.Function):
    """Values of one tensor, gradients of another: requesting gradients must not change an image."""

    @staticmethod
    def forward(exact: Tensor, values: Tensor) -> Tensor:
        return values.view_as(values)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        return

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return gradients[0], None


def fast_bf16(device: torch.device) -> bool:
    """Whether bf16 is faster than float32 on `device`: AMX tiles or AVX-512 bf16 instructions on a CPU, a GPU
    from compute capability 8.0 on; others emulate it.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        return any(
            getattr(torch.cpu, name, bool)()
            for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
        )
    return False


def _can_be_folded(net: nn.Sequential) -> bool:
    if not all(is_plain(module, _KNOWN) and not module.training for module in net.modules()):
        return False
    if any(isinstance(layer, nn.Sequential) for layer in net) or not any(
        isinstance(layer, _CONVOLUTIONS) for layer in net
    ):
        return False
    tensors = [tensor for tensor in (*net.parameters(), *net.buffers()) if tensor.is_floating_point()]
    return (
        all(tensor.dtype == torch.float32 for tensor in tensors)
        and len({tensor.device for tensor in tensors}) == 1
    )


def _make(net: nn.Sequential) -> nn.Sequential:
    with torch.inference_mode(False), torch.no_grad():  # in this order: the first turns gradients on
        layers = list(_folded(net))
        device = next(net.parameters()).device
        if device.type == "cpu" and fast_bf16(device):
            layers = _in_bf16(layers)
        compacted: nn.Sequential = nn.Sequential(*layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return compacted.requires_grad_(False).eval()


def _folded(net: nn.Sequential) -> Iterator[nn.Module]:
    previous: nn.Module | None = None
    settled = [layer.settled() if isinstance(layer, _SETTLING) else layer for layer in net]
    for layer, following in zip_longest(settled, settled[1:]):
        if _can_take(layer, following):
            yield _with(layer, following)
        elif not _can_take(previous, layer):
            yield copy.deepcopy(layer)
        previous = layer


def _can_take(layer: Any, norm: nn.Module | None) -> bool:
    plain = isinstance(layer, _CONVOLUTIONS) and layer.groups == 1
    return (
        plain
        and isinstance(norm, nn.BatchNorm2d)
        and norm.running_var is not None
        and norm.running_var.numel() == layer.out_channels
    )


def _with(layer: Any, norm: Any) -> nn.Module:
    """Return a copy of the convolution `layer` that is `layer` followed by `norm` in evaluation mode."""
    scale = torch.rsqrt(norm.running_var + norm.eps) * (1 if norm.weight is None else norm.weight)
    shift = (0 if norm.bias is None else norm.bias) - norm.running_mean * scale
    # the axis of the output channels
    of_outputs = (-1, 1, 1) if isinstance(layer, nn.ConvTranspose2d) else (-1, 1, 1, 1)
    new = copy.copy(layer)
    weight = layer.weight * scale.view(of_outputs)
    bias = shift if layer.bias is None else layer.bias * scale + shift
    new._parameters = {"weight": nn.Parameter(weight), "bias": nn.Parameter(bias)}
    return new  # type: ignore[no-any-return]


def _in_bf16(layers: list[nn.Module]) -> list[nn.Module]:
    """Compute in bf16 between the first convolution, which reads z, and the last: z and the pixels keep their
    precision.
    """
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
