"""Convolutional layers with hand-written backward passes, on maps with features last: (N, H, W, features).

1×1 convolutions are matrix products. The features of neighbours are concatenated where that turns several
products into one. The rows above the map that a kernel reads are stored as zeros, so that no output is
computed only to be cropped. Only what the backward pass reads is saved. Each docstring gives the plain
formula. Computes in bf16 under autocast.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from genzoo_pixel.fast.activations import tanh_

Affine = tuple[Tensor, Tensor]  # weight and bias


def gated(
    v: Tensor, h: Tensor, vertical: Affine, joint: Affine, out: Affine, offsets: tuple[Tensor, ...] = ()
) -> tuple[Tensor, Tensor]:
    """Return both stacks after a layer: gate(lower) and h + gate(joint · (left neighbour, pixel, `lower` of
    the row above)) · out, where `lower` is the vertical convolution of v.

    Args:
        v: the vertical stack with a row of zeros on top, (N, H + 1, W, p); it is returned in this layout.
        h: the horizontal stack, (N, H, W, p).
        vertical: kernel (2p, p, 2, 3) of `lower`, and its bias.
        joint: (4p, 2p), weights from the left neighbour (p), the pixel (p) and `lower` (2p) to the gates, and
            the bias.
        out: (p, p) and its bias.
        offsets: what a condition adds to the gates of the two stacks, (N, 2p) each; () without a condition.
    """
    found: tuple[Tensor, Tensor] = _Gated.apply(*_autocast(v, h, *vertical, *joint, *out, *offsets))  # type: ignore[no-untyped-call]
    return found


def block(x: Tensor, down: Affine, mix: Affine, up: Affine) -> Tensor:
    """Return x + up(ReLU(mix(ReLU(down(ReLU x))))).

    Args:
        x: (N, H, W, 2h).
        down: (2h, h) and its bias.
        mix: kernel (h, h, 2, 3), its last tap closed, and its bias.
        up: (h, 2h) and its bias.
    """
    found: Tensor = _Block.apply(*_autocast(x, *down, *mix, *up))  # type: ignore[no-untyped-call]
    return found


def _autocast(*inputs: Tensor) -> tuple[Tensor, ...]:
    """Cast as autocast does for a stock convolution; it does not reach into custom functions."""
    kind = inputs[0].device.type
    if not torch.is_autocast_enabled(kind) or inputs[0].dtype == torch.float64:
        return inputs
    return tuple(part.to(torch.get_autocast_dtype(kind)) for part in inputs)


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        v, h, vertical, vbias, joint, jbias, out, obias, *offsets = inputs
        width = h.shape[3]
        lower = _convolved(v, vertical, vbias)  # (N, H, W, 2p)
        read = h.new_empty(*h.shape[:3], 4 * width)
        read[:, :, 0, :width] = 0
        read[:, :, 1:, :width] = h[:, :, :-1]
        read[..., width : 2 * width] = h
        read[:, 0, :, 2 * width :] = 0
        read[:, 1:, :, 2 * width :] = lower[:, :-1]
        gates = torch.addmm(jbias, read.flatten(0, 2), joint).view_as(lower)
        opened = _halves(_shifted(gates, *offsets[1:]).flatten(0, 2))
        mixed = opened[0] * opened[1]
        grown = torch.addmm(obias, mixed, out).view(h.shape).add_(h)
        lit = _halves(_shifted(lower, *offsets[:1]).flatten(0, 2))
        lifted = _lowered((lit[0] * lit[1]).view(h.shape))
        ctx.save_for_backward(v, read, *opened, *lit, mixed, vertical, joint, out)
        ctx.shifted = bool(offsets)
        return lifted, grown

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dlifted: Tensor, dgrown: Tensor) -> tuple[Tensor | None, ...]:
        v, read, a, b, c, d, mixed, vertical, joint, out = ctx.saved_tensors
        width, shape = dgrown.shape[3], dgrown.shape[:3]
        rows = dgrown.reshape(-1, width)
        dgates = _slopes(rows @ out.t(), a, b)
        # of the pixel and of the one to its right, which reads it
        near = _beside(dgates.view(*shape, 2 * width)).flatten(0, 2)
        dh = torch.addmm(rows, near, torch.cat([joint[width : 2 * width].t(), joint[:width].t()])).view_as(
            dgrown
        )
        below = _raised(dgates.view(*shape, 2 * width)).flatten(0, 2)  # of the pixel below, which reads it
        dlit = _slopes(dlifted[:, 1:].reshape(-1, width), c, d)
        dlower = torch.addmm(dlit, below, joint[2 * width :].t())
        dv, dvertical = _convolution_slopes(dlower.view(*shape, 2 * width), v, vertical)
        # an offset is added to all pixels of its image
        doffsets = [part.view(len(dgrown), -1, 2 * width).sum(1) for part in (dlit, dgates) if ctx.shifted]
        return (
            dv,
            dh,
            dvertical,
            dlower.sum(0),
            read.flatten(0, 2).t() @ dgates,
            (doffsets[1] if ctx.shifted else dgates).sum(0),
            mixed.t() @ rows,
            rows.sum(0),
            *doffsets,
        )


class _Block(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> Tensor:
        x, down, dbias, mix, mbias, up, ubias = inputs
        opened = x.relu().flatten(0, 2)
        inner = _lowered(torch.addmm(dbias, opened, down).relu_().view(*x.shape[:3], down.shape[1]))
        shown = _convolved(inner, mix, mbias).relu_().flatten(0, 2)
        grown: Tensor = torch.addmm(ubias, shown, up).view(x.shape).add_(x)
        ctx.save_for_backward(opened, inner, shown, down, mix, up)
        return grown

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dgrown: Tensor) -> tuple[Tensor | None, ...]:
        opened, inner, shown, down, mix, up = ctx.saved_tensors
        rows = dgrown.reshape(-1, dgrown.shape[3])
        dshown = _where_positive(rows @ up.t(), shown)
        dinner, dmix = _convolution_slopes(dshown.view(*dgrown.shape[:3], shown.shape[1]), inner, mix)
        dinner = _where_positive(dinner, inner)[:, 1:].flatten(0, 2)
        dx = _where_positive(dinner @ down.t(), opened).view(dgrown.shape).add_(dgrown)
        return dx, opened.t() @ dinner, dinner.sum(0), dmix, dshown.sum(0), shown.t() @ rows, rows.sum(0)


def _convolved(x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    """Return the convolution (N, H, W, outs) of `x` (N, H + 1, W, ins), a row of zeros on top, with a kernel
    (outs, ins, 2, 3).
    """
    return torch.conv2d(x.permute(0, 3, 1, 2), kernel, bias, 1, (0, 1)).permute(0, 2, 3, 1).contiguous()


def _convolution_slopes(grown: Tensor, x: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradients of `x` and `kernel`, given that of `_convolved`."""
    last = grown.permute(0, 3, 1, 2)
    seen = x.permute(0, 3, 1, 2)
    shape = ((1, 1), (0, 1), (1, 1), False, (0, 0), 1)
    dx, dkernel, _ = torch.ops.aten.convolution_backward(
        last, seen, kernel, None, *shape, (True, True, False)
    )
    return dx.permute(0, 2, 3, 1).contiguous(), dkernel


