"""The matching-aware game with interpolation (Reed et al. 2016, algorithm 1 and section 4.3).

With s_r = D(x, t) for a real image and its text, s_w = D(x, t') for a real image and a wrong text, and
s_f = D(G(z, t), t) for a fake and the text that it was made from, all in (0, 1):

    L_D = -log s_r - (log(1 - s_w) + log(1 - s_f)) / 2
    L_G = -log s_f

Without `matching` there is no s_w, and s_f has the weight 1, as in a GAN. With `interpolate`, every second
fake is made from, and judged by, an embedding β φ(t₁) + (1 - β) φ(t₂) of the texts of two images (equation
5): text that no image has. So L_G is the mean of the paper's two terms.

Nothing in these losses asks that z be heeded: images that differ by their texts alone satisfy D for long.
With `seeking`, L_G has a term that grows if they do, that of Mao et al. 2019 (arXiv:1903.05628, equation 4),
the mean over texts of

    λ |z - z'| / |G(z, t) - G(z', t)|

with |.| the mean over components, of images in [-1, 1].
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from genzoo.losses import minimax
from genzoo.rng import BatchRng
from genzoo.shares import mean, on_whole, whole
from genzoo.training import Batch, frozen
from genzoo.training.augment import augment, policy_of
from genzoo_text.options import Matching

APART = 1e-5  # added to the distance of two images, which is 0 as long as z is ignored

if TYPE_CHECKING:
    from genzoo_text.textgan import TextGAN


class MatchingGame:
    """The losses of both players over one model, with the options of the recipe.

    The fakes of D's last turn are handed on to G's first turn; D only ever sees them detached.
    """

    def __init__(self, model: TextGAN, options: Matching) -> None:
        self.model, self.options = model, options
        self.policy = policy_of(options.augment)
        # 1 for words that say what an image shows, 0 for the others and for no word
        said = [0.0, *(float(word not in options.neutral) for word in model.config.vocabulary)]
        self.said = torch.tensor(said, device=model.device)
        self.shown: tuple[Tensor, Tensor] | None = None  # the images and the fakes of D's last turn
        self._handed_on: tuple[Tensor, Tensor] | None = None  # these fakes and their z

    def discriminator_loss(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return L_D; no gradient reaches G."""
        judge, texts = self.model.discriminator, batch.get("condition")
        fake, z = self._made(batch, rng)
        self._handed_on, self.shown = (fake, z), (batch.images, fake.detach())
        embedded = judge.words(texts)  # (N, word_size)
        # gradients of `embedded` are added up from its last use here to its first, which decides their bits
        shown, between = [embedded.view_as(embedded)], self.between(embedded)
        if self.options.matching:
            rows, wrong = on_whole(self.wrong, texts)
            shown.append(whole(embedded)[rows])
        # the right and the wrong text in one call, which recompute=true can repeat
        real = judge(self._inputs(batch.images, rng), *shown).float()  # (N,), or (2, N) if matching
        made = judge(self._inputs(fake.detach(), rng), between).float()
        on_fakes = minimax.fake(made).mean()
        if not self.options.matching:
            return self._right(real) + on_fakes
        losses = minimax.fake(real[1]) * wrong
        # if none is wrong, the sum is 0 as well
        return self._right(real[0]) + (losses.sum() / mean(wrong.sum()).clamp(min=1e-6) + on_fakes) / 2

    def generator_loss(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return L_G on the fakes of D's last turn, or on new ones. Its target is 1, whatever `smooth` is."""
        made, self._handed_on = self._handed_on, None
        if made is None or len(made[0]) != len(batch):
            made = self._made(batch, rng)
        fake, judge = made[0], self.model.discriminator
        with frozen(judge):
            embedded = self.between(judge.words(batch.get("condition")))
            logits = judge(self._inputs(fake, rng), embedded).float()
        loss = minimax.generator_non_saturating(logits)
        if not self.options.seeking:
            return loss
        return loss + self.options.seeking * sameness(made, self._made(batch, rng))

    def wrong(self, texts: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows of a wrong text for each image, see `mismatched`."""
        return mismatched(texts, self.said)

    def between(self, embedded: Tensor) -> Tensor:
        """Return embeddings (N, word_size) of which every second one is moved towards that of the row
        before.
        """
        return on_whole(self._between, embedded) if self.options.interpolate else embedded

    def _between(self, embedded: Tensor) -> Tensor:
        moved = torch.lerp(embedded.roll(1, 0), embedded, self.options.beta)
        odd = torch.arange(len(embedded), device=embedded.device) % 2 == 1
        return torch.where(odd[:, None], moved, embedded)

    def _right(self, logits: Tensor) -> Tensor:
        """Return D's loss for real images with their own text, of the target 1 - smooth."""
        loss = minimax.real(logits).mean()
        if not self.options.smooth:
            return loss
        return (1 - self.options.smooth) * loss + self.options.smooth * minimax.fake(logits).mean()

    def _made(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return one fake for each text of the batch, (N, C, H, W) in [0, 1], and their z."""
        make = self.model.generator
        z = self.model._latents(BatchRng(len(batch), rng))
        images: Tensor = make(z, self.between(make.words(batch.get("condition"))))
        return images.add(1).div(2), z

    def _inputs(self, images: Tensor, rng: torch.Generator) -> Tensor:
        return 2 * augment(images, self.policy, rng) - 1


def sameness(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> Tensor:
    """Return the mean over texts of |z - z'| / |G(z, t) - G(z', t)|: large if z says little.

    Args:
        one: images (N, C, H, W) in [0, 1] and their z (N, latent_size).
        other: images of the same texts and another z.
    """
    apart = 2 * (one[0] - other[0]).float().abs().mean((1, 2, 3))  # (N,), of images in [-1, 1]
    between = (one[1] - other[1]).abs().mean(1)  # (N,)
    return (between / (apart + APART)).mean()


def mismatched(texts: Tensor, said: Tensor) -> tuple[Tensor, Tensor]:
    """Return for each image the row of a text that does not describe it, (N,) int64, and whether there is one
    in the batch, (N,) 0.0 or 1.0.

    Another image's text may describe this one as well: "a yellow flower" a yellow rose. So a text is wrong
    only if each of both texts has a word that the other lacks, of those that count: "a red rose" for "a
    yellow rose", but neither "a rose" nor "a yellow flower". The first such text after the image's own is
    taken; batches are in random order.

    Args:
        texts: (N, L) numbers of words, 0 after the last.
        said: 1 for each word that counts and 0 for the others, (V + 1,).
    """
    count = len(texts)
    bags = said.new_zeros(count, len(said)).scatter_(1, texts, 1.0) * said  # (N, V + 1)
    with torch.autocast(bags.device.type, enabled=False):
        shared = bags @ bags.T  # (N, N): words that two texts share
    words = bags.sum(1)
    fits = (shared == words[:, None]) | (shared == words[None, :])  # (N, N)
    steps = torch.arange(1, max(count, 2), device=texts.device)
    rows = (torch.arange(count, device=texts.device)[:, None] + steps) % count  # (N, N - 1)
    wrong = ~fits.gather(1, rows)
    first = wrong.float().argmax(1, keepdim=True)  # 0 if none is wrong
    return rows.gather(1, first)[:, 0], wrong.any(1).float()
