"""The two-player game of generative adversarial nets (Goodfellow et al. 2014, equation 1), on logits.

    min over G, max over D:   V(D, G) = E_x[log D(x)] + E_z[log(1 - D(G(z)))]

D is the sigmoid of a logit a, so log D = -softplus(-a) and log(1 - D) = -softplus(a): exact where D rounds to 0 or 1. Every
function takes logits of any shape, real and fake from separate batches, and returns a scalar in nats, averaged over images.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus


def value(real: Tensor, fake: Tensor) -> Tensor:
    """Return V(D, G), which D maximises. At the optimal D of a perfect G it is -log 4 (theorem 1)."""
    return -softplus(-real).mean() - softplus(fake).mean()


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Return -V(D, G), which D minimises: the binary cross-entropy of telling real (1) from fake (0), summed over both."""
    return -value(real, fake)


def generator_minimax(fake: Tensor) -> Tensor:
    """Return E_z[log(1 - D(G(z)))], which G minimises in the minimax game.

    Its gradient in the logit is -D(G(z)): flat exactly where G is bad and D is sure of it (D → 0).
    """
    return -softplus(fake).mean()


def generator_non_saturating(fake: Tensor) -> Tensor:
    """Return -E_z[log D(G(z))], which G minimises in the non-saturating game (section 3 of the paper).

    Its gradient in the logit is -(1 - D(G(z))): same fixed points as the minimax loss, but steep where D → 0.
    """
    return softplus(-fake).mean()


GENERATOR_LOSSES = {"minimax": generator_minimax, "non-saturating": generator_non_saturating}
