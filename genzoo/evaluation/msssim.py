"""MS-SSIM of random pairs of one set: how similar its images are (Odena et al. 2017, "Conditional image
synthesis with AC-GANs").

A set whose pairs are more similar than real pairs lacks diversity; a lower value than that of real images
says nothing good.

The similarity is that of Wang, Simoncelli & Bovik 2003, "Multi-scale structural similarity for image quality
assessment", eq. 7, written here in float64, so that no library's version decides the number:

* Local statistics under an 11x11 Gaussian window of deviation 1.5, only where the whole window lies on the
  image: no border is invented.
* C1 = (0.01 L)^2 and C2 = (0.03 L)^2 for pixels of the range L = 1.
* Contrast and structure at every scale, luminance at the coarsest alone. Each scale has half the side of the
  one before: means of 2x2 pixels, an odd last row or column left out.
* At each scale the mean over places and colours; below 0 it counts as 0, since it is raised to the power of
  the scale's weight.
* The paper's five weights. Images are smaller than its own here: the first M weights are taken, divided by
  their sum, with as many scales as keep the coarsest at least one window wide: 3 for 64 pixels (64, 32, 16),
  2 for 28, 5 from 176 on. M stands in the protocol. (Code that shrinks the window instead, as that of Karras
  et al. 2018 does, gives other numbers.)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from genzoo.errors import ArgumentError
from genzoo.evaluation.distances import Estimate
from genzoo.evaluation.inputs import as_pixels, subset
from genzoo.evaluation.standard_errors import Blocks, pair_error
from genzoo.images import to_float
from genzoo.process import neutral
from genzoo.sharing import each

BETAS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # finest scale first
WINDOW, DEVIATION = 11, 1.5
C1, C2 = 0.01**2, 0.03**2
CHUNK = 64  # pairs at a time


def betas(height: int, width: int) -> tuple[float, ...]:
    """Return the weights of the scales that images of this size allow, finest first; their sum is 1.

    Raises:
        ArgumentError: the image is smaller than the window.
    """
    side = min(height, width)
    if side < WINDOW:
        raise ArgumentError(
            f"MS-SSIM needs images of at least {WINDOW}x{WINDOW} pixels, not {height}x{width}"
        )
    chosen = [beta for scale, beta in enumerate(BETAS) if side >> scale >= WINDOW]
    return tuple(beta / sum(chosen) for beta in chosen)


def protocol(height: int, width: int) -> str:
    """Return what decides the similarity of two images of this size, for records."""
    weights = betas(height, width)
    scales = "1 scale" if len(weights) == 1 else f"{len(weights)} scales"
    return (
        f"Wang et al. 2003, valid window {WINDOW}, {scales}, weights "
        f"{', '.join(f'{beta:.4f}' for beta in weights)}"
    )


@neutral()
def msssim(images: object, seed: int = 0, blocks: Blocks = None) -> Estimate:
    """Return the mean MS-SSIM of random pairs of `images` (N, C, H, W), 0 to 1, and its standard error.

    The set is cut into N // 2 disjoint pairs by `seed`. Pairs share no image, so the standard error is the
    plain one; where `blocks` (N,) says which images belong together, pairs that share a block are taken for
    dependent.

    Raises:
        ArgumentError: fewer than 4 images, or images too small.
    """
    pixels = as_pixels(images)
    if len(pixels) < 4:
        raise ArgumentError(
            f"MS-SSIM of pairs needs at least 4 images, not {len(pixels)}", "take more images"
        )
    half = len(pixels) // 2
    order = subset(len(pixels), 2 * half, seed, "pairs")
    values = similarities(pixels[order[:half]], pixels[order[half:]])
    sides = None if blocks is None else (blocks[order[:half]], blocks[order[half:]])
    return Estimate(float(values.mean()), pair_error(values, sides))


def similarities(x: Tensor, y: Tensor) -> Tensor:
    """Return the MS-SSIM (N,) float64 of the pairs x[i], y[i] of images (N, C, H, W), uint8 or float in [0,
    1].
    """
    weights = betas(*x.shape[2:])

    def alike(pair: tuple[Tensor, Tensor]) -> Tensor:
        a, b = (to_float(side).double() for side in pair)
        return _multiscale(a, b, weights)

    return torch.cat(each(zip(x.split(CHUNK), y.split(CHUNK), strict=True), alike))


@neutral()
def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Return the SSIM (N,) float64 of the pairs x[i], y[i] of images (N, C, H, W), uint8 or float in [0, 1]:
    Wang, Bovik, Sheikh & Simoncelli 2004, eq. 13, at one scale, the mean over windows and colours.

    Raises:
        ArgumentError: the images are smaller than the window.
    """
    betas(*x.shape[2:])
    chunks = zip(torch.split(x, CHUNK), torch.split(y, CHUNK), strict=True)
    found = []
    for a, b in chunks:
        luminance, contrast = _ssim(to_float(a).double(), to_float(b).double())
        found.append((luminance * contrast).mean((1, 2, 3)))
    return torch.cat(found)


def _multiscale(x: Tensor, y: Tensor, weights: tuple[float, ...]) -> Tensor:
    found = torch.ones(len(x), dtype=torch.float64)
    for scale, weight in enumerate(weights):
        if scale:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        luminance, contrast = _ssim(x, y)  # (B, C, h, w)
        similarity = luminance * contrast if scale == len(weights) - 1 else contrast
        found *= similarity.mean((1, 2, 3)).clamp_min(0) ** weight
    return found


def _ssim(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return luminance l and contrast times structure cs of images (B, C, H, W) under each window: (B, C, H -
    10, W - 10).
    """
    mean_x, mean_y = _blur(x), _blur(y)
    variance_x, variance_y = _blur(x * x) - mean_x**2, _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    return luminance, (2 * covariance + C2) / (variance_x + variance_y + C2)


def _blur(x: Tensor) -> Tensor:
    """Return the weighted means of images (B, C, H, W) under each window that lies on them."""
    places = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    gauss = torch.exp(-(places**2) / (2 * DEVIATION**2))
    gauss /= gauss.sum()
    rows = F.conv2d(x.flatten(0, 1)[:, None], gauss.view(1, 1, -1, 1))
    return F.conv2d(rows, gauss.view(1, 1, 1, -1)).view(
        *x.shape[:2], x.shape[2] - WINDOW + 1, x.shape[3] - WINDOW + 1
    )
