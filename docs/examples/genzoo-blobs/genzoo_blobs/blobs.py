"""A GAN of two small nets: a generator draws images from noise, a discriminator tells them from real ones."""

from dataclasses import dataclass, field
from math import prod

from torch import Tensor, nn

from genzoo.models import AdversarialModel
from genzoo.schema import limits


@dataclass(frozen=True, kw_only=True)
class BlobsConfig:
    """What the model is built from; every key can be set: `genzoo train blobs --set width=64`."""

    image_shape: tuple[int, int, int] = field(default=(1, 8, 8), metadata=limits(1, 64))
    latent_size: int = field(default=16, metadata=limits(1, 1024))
    width: int = field(default=128, metadata=limits(1, 4096))


class Blobs(AdversarialModel):
    """x = G(z) with z ~ N(0, I): it can be sampled, and has no likelihood."""

    Config = BlobsConfig
    recordable = True  # a turn branches on nothing, so a GPU may record it and play it back

    def __init__(self, config: BlobsConfig) -> None:
        super().__init__()
        self.config = config
        pixels, latents, width = prod(config.image_shape), config.latent_size, config.width
        self.generator = nn.Sequential(
            nn.Linear(latents, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, pixels),
            nn.Sigmoid(),
        )
        self.discriminator = nn.Sequential(
            nn.Linear(pixels, width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, 1),
        )

    def _decode(self, z: Tensor) -> Tensor:  # (N, latent_size)
        images: Tensor = self.generator(z).unflatten(1, self.config.image_shape)
        return images  # (N, C, H, W) in [0, 1]

    def _discriminate(self, x: Tensor) -> Tensor:  # (N, C, H, W)
        logits: Tensor = self.discriminator(2 * x.flatten(1) - 1)  # (N, 1)
        return logits.flatten()  # (N,)
