"""Strided convolutions whose training step on a CPU is as fast as their matrix products.

`StridedConv2d` and `StridedConvTranspose2d` are nn.Conv2d and nn.ConvTranspose2d: the same weights, the same
state dict, the same values. Only the way they are computed differs, on CPUs, for the two kinds of layer that
a DCGAN is made of:

* kernel 4, stride 2, padding 1. The two layers and the gradient of their weights are one trilinear form, Σ g
  · (w ⋆ x), seen from three sides. So the derivatives of each are the other two, and gradients of any order
  exist (a gradient penalty needs the second):

      y = down(x, w)          ∂/∂x = up(g, w)          ∂/∂w = weight(x, g)

  The stock weight gradient reaches half of the processor's bf16 rate; as one product of g with the unfolded x
  it reaches it all. The stock layer to three colours is slow too; as a convolution to the four colours of
  each 2 × 2 block it takes half the time.
* a kernel as large as the map (the first layer of G, the last of D): a plain matrix product.

Everything else, other devices and torch.compile use the stock operators. docs/performance.md has the
measurements.

A custom function knows which inputs require a gradient, not which gradients are requested: those of a
penalty's images, say, and not of the weights. So it asks the engine, as torch's own functions do (`_asked`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv_transpose2d, pad

from genzoo.layers.plain import is_stock

_KERNEL, _STRIDE, _PADDING = (4, 4), (2, 2), (1, 1)
_NARROW = 16  # channels below which a matrix product of patches is too slim to pay
# positions of the smaller map up to which it pays: beyond, unfolding costs what the product gains
_LARGEST = 64


class StridedConv2d(nn.Conv2d):
    """nn.Conv2d, fast on CPUs for kernel 4, stride 2, padding 1, and for kernels that cover the map."""

    def forward(self, input: Tensor) -> Tensor:
        """Return (N, out, H/2, W/2), or (N, out, 1, 1) where the kernel covers the map, of `input` (N, in, H,
        W).
        """
        return self._apply_weight(input, self.weight)

    def _apply_weight(self, input: Tensor, weight: Tensor) -> Tensor:
        covers = self.padding == (0, 0) and self.kernel_size == tuple(input.shape[2:])
        halves = _halves(self) and all(side % 2 == 0 for side in input.shape[2:])
        if not (covers or halves) or not _applies(self, input):
            stock: Tensor = self._conv_forward(input, weight, self.bias)
            return stock
        x, weight, bias = _cast(input, weight, self.bias)
        if halves:
            return _call(_Down, x, weight, bias)
        y: Tensor = _rows(x) @ _rows(weight).t()  # (N, out)
        return (y if bias is None else y + bias)[:, :, None, None]


class StridedConvTranspose2d(nn.ConvTranspose2d):
    """nn.ConvTranspose2d, fast on CPUs for kernel 4, stride 2, padding 1, and from 1 × 1 maps."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Return (N, out, 2H, 2W), or (N, out, *kernel) from a 1 × 1 map, of `input` (N, in, H, W)."""
        return self._apply_weight(input, self.weight, output_size)

    def _apply_weight(self, input: Tensor, weight: Tensor, output_size: list[int] | None) -> Tensor:
        plain = self.output_padding == (0, 0) and output_size is None
        projects = self.padding == (0, 0) and tuple(input.shape[2:]) == (1, 1)
        if not plain or not (projects or _halves(self)) or not _applies(self, input):
            return self._stock(input, weight, output_size)
        x, weight, bias = _cast(input, weight, self.bias)
        if not projects:
            return _call(_Up, x, weight, bias)
        # (N, rows, columns, out)
        y: Tensor = (x.flatten(1) @ _rows(weight)).unflatten(1, (*self.kernel_size, self.out_channels))
        return (y if bias is None else y + bias).permute(0, 3, 1, 2)

    def _stock(self, input: Tensor, weight: Tensor, output_size: list[int] | None) -> Tensor:
        """Do what nn.ConvTranspose2d does, with `weight` in the place of its own."""
        steps, border = list(self.stride), [int(size) for size in self.padding]
        dilation, kernel = list(self.dilation), list(self.kernel_size)
        extra = self._output_padding(input, output_size, steps, border, kernel, 2, dilation)
        return conv_transpose2d(input, weight, self.bias, steps, border, extra, self.groups, dilation)


