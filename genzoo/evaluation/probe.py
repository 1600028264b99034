"""The linear probe: a linear classifier on features that were learned without labels (Alain & Bengio 2016,
arXiv:1610.01644).

Multinomial logistic regression. The problem is convex and is solved to convergence in float64, so a probe has
no seed, no number of steps and no learning rate: two sets of features are compared, not two optimisers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from genzoo.errors import ArgumentError, safe_repr
from genzoo.process import undisturbed

# with 100 labels about the best of 0.0001 … 1 for codes of digits and CIFAR-10, judged by other training
# images
PENALTY = 0.1
_ROWS = 4096  # of features at a time
_STEPS = 1000  # of L-BFGS at most; tens are usual
_FLAT = 1e-9  # a gradient below it is none: losses here are of the order of 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Probe:
    """A linear classifier of features.

    Attributes:
        classes: (K,) int64, its labels in ascending order.
        weight: (K, F) float64.
        bias: (K,) float64.
    """

    classes: Tensor
    weight: Tensor
    bias: Tensor

    def logits(self, features: Any) -> Tensor:
        """Return (N, K) float64, log p(class | features) up to a constant for each row, of features (N,
        F).
        """
        rows = _features(features)
        if rows.shape[1] != self.weight.shape[1]:
            raise ArgumentError(
                f"this probe reads {self.weight.shape[1]} features per image, not {rows.shape[1]}"
            )
        return rows @ self.weight.T + self.bias

    def predict(self, features: Any) -> Tensor:
        """Return the likeliest label of each row of features (N, F): (N,) int64."""
        return self.classes[self.logits(features).argmax(1)]

    def accuracy(self, features: Any, labels: Any) -> float:
        """Return the share of rows of features (N, F) whose label, of `labels` (N,), is predicted: 0 to 1."""
        rows = _features(features)
        return float((self.predict(rows) == _labels(labels, len(rows))).double().mean())


@undisturbed()
def fit_probe(features: Any, labels: Any, penalty: float = PENALTY) -> Probe:
    """Return the probe that minimises Σ -log p(label | features) + `penalty` / 2 · ‖W‖²; biases are not
    penalised.

    First, features are centred and divided by one number, the root mean square of their distances from the
    centre: the probe then depends neither on their unit, nor on a rotation of the latent space, nor on
    components that are always the same. Components are not scaled one by one, which would amplify the unused
    ones of a VAE.

    Args:
        features: (N, F), an array or a tensor, finite.
        labels: (N,) whole numbers of at least two classes.
        penalty: above 0. For three classes or more scikit-learn's LogisticRegression has C = 1 / penalty. Two
            classes have two rows of weights here and one there, their difference, whose penalty is half of
            this one: the same probe has C = 2 / penalty.

    Raises:
        ArgumentError: another shape or type, values that are not finite, only one class, or a wrong penalty.
    """
    rows = _matrix(features)
    # of other features `rows` is a copy, and gigabytes are not copied twice
    own = rows.clone() if torch.as_tensor(features).dtype == torch.float64 else rows
    return fit_probe_in_place(own, labels, penalty)


@undisturbed()
def fit_probe_in_place(rows: Tensor, labels: Any, penalty: float = PENALTY) -> Probe:
    """Return the probe of `fit_probe` for `rows` (N, F) float64, which are overwritten: gigabytes of them are
    in memory once.

    Raises:
        ArgumentError: as `fit_probe`.
    """
    _check_finite(rows)
    classes, targets = _labels(labels, len(rows)).unique(return_inverse=True)  # (K,), (N,)
    if len(classes) < 2:
        raise ArgumentError(
            "a probe needs at least two classes, but all labels are the same",
            "give labels of at least two classes",
        )
    if isinstance(penalty, bool) or not isinstance(penalty, (int, float)) or not 0 < penalty <= 1e12:
        raise ArgumentError(
            f"penalty must be a number above 0, not {safe_repr(penalty)}", f"for example {PENALTY}"
        )
    centre = rows.mean(0)  # (F,)
    centred = rows.sub_(centre)
    # where all rows are the same, they stay 0; a few rows at a time, since there may be gigabytes of them
    lengths = torch.cat([part.square().sum(1) for part in centred.split(_ROWS)])
    scale = float(lengths.mean().sqrt()) or 1.0
    weight, bias = _minimise(centred.div_(scale), targets, len(classes), penalty)
    return Probe(classes=classes, weight=weight / scale, bias=bias - weight @ centre / scale)


def _minimise(x: Tensor, targets: Tensor, classes: int, penalty: float) -> tuple[Tensor, Tensor]:
    """Return weights (K, F) and biases (K,) of the minimum, which is unique up to a constant added to all
    biases.
    """
    weight = x.new_zeros(classes, x.shape[1], requires_grad=True)
    bias = x.new_zeros(classes, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=_STEPS,
        tolerance_grad=_FLAT,
        tolerance_change=1e-15,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = cross_entropy(x @ weight.T + bias, targets) + penalty / (2 * len(x)) * weight.square().sum()
        torch.autograd.backward(value, inputs=[weight, bias])
        return value

    with torch.enable_grad():
        optimizer.step(loss)
    return weight.detach(), bias.detach()


def _features(features: Any) -> Tensor:
    rows = _matrix(features)
    _check_finite(rows)
    return rows


def _matrix(features: Any) -> Tensor:
    try:
        rows = torch.as_tensor(features)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ArgumentError(f"features must be an array (N, F), not {type(features).__name__}") from error
    if rows.ndim != 2 or 0 in rows.shape:
        raise ArgumentError(
            f"features must have the shape (N, F), not {tuple(rows.shape)}", "one row per image"
        )
    return rows.detach().cpu().double()


def _check_finite(rows: Tensor) -> None:
    # a few at a time: `isfinite` takes more memory than what it looks at
    if not all(torch.isfinite(part).all() for part in rows.split(_ROWS)):
        raise ArgumentError("features hold NaN or infinite values")


def _labels(labels: Any, count: int) -> Tensor:
    try:
        found = torch.as_tensor(labels)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ArgumentError(
            f"labels must be an array (N,) of whole numbers, not {type(labels).__name__}"
        ) from error
    if found.is_floating_point() or found.is_complex() or found.shape != (count,):
        came = f"{found.dtype} {tuple(found.shape)}"
        raise ArgumentError(f"labels must be {count} whole numbers, one per row of features, not {came}")
    return found.cpu().long()
