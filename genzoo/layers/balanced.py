"""An up-convolution that cannot draw a checkerboard on flat colour.

A transposed convolution of stride s computes an output pixel in row i and column j from the taps of its
kernel whose row and column are congruent to i and j modulo s, up to padding: a phase (a, b) of s × s, each
with its own sub-kernel. Odena et al. 2016 (Deconvolution and Checkerboard Artifacts, Distill) advise kernels
that the stride divides, so that all phases have equally many taps. But their weights may still differ: where
the input is a constant c, pixels of phase (a, b) are c · Σ_ts w[ta, sb], one value for each phase, which
repeats as a lattice with the period of the stride. GANs learn such weights.

Here the sums of the phases are equal:

    w'[ta, sb] = w[ta, sb] - (S[a, b] - m) / n[a, b]        S[a, b] = Σ_ts w[ta, sb]

n[a, b] is the number of taps of a phase, 4 for kernel 4 and stride 2, and m the mean of S weighted by 1 / n.
This is the closest such kernel to w (an orthogonal projection); of kernel 4 and stride 2 three of 16
dimensions are given up. Kernel 3 with stride 2, as in CycleGAN, has phases of 1, 2, 2 and 4 taps. What varies
within an image can still differ by phase, as edges and texture need.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from genzoo.errors import ArgumentError
from genzoo.layers.strided import StridedConvTranspose2d


def balanced(weight: Tensor, stride: tuple[int, ...]) -> Tensor:
    """Return the kernels of `weight` (in, out, kH, kW) with equal sums over the phases of `stride` (sH, sW),
    which is at most (kH, kW); differentiable, linear and, done twice, the same as once.
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
    down, across = (torch.arange(size) % step for size, step in zip(kernel, stride, strict=True))
    phases = (down[:, None] * stride[1] + across).flatten()  # of each tap
    same = (phases[:, None] == phases).double()
    share = 1 / same.sum(1)  # 1 / n of each tap's phase
    # m: Σ S / n over Σ 1 / n, each phase once, which is once for each of its n taps divided by n
    mean = share[:, None] * share / (share * share).sum()
    return (torch.eye(len(phases)) - share[:, None] * same + mean).to(like)


class BalancedConvTranspose2d(StridedConvTranspose2d):
    """nn.ConvTranspose2d whose kernels have equal sums over the phases of the stride (see the module).

    `weight` is unconstrained and is what is trained and saved; every call projects it. So the state dict is
    that of nn.ConvTranspose2d, weights trained without the constraint can be loaded, and no step of any
    optimiser, nor an average of weights, leaves it.

    Raises:
        ArgumentError: the stride is larger than the kernel, so that some phases have no taps.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if any(size < step for size, step in zip(self.kernel_size, self.stride, strict=True)):
            raise ArgumentError(
                f"a balanced up-convolution needs a kernel at least as large as its stride, not kernel "
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
