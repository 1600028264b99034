"""Least-squares GAN (Mao et al. 2017, "Least Squares Generative Adversarial Networks", equation 9: a = 0, b =
c = 1).

    D minimises ½ E_x[(D(x) - 1)²] + ½ E_z[D(G(z))²],   G minimises ½ E_z[(D(G(z)) - 1)²]

D is any number, not a probability. The best one is p / (p + q), and D then pays ¼ (1 - χ²), where χ² is ½ Σ
(p - q)² / (p + q): ¼ where nobody can tell and 0 where p and q are apart. Each function returns what is paid
for each logit, of any shape.
"""

from __future__ import annotations

from torch import Tensor


def real(logit: Tensor) -> Tensor:
    """Return ½ (D - 1)²: what D pays for each real image."""
    return 0.5 * (logit - 1) ** 2


def fake(logit: Tensor) -> Tensor:
    """Return ½ D²: what D pays for each fake."""
    return 0.5 * logit**2


def generator(logit: Tensor) -> Tensor:
    """Return ½ (D - 1)²: what G pays for each fake. The further off a fake is, on either side, the
    steeper.
    """
    return 0.5 * (logit - 1) ** 2
