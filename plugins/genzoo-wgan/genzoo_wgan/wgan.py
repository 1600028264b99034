"""Wasserstein GAN (Arjovsky, Chintala & Bottou 2017, arXiv:1701.07875): the nets of DCGAN, and a critic that
measures a distance.

What makes it a WGAN is the game, not the nets: `objective=wasserstein`, `weight_clip=0.01`, five critic turns
to one of G, RMSProp. So the same nets play any other game, and a DCGAN can play this one.
"""

from __future__ import annotations

from genzoo_dcgan.dcgan import ConvolutionalGAN, DCGANConfig, discriminator, generator, initialise


class WGAN(ConvolutionalGAN):
    """G: z (N, latent_size) → images; the critic: images → numbers. z is Gaussian; batch norm in both nets,
    as in the paper.
    """

    Config = DCGANConfig

    def __init__(self, config: DCGANConfig) -> None:
        super().__init__()
        self.config = config
        self.generator = generator(config)
        self.discriminator = discriminator(config)
        self.apply(initialise)
