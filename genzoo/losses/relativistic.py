"""The relativistic pairing game (Jolicoeur-Martineau 2018, arXiv:1807.00734; as R3GAN plays it: Huang et al.
2024, arXiv:2501.05441, equation 2).

    D minimises E[softplus(-(D(x) - D(G(z))))],   G minimises E[softplus(-(D(G(z)) - D(x)))]

D judges each fake beside a real image, so G gains nothing by moving all of its images to one place that D
believes: real images of that place get the same number. The optimal D is log p - log q up to a constant; its
loss is log 2 - JSD(p ⊗ q, q ⊗ p), with the pairs (x, G(z)) and (G(z), x). Each function returns the loss of
each difference of logits, of any shape.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus


def real(lead: Tensor) -> Tensor:
    """Return softplus(-(D(x) - D(G(z)))): D's loss for each pair, whose real image leads by `lead`."""
    return softplus(-lead)


def fake(lead: Tensor) -> Tensor:
    """Return softplus(D(x) - D(G(z))): what D would pay if the two images of a pair were swapped."""
    return softplus(lead)


def generator(lead: Tensor) -> Tensor:
    """Return softplus(-(D(G(z)) - D(x))): G's loss for each pair, whose fake leads by `lead`."""
    return softplus(-lead)
