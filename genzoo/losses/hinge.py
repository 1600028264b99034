"""The hinge game (Lim & Ye 2017, "Geometric GAN"; Miyato et al. 2018, equations 16 and 17).

    D minimises E_x[max(0, 1 - D(x))] + E_z[max(0, 1 + D(G(z)))],   G minimises -E_z[D(G(z))]

D learns only from images within its margin. The optimal D is the sign of p - q, with the loss 2 (1 - TV),
with TV the total variation ½ Σ |p - q|: 2 if p and q are equal and 0 if they do not overlap. Each function
returns the loss of each logit, of any shape.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import relu


def real(logit: Tensor) -> Tensor:
    """Return max(0, 1 - D): D's loss for each real image."""
    return relu(1 - logit)


def fake(logit: Tensor) -> Tensor:
    """Return max(0, 1 + D): D's loss for each fake."""
    return relu(1 + logit)


def generator(logit: Tensor) -> Tensor:
    """Return -D: G's loss for each fake. Its slope is the same however bad the fake is."""
    return -logit
