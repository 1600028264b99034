"""The cards of the WGAN plugin. Nothing here imports torch: the classes are named, not loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genzoo import Adversarial, Card, Family, Recipe, hookimpl

genzoo_api = 2  # the plugin interface that this package was made for

WGAN_PAPER = "Arjovsky, Chintala & Bottou 2017, Wasserstein GAN, arXiv:1701.07875"
GP_PAPER = "Gulrajani et al. 2017, Improved Training of Wasserstein GANs, arXiv:1704.00028"

# Algorithm 1 of the WGAN paper, with the bursts of its reference code.
_WGAN = Recipe(
    command="genzoo train wgan --data digits --set image_size=8x8 --set channels=1",
    data="digits",
    steps=2_000,
    batch=64,
    rate={"all": 5e-5},
    optimizer={"all": "rmsprop"},
    turns={"discriminator": 5},
    game=Adversarial(objective="wasserstein", clip=0.01, bursts=True),
)

# Algorithm 1 of the WGAN-GP paper.
_WGAN_GP = Recipe(
    command="genzoo train wgan-gp --data digits --set image_size=8x8 --set channels=1",
    data="digits",
    steps=2_000,
    batch=64,
    rate={"all": 1e-4},
    betas=(0.0, 0.9),
    turns={"discriminator": 5},
    game=Adversarial(objective="wasserstein", penalty=10.0),
)

_RESNET = _WGAN_GP.replace(
    command="genzoo train wgan-gp-resnet --data digits --set image_size=8x8 --set channels=1"
)

# The bedrooms have the nets of dcgan-bedrooms (but for the critic's norm under the penalty), its images, its
# augmentation and its averages: what differs is the game.
_NETS: dict[str, Any] = {"image_shape": (3, 64, 64), "width": 40, "discriminator_width": 32}
_AUGMENT = ("color", "translation", "cutout")
_SHARED: dict[str, Any] = {"data": "bedrooms", "flip": True, "ema": 0.999, "storage": "float16"}
_GPU = "NVIDIA H200, shared by ten runs"
# Four times the paper's rate, since the rounds are few.
_BEDROOMS = _WGAN.replace(
    command="genzoo train wgan-bedrooms",
    hardware=_GPU,
    time="8 min",
    score=(
        "KID[gist-v1] 0.165 ± 0.020 against 439 held-out photographs, where training photographs reach "
        "-0.004 ± 0.003"
    ),
    steps=18_000,
    rate={"all": 2e-4},
    game=Adversarial(objective="wasserstein", clip=0.01, augment=_AUGMENT),
    **_SHARED,
)
# One critic turn a round at three times G's rate (Heusel et al. 2017, "two time-scale update rule") instead
# of five, and twice the paper's rate for G: turns of G are what is scarce.
_GP_BEDROOMS = _WGAN_GP.replace(
    command="genzoo train wgan-gp-bedrooms",
    hardware=_GPU,
    time="8 min",
    score=(
        "KID[gist-v1] 0.040 ± 0.005 against 439 held-out photographs, where training photographs reach "
        "-0.004 ± 0.003"
    ),
    steps=32_000,
    turns={},
    rate={"generator": 2e-4, "discriminator": 6e-4},
    game=Adversarial(objective="wasserstein", penalty=10.0, augment=_AUGMENT),
    **_SHARED,
)


def _card(name: str, model: str, recipe: Recipe, summary: str, paper: str, config: Mapping[str, Any]) -> Card:
    return Card(
        name=name,
        family=Family.IMPLICIT,
        model=f"genzoo_wgan.{model}",
        config=config,
        recipe=recipe,
        summary=summary,
        paper=paper,
    )


@hookimpl
def genzoo_cards() -> list[Card]:
    """Return the cards: three architectures, and the bedrooms of the lecture in two games."""
    layered = "Wasserstein GAN with a gradient penalty, the nets of DCGAN with layer norm in D"
    return [
        _card(
            "wgan",
            "wgan:WGAN",
            _WGAN,
            "Wasserstein GAN with clipped weights, the nets of DCGAN",
            WGAN_PAPER,
            {},
        ),
        _card("wgan-gp", "wgan_gp:WGANGP", _WGAN_GP, layered, GP_PAPER, {}),
        _card(
            "wgan-gp-resnet",
            "resnet:ResNetWGANGP",
            _RESNET,
            "Wasserstein GAN with a gradient penalty, residual nets",
            GP_PAPER,
            {},
        ),
        _card(
            "wgan-bedrooms",
            "wgan:WGAN",
            _BEDROOMS,
            "Bedrooms, 3×64×64, with clipped weights",
            WGAN_PAPER,
            _NETS,
        ),
        _card(
            "wgan-gp-bedrooms",
            "wgan_gp:WGANGP",
            _GP_BEDROOMS,
            "Bedrooms, 3×64×64, with a gradient penalty",
            GP_PAPER,
            _NETS,
        ),
    ]
