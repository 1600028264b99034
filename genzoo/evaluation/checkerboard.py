"""The checkerboard that upsampling layers leave: power at the corner of the spectrum over that beside it.

A lattice with a period of two pixels in both directions, (-1)^(i + j), is one frequency, the corner where
both are at Nyquist. For grey images g, the means over the channels, of even height H and width W, and their
two-dimensional Fourier transforms ĝ,

    power(k, l) = mean over images of |ĝ(k, l)|² + q,      value = power(H/2, W/2) / midmean of power over B

where B are the 72 frequencies around the corner whose row and column differ from its own by at most 4 and one
of them by at least 2 (the nearest are left out, since a lattice that does not cover the whole image spreads
to them). The midmean, of the middle half of the values, is not moved by other lines of the spectrum, such as
those of lattices with longer periods. q = H·W/12/255² is the noise of rounding to
whole grey levels; it keeps the ratio finite for images with no detail at all, whose value is 1.

The spectra of photographs and of white noise are flat there: about 1 (photographs scaled down or compressed
as JPEG somewhat less). A lattice of amplitude a over an n-sided image with noise of deviation σ adds n² a² /
σ², so a lattice that nobody would see in a single pixel counts. Lower is better down to the value of real
images, below which nothing is gained. The standard error is the delete-one jackknife over images, or over
blocks of images.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genzoo.errors import ArgumentError
from genzoo.evaluation.distances import Estimate
from genzoo.evaluation.inputs import as_pixels
from genzoo.evaluation.standard_errors import Blocks
from genzoo.images import to_float
from genzoo.metrics import LEAST_CORNER
from genzoo.process import neutral
from genzoo.sharing import each

NEAR, FAR = 2, 4  # frequencies from the corner: the nearest and the farthest that it is compared with
CHUNK = 256  # images at a time


def protocol() -> str:
    """Return what decides the number, for records."""
    return f"Nyquist corner over the midmean {NEAR} to {FAR} frequencies away"


@neutral()
def checkerboard(images: object, blocks: Blocks = None) -> Estimate:
    """Return the power of `images` (N, C, H, W) at the corner of the spectrum over that beside it, and its
    standard error (None for a single image or block); see the module.

    Raises:
        ArgumentError: images refused by `as_pixels`, of an odd height or width or one below 16.
    """
    pixels = as_pixels(images)
    height, width = pixels.shape[2:]
    if height % 2 or width % 2 or min(height, width) < LEAST_CORNER:
        raise ArgumentError(
            f"the checkerboard needs images of even height and width of at least {LEAST_CORNER}, not "
            f"{height}x{width}: others have no corner of the spectrum, or nothing beside it",
            "leave it out",
        )
    powers = torch.cat(each(pixels.split(CHUNK), lambda chunk: _powers(to_float(chunk))))  # (N, 73)
    powers += height * width / 12 / 255**2
    value = float(_ratios(powers.mean(0, keepdim=True)))
    places = torch.arange(len(powers)) if blocks is None else blocks.unique(return_inverse=True)[1]
    parts = int(places.max()) + 1
    if parts < 2:
        return Estimate(value, None)
    sums = torch.zeros(parts, powers.shape[1], dtype=torch.float64).index_add_(0, places, powers)
    left = len(powers) - places.bincount()[:, None]
    without = _ratios((powers.sum(0) - sums) / left)  # (parts,)
    return Estimate(value, float(((parts - 1) * without.var(correction=0)).sqrt()))


def _powers(images: Tensor) -> Tensor:
    """Return |ĝ|² of images (N, C, H, W) at the corner, then at the 72 frequencies around it, (N, 73)
    float64.
    """
    height, width = images.shape[2:]
    steps = torch.arange(-FAR, FAR + 1)
    spectra = torch.fft.fft2(images.double().mean(1))  # (N, H, W)
    window = spectra[:, height // 2 + steps][:, :, width // 2 + steps].abs().square()  # (N, 9, 9)
    beside = torch.maximum(steps.abs()[:, None], steps.abs()) >= NEAR
    return torch.cat([window[:, FAR, FAR, None], window[:, beside]], 1)


def _ratios(powers: Tensor) -> Tensor:
    """Return the corner over the midmean of the others, for each row of `powers` (R, 73)."""
    beside = powers[:, 1:].sort(1).values
    quarter = beside.shape[1] // 4
    return powers[:, 0] / beside[:, quarter : 3 * quarter].mean(1)