def _halves(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    return (layer.kernel_size, layer.stride, layer.padding) == (_KERNEL, _STRIDE, _PADDING)


def _applies(layer: nn.Conv2d | nn.ConvTranspose2d, x: Tensor) -> bool:
    plain = layer.groups == 1 and layer.dilation == (1, 1) and layer.padding_mode == "zeros"
    fits = x.ndim == 4 and x.shape[1] == layer.in_channels  # otherwise the stock layer says what is wrong
    return plain and fits and x.device.type == "cpu" and not (is_stock() or torch.compiler.is_compiling())


def _cast(x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Do what autocast does for a stock convolution; it does not look inside custom functions."""
    if not torch.is_autocast_enabled("cpu") or x.dtype == torch.float64:
        return x, weight, bias
    dtype = torch.get_autocast_dtype("cpu")
    return x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)


def _call(function: type[torch.autograd.Function], *inputs: Tensor | None) -> Tensor:
    result: Tensor = function.apply(*inputs)
    return result


def _asked(ctx: Any) -> list[bool]:
    """Return for x, weight and bias whether the backward pass in progress is on its way to something through
    their gradient.
    """
    # of tensors alone; a bias that is None comes last and has no node
    nodes = [node for node, _ in ctx.next_functions]
    return [
        *(needed and _leads_on(node) for needed, node in zip(ctx.needs_input_grad, nodes, strict=False)),
        False,
    ]


def _leads_on(node: Any) -> bool:
    try:
        return torch._C._will_engine_execute_node(node)
    except RuntimeError:  # autograd.grad does not say of a leaf, such as a weight that was not cast
        return True


def _rows(x: Tensor) -> Tensor:
    """Return `x` (N, C, H, W) as (N, H·W·C): without a copy where its memory is channels_last."""
    return x.permute(0, 2, 3, 1).flatten(1)


class _Down(torch.autograd.Function):
    """x (N, C, 2h, 2w), w (O, C, 4, 4), bias (O,) or None → y (N, O, h, w)."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return torch.conv2d(x, weight, bias, _STRIDE, _PADDING)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[:2])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (g,), (x, weight), wanted = gradients, ctx.saved_tensors, _asked(ctx)
        return (
            _call(_Up, g, weight, None) if wanted[0] else None,
            _call(_Weight, x, g) if wanted[1] else None,
            g.sum((0, 2, 3)) if wanted[2] else None,
        )


class _Up(torch.autograd.Function):
    """y (N, O, h, w), w (O, C, 4, 4), bias (C,) or None → x (N, C, 2h, 2w)."""

    @staticmethod
    def forward(y: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        channels = weight.shape[1]
        if channels < _NARROW:
            return _up_by_blocks(y, weight, bias)
        x = _stock_gradient(
            y, _shape_of((len(y), channels, 2 * y.shape[2], 2 * y.shape[3]), y, weight), weight, 0
        )
        return x if bias is None else x.add_(bias[:, None, None])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[:2])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (g,), (y, weight), wanted = gradients, ctx.saved_tensors, _asked(ctx)
        return (
            _call(_Down, g, weight, None) if wanted[0] else None,
            _call(_Weight, g, y) if wanted[1] else None,
            g.sum((0, 2, 3)) if wanted[2] else None,
        )


class _Weight(torch.autograd.Function):
    """x (N, C, 2h, 2w), g (N, O, h, w) → Σ over images and positions of g ⊗ the patch of x that it saw, (O,
    C, 4, 4).
    """

    @staticmethod
    def forward(x: Tensor, g: Tensor) -> Tensor:
        maps, channels = g.shape[1], x.shape[1]
        if min(maps, channels) < _NARROW or g.shape[2] * g.shape[3] > _LARGEST:
            return _stock_gradient(g, x, _shape_of((maps, channels, *_KERNEL), x, g), 1)
        product = g.transpose(0, 1).flatten(1) @ _patches(x)  # (O, 16·C), summed over N·h·w
        return product.view(maps, *_KERNEL, channels).permute(0, 3, 1, 2)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (g_weight,), (x, g), wanted = gradients, ctx.saved_tensors, _asked(ctx)
        return (
            _call(_Up, g, g_weight, None) if wanted[0] else None,
            _call(_Down, x, g_weight, None) if wanted[1] else None,
        )


def _stock_gradient(g: Tensor, x: Tensor, weight: Tensor, which: int) -> Tensor:
    """Return the stock gradient of down(x, weight) by x (`which` 0) or by the weight (1); of that one only
    the shape is read.
    """
    wanted = (which == 0, which == 1, False)
    gradients = torch.ops.aten.convolution_backward(
        g, x, weight, None, _STRIDE, _PADDING, (1, 1), False, (0, 0), 1, wanted
    )
    return gradients[which]  # type: ignore[no-any-return]


def _shape_of(shape: tuple[int, ...], *like: Tensor) -> Tensor:
    """Return a tensor to be read for its shape, dtype and layout alone: channels_last where one of `like`
    is.
    """
    last = any(x.is_contiguous(memory_format=torch.channels_last) for x in like)
    return torch.empty(
        shape, dtype=like[0].dtype, memory_format=torch.channels_last if last else torch.contiguous_format
    )


def _patches(x: Tensor) -> Tensor:
    """Return the 4 × 4 patches that the layer sees in `x` (N, C, 2h, 2w): (N·h·w, 16·C), in the order row,
    column, channel.
    """
    padded = pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1)).contiguous()  # (N, 2h + 2, 2w + 2, C)
    windows = padded.unfold(1, 4, 2).unfold(2, 4, 2)  # (N, h, w, C, 4, 4)
    return windows.permute(0, 1, 2, 4, 5, 3).reshape(-1, 16 * x.shape[1])


def _up_by_blocks(y: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return up(y, weight) as one 3 × 3 convolution to the 2 × 2 block of pixels that lies over each position
    of `y` (N, O, h, w).

    Row a of the block sees row t of the 3 × 3 neighbourhood through row 3 + a - 2t of the kernel, and columns
    alike.
    """
    n, maps, height, width = y.shape
    channels = weight.shape[1]
    taps = pad(weight, (1, 1, 1, 1)).view(maps, channels, 3, 2, 3, 2).flip(2, 4)  # (O, C, t, a, s, b)
    kernel = (
        taps.permute(3, 5, 1, 0, 2, 4)
        .reshape(4 * channels, maps, 3, 3)
        .contiguous(memory_format=torch.channels_last)
    )
    # (N, 4·C, h, w), channels in the order a, b, c
    blocks = torch.conv2d(y, kernel, None if bias is None else bias.repeat(4), 1, 1)
    # (N, h, a, w, b·C)
    rows = blocks.permute(0, 2, 3, 1).reshape(n, height, width, 2, 2 * channels).transpose(2, 3)
    return rows.reshape(n, 2 * height, 2 * width, channels).permute(0, 3, 1, 2)
