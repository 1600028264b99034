"""The progressive game: WGAN-GP with a drift term (Karras et al. 2018, appendix A.1), or any other objective
and penalty, at the image size of the present stage.

Everything is computed at that size: loaded images are averaged down to it, and the penalty's slope is over
its pixels. So the rounds of the first stages cost a fraction of the last ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from genzoo.rng import BatchRng
from genzoo.training import Batch, keeping_activations, objective_of, penalty_of
from genzoo.training.augment import augment, policy_of
from genzoo_progressive.options import Progressive

if TYPE_CHECKING:
    from genzoo_progressive.progressive import ProgressiveGAN


class ProgressiveGame:
    """The losses of both players over one model, with the options of the recipe.

    The fakes of D's last turn are handed on to G's first turn instead of being computed again; D only ever
    sees them detached.
    """

    def __init__(self, model: ProgressiveGAN, options: Progressive) -> None:
        self.model, self.options = model, options
        self.policy = policy_of(options.augment)
        self.objective = objective_of(options.objective)
        self._penalty_of = penalty_of(options.penalty_kind)
        self.shown: tuple[Tensor, Tensor] | None = None  # the images and the fakes of D's last turn
        self._handed_on: Tensor | None = None

    def begin(self, step: int) -> None:
        """Set the model's growth to that of round `step`."""
        self.model.growth.fill_(self.options.growth(step, self.model.last))

    def discriminator_loss(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return D's loss with the penalty and the drift term; no gradient reaches G."""
        images, fake = self.model.seen(batch.images), self._fakes(len(batch), rng)
        self._handed_on, self.shown = fake, (images, fake.detach())
        real, made = self._inputs(images, rng), self._inputs(fake.detach(), rng)
        on_real = self._numbers(real)
        loss = self.objective.discriminator_loss(on_real, self._numbers(made))
        loss = loss + self.options.drift * on_real.square().mean()
        if not self.options.gp_weight:
            return loss
        # ε of the penalty, one per pair; α of the fade is another number and stays as it is
        share = torch.rand(len(real), generator=rng, device=rng.device)
        with keeping_activations():
            penalty = self._penalty_of(self._numbers, real, made, share)
        return loss + self.options.gp_weight * penalty

    def generator_loss(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return G's loss on the fakes of D's last turn, or on new ones."""
        fake, self._handed_on = self._handed_on, None
        if fake is None or len(fake) != len(batch):
            fake = self._fakes(len(batch), rng)
        numbers = self._numbers(self._inputs(fake, rng))
        return self.objective.generator_loss(numbers, self._beside(batch, rng))

    def _beside(self, batch: Batch, rng: torch.Generator) -> Tensor | None:
        """Return D's outputs for the real images that a relative objective compares the fakes with."""
        if not self.objective.relative:
            return None
        with torch.no_grad():
            return self._numbers(self._inputs(self.model.seen(batch.images), rng))

    def _fakes(self, n: int, rng: torch.Generator) -> Tensor:
        """Return `n` images of G at the present stage, nominally in [0, 1]; those outside are not clamped."""
        z = self.model._latents(BatchRng(n, rng))
        made: Tensor = self.model.generator(z, float(self.model.growth))
        return made.add(1).div(2)  # (N, C, h, w)

    def _inputs(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Return `images` (N, C, h, w), nominally in [0, 1], augmented and in [-1, 1], as D takes them."""
        return 2 * augment(images, self.policy, rng) - 1

    def _numbers(self, images: Tensor) -> Tensor:
        numbers: Tensor = self.model.discriminator(images, float(self.model.growth))
        return numbers.float()  # (N,)
