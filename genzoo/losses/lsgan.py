"""Least-squares GAN (Mao et al. 2017, "Least Squares Generative Adversarial Networks", equation 9: a = 0, b =
c = 1).

    D minimises ½ E_x[(D(x) - 1)²] + ½ E_z[D(G(z))²],   G minimises ½ E_z[(D(G(z)) - 1)²]

D is any number, not a probability. The optimal D is p / (p + q), with the loss ¼ (1 - χ²), where χ² is ½ Σ (p
- q)² / (p + q): ¼ if p and q are equal and 0 if they do not overlap. Each function returns the loss of each
logit, of any shape.
"""

from __future__ import annotations

from torch import Tensor


def real(logit: Tensor) -> Tensor:
    """Return ½ (D - 1)²: D's loss for each real image."""
    return 0.5 * (logit - 1) ** 2


def fake(logit: Tensor) -> Tensor:
    """Return ½ D²: D's loss for each fake."""
    return 0.5 * logit**2


def generator(logit: Tensor) -> Tensor:
    """Return ½ (D - 1)²: G's loss for each fake. It is steeper the further D is from 1, on either side."""
    return 0.5 * (logit - 1) ** 2
