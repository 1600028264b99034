"""The game of CycleGAN (Zhu et al. 2017, equations 1 to 3, section 4 and 5.2), with G: first → second domain
and F: second → first.

    L_G = E(D_second(G(x)) - 1)² + E(D_first(F(y)) - 1)²
          + λ (E|F(G(x)) - x| + E|G(F(y)) - y|) + λ w (E|G(y) - y| + E|F(x) - x|)
    L_D = ½ (E(D(y) - 1)² + E(D(G(x)))²), the G(x) from a pool

G and F minimise one sum, so they are one player, which moves first; each discriminator is another, and sees
the translations of that turn. The identity loss asks that a picture of the target domain be left as it is, so
both domains must have equally many channels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import l1_loss

from genzoo.losses import lsgan
from genzoo.training import Batch
from genzoo_translate.layers import PatchDiscriminator
from genzoo_translate.options import Cycle
from genzoo_translate.pool import Pool
from genzoo_translate.resnet import Generators, ResNet


class CycleGame:
    """The losses of the generators.

    Args:
        nets: G and F.
        first: the side that judges pictures of the first domain.
        second: the side that judges pictures of the second domain.
        options: λ and the share of the identity loss.
    """

    def __init__(self, nets: Generators, first: Side, second: Side, options: Cycle) -> None:
        self.there, self.back, self.first, self.second, self.options = (
            nets.there,
            nets.back,
            first,
            second,
            options,
        )
        self.shown: tuple[Tensor, Tensor] | None = None  # the second side, and G of the first

    def loss(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return L_G, and hand the translations on to the discriminators."""
        x, y = 2 * batch.images - 1, 2 * batch.get("other") - 1
        there, back = self.there(x).to(x.dtype), self.back(y).to(x.dtype)
        self.first.handed_on, self.second.handed_on = back.detach(), there.detach()
        self.shown = batch.get("other"), (there.detach() + 1) / 2
        # lsgan.generator is ½ (D - 1)², and λ = 10 belongs to (D - 1)²
        loss = 2 * (self.second.generator_loss(there) + self.first.generator_loss(back))
        loss = loss + self.options.cycle * (
            l1_loss(self.back(there).to(x.dtype), x) + l1_loss(self.there(back).to(x.dtype), y)
        )
        if self._same and self.options.cycle * self.options.identity:
            same = l1_loss(self.there(y).to(x.dtype), y) + l1_loss(self.back(x).to(x.dtype), x)
            loss = loss + self.options.cycle * self.options.identity * same
        return loss

    @property
    def _same(self) -> bool:
        """Whether both domains have equally many channels."""
        return self.first.channels == self.second.channels


class Side:
    """One domain: its discriminator, its pool, and what the generators made of it last.

    Args:
        judge: the discriminator.
        made: the generator that translates into this domain.
        shape: (C, H, W) of its pictures.
        pool: pictures that the pool holds; 0 = no pool.
        of_first: whether it is the first domain: `batch.images`, and not `batch.other`.
    """

    def __init__(
        self, judge: PatchDiscriminator, made: ResNet, shape: tuple[int, int, int], pool: int, of_first: bool
    ) -> None:
        device = next(judge.parameters()).device
        self.judge, self.made, self.channels, self.of_first = judge, made, shape[0], of_first
        self.pool = Pool(pool, shape, device) if pool else None
        self.handed_on: Tensor | None = None  # translations of the generators' last turn

    def loss(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return L_D. The translations are those of the generators' turn, from before they learned."""
        sides = batch.images, batch.get("other")
        real, source = sides if self.of_first else sides[::-1]
        fake, self.handed_on = self.handed_on, None
        if fake is None or len(fake) != len(batch):
            with torch.no_grad():
                fake = self.made(2 * source - 1).to(real.dtype)
        if self.pool is not None:
            fake = self.pool(fake, rng)
        return lsgan.real(self._judged(2 * real - 1)).mean() + lsgan.fake(self._judged(fake)).mean()

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Return ½ E(D(fake) - 1)², over pictures and patches."""
        return lsgan.generator(self._judged(fake)).mean()

    def _judged(self, images: Tensor) -> Tensor:
        numbers: Tensor = self.judge(images)  # (N, 1, h, w)
        return numbers.float()
