"""The cards of the feature nets. Nothing here imports torch: the classes are named, not loaded."""

from __future__ import annotations

from typing import Any

from genzoo import Card, Family, Recipe, hookimpl

genzoo_api = 2  # the plugin interface that this package was made for

PAPER = (
    "Heusel et al. 2017, GANs Trained by a Two Time-Scale Update Rule, arXiv:1706.08500; a net of "
    "the data set in Inception's place"
)

_CORE = "1 core of an AMD EPYC (Zen 4), bf16"


def _recipe(name: str, data: str, steps: int, **changes: Any) -> Recipe:
    common: dict[str, Any] = {"batch": 100, "rate": {"all": 2e-3}, "cooldown": 0.8, "storage": "float16"}
    return Recipe(command=f"genzoo train {name}", data=data, steps=steps, **{**common, **changes})


def _net(name: str, summary: str, recipe: Recipe, **config: Any) -> Card:
    return Card(
        name=name,
        family=Family.CLASSIFIER,
        model="genzoo_features.net:FeatureNet",
        config=config,
        recipe=recipe,
        summary=summary,
        paper=PAPER,
    )


@hookimpl
def genzoo_cards() -> list[Card]:
    """Return the cards: the architecture, and what it has learned to tell apart. A recipe's data set is the
    one that a net measures.
    """
    command = "genzoo train features --data digits --set image_size=8x8 --set channels=1"
    return [
        _net(
            "features",
            "Small classifier, any size",
            _recipe("features", "digits", 300).replace(command=command),
        ),
        _net(
            "features-mnist",
            "Tells handwritten digits apart, 1×28×28",
            _recipe("features-mnist", "mnist", 3_000).replace(
                hardware=_CORE,
                time="16 min, the core shared",
                score="accuracy 0.990 ± 0.001 on the 10,000 test images",
            ),
            image_shape=(1, 28, 28),
        ),
        _net(
            "features-cifar10",
            "Tells the ten kinds of CIFAR-10 apart, 3×32×32",
            _recipe("features-cifar10", "cifar10", 3_000, flip=True).replace(
                hardware=_CORE,
                time="16 min, the core shared",
                score="accuracy 0.730 ± 0.014 on the 1,000 lossless test images",
            ),
            image_shape=(3, 32, 32),
        ),
    ]
