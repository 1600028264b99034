"""An up-convolution that cannot draw a checkerboard on flat colour.

A transposed convolution of stride s computes an output pixel in row i and column j from the taps of its
kernel whose row and column are congruent to i and j modulo s, up to padding: a phase (a, b) of s × s, each
with its own sub-kernel. Odena et al. 2016 (Deconvolution and Checkerboard Artifacts, Distill) advise kernels
that the stride divides, so that all phases have equally many taps. But their weights may still differ: where
the input is a constant c, pixels of phase (a, b) are c · Σ_ts w[ta, sb], one value for each phase, which
repeats as a lattice with the period of the stride. GANs learn such weights.

Here the sums of the phases are equal:

    w'[ta, sb] = w[ta, sb] - (S[a, b] - mean_ab S) / taps        S[a, b] = Σ_ts w[ta, sb]

taps = (kernel / stride)², 4 for kernel 4 and stride 2. This is the closest such kernel to w (an orthogonal
projection), and 3 of its 16 dimensions are given up. What varies within an image can still differ by phase,
as edges and texture need.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from genzoo.errors import ArgumentError
from genzoo.layers.strided import StridedConvTranspose2d


def balanced(weight: Tensor, stride: tuple[int, ...]) -> Tensor:
    """Return the kernels of `weight` (in, out, kH, kW) with equal sums over the phases of `stride` (sH, sW),
    which divides (kH, kW); differentiable, linear and, done twice, the same as once.
    """
    kernel = (weight.shape[-2], weight.shape[-1])
    matrix = _projection(kernel, stride, weight)  # (kH * kW, kH * kW), symmetric
    result: Tensor
    # one product, several times as fast as the sums; autocast would round the weights to bf16 before it
    with torch.autocast(weight.device.type, enabled=False):
        if weight.is_contiguous(memory_format=torch.channels_last):
            taps = weight.permute(0, 2, 3, 1).flatten(1, 2)  # (in, kH * kW, out)
            result = (matrix @ taps).unflatten(1, kernel).permute(0, 3, 1, 2)
        else:
            result = (weight.flatten(2) @ matrix).unflatten(2, kernel)
    return result


def _projection(kernel: tuple[int, int], stride: tuple[int, ...], like: Tensor) -> Tensor:
    """Return the matrix of the projection, of which each row is a projected kernel with one tap; exact for
    kernel 4 and stride 2.
    """
    taps = torch.eye(kernel[0] * kernel[1], dtype=like.dtype, device=like.device)
    rows, columns = kernel[0] // stride[0], kernel[1] // stride[1]
    # (…, t, a, s, b): row t * sH + a, column s * sW + b
    split = taps.unflatten(1, (rows, stride[0], columns, stride[1]))
    sums = split.sum((-4, -2), keepdim=True)  # (…, 1, sH, 1, sW)
    excess = (sums - sums.mean((-3, -1), keepdim=True)) / (rows * columns)
    return torch.sub(split, excess).flatten(1)


class BalancedConvTranspose2d(StridedConvTranspose2d):
    """nn.ConvTranspose2d whose kernels have equal sums over the phases of the stride (see the module).

    `weight` is unconstrained and is what is trained and saved; every call projects it. So the state dict is
    that of nn.ConvTranspose2d, weights trained without the constraint can be loaded, and no step of any
    optimiser, nor an average of weights, leaves it.

    Raises:
        ArgumentError: the stride does not divide the kernel.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if any(size % step for size, step in zip(self.kernel_size, self.stride, strict=True)):
            raise ArgumentError(
                f"a balanced up-convolution needs a kernel that its stride divides, not kernel "
                f"{self.kernel_size} with stride {self.stride}",
                "kernel_size=4, stride=2",
            )

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Return (N, out, 2H, 2W) for stride 2 of `input` (N, in, H, W), as the plain layer does with the
        balanced weight.
        """
        return self._apply_weight(input, balanced(self.weight, self.stride), output_size)

    def settled(self) -> StridedConvTranspose2d:
        """Return the plain layer with the balanced weight as it is now, for computing many batches; it
        shares the bias.
        """
        plain = StridedConvTranspose2d.__new__(StridedConvTranspose2d)
        weight = nn.Parameter(balanced(self.weight.detach(), self.stride))
        vars(plain).update({**vars(self), "_parameters": {"weight": weight, "bias": self.bias}})
        return plain
