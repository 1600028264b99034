"""The cards of the feature nets. Nothing here imports torch: the classes are named, not loaded."""

from __future__ import annotations

from genzoo import Card, Classification, Family, Recipe, hookimpl

genzoo_api = 2

PAPER = (
    "Heusel et al. 2017, GANs Trained by a Two Time-Scale Update Rule, arXiv:1706.08500; a net of "
    "the data set in Inception's place"
)

# Samples differ from photographs in texture first: blur, noise and lattices must not decide the class.
_SEEN = ("color", "translation", "genzoo_features.breaking:texture")

CARDS = (
    Card(
        name="features",
        family=Family.CLASSIFIER,
        model="genzoo_features.net:FeatureNet",
        recipe=Recipe(
            command="genzoo train features --data digits --set image_size=8x8 --set channels=1",
            data="digits",
            steps=300,
            batch_size=100,
            lr={"all": 2e-3},
            lr_decay=0.8,
            save_dtype="float16",
        ),
        summary="Small classifier, any size",
        paper=PAPER,
    ),
    Card(
        name="features-mnist",
        family=Family.CLASSIFIER,
        model="genzoo_features.net:FeatureNet",
        config={"image_shape": (1, 28, 28)},
        recipe=Recipe(
            data="mnist", steps=3_000, batch_size=100, lr={"all": 2e-3}, lr_decay=0.8, save_dtype="float16"
        ),
        summary="Classifies handwritten digits, 1×28×28",
        paper=PAPER,
    ),
    Card(
        name="features-cifar10",
        family=Family.CLASSIFIER,
        model="genzoo_features.net:FeatureNet",
        config={"image_shape": (3, 32, 32)},
        recipe=Recipe(
            data="cifar10",
            steps=3_000,
            batch_size=100,
            lr={"all": 2e-3},
            lr_decay=0.8,
            flip=True,
            save_dtype="float16",
        ),
        summary="Classifies the ten classes of CIFAR-10, 3×32×32",
        paper=PAPER,
    ),
    Card(
        name="features-rooms",
        family=Family.CLASSIFIER,
        model="genzoo_features.net:FeatureNet",
        config={
            "image_shape": (3, 64, 64),
            "classes": 4,
            "depth": 1,
            "names": ("bedroom", "dining room", "kitchen", "living room"),
        },
        recipe=Recipe(
            data="rooms",
            steps=2_800,
            lr={"all": 2e-3},
            optimizer={"all": "muon"},
            lr_decay=0.9,
            flip=True,
            ema=0.999,
            save_dtype="float16",
            game=Classification(augment=_SEEN),
        ),
        summary="Tells bedrooms, dining rooms, kitchens and living rooms apart, 3×64×64",
        paper=PAPER,
    ),
    Card(
        name="features-faces",
        family=Family.CLASSIFIER,
        model="genzoo_features.wholeness:WholenessNet",
        config={"image_shape": (3, 64, 64), "depth": 1, "names": ("whole", "broken")},
        # Each of the 32 faces is seen twice: whole and broken.
        recipe=Recipe(
            data="faces",
            steps=2_400,
            batch_size=32,
            lr={"all": 2e-3},
            optimizer={"all": "muon"},
            lr_decay=0.9,
            flip=True,
            ema=0.999,
            save_dtype="float16",
            game=Classification(augment=_SEEN),
        ),
        summary="Tells whole faces from broken ones, 3×64×64",
        paper=PAPER,
    ),
    Card(
        name="features-horses",
        family=Family.CLASSIFIER,
        model="genzoo_features.net:FeatureNet",
        config={"image_shape": (3, 64, 64), "classes": 2, "names": ("horse", "zebra")},
        recipe=Recipe(
            data="horses-zebras",
            steps=1_000,
            batch_size=32,
            lr={"all": 2e-3},
            optimizer={"all": "muon"},
            lr_decay=0.9,
            flip=True,
            ema=0.99,
            save_dtype="float16",
            game=Classification(augment=_SEEN),
        ),
        summary="Tells horses from zebras, 3×64×64",
        paper=PAPER,
    ),
)


@hookimpl
def genzoo_cards() -> list[Card]:
    """Return the cards: the architecture, and the nets trained on each data set. The data set in a net's
    recipe is the one that it measures.
    """
    return list(CARDS)
