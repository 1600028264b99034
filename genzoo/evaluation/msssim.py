"""MS-SSIM of random pairs of one set: how alike its images are (Odena et al. 2017, "Conditional image synthesis with AC-GANs").

A set whose pairs are more alike than real pairs lacks diversity; a lower value than that of real images says nothing good. The
similarity is torchmetrics' (Wang et al. 2003): an 11x11 Gaussian window, deviation 1.5, data range 1, and the first L of the five
published weights, divided by their sum: as many scales as keep the coarsest at least 11 pixels wide (64 pixels: 3; 28: 2).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from genzoo.errors import ArgumentError
from genzoo.evaluation.distances import Estimate
from genzoo.evaluation.inputs import as_pixels, subset
from genzoo.images import to_float
from genzoo.process import neutral

BETAS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, finest scale first
WINDOW, DEVIATION = 11, 1.5
CHUNK = 64  # pairs at a time


def betas(height: int, width: int) -> tuple[float, ...]:
    """Return the weights of the scales that images of this size allow, finest first; their sum is 1.

    Raises:
        ArgumentError: the image is smaller than the window.
    """
    side = min(height, width)
    if side < WINDOW:
        raise ArgumentError(f"MS-SSIM needs images of at least {WINDOW}x{WINDOW} pixels, not {height}x{width}")
    scales = 1
    # The second condition is torchmetrics' own.
    while scales < len(BETAS) and side >> scales >= WINDOW and side // scales**2 >= WINDOW:
        scales += 1
    return tuple(beta / sum(BETAS[:scales]) for beta in BETAS[:scales])


def available() -> bool:
    """Say whether torchmetrics can be imported."""
    try:
        _similarity()
    except ArgumentError:
        return False
    return True


@neutral()
def msssim(images: object, seed: int = 0) -> Estimate:
    """Return the mean MS-SSIM of random pairs of `images` (N, C, H, W), 0 to 1, and its standard error.

    The set is cut into N // 2 disjoint pairs by `seed`: pairs share no image, so the standard error is the plain one.

    Raises:
        ArgumentError: fewer than 4 images, images too small, or torchmetrics absent.
    """
    pixels = as_pixels(images)
    if len(pixels) < 4:
        raise ArgumentError(f"MS-SSIM of pairs needs at least 4 images, not {len(pixels)}", "take more images")
    half = len(pixels) // 2
    order = subset(len(pixels), 2 * half, seed, "pairs")
    values = similarities(pixels[order[:half]], pixels[order[half:]]).double()
    return Estimate(float(values.mean()), float(values.std() / half**0.5))


def similarities(x: Tensor, y: Tensor) -> Tensor:
    """Return the MS-SSIM (N,) of the pairs x[i], y[i] of images (N, C, H, W), uint8 or float in [0, 1]."""
    similarity, weights = _similarity(), betas(*x.shape[2:])
    parts = []
    for a, b in zip(torch.split(x, CHUNK), torch.split(y, CHUNK), strict=True):
        options = {"sigma": DEVIATION, "kernel_size": WINDOW, "reduction": "none", "data_range": 1.0, "betas": weights}
        parts.append(similarity(to_float(a), to_float(b), **options).reshape(-1))
    return torch.cat(parts)


def _similarity() -> Callable[..., Any]:
    try:
        from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as similarity
    except Exception as error:  # a broken torchvision beside it raises RuntimeError, not ImportError
        raise ArgumentError(f"MS-SSIM needs torchmetrics, which cannot be imported: {error}", "pip install 'genzoo[metrics]'") from error
    found: Callable[..., Any] = similarity
    return found
