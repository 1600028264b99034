"""The networks of text to image (Reed et al. 2016, section 4): a DCGAN whose two nets also take a text.

The paper reads texts by a recurrent net that was trained beforehand on long sentences by people. Captions
here are templates of a few words, whose order says little, and no trained net may be downloaded. So a text is
the sum of a vector for each of its words, learned in the game by each net for itself. Being linear, it can be
interpolated, as GAN-INT asks, and a colour adds the same vector to every kind of flower.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from genzoo_dcgan.dcgan import UPSAMPLING, DCGANConfig, channels, discriminator, generator, stages
from torch import Tensor, nn

from genzoo.layers import decoded
from genzoo.schema import limits
from genzoo_text.words import flower_text

JOINS = ("concatenate", "project")
FLOWERS = flower_text()


@dataclass(frozen=True, kw_only=True)
class TextGANConfig:
    """Config of a GAN that takes a text.

    Attributes:
        vocabulary: the known words.
        text_length: the largest number of words in a text.
        sentences: examples of texts.
        image_shape: (C, H, W), C = 1 or 3; H and W as a DCGAN takes them.
        latent_size: components of z; 100 in the paper.
        width: channels of the generator's last hidden layer.
        discriminator_width: channels of the discriminator's first layer; None = width.
        word_size: components of G's vector of a word.
        text_size: components that G, and D if it concatenates, compress a text to; 128 in the paper.
        join: how D compares a text with its smallest map: "concatenate" appends the compressed text at every
            position and mixes both by a 1 × 1 convolution, as in the paper; "project" adds the scalar product
            of the text and the map's sum to the logit (Miyato & Koyama 2018).
        upsample: how G doubles its maps, "plain" or "balanced", see genzoo_dcgan.
    """

    vocabulary: tuple[str, ...] = field(default=FLOWERS.vocabulary, metadata=limits())
    text_length: int = field(default=FLOWERS.length, metadata=limits(1, 1000))
    sentences: tuple[str, ...] = field(default=FLOWERS.sentences, metadata=limits())
    image_shape: tuple[int, int, int] = field(default=(3, 64, 64), metadata=limits(1, 1024))
    latent_size: int = field(default=100, metadata=limits(1, 4096))
    width: int = field(default=64, metadata=limits(1, 512))
    discriminator_width: int | None = field(default=None, metadata=limits(1, 512))
    word_size: int = field(default=64, metadata=limits(1, 4096))
    text_size: int = field(default=128, metadata=limits(1, 4096))
    join: str = field(default="concatenate", metadata=limits(choices=JOINS))
    upsample: str = field(default="balanced", metadata=limits(choices=tuple(UPSAMPLING)))


def dcgan_of(config: TextGANConfig) -> DCGANConfig:
    """Return the config of the DCGAN whose nets are used; G's input is z with a text appended."""
    return DCGANConfig(
        image_shape=config.image_shape,
        latent_size=config.latent_size + config.text_size,
        width=config.width,
        discriminator_width=config.discriminator_width,
        upsample=config.upsample,
    )


class Words(nn.Module):
    """Texts (N, L), numbers of words and 0 after the last → the sums of the words' vectors, (N, size).

    A sum, not a mean: a mean would shrink what "yellow" adds by the length of the text.
    """

    def __init__(self, words: int, size: int) -> None:
        super().__init__()
        self.vectors = nn.Embedding(words + 1, size, padding_idx=0)  # the vector of 0 stays 0

    def forward(self, texts: Tensor) -> Tensor:
        """Return the embeddings of `texts`; of one without a word, 0."""
        vectors: Tensor = self.vectors(texts)  # (N, L, size)
        return vectors.sum(1)


class Generator(nn.Module):
    """z (N, latent_size) and embedded texts (N, word_size) → images (N, C, H, W) in [-1, 1]."""

    def __init__(self, config: TextGANConfig) -> None:
        super().__init__()
        self.words = Words(len(config.vocabulary), config.word_size)
        self.compress = _compress(config.word_size, config.text_size)
        self.net = generator(dcgan_of(config))

    def forward(self, z: Tensor, embedded: Tensor) -> Tensor:
        """Return the images of latents and embedded texts."""
        return decoded(self.net, torch.cat([z, self.compress(embedded)], 1)[:, :, None, None])


class Discriminator(nn.Module):
    """Images (N, C, H, W) in [-1, 1] and embedded texts → logits (N,): large where the image is real and fits
    its text. `features` look at the image alone, so several texts are compared with it in one call.
    """

    def __init__(self, config: TextGANConfig) -> None:
        super().__init__()
        own = dcgan_of(config)
        layers = list(discriminator(own))
        count, _ = stages(config.image_shape)
        width = channels(config.discriminator_width or config.width, count)[-1]
        projects = config.join == "project"
        self.words = Words(len(config.vocabulary), width if projects else config.word_size)
        self.features, self.head = nn.Sequential(*layers[:-1]), layers[-1]
        self.joint = None if projects else Joint(config, width)
        if projects:  # as every other weight of D
            with torch.no_grad():
                self.words.vectors.weight.normal_(0.0, 0.02)[0] = 0

    def forward(self, x: Tensor, embedded: Tensor, *others: Tensor) -> Tensor:
        """Return the logits of images and embedded texts, (N,); with `others`, other texts of the same
        images, those of each text, (1 + len(others), N).
        """
        maps = self.features(x)
        logits = [self.judge(maps, texts) for texts in (embedded, *others)]
        return torch.stack(logits) if others else logits[0]

    def judge(self, maps: Tensor, embedded: Tensor) -> Tensor:
        """Return the logits (N,) of `features` (N, width, h, w) and embedded texts."""
        if self.joint is not None:
            logits: Tensor = self.head(self.joint(maps, embedded)).flatten()
            return logits
        logits = self.head(maps).flatten() + (embedded * maps.sum((2, 3))).sum(1)
        return logits  # noqa: RET504 - typed above


class Joint(nn.Module):
    """Maps with a compressed text appended at every position, mixed by a 1 × 1 convolution (section 4.1)."""

    def __init__(self, config: TextGANConfig, width: int) -> None:
        super().__init__()
        self.compress = _compress(config.word_size, config.text_size)
        self.mix = nn.Sequential(
            nn.Conv2d(width + config.text_size, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.LeakyReLU(0.2, inplace=True),
        )

    def forward(self, maps: Tensor, embedded: Tensor) -> Tensor:
        """Return (N, width, h, w) of `maps` of this shape and embedded texts (N, word_size)."""
        text = self.compress(embedded)[:, :, None, None].expand(-1, -1, *maps.shape[2:])
        mixed: Tensor = self.mix(torch.cat([maps, text], 1))
        return mixed


def _compress(size: int, text_size: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, text_size), nn.LeakyReLU(0.2))
