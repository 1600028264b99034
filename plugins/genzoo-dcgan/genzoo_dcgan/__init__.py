"""The cards of the DCGAN plugin. Nothing here imports torch: the classes are named, not loaded."""

from __future__ import annotations

from genzoo import Adversarial, Card, Family, Labels, Recipe, hookimpl

genzoo_api = 2

PAPER = (
    "Radford, Metz & Chintala 2016, Unsupervised Representation Learning with Deep Convolutional "
    "GANs, arXiv:1511.06434"
)
PROJECTION = "Miyato & Koyama 2018, cGANs with Projection Discriminator, arXiv:1802.05637"

CARDS = (
    Card(
        name="dcgan",
        family=Family.IMPLICIT,
        model="genzoo_dcgan.dcgan:DCGAN",
        # The paper's optimiser (section 4): Adam, learning rate 0.0002, beta1 0.5.
        recipe=Recipe(
            command="genzoo train dcgan --data digits --set image_size=8x8 --set channels=1",
            data="digits",
            steps=2_000,
            batch_size=128,
            betas=(0.5, 0.999),
        ),
        summary="Deep convolutional GAN, any size that strides of 2 allow",
        paper=PAPER,
    ),
    Card(
        name="dcgan-mnist",
        family=Family.IMPLICIT,
        model="genzoo_dcgan.dcgan:DCGAN",
        config={"image_shape": (1, 28, 28)},
        recipe=Recipe(
            data="mnist",
            steps=30_000,
            batch_size=128,
            lr_decay=0.3,
            betas=(0.5, 0.999),
            ema=0.999,
            save_dtype="float16",
        ),
        summary="Handwritten digits, 1×28×28",
        paper=PAPER,
    ),
    Card(
        name="dcgan-bedrooms",
        family=Family.IMPLICIT,
        model="genzoo_dcgan.dcgan:DCGAN",
        config={"image_shape": (3, 64, 64), "width": 40, "discriminator_width": 32, "upsample": "balanced"},
        # 4,379 photographs are few: differentiable augmentation keeps D from memorising them, and D learns at
        # twice the rate of G. This is the last of four runs; the third was given all rooms.
        recipe=Recipe(
            data="bedrooms",
            command="genzoo train dcgan-bedrooms --init-from runs/third",
            steps=4_000,
            lr={"generator": 2e-4, "discriminator": 4e-4},
            lr_decay=1.0,
            betas=(0.5, 0.999),
            flip=True,
            ema=0.9995,
            save_dtype="float16",
            game=Adversarial(augment=("color", "translation", "cutout")),
        ),
        summary="Bedrooms, 3×64×64, from a few thousand photographs",
        paper=PAPER,
    ),
    Card(
        name="dcgan-faces",
        family=Family.IMPLICIT,
        model="genzoo_dcgan.dcgan:DCGAN",
        config={"image_shape": (3, 64, 64), "width": 48, "discriminator_width": 40, "upsample": "balanced"},
        # The last of three runs; the first two had colours and cutouts in their augmentation as well.
        recipe=Recipe(
            data="faces",
            command="genzoo train dcgan-faces --init-from runs/second --set seed=1",
            steps=7_000,
            lr={"generator": 2e-4, "discriminator": 4e-4},
            lr_decay=0.7,
            betas=(0.5, 0.999),
            flip=True,
            ema=0.9995,
            save_dtype="float16",
            game=Adversarial(augment=("translation",)),
        ),
        summary="Faces of public figures, 3×64×64: the ones whose vectors can be added",
        paper=PAPER,
    ),
    Card(
        name="dcgan-rooms",
        family=Family.IMPLICIT,
        model="genzoo_dcgan.conditional:ConditionalDCGAN",
        condition=Labels(("bedroom", "dining room", "kitchen", "living room")),
        config={"image_shape": (3, 64, 64), "width": 40, "discriminator_width": 32, "upsample": "balanced"},
        recipe=Recipe(
            command="genzoo train dcgan-rooms --init-from dcgan-bedrooms",
            data="rooms",
            steps=5_000,
            lr={"generator": 2e-4, "discriminator": 4e-4},
            lr_decay=0.3,
            betas=(0.5, 0.999),
            flip=True,
            ema=0.9995,
            save_dtype="float16",
            game=Adversarial(augment=("color", "translation", "cutout")),
        ),
        summary="Rooms of four kinds, 3×64×64: say which",
        paper=f"{PAPER}; {PROJECTION}",
    ),
)


@hookimpl
def genzoo_cards() -> list[Card]:
    """Return the cards: the architecture, digits, the rooms and faces of the lecture, and labelled rooms."""
    return list(CARDS)
