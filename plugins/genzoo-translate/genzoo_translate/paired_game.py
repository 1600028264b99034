"""The game of pix2pix (Isola et al. 2017, equations 1 to 4; section 3.3).

    L_D = ½ (E[-log D(x, y)] + E[-log(1 - D(x, G(x)))])
    L_G = w E[-log D(x, G(x))] + λ E|y - G(x)|

D judges patches; each is a term of its own, and means are taken of losses, never of D's outputs.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import l1_loss

from genzoo.losses import minimax
from genzoo.rng import BatchRng
from genzoo.training import Batch
from genzoo_translate.layers import PatchDiscriminator
from genzoo_translate.options import Paired
from genzoo_translate.unet import UNet


class PairedGame:
    """The two losses. G's turn continues from the translations of D's last turn, which D only sees detached.

    Args:
        generator: G.
        judge: D, of source and target together.
        options: the weights of G's two losses.
    """

    def __init__(self, generator: UNet, judge: PatchDiscriminator, options: Paired) -> None:
        self.generator, self.judge, self.options = generator, judge, options
        self.shown: tuple[Tensor, Tensor] | None = None  # targets and translations of D's last turn
        self._handed_on: Tensor | None = None

    def discriminator_loss(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return L_D, the halved binary cross-entropy of pairs (x, y) against (x, G(x))."""
        fake = self._handed_on = self._translated(batch, rng)
        self.shown = batch.images, (fake.detach() + 1) / 2
        real = minimax.real(self._judged(batch, 2 * batch.images - 1)).mean()
        false = minimax.fake(self._judged(batch, fake.detach())).mean()
        return (real + false) / 2

    def generator_loss(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return L_G. D has learned since it last saw these translations, so it judges them again."""
        fake, self._handed_on = self._handed_on, None
        if fake is None or len(fake) != len(batch):
            fake = self._translated(batch, rng)
        self.shown = batch.images, (fake.detach() + 1) / 2
        loss = self.options.l1 * l1_loss(fake, 2 * batch.images - 1)
        if self.options.adversarial:
            loss = loss + self.options.adversarial * minimax.non_saturating(self._judged(batch, fake)).mean()
        return loss

    def _translated(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return G(x), (N, C', H, W) in [-1, 1], in the precision of the images."""
        fake: Tensor = self.generator(2 * batch.get("condition") - 1, BatchRng(len(batch), rng))
        return fake.to(batch.images.dtype)

    def _judged(self, batch: Batch, target: Tensor) -> Tensor:
        """Return D(x, y), one number per patch, (N, 1, h, w) float32."""
        numbers: Tensor = self.judge(torch.cat([2 * batch.get("condition") - 1, target], 1))
        return numbers.float()
