"""The two-player game of generative adversarial nets (Goodfellow et al. 2014, equation 1), on logits.

    min over G, max over D:   V(D, G) = E_x[log D(x)] + E_z[log(1 - D(G(z)))]

D is the sigmoid of a logit a, so log D = -softplus(-a) and log(1 - D) = -softplus(a): exact even if D rounds
to 0 or 1. `real`, `fake`, `minimax` and `non_saturating` return the loss of each logit, of any shape; the
other functions take logits of real and fake images, from separate batches, and return a scalar in nats,
averaged over images.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus


def real(logit: Tensor) -> Tensor:
    """Return -log D: D's loss for each real image."""
    return softplus(-logit)


def fake(logit: Tensor) -> Tensor:
    """Return -log(1 - D): D's loss for each fake."""
    return softplus(logit)


def minimax(logit: Tensor) -> Tensor:
    """Return log(1 - D): G's loss for each fake in the minimax game.

    Its slope is -D: flat exactly when G is bad and D is confident (D → 0).
    """
    return -softplus(logit)


def non_saturating(logit: Tensor) -> Tensor:
    """Return -log D: G's loss for each fake in the non-saturating game (section 3 of the paper).

    Its slope is -(1 - D): the same fixed points as the minimax game, but steep as D → 0.
    """
    return softplus(-logit)


def value(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return V(D, G), which D maximises. At the optimal D of a perfect G it is -log 4 (theorem 1)."""
    return -discriminator_loss(real_logits, fake_logits)


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return -V(D, G), which D minimises: the binary cross-entropy of real (1) against fake (0), summed over
    both.
    """
    return real(real_logits).mean() + fake(fake_logits).mean()


def generator_minimax(fake_logits: Tensor) -> Tensor:
    """Return E_z[log(1 - D(G(z)))], which G minimises in the minimax game."""
    return minimax(fake_logits).mean()


def generator_non_saturating(fake_logits: Tensor) -> Tensor:
    """Return -E_z[log D(G(z))], which G minimises in the non-saturating game."""
    return non_saturating(fake_logits).mean()
