"""The hinge game (Lim & Ye 2017, "Geometric GAN"; Miyato et al. 2018, equations 16 and 17).

    D minimises E_x[max(0, 1 - D(x))] + E_z[max(0, 1 + D(G(z)))],   G minimises -E_z[D(G(z))]

D learns only from images within its margin. The best one is the sign of p - q, and D then pays 2 (1 - TV),
with TV the total variation ½ Σ |p - q|: 2 where nobody can tell and 0 where p and q are apart. Each function
returns what is paid for each logit, of any shape.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import relu


def real(logit: Tensor) -> Tensor:
    """Return max(0, 1 - D): what D pays for each real image."""
    return relu(1 - logit)


def fake(logit: Tensor) -> Tensor:
    """Return max(0, 1 + D): what D pays for each fake."""
    return relu(1 + logit)


def generator(logit: Tensor) -> Tensor:
    """Return -D: what G pays for each fake. It has the same slope however bad the fake."""
    return -logit
