"""The cards of the DCGAN plugin. Nothing here imports torch: the classes are named, not loaded."""

from __future__ import annotations

from genzoo import Adversarial, Card, Family, Recipe, hookimpl

genzoo_api = 2  # the plugin interface that this package was made for

PAPER = (
    "Radford, Metz & Chintala 2016, Unsupervised Representation Learning with Deep Convolutional "
    "GANs, arXiv:1511.06434"
)

# The paper's optimiser (section 4): Adam, learning rate 0.0002, beta1 0.5.
_PAPER = Recipe(
    command="genzoo train dcgan --data digits --set image_size=8x8 --set channels=1",
    data="digits",
    steps=2_000,
    batch=128,
    rate={"all": 2e-4},
    betas=(0.5, 0.999),
)

# 4,379 photographs are few: differentiable augmentation keeps D from learning them by heart, and D learns at
# twice G's rate.
_BEDROOMS = Recipe(
    command="genzoo train dcgan-bedrooms",
    hardware="2 cores of an AMD EPYC (Zen 4), bf16",
    time="2 h 33 min",
    score=(
        "KID[gist-v1] 0.022 ± 0.006 against 439 held-out photographs, where training photographs reach "
        "-0.004 ± 0.003"
    ),
    data="bedrooms",
    steps=23_500,
    batch=64,
    rate={"generator": 2e-4, "discriminator": 4e-4},
    betas=(0.5, 0.999),
    flip=True,
    ema=0.999,
    storage="float16",
    game=Adversarial(augment=("color", "translation", "cutout")),
)

_GPU = "NVIDIA H200, shared by ten runs"

_MNIST = _PAPER.replace(
    command="genzoo train dcgan-mnist",
    hardware=_GPU,
    time="3 min",
    score="FID[features-mnist] 0.94 where training images reach 0.04, KID 0.0065 ± 0.0005",
    data="mnist",
    steps=30_000,
    cooldown=0.3,
    ema=0.999,
    storage="float16",
)

# As the bedrooms; a mirrored face is a face as well.
_FACES = _BEDROOMS.replace(
    command="genzoo train dcgan-faces",
    hardware=_GPU,
    time="8 min",
    score=(
        "KID[gist-v1] 0.091 ± 0.017 against 914 faces of other persons, where training faces reach "
        "0.003 ± 0.005"
    ),
    data="faces",
    steps=61_500,
)


@hookimpl
def genzoo_cards() -> list[Card]:
    """Return the cards: the architecture, digits, and the bedrooms and faces of the lecture."""
    return [
        Card(
            name="dcgan",
            family=Family.IMPLICIT,
            model="genzoo_dcgan.dcgan:DCGAN",
            recipe=_PAPER,
            summary="Deep convolutional GAN, any size that strides of 2 allow",
            paper=PAPER,
        ),
        Card(
            name="dcgan-mnist",
            family=Family.IMPLICIT,
            model="genzoo_dcgan.dcgan:DCGAN",
            config={"image_shape": (1, 28, 28)},
            recipe=_MNIST,
            summary="Handwritten digits, 1×28×28",
            paper=PAPER,
        ),
        Card(
            name="dcgan-bedrooms",
            family=Family.IMPLICIT,
            model="genzoo_dcgan.dcgan:DCGAN",
            config={"image_shape": (3, 64, 64), "width": 40, "discriminator_width": 32},
            recipe=_BEDROOMS,
            summary="Bedrooms, 3×64×64, from a few thousand photographs",
            paper=PAPER,
        ),
        Card(
            name="dcgan-faces",
            family=Family.IMPLICIT,
            model="genzoo_dcgan.dcgan:DCGAN",
            config={"image_shape": (3, 64, 64), "width": 48, "discriminator_width": 40},
            recipe=_FACES,
            summary="Faces of public figures, 3×64×64: the ones whose vectors can be added",
            paper=PAPER,
        ),
    ]
