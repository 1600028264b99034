"""Distances between two sets of features, each row one image: KID, FID, and precision, recall, density,
coverage. All computed in float64.

Features may be float32, half as large: rows are made float64 a few at a time, and no matrix has more than
1,024 rows. Beyond the features themselves, n = 50,000 and 2,048 features need less than 2 GB.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from genzoo.errors import ArgumentError
from genzoo.evaluation.standard_errors import Blocks, block_sums
from genzoo.process import neutral
from genzoo.sharing import each

CHUNK = 1024  # rows of a kernel or distance matrix at a time
WIDE = 16_384  # columns of it at a time
TALL = 8192  # rows of features that are made double and factored at a time


class Estimate(NamedTuple):
    """A value and its standard error; None if the images form one block, which says nothing about their
    spread.
    """

    value: float
    stderr: float | None


class PRDC(NamedTuple):
    """Precision and recall (0..1), density (0 and up, 1 for equal distributions) and coverage (0..1)."""

    precision: float
    recall: float
    density: float
    coverage: float


@neutral()
def kid(x: Tensor, y: Tensor, x_blocks: Blocks = None, y_blocks: Blocks = None) -> Estimate:
    """Return the kernel distance of features x (N, F) and y (M, F): unbiased MMD^2 with k(a, b) = (a.b / F +
    1)^3.

    Bińkowski et al. 2018, "Demystifying MMD GANs", on all rows at once instead of averaged subsets: that is
    the unbiased estimate of least variance and needs no seed. For equal distributions it is about 0, as often
    below as above. The standard error is the delete-one jackknife over the rows of both sets, computed from
    the kernel's row sums; for equal distributions it is known to be too large (by up to a factor 1.41), never
    too small on average. Where `x_blocks` (N,) or `y_blocks` (M,) say which rows belong together, whole
    blocks are left out instead of rows.

    Raises:
        ArgumentError: fewer than 3 rows, different widths, or values that are not finite.
    """
    x, y = _pair(x, y, least=3)
    n, m = len(x), len(y)
    within_x, within_y = _kernel_sums(x, x, same=True)[0], _kernel_sums(y, y, same=True)[0]  # (N,), (M,)
    across_x, across_y = _kernel_sums(x, y)  # (N,), (M,)
    sum_x, sum_y, across = within_x.sum(), within_y.sum(), across_x.sum()

    mean_x, mean_y = sum_x / (n * (n - 1)), sum_y / (m * (m - 1))
    value = mean_x + mean_y - 2 * across / (n * m)
    # (G,) rows left, sums of kernels without a block
    left_x, own_x, apart_x = _without(x, within_x, across_x, x_blocks)
    left_y, own_y, apart_y = _without(y, within_y, across_y, y_blocks)
    if min(len(left_x), len(left_y)) < 2 or min(float(left_x.min()), float(left_y.min())) < 2:
        return Estimate(float(value), None)
    without_x = own_x / (left_x * (left_x - 1)) + mean_y - 2 * apart_x / (left_x * m)
    without_y = mean_x + own_y / (left_y * (left_y - 1)) - 2 * apart_y / (n * left_y)
    variance = _jackknife(without_x) + _jackknife(without_y)
    return Estimate(float(value), float(variance.sqrt()))


def _without(x: Tensor, within: Tensor, across: Tensor, blocks: Blocks) -> tuple[Tensor, Tensor, Tensor]:
    """Return for each block left out: rows that are left, and the sums of kernels among them and across to
    the other set, (G,) each.
    """
    if blocks is None:
        return (
            torch.full((len(x),), len(x) - 1, dtype=torch.float64),
            within.sum() - 2 * within,
            across.sum() - across,
        )
    sizes, lost = block_sums(torch.ones(len(x)), blocks), 2 * block_sums(within, blocks)
    for place, block in enumerate(blocks.unique()):
        if sizes[place] > 1:  # kernels within the block were counted from both ends
            rows = x[blocks == block]
            lost[place] -= _kernel_sums(rows, rows, same=True)[0].sum()
    return len(x) - sizes, within.sum() - lost, across.sum() - block_sums(across, blocks)


def _jackknife(values: Tensor) -> Tensor:
    return (len(values) - 1) / len(values) * (values - values.mean()).square().sum()


def _kernel_sums(x: Tensor, y: Tensor, same: bool = False) -> tuple[Tensor, Tensor]:
    """Return the sums of the kernel matrix over its columns (N,) and rows (M,); `same` leaves the diagonal
    out.
    """

    def sums(start: int) -> Tensor:
        chunk = x[start : start + CHUNK].double()
        kernel = _products(chunk, y).div_(x.shape[1]).add_(1).pow_(3)  # (B, M)
        if same:
            kernel[torch.arange(len(chunk)), start + torch.arange(len(chunk))] = 0
        return torch.cat([kernel.sum(1), kernel.sum(0)])  # (B + M,)

    rows, columns = [], torch.zeros(len(y), dtype=torch.float64)
    for found in each(range(0, len(x), CHUNK), sums):
        rows.append(found[: -len(y)])
        columns += found[-len(y) :]
    return torch.cat(rows), columns


def _products(chunk: Tensor, y: Tensor) -> Tensor:
    """Return the products (B, M) of rows `chunk` (B, F) float64 and y (M, F), made float64 part by part."""
    parts = [chunk @ part.double().T for part in y.split(WIDE)]
    return torch.cat(parts, 1) if parts[1:] else parts[0]


@neutral()
def fid(x: Tensor, y: Tensor) -> float:
    """Return the Fréchet distance of Gaussians fitted to features x (N, F) and y (M, F).

    |m_x - m_y|^2 + tr(C_x + C_y - 2 (C_x C_y)^1/2), unbiased covariances (Heusel et al. 2017). The trace of
    the root is the sum of singular values of A_x A_y^T, where A^T A = C is the triangular factor of the
    centred features. No covariance is formed and no root of a rounded zero is taken, so the result is exact
    to the last digits even if there are fewer rows than features (then C is singular and the distance is
    biased upwards: compare it only with one from equally many images).

    Raises:
        ArgumentError: fewer than 2 rows, different widths, or values that are not finite.
    """
    x, y = _pair(x, y, least=2)
    shift = (_mean(x) - _mean(y)).square().sum()
    a, b = _root(x), _root(y)
    # Equal sets may come out a rounding error below zero.
    return max(
        0.0, float(shift + a.square().sum() + b.square().sum() - 2 * torch.linalg.svdvals(a @ b.T).sum())
    )


@neutral()
def fid_to(x: Tensor, mean: Tensor, covariance: Tensor) -> float:
    """Return the Fréchet distance of a Gaussian fitted to features x (N, F) and one with `mean` (F,) and
    `covariance` (F, F), such as the statistics that papers publish.

    Raises:
        ArgumentError: fewer than 2 rows, different widths, or values that are not finite.
    """
    x, _ = _pair(x, mean[None].expand(2, -1), least=2)
    shift = (_mean(x) - mean.double()).square().sum()
    # A^T A = C by the eigenvectors of C, of which rounding may have made a 0 negative
    values, vectors = torch.linalg.eigh(covariance.double())
    a, b = _root(x), values.clamp_min(0).sqrt()[:, None] * vectors.T
    return max(
        0.0, float(shift + a.square().sum() + b.square().sum() - 2 * torch.linalg.svdvals(a @ b.T).sum())
    )


def _root(x: Tensor) -> Tensor:
    """Return A with A^T A the unbiased covariance of x (N, F).

    The triangular factor of many rows is that of the factor of the first ones on top of the next ones.
    """
    mean, root = _mean(x), torch.zeros(0, x.shape[1], dtype=torch.float64)
    for part in x.split(TALL):
        root = torch.cat([root, (part.double() - mean).div_((len(x) - 1) ** 0.5)])
        if len(root) > x.shape[1]:
            root = torch.linalg.qr(root, mode="r").R
    return root


def _mean(x: Tensor) -> Tensor:
    """Return the mean (F,) float64 of x (N, F)."""
    if len(x) <= TALL:
        return x.double().mean(0)
    return torch.stack([part.double().sum(0) for part in x.split(TALL)]).sum(0) / len(x)


@neutral()
def prdc(samples: Tensor, reference: Tensor, k: int = 5) -> PRDC:
    """Return precision, recall, density and coverage of features `samples` (N, F) against `reference` (M, F).

    Precision: share of samples within the k-th-neighbour ball of some reference; recall: the same with roles
    exchanged (Kynkäänniemi et al. 2019). Density: mean number of reference balls around a sample, over k;
    coverage: share of references whose ball holds a sample (Naeem et al. 2020).

    Raises:
        ArgumentError: k or fewer rows, different widths, or values that are not finite.
    """
    samples, reference = _pair(samples, reference, least=k + 1)
    radius, sample_radius = _radii(reference, k), _radii(samples, k)  # (M,), (N,)
    norms = _norms(samples)  # (N,)

    def look(start: int) -> Tensor:
        distance = _distances(reference[start : start + CHUNK], samples, norms)  # (B, N)
        own = distance < radius[start : start + CHUNK, None]
        # (N + 2 B,): balls around each sample, whether each reference is covered, whether it is found
        return torch.cat([own.sum(0), own.any(1), (distance < sample_radius).any(1)]).int()

    looks = each(range(0, len(reference), CHUNK), look)
    balls = torch.stack([look[: len(samples)] for look in looks]).sum(0).double()  # (N,)
    covered, found = zip(*(look[len(samples) :].double().chunk(2) for look in looks), strict=True)
    shares = [(balls > 0).double(), torch.cat(found), balls / k, torch.cat(covered)]
    return PRDC(*(float(share.mean()) for share in shares))


def _radii(x: Tensor, k: int) -> Tensor:
    """Return the squared distance of every row of x to its k-th nearest other row, (N,)."""
    norms = _norms(x)

    def radius(start: int) -> Tensor:
        distance = _distances(x[start : start + CHUNK], x, norms)
        rows = torch.arange(len(distance))
        distance[rows, start + rows] = torch.inf
        return distance.kthvalue(k, dim=1).values

    return torch.cat(each(range(0, len(x), CHUNK), radius))


def _norms(x: Tensor) -> Tensor:
    """Return the squared length (N,) float64 of each row of x (N, F)."""
    return torch.cat([part.double().square().sum(1) for part in x.split(TALL)])


def _distances(chunk: Tensor, y: Tensor, norms: Tensor) -> Tensor:
    """Return squared distances (B, M) of rows `chunk` (B, F) and y (M, F), whose squared lengths are `norms`
    (M,).
    """
    rows = chunk.double()
    distance = rows.square().sum(1, keepdim=True) + norms
    return distance.sub_(_products(rows, y).mul_(2)).clamp_min_(0)


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Return squared Euclidean distances (N, M) of rows x (N, F) and y (M, F)."""
    return (x.square().sum(1, keepdim=True) + y.square().sum(1) - 2 * x @ y.T).clamp_min(0)


def _pair(x: Tensor, y: Tensor, least: int) -> tuple[Tensor, Tensor]:
    x, y = map(_exact, (x, y))
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ArgumentError(
            f"features must have the shapes (N, F) and (M, F), not {tuple(x.shape)} and {tuple(y.shape)}"
        )
    if min(len(x), len(y)) < least:
        raise ArgumentError(
            f"this distance needs at least {least} images on both sides, not {min(len(x), len(y))}",
            "take more images",
        )
    if not all(torch.isfinite(part).all() for rows in (x, y) for part in rows.split(TALL)):
        raise ArgumentError("features hold NaN or infinite values")
    return x, y


def _exact(rows: Tensor) -> Tensor:
    """Return `rows` as they are if they are float32 or float64, else as float64."""
    found = torch.as_tensor(rows)
    return found if found.dtype == torch.float32 else found.double()
