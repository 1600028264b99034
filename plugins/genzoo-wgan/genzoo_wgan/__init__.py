"""The cards of the WGAN plugin. Nothing here imports torch: cards name their classes as strings."""

from __future__ import annotations

from genzoo import Adversarial, Card, Family, Recipe, hookimpl

genzoo_api = 2

WGAN_PAPER = "Arjovsky, Chintala & Bottou 2017, Wasserstein GAN, arXiv:1701.07875"
GP_PAPER = "Gulrajani et al. 2017, Improved Training of Wasserstein GANs, arXiv:1704.00028"

CARDS = (
    Card(
        name="wgan",
        family=Family.IMPLICIT,
        model="genzoo_wgan.wgan:WGAN",
        # Algorithm 1 of the WGAN paper, with the bursts of its reference code.
        recipe=Recipe(
            command="genzoo train wgan --data digits --set image_size=8x8 --set channels=1",
            data="digits",
            steps=2_000,
            lr={"all": 5e-5},
            turns={"discriminator": 5},
            optimizer={"all": "rmsprop"},
            game=Adversarial(objective="wasserstein", weight_clip=0.01, bursts=True),
        ),
        summary="Wasserstein GAN with clipped weights, the nets of DCGAN",
        paper=WGAN_PAPER,
    ),
    Card(
        name="wgan-gp",
        family=Family.IMPLICIT,
        model="genzoo_wgan.wgan_gp:WGANGP",
        # Algorithm 1 of the WGAN-GP paper.
        recipe=Recipe(
            command="genzoo train wgan-gp --data digits --set image_size=8x8 --set channels=1",
            data="digits",
            steps=2_000,
            lr={"all": 1e-4},
            turns={"discriminator": 5},
            betas=(0.0, 0.9),
            game=Adversarial(objective="wasserstein", gp_weight=10.0),
        ),
        summary="Wasserstein GAN with a gradient penalty, the nets of DCGAN with layer norm in D",
        paper=GP_PAPER,
    ),
    Card(
        name="wgan-gp-resnet",
        family=Family.IMPLICIT,
        model="genzoo_wgan.resnet:ResNetWGANGP",
        recipe=Recipe(
            command="genzoo train wgan-gp-resnet --data digits --set image_size=8x8 --set channels=1",
            data="digits",
            steps=2_000,
            lr={"all": 1e-4},
            turns={"discriminator": 5},
            betas=(0.0, 0.9),
            game=Adversarial(objective="wasserstein", gp_weight=10.0),
        ),
        summary="Wasserstein GAN with a gradient penalty, residual nets",
        paper=GP_PAPER,
    ),
    Card(
        name="wgan-bedrooms",
        family=Family.IMPLICIT,
        model="genzoo_wgan.wgan:WGAN",
        config={"image_shape": (3, 64, 64), "width": 40, "discriminator_width": 32, "upsample": "balanced"},
        # The networks, photographs, augmentation and weight averages of dcgan-bedrooms. The learning rate is
        # four times the paper's, because there are few rounds. The first run had plain kernels and constant
        # rates.
        recipe=Recipe(
            command="genzoo train wgan-bedrooms --init-from runs/first --set upsample=balanced",
            data="bedrooms",
            steps=2_500,
            lr_decay=1.0,
            turns={"discriminator": 5},
            optimizer={"all": "rmsprop"},
            flip=True,
            ema=0.9995,
            save_dtype="float16",
            game=Adversarial(
                objective="wasserstein", weight_clip=0.01, augment=("color", "translation", "cutout")
            ),
        ),
        summary="Bedrooms, 3×64×64, with clipped weights",
        paper=WGAN_PAPER,
    ),
    Card(
        name="wgan-gp-bedrooms",
        family=Family.IMPLICIT,
        model="genzoo_wgan.wgan_gp:WGANGP",
        config={"image_shape": (3, 64, 64), "width": 40, "discriminator_width": 32, "upsample": "balanced"},
        # One critic turn per round instead of five, at three times the learning rate of G (two time-scale
        # update rule, Heusel et al. 2017), and twice the paper's rate for G: turns of G are what is scarce.
        # This is the last of four runs; the first had plain kernels, and the first two stronger augmentation.
        recipe=Recipe(
            command="genzoo train wgan-gp-bedrooms --init-from runs/third --set seed=2",
            data="bedrooms",
            steps=3_500,
            lr={"generator": 2e-4, "discriminator": 6e-4},
            lr_decay=1.0,
            betas=(0.0, 0.9),
            flip=True,
            ema=0.9995,
            save_dtype="float16",
            game=Adversarial(objective="wasserstein", gp_weight=10.0, augment=("translation",)),
        ),
        summary="Bedrooms, 3×64×64, with a gradient penalty",
        paper=GP_PAPER,
    ),
)


@hookimpl
def genzoo_cards() -> list[Card]:
    """Return the cards: three architectures, and two games trained on the lecture's bedrooms."""
    return list(CARDS)
