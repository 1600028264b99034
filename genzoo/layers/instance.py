"""Instance norm whose gradients are right for a batch of one image.

On CPUs, torch's backward pass of instance norm reads the gradient of its output wrongly if there is one image
and that gradient is laid out channels last: it takes the values of one channel for those of another. The
input's layout does not matter, nor does the dtype. Seen with torch 2.13.0; two images are right.
"""

from __future__ import annotations

from torch import Tensor, nn


class InstanceNorm2d(nn.InstanceNorm2d):
    """nn.InstanceNorm2d, with right gradients for one image in any memory layout."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised maps of `input`, (N, C, H, W) or (C, H, W), of the same shape."""
        maps = super().forward(input)
        if maps.requires_grad and len(maps) == 1:
            maps.register_hook(_contiguous)
        return maps


def _contiguous(gradient: Tensor) -> Tensor:
    return gradient.contiguous()
