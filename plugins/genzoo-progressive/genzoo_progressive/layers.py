"""The layers of progressive growing (Karras et al. 2018, sections 3 and 4): weights scaled at run time, pixel
norm, and the minibatch standard deviation.
"""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, linear, pad

from genzoo.shares import on_whole

GAIN = 2**0.5  # of He's initialisation, before a rectifier
SLOPE = 0.2  # of every LeakyReLU
EPSILON = 1e-8


class EqualLinear(nn.Module):
    """A linear layer with an equalised learning rate (section 4.1): it stores and learns w ~ N(0, 1), and
    uses w · gain / √inputs.

    Adam's steps do not depend on the scale of a gradient, so with this scaling all weights learn at one pace.
    """

    def __init__(self, inputs: int, outputs: int, gain: float = GAIN) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = gain / inputs**0.5

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outputs) of `x` (N, inputs)."""
        return linear(x, self.weight * self.scale, self.bias)


class EqualConv2d(nn.Module):
    """A convolution with an equalised learning rate, like `EqualLinear`, at stride 1.

    Args:
        inputs: number of input channels.
        outputs: number of output channels.
        size: height and width of the kernel.
        padding: rows and columns of zeros at each edge.
        gain: gain of the initialisation, √2 before a rectifier, 1 for a linear output.
    """

    def __init__(
        self, inputs: int, outputs: int, size: tuple[int, int], padding: int = 0, gain: float = GAIN
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, *size))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale, self.padding = gain / (inputs * prod(size)) ** 0.5, padding

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps (N, outputs, H', W') of `x` (N, inputs, H, W)."""
        return conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class GrowingConv2d(EqualConv2d):
    """A 3 × 3 convolution of a map that was doubled by repeating pixels, computed as one transposed
    convolution: 16 products per four pixels instead of 36.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, (3, 3), padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outputs, 2H, 2W) of `x` (N, inputs, H, W)."""
        # a transposed convolution turns its kernel by half a turn
        kernel = spread(self.weight * self.scale).flip(2, 3).transpose(0, 1)
        return conv_transpose2d(x, kernel, self.bias, stride=2, padding=1)


class ShrinkingConv2d(EqualConv2d):
    """A 3 × 3 convolution whose map is halved by averaging four pixels, computed as one strided
    convolution.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, (3, 3), padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outputs, H/2, W/2) of `x` (N, inputs, H, W)."""
        return conv2d(x, spread(self.weight * self.scale) / 4, self.bias, stride=2, padding=1)


def spread(kernel: Tensor) -> Tensor:
    """Return the 4 × 4 kernel that is the 3 × 3 `kernel` (…, 3, 3) summed over a 2 × 2 block of positions."""
    wide = pad(kernel, (1, 1, 1, 1))  # (…, 5, 5)
    rows = wide[..., 1:, :] + wide[..., :-1, :]
    return rows[..., 1:] + rows[..., :-1]


class PixelNorm(nn.Module):
    """Each pixel's vector of channels divided by its root mean square (section 4.2); of z, the whole
    vector.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` (N, C, …) with a mean square of 1 over the channels."""
        squares = x.float().square().mean(1, keepdim=True)
        return x * (squares + EPSILON).rsqrt().to(x.dtype)


class MinibatchDeviation(nn.Module):
    """How much the images of a group differ, as one more map (section 3): the standard deviation over the
    group of each feature at each position, averaged over all of them.

    Groups are `group` images in a row; what is left over joins the last group, so that any batch has a value,
    which is that of an image's own group alone. In evaluation there is no batch to compare with: the value is
    then its running mean from training, as batch norm has it, and an output depends on its own image alone.
    """

    mean: Tensor

    def __init__(self, group: int) -> None:
        super().__init__()
        self.group = group
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` (N, C, H, W) with a constant map for each image appended, (N, C + 1, H, W)."""
        if self.training:
            if len(x) % self.group:  # groups that reach into the rows of another process
                values = on_whole(lambda rows: deviations(rows, self.group), x)
            else:
                values = deviations(x, self.group)
            with torch.no_grad():
                self.mean.lerp_(values.mean(), 0.1)  # batch norm's momentum
        else:
            values = self.mean.expand(len(x))
        maps = values.to(x.dtype).view(-1, 1, 1, 1).expand(-1, 1, *x.shape[2:])
        return torch.cat([x, maps], 1)


def deviations(x: Tensor, group: int) -> Tensor:
    """Return for each image of `x` (N, C, H, W) the mean standard deviation of its group, (N,) float32."""
    over = len(x) % group if len(x) > group else 0
    if over:
        last = group + over
        parts = [deviations(x[:-last], group)] if len(x) > last else []
        return torch.cat([*parts, deviations(x[-last:], last)])
    groups = x.float().unflatten(0, (-1, min(len(x), group)))  # (groups, members, C, H, W)
    spreads = (groups.var(1, correction=0) + EPSILON).sqrt()
    values: Tensor = spreads.mean((1, 2, 3))  # (groups,)
    return values.repeat_interleave(groups.shape[1])
