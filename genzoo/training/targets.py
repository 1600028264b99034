"""Soft and flipped targets (hack 6): D's targets, 1 for real images and 0 for fakes, with noise."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from genzoo.losses.objectives import Objective
from genzoo.shares import drawn


@dataclass(frozen=True)
class Targets:
    """How D's targets are drawn; G's are unchanged.

    Attributes:
        soft: s > 0: targets of real images from 1 - s to 1 + 2s/3 and of fakes from 0 to s, uniformly; 0.3
            gives ganhacks' 0.7-1.2 and 0-0.3.
        flipped: the share of images, chosen at random, that get the target of the other kind.
    """

    soft: float = 0.0
    flipped: float = 0.0

    def loss(self, objective: Objective, real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
        """Return the scalar that D minimises, from its logits of real images and fakes."""
        if not (self.soft or self.flipped):
            return objective.discriminator_loss(real, fake)
        return self._paid(objective, real, True, rng) + self._paid(objective, fake, False, rng)

    def draw(self, n: int, real: bool, rng: torch.Generator) -> Tensor:
        """Return the targets (n,) of `n` real images or fakes; they are on the device of `noise`."""
        u = drawn(lambda shape: torch.rand(shape, generator=rng, device=rng.device), (2, n), 1)
        of_real, of_fake = 1 - self.soft + 5 / 3 * self.soft * u[0], self.soft * u[0]
        mine, other = (of_real, of_fake) if real else (of_fake, of_real)
        return torch.where(u[1] < self.flipped, other, mine)

    def _paid(self, objective: Objective, logits: Tensor, real: bool, rng: torch.Generator) -> Tensor:
        target = self.draw(len(logits), real, rng)
        return (target * objective.real(logits) + (1 - target) * objective.fake(logits)).mean()
