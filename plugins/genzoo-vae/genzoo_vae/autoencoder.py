"""The autoencoder of the lecture: four convolutions down, four up, L2 loss.

It has only codes and reconstructions: no prior over codes to sample from, and no p(x). It is useful for what
its encoder learns without labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor, nn

from genzoo import Recipe
from genzoo.layers import StridedConv2d, StridedConvTranspose2d
from genzoo.losses.likelihood import dimensions
from genzoo.losses.reconstruction import squared_error
from genzoo.models import EncodingModel
from genzoo.schema import limits
from genzoo.training import Batch, Player, players
from genzoo_vae.nets import Crop, Enlarge, base_of

LAYERS = 4


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig:
    """Config of an autoencoder.

    Attributes:
        image_shape: (C, H, W), any; sides are padded internally to a multiple of 16.
        width: channels of the first map; they double with each halving.
        code_channels: channels of the code, which has one position for each 16 × 16 pixels.
    """

    image_shape: tuple[int, int, int] = field(default=(3, 32, 32), metadata=limits(1, 1024))
    width: int = field(default=32, metadata=limits(1, 256))
    code_channels: int = field(default=64, metadata=limits(1, 1024))


class Autoencoder(EncodingModel):
    """x → z → x̂, z the last map of the encoder, laid out in a row."""

    Config = AutoencoderConfig

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        shape, widths = config.image_shape, [config.width * 2**i for i in range(LAYERS - 1)]
        self.encoder = nn.Sequential(
            Enlarge(shape, LAYERS), *_down([shape[0], *widths, config.code_channels]), nn.Flatten()
        )
        code = (config.code_channels, *base_of(shape, LAYERS))
        ups = _up([config.code_channels, *widths[::-1], shape[0]])
        self.decoder = nn.Sequential(nn.Unflatten(1, code), *ups, Crop(shape), nn.Sigmoid())

    @property
    def latent_size(self) -> int:
        """The number of components of the code."""
        height, width = base_of(self.image_shape, LAYERS)
        return dimensions((self.config.code_channels, height, width))

    def _encode(self, x: Tensor) -> Tensor:
        code: Tensor = self.encoder(x)
        return code

    def _decode(self, z: Tensor) -> Tensor:
        images: Tensor = self.decoder(z)
        return images


@players.register
def autoencoder_players(model: Autoencoder, recipe: Recipe) -> Sequence[Player]:
    """Return the one player of the reconstruction game, named "model": it minimises the squared error, summed
    over pixels.
    """

    def loss(batch: Batch, rng: torch.Generator) -> Tensor:
        images = batch.images
        return squared_error(images, model._decode(model._encode(images)).float()).mean()

    return [Player(name="model", module=model, loss=loss, turns=recipe.turns_of("model"), average=True)]


def _down(channels: list[int]) -> Iterator[nn.Module]:
    """Yield strided convolutions with a ReLU between them; none after the last, so a code can have either
    sign.
    """
    for i, (narrow, wide) in enumerate(pairwise(channels)):
        if i:
            yield nn.ReLU()
        yield StridedConv2d(narrow, wide, 4, stride=2, padding=1)


def _up(channels: list[int]) -> Iterator[nn.Module]:
    """Yield transposed convolutions with a ReLU between them."""
    for i, (wide, narrow) in enumerate(pairwise(channels)):
        if i:
            yield nn.ReLU()
        yield StridedConvTranspose2d(wide, narrow, 4, stride=2, padding=1)
