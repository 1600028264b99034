"""Strided convolutions whose training step is as fast on a CPU as their matrix products.

`StridedConv2d` and `StridedConvTranspose2d` are nn.Conv2d and nn.ConvTranspose2d: the same weights, the same state dict, the same
values. Only how they are computed differs, on CPUs, for the two kinds of layer that DCGANs are made of:

* kernel 4, stride 2, padding 1. The two layers and the gradient of their weights are one trilinear form, Σ g · (w ⋆ x), seen from
  three sides, so each one's derivatives are the other two and gradients of any order exist (a gradient penalty needs the second):

      y = conv(x, w)          ∂/∂x = convT(g, w)          ∂/∂w = wgrad(x, g)

  The stock weight gradient reaches half of the machine's bf16 rate; as one product of g with the unfolded x it reaches it all.
* a kernel as large as the map (the first layer of G, the last of D): a plain matrix product.

Everything else, other devices and torch.compile use the stock operators. docs/performance.md has the measurements.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

_KERNEL, _STRIDE, _PADDING = (4, 4), (2, 2), (1, 1)
_FEWEST = 16  # channels on both sides from which the matrix product wins
_LARGEST = 256  # positions of the smaller map up to which it wins: beyond, unfolding costs what the product gains


class StridedConv2d(nn.Conv2d):
    """nn.Conv2d, fast on CPUs for kernel 4, stride 2, padding 1, and for kernels that cover the map."""

    def forward(self, input: Tensor) -> Tensor:
        """Return (N, out, H/2, W/2), or (N, out, 1, 1) where the kernel covers the map, of `input` (N, in, H, W)."""
        covers = self.padding == (0, 0) and self.kernel_size == tuple(input.shape[2:])
        halves = _halves(self) and input.shape[2] % 2 == input.shape[3] % 2 == 0
        if not (covers or halves) or not _applies(self, input):
            return super().forward(input)
        x, weight, bias = _cast(input, self.weight, self.bias)
        # `covers` is a product over (row, column, channel), the order in which channels_last memory lies.
        y = (_rows(x) @ _rows(weight).t())[:, :, None, None] if covers else _Down.apply(x, weight)
        return y if bias is None else y + bias[:, None, None]


class StridedConvTranspose2d(nn.ConvTranspose2d):
    """nn.ConvTranspose2d, fast on CPUs for kernel 4, stride 2, padding 1, and from 1 × 1 maps."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Return (N, out, 2H, 2W), or (N, out, *kernel) from a 1 × 1 map, of `input` (N, in, H, W)."""
        plain = self.output_padding == (0, 0) and output_size is None
        projects = self.padding == (0, 0) and tuple(input.shape[2:]) == (1, 1)
        if not plain or not (projects or _halves(self)) or not _applies(self, input):
            return super().forward(input, output_size)
        x, weight, bias = _cast(input, self.weight, self.bias)
        if projects:
            flat = x.flatten(1) @ _rows(weight)  # (N, rows · columns · out)
            y = flat.unflatten(1, (*self.kernel_size, self.out_channels)).permute(0, 3, 1, 2)
        else:
            y = _Up.apply(x, weight)
        return y if bias is None else y + bias[:, None, None]


def _halves(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    wide = min(layer.in_channels, layer.out_channels) >= _FEWEST
    return wide and (layer.kernel_size, layer.stride, layer.padding) == (_KERNEL, _STRIDE, _PADDING)


def _applies(layer: nn.Conv2d | nn.ConvTranspose2d, x: Tensor) -> bool:
    plain = layer.groups == 1 and layer.dilation == (1, 1) and layer.padding_mode == "zeros"
    return plain and x.device.type == "cpu" and x.ndim == 4 and x.shape[1] == layer.in_channels and not torch.compiler.is_compiling()


def _cast(x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Do what autocast does for a stock convolution; it does not look inside custom functions."""
    if not torch.is_autocast_enabled("cpu") or x.dtype == torch.float64:
        return x, weight, bias
    dtype = torch.get_autocast_dtype("cpu")
    return x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)


def _rows(x: Tensor) -> Tensor:
    """Return `x` (N, C, H, W) as (N, H·W·C): without a copy where its memory is channels_last."""
    return x.permute(0, 2, 3, 1).flatten(1)


class _Down(torch.autograd.Function):
    """conv: x (N, C, 2h, 2w), w (O, C, 4, 4) → y (N, O, h, w)."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor) -> Tensor:
        return torch.conv2d(x, weight, None, _STRIDE, _PADDING)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        to_x, to_weight = ctx.needs_input_grad
        return (
            _Up.apply(gradients[0], weight) if to_x else None,
            _Weight.apply(x, gradients[0]) if to_weight else None,
        )


class _Up(torch.autograd.Function):
    """convT: y (N, O, h, w), w (O, C, 4, 4) → x (N, C, 2h, 2w)."""

    @staticmethod
    def forward(y: Tensor, weight: Tensor) -> Tensor:
        shape = (len(y), weight.shape[1], 2 * y.shape[2], 2 * y.shape[3])
        like = torch.empty(shape, dtype=y.dtype, memory_format=_layout(y, weight))  # never read: only its shape and layout count
        return _derivative(y, like, weight, 0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        y, weight = ctx.saved_tensors
        to_y, to_weight = ctx.needs_input_grad
        return (
            _Down.apply(gradients[0], weight) if to_y else None,
            _Weight.apply(gradients[0], y) if to_weight else None,
        )


class _Weight(torch.autograd.Function):
    """wgrad: x (N, C, 2h, 2w), g (N, O, h, w) → Σ over images and positions of g ⊗ the patch of x it saw, (O, C, 4, 4)."""

    @staticmethod
    def forward(x: Tensor, g: Tensor) -> Tensor:
        maps, channels = g.shape[1], x.shape[1]
        if g.shape[2] * g.shape[3] > _LARGEST:
            like = torch.empty((maps, channels, *_KERNEL), dtype=x.dtype, memory_format=_layout(x, g))  # only its shape and layout count
            return _derivative(g, x, like, 1)
        product = g.transpose(0, 1).flatten(1) @ _patches(x)  # (O, 16 · C)
        return product.view(maps, *_KERNEL, channels).permute(0, 3, 1, 2)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, g = ctx.saved_tensors
        to_x, to_g = ctx.needs_input_grad
        return (
            _Up.apply(g, gradients[0]) if to_x else None,
            _Down.apply(x, gradients[0]) if to_g else None,
        )


def _derivative(g: Tensor, x: Tensor, weight: Tensor, which: int) -> Tensor:
    """Return the stock gradient of conv(x, weight) by x (`which` 0) or by the weight (1)."""
    wanted = (which == 0, which == 1, False)
    found = torch.ops.aten.convolution_backward(g, x, weight, None, _STRIDE, _PADDING, (1, 1), False, (0, 0), 1, wanted)
    return found[which]  # type: ignore[no-any-return]


def _layout(*tensors: Tensor) -> torch.memory_format:
    last = any(x.is_contiguous(memory_format=torch.channels_last) for x in tensors)
    return torch.channels_last if last else torch.contiguous_format


def _patches(x: Tensor) -> Tensor:
    """Return the 4 × 4 patches that the layer sees in `x` (N, C, 2h, 2w): (N·h·w, 16·C), in the order row, column, channel."""
    padded = pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1)).contiguous()  # (N, 2h + 2, 2w + 2, C)
    windows = padded.unfold(1, 4, 2).unfold(2, 4, 2)  # (N, h, w, C, 4, 4)
    return windows.permute(0, 1, 2, 4, 5, 3).reshape(-1, 16 * x.shape[1])