def _shifted(gates: Tensor, *offsets: Tensor) -> Tensor:
    """Return `gates` (N, H, W, 2p) after adding `offsets`, one (N, 2p) or none, to all pixels in place."""
    for offset in offsets:
        gates.flatten(2).add_(offset.repeat(1, gates.shape[2])[:, None])  # long rows are added faster
    return gates


def _halves(gates: Tensor) -> tuple[Tensor, Tensor]:
    """Return tanh(a) and σ(b) of the halves of `gates` (M, 2p)."""
    a, b = (half.contiguous() for half in gates.chunk(2, 1))
    return _tanh_by_pieces(a), b.sigmoid_()


def _tanh_by_pieces(x: Tensor) -> Tensor:
    """Replace `x` (M, p) by its tanh, in pieces that stay in the cache; return it.

    Half precision is rounded once, at the end.
    """
    for part in x.split(2048 if x.device.type == "cpu" else max(1, len(x))):
        part.copy_(tanh_(part.to(torch.promote_types(x.dtype, torch.float32), copy=True)))
    return x


def _slopes(grown: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return the gradient of gates (M, 2p), given that of a · b, where a and b come from `_halves`."""
    halves = torch.ops.aten.tanh_backward(grown * b, a), torch.ops.aten.sigmoid_backward(grown * a, b)
    return torch.cat(halves, 1)


def _where_positive(grown: Tensor, shown: Tensor) -> Tensor:
    """Set `grown` to zero where a ReLU's output `shown` is; return it."""
    found: Tensor = torch.ops.aten.threshold_backward.grad_input(grown, shown, 0, grad_input=grown)
    return found


# The shifts below copy: adding maps of different memory layouts takes six times as long as a copy followed by
# adding two of the same layout.


def _lowered(x: Tensor) -> Tensor:
    """Return `x` (N, H, W, ·) with a row of zeros on top: (N, H + 1, W, ·)."""
    return F.pad(x, (0, 0, 0, 0, 1, 0))


def _raised(x: Tensor) -> Tensor:
    """Return `x` (N, H, W, ·) one row higher, zeros in the last."""
    return F.pad(x, (0, 0, 0, 0, -1, 1))


def _beside(x: Tensor) -> Tensor:
    """Return `x` (N, H, W, ·) and its right neighbour side by side, (N, H, W, 2 ·)."""
    return torch.cat([x, F.pad(x, (0, 0, -1, 1))], 3)
