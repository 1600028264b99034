"""The equilibrium game (section 3.3 and 3.4 of the paper).

    L_D = L(x) - k_t L(G(z))
    L_G = L(G(z))
    k_{t+1} = clip(k_t + λ_k (γ L(x) - L(G(z))), 0, 1), k_0 = 0
    M = L(x) + |γ L(x) - L(G(z))|

k is a state of the game from round to round. It is in the memory of D's player, so a checkpoint holds it, and
it is computed from the losses of the whole batch, so it is the same in every process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from genzoo.models import AdversarialModel
from genzoo.rng import BatchRng
from genzoo.training import Ailment, Batch, Curves
from genzoo_began.options import Equilibrium

LATELY = 5  # means of a curve, 1,000 rounds, in which k must have moved
GROWN_UP = 10  # means, 2,000 rounds, after which M must have fallen
AT_BOUND = 1e-3  # distance of k from 0 or 1 that counts as none


class Balance(nn.Module):
    """k, and the losses of the last round that it follows from: scalars, all of them averaged over processes.

    Args:
        options: γ and λ_k.
    """

    k: Tensor
    real: Tensor
    fake: Tensor

    def __init__(self, options: Equilibrium) -> None:
        super().__init__()
        self.gamma, self.rate = options.gamma, options.k_rate
        for name in ("k", "real", "fake"):
            self.register_buffer(name, torch.zeros(()))

    @torch.no_grad()
    def settle(self) -> dict[str, Tensor]:
        """Move k by what the losses of the round say; return M, and k as it is now."""
        excess = self.gamma * self.real - self.fake
        # in place: recorded turns read this memory
        self.k.add_(self.rate * excess).clamp_(0, 1)
        return {"M": self.real + excess.abs(), "k": self.k.clone()}


class EquilibriumGame:
    """The two losses over one model. G's turn continues from the fakes of D's last turn, which D only sees
    detached.

    Args:
        model: its generator maps latents to images in [-1, 1].
        errors: L(v) of each image, (N, C, H, W) in [-1, 1] → (N,).
        options: γ and λ_k.
    """

    def __init__(
        self, model: AdversarialModel, errors: Callable[[Tensor], Tensor], options: Equilibrium
    ) -> None:
        self.model, self.errors = model, errors
        self.balance = Balance(options).to(model.device)
        self.shown: tuple[Tensor, Tensor] | None = None  # the images and the fakes of D's last turn
        self._handed_on: Tensor | None = None

    def discriminator_loss(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return L_D, and note L(x). No layer compares images, so real and fake go through D as one batch."""
        fake = self._handed_on = self._drawn(batch, rng)
        self.shown = batch.images, (fake.detach() + 1) / 2
        both = torch.cat([2 * batch.images - 1, fake.detach()])
        real, false = self.errors(both).view(2, -1).mean(1)
        self.balance.real.copy_(real.detach())
        loss: Tensor = real - self.balance.k * false
        return loss

    def generator_loss(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return L_G, and note it. D has learned since it last saw these fakes, so it judges them again."""
        fake, self._handed_on = self._handed_on, None
        if fake is None or len(fake) != len(batch):
            fake = self._drawn(batch, rng)
        loss = self.errors(fake).mean()
        self.balance.fake.copy_(loss.detach())
        return loss

    def after_round(self, step: int) -> Mapping[str, Tensor]:
        """Move k, and return M and k."""
        return self.balance.settle()

    def _drawn(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return as many fakes (N, C, H, W), nearly in [-1, 1]; errors are measured in the images' precision,
        also where G computes in bf16.
        """
        fakes: Tensor = self.model.generator(self.model._latents(BatchRng(len(batch), rng)))
        return fakes.to(batch.images.dtype)


def examine(curves: Curves) -> Iterable[Ailment]:
    """Yield what is wrong with the curves M and k: M that no longer falls, k that stays at a bound."""
    yield from _of_measure(curves.get("M", ()))
    yield from _of_balance(list(curves.get("k", ()))[-LATELY:])


def _of_measure(means: Sequence[float]) -> Iterator[Ailment]:
    """The convergence measure must have fallen from the first half of the run so far to the second."""
    if len(means) < GROWN_UP:
        return
    first, second = min(means[: len(means) // 2]), min(means[len(means) // 2 :])
    if second >= first:
        words = f"its lowest mean was {first:.4g} in the first half of the run so far, and {second:.4g} since"
        yield Ailment("M does not fall", words, "half the learning rate, as the paper does, or end the run")


def _of_balance(lately: Sequence[float]) -> Iterator[Ailment]:
    if len(lately) < LATELY:
        return
    if max(lately) < AT_BOUND:
        words = "D reconstructs fakes too badly for γ, and no longer learns to tell them from images"
        yield Ailment("k stays at 0", words, "a higher gamma, or a lower lr.discriminator")
    if min(lately) > 1 - AT_BOUND:
        words = "D reconstructs fakes better than γ asks for, and cannot push them away any harder"
        yield Ailment("k stays at 1", words, "a lower gamma, or a higher lr.discriminator")
