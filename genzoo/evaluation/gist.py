"""GIST: a fixed description of a scene that needs no trained network (Oliva & Torralba 2001, "Modeling the
shape of the scene").

What is computed, for every image (C, H, W), exactly:

1. The image in 0..255 is reflected at its borders by 16 pixels (fewer where a side is shorter than 17).
2. Prefilter, as in the authors' code: v = log(1 + image); from each channel its low-pass exp(-ln 2 (f/f_c)^2)
   is taken away, f_c = 4 cycles per shorter side; the rest is divided by 0.2 + the local standard deviation,
   the root of the same low-pass of the squared channel mean. So shadows, exposure and haze weigh little, and
   edges weigh the same in dark and light corners.
3. Each channel is filtered in the Fourier domain by 4 scales x 8 orientations of the authors' Gabor
   functions, exp(-3.5 (f / f_s - 1)^2 - 2 pi (16 8^2 / 32^2) angle^2) with f_s = 0.3 / 1.85^s cycles per
   pixel.
4. The magnitude of each response, borders cut off, is averaged over a 4x4 grid: 512 numbers per channel.
5. The mean of each channel in [0, 1] over the same grid follows: 16 numbers per channel, since step 2 forgets
   colour.

Differences from the authors' code: channels are kept apart instead of being averaged to grey, images keep
their own size instead of being scaled to 256 pixels, and the colour part is ours. All of it is computed in
float32.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from genzoo.errors import ArgumentError
from genzoo.evaluation.inputs import Progress, as_pixels, counted
from genzoo.process import neutral
from genzoo.sharing import each

SCALES, ORIENTATIONS, GRID = 4, 8, 4
HIGHEST, RATIO = 0.3, 1.85  # cycles per pixel of the finest scale; each coarser one is lower by this factor
BORDER = 16  # pixels
RADIAL = 3.5  # sharpness of a filter in frequency
CUTOFF, CONTRAST = 4, 0.2  # of the prefilter: cycles per shorter side; added to the local standard deviation
CHUNK = 32  # images at a time

_DEFINITION: dict[str, int | float | str] = {
    "scales": SCALES,
    "orientations": ORIENTATIONS,
    "grid": GRID,
    "highest": HIGHEST,
    "ratio": RATIO,
    "border": BORDER,
    "cutoff": CUTOFF,
    "contrast": CONTRAST,
    "radial": RADIAL,
    "colour": "mean",
    "order": "scale,orientation,channel,y,x",
}
FEATURES = "gist-v1@" + hashlib.sha256(json.dumps(_DEFINITION, sort_keys=True).encode()).hexdigest()[:12]


@neutral()
def gist(images: object, progress: Progress | None = None) -> Tensor:
    """Return the descriptors (N, 528 C) float64 of images (N, C, H, W), uint8 or float in [0, 1], H and W at
    least 8.

    The first 512 C numbers are energies, ordered (scale from fine to coarse, orientation, channel, row,
    column); orientation o answers to waves that run at o * 22.5 degrees: 0 to vertical stripes, 4 to
    horizontal ones. The last 16 C are mean colours.

    Raises:
        ArgumentError: see `genzoo.evaluation.inputs.as_pixels`.
    """
    pixels = as_pixels(images)
    return torch.cat(each(pixels.split(CHUNK), _describe, counted(progress, "features", CHUNK, len(pixels))))


@torch.no_grad()
def _describe(pixels: Tensor) -> Tensor:
    x = pixels.float()  # (B, C, H, W) in 0..255
    height, width = x.shape[2:]
    top, left = min(BORDER, height - 1), min(BORDER, width - 1)
    spectrum = _prefilter(F.pad(x, (left, left, top, top), mode="reflect"), min(height, width))
    energies = []
    for gabor in _bank(*spectrum.shape[2:]):
        response = torch.fft.ifft2(spectrum * gabor)[:, :, top : top + height, left : left + width]
        energies.append(F.adaptive_avg_pool2d(response.abs(), GRID))
    colours = F.adaptive_avg_pool2d(x / 255, GRID)
    # (B, 32 C 16 + C 16)
    return torch.cat([torch.stack(energies, 1).flatten(1), colours.flatten(1)], 1).double()


def _prefilter(x: Tensor, side: int) -> Tensor:
    """Return the spectrum of images (B, C, H, W) in 0..255 after local contrast normalisation; `side` is the
    unpadded shorter side.
    """
    radius, _ = _frequencies(*x.shape[2:])
    low = torch.exp(-math.log(2) * (radius * side / CUTOFF) ** 2)
    spectrum = torch.fft.fft2(torch.log1p(x))
    fine = torch.fft.ifft2(spectrum * (1 - low)).real
    power = torch.fft.ifft2(torch.fft.fft2(fine.mean(1, keepdim=True).square()) * low).real
    normalised: Tensor = torch.fft.fft2(fine / (CONTRAST + power.clamp_min(0).sqrt()))
    return normalised


@functools.lru_cache(maxsize=4)
@neutral()  # what is kept must not depend on the state of the process that asked first
@torch.inference_mode(False)
def _bank(height: int, width: int) -> Tensor:
    """Return the Gabor filters (32, H, W) as transfer functions; each answers to one side of the spectrum
    only.
    """
    radius, angle = _frequencies(height, width)
    filters = []
    for scale in range(SCALES):
        radial = -RADIAL * (radius * RATIO**scale / HIGHEST - 1) ** 2
        for orientation in range(ORIENTATIONS):
            turned = (
                torch.remainder(angle + math.pi * orientation / ORIENTATIONS + math.pi, 2 * math.pi) - math.pi
            )
            filters.append(torch.exp(radial - 2 * math.pi * (16 * ORIENTATIONS**2 / 32**2) * turned**2))
    return torch.stack(filters)


def _frequencies(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return radius (cycles per pixel) and angle of every frequency, both (H, W)."""
    fy, fx = torch.meshgrid(torch.fft.fftfreq(height), torch.fft.fftfreq(width), indexing="ij")
    return torch.sqrt(fx**2 + fy**2), torch.atan2(fy, fx)


def standardise(features: Tensor, reference: Tensor) -> Tensor:
    """Return `features` (N, F) minus the mean and divided by the standard deviation of `reference` (M, F),
    feature by feature.

    A deviation below a hundredth of the median one counts as that: a corner that is black in all references
    must not turn a grey level of difference into the whole distance.
    """
    if len(reference) < 2:
        raise ArgumentError(f"standardising features needs at least 2 reference images, not {len(reference)}")
    features, reference = features.double(), reference.double()
    deviation = reference.std(0)
    least = float(deviation.median()) / 100
    return (features - reference.mean(0)) / deviation.clamp_min(least if least > 0 else 1.0)
