"""WGAN with a gradient penalty (Gulrajani et al. 2017, arXiv:1704.00028): the networks of DCGAN, without
batch norm in the critic.

The penalty constrains the critic's gradient at each image, which under batch norm depends on the other images
of the batch. Layer norm (the default here, as in the paper), `discriminator_norm=none`, `instance` and
`spectral` see one image at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from genzoo_dcgan.dcgan import (
    DISCRIMINATOR_NORMS,
    ConvolutionalGAN,
    DCGANConfig,
    discriminator,
    generator,
    initialise,
)

from genzoo.schema import limits


@dataclass(frozen=True, kw_only=True)
class WGANGPConfig(DCGANConfig):
    """Config of a WGAN-GP: the keys of a DCGAN, with layer norm in the critic."""

    discriminator_norm: str | None = field(default="layer", metadata=limits(choices=DISCRIMINATOR_NORMS))


class WGANGP(ConvolutionalGAN):
    """G: z (N, latent_size) → images; the critic: images → numbers. z is Gaussian."""

    Config = WGANGPConfig

    def __init__(self, config: WGANGPConfig) -> None:
        super().__init__()
        self.config = config
        self.generator = generator(config)
        self.discriminator = discriminator(config)
        self.apply(initialise)
