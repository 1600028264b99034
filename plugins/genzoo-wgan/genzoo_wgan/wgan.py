"""Wasserstein GAN (Arjovsky, Chintala & Bottou 2017, arXiv:1701.07875): the networks of DCGAN, with a critic
that estimates a distance.

The game makes it a WGAN, not the networks: `objective=wasserstein`, `weight_clip=0.01`, five critic turns per
turn of G, RMSProp. So these networks can play any other game, and a DCGAN can play this one.
"""

from __future__ import annotations

from genzoo_dcgan.dcgan import ConvolutionalGAN, DCGANConfig, discriminator, generator, initialise


class WGAN(ConvolutionalGAN):
    """G: z (N, latent_size) → images; the critic: images → numbers. z is Gaussian. Both networks use batch
    norm, as in the paper.
    """

    Config = DCGANConfig

    def __init__(self, config: DCGANConfig) -> None:
        super().__init__()
        self.config = config
        self.generator = generator(config)
        self.discriminator = discriminator(config)
        self.apply(initialise)
