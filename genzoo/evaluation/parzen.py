"""The Parzen-window estimate of 2014 (Goodfellow et al. 2014, section 5; Breuleux et al. 2011), by the
protocol of the GAN paper's code.

A Gaussian window is centred on each of 10,000 samples, pixels in [0, 1]; the width is the one of ten,
logspace(-1, 0, 10), under which 1,000 validation images are likeliest; the value is the mean log-density of
the test images, in nats, its standard error that over images.

It is here for comparison with the papers of those years and nothing else. It is not a likelihood of the model
and misorders models: windows on the training images themselves are beaten by k-means centres, and better
samples may have the lower value (Theis, van den Oord & Bethge 2016, arXiv:1511.01844).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from genzoo.errors import ArgumentError
from genzoo.evaluation.distances import squared_distances
from genzoo.evaluation.inputs import Progress, counted
from genzoo.process import neutral
from genzoo.sharing import each

SAMPLES, VALIDATION = 10_000, 1_000
SIGMAS: tuple[float, ...] = tuple(np.logspace(-1, 0, 10).tolist())
# MNIST's validation images are the last 10,000 of 60,000: those behind five sixths, here of every set
VALIDATION_FROM = (5, 6)
CHUNK = 500  # images asked at a time


class Parzen(NamedTuple):
    """The estimate in nats, its standard error over test images, and the width that the validation images
    chose.
    """

    value: float
    stderr: float
    sigma: float


@neutral()
def parzen(samples: Tensor, validation: Tensor, test: Tensor, progress: Progress | None = None) -> Parzen:
    """Return the estimate of images `test` (T, D) by windows on `samples` (N, D), all in [0, 1].

    Args:
        samples: the centres of the windows.
        validation: (V, D), images that choose the width.
        test: the images measured, at least two.
        progress: called with ("parzen", done, total).

    Raises:
        ArgumentError: different widths, or too few rows.
    """
    if len({rows.shape[1:] for rows in (samples, validation, test)}) > 1 or samples.ndim != 2:
        raise ArgumentError("samples, validation and test images must be rows of the same length")
    if not len(samples) or not len(validation) or len(test) < 2:
        raise ArgumentError(
            "a Parzen window needs at least one sample, one validation image and two test images"
        )
    windows = samples.double()
    chosen = [float(densities.mean()) for densities in _log_densities(windows, validation, SIGMAS)]
    sigma = SIGMAS[int(np.argmax(chosen))]
    (values,) = _log_densities(windows, test, (sigma,), progress)
    return Parzen(float(values.mean()), float(values.std(correction=0)) / math.sqrt(len(values)), sigma)


def _log_densities(
    windows: Tensor, x: Tensor, sigmas: tuple[float, ...], progress: Progress | None = None
) -> list[Tensor]:
    """Return for each width log p (n,) of rows x (n, D), p the mean of Gaussians of that width on the rows of
    `windows` (N, D).
    """

    def of(part: Tensor) -> Tensor:
        distances = squared_distances(part.double(), windows)  # (B, N)
        scales = [
            math.log(len(windows)) + windows.shape[1] * math.log(sigma * math.sqrt(2 * math.pi))
            for sigma in sigmas
        ]
        return torch.stack(
            [
                torch.logsumexp(distances / (-2 * sigma**2), 1) - scale
                for sigma, scale in zip(sigmas, scales, strict=True)
            ]
        )  # (widths, B)

    return list(torch.cat(each(x.split(CHUNK), of, counted(progress, "parzen", CHUNK, len(x))), 1))
