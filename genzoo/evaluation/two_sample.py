"""The classifier two-sample test (Lopez-Paz & Oquab 2017, arXiv:1610.06545): can samples be told from real images?

A classifier is fitted on half of each side and asked about the other half. If both sides are drawn from one distribution, nothing can
do better than chance, 50 %; the standard error is then that of so many coins, for the halves asked about were never seen. The
classifier is the linear probe of the features: it has no seed, so that two models are compared and not two trainings.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genzoo.errors import ArgumentError
from genzoo.evaluation.distances import Estimate
from genzoo.evaluation.probe import fit_probe
from genzoo.process import neutral

FEWEST = 4  # rows on a side: two to learn from, two to be asked about
PENALTY = 1e-3  # of the probe for each row that it learns from: its optimum is then found in tens of steps, and less is learned by heart


@neutral()
def two_sample(x: Tensor, y: Tensor) -> Estimate:
    """Return how often a linear classifier of features x (N, F) and y (N, F) is right about the half it has not seen: 0.5 is ideal.

    Below 0.5 is chance. The first half of the rows of each side is learned from: let their order be random.

    Raises:
        ArgumentError: different widths or numbers of rows, fewer than 4, or values that are not finite.
    """
    if x.shape != y.shape or len(x) < FEWEST:
        came = f"{tuple(x.shape)} and {tuple(y.shape)}"
        raise ArgumentError(f"the two-sample test needs two sets of features (N, F) of one shape, N at least {FEWEST}, not {came}")
    half = len(x) // 2
    sides = torch.arange(2).repeat_interleave(half)  # (2 half,)
    probe = fit_probe(torch.cat([x[:half], y[:half]]), sides, PENALTY * len(sides))
    unseen = torch.cat([x[half:], y[half:]])
    right = probe.accuracy(unseen, torch.arange(2).repeat_interleave(len(x) - half))
    return Estimate(right, math.sqrt(right * (1 - right) / len(unseen)))
