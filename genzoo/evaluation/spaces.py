"""Feature spaces: in what images are described before sets of them are compared. Each has a name with a
digest, for the records.

GIST needs no weights and is always at hand. A feature net is a published `ClassifyingModel`: its name, and
the first digits of the sha256 of its weights, stand in every record that was measured in it. Where no space
is asked for, a data set is measured in the net whose recipe says that it was trained on that set, and in GIST
where no such net is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from genzoo import hub
from genzoo.card import Card
from genzoo.data.collection import Images
from genzoo.errors import ArgumentError, HubError
from genzoo.evaluation.gist import FEATURES, gist
from genzoo.evaluation.inputs import Progress, as_pixels
from genzoo.ledger import Ledger, load_ledgers
from genzoo.models.classifier import ClassifyingModel
from genzoo.models.weights import build_filled
from genzoo.registry import installed

GIST_NAME = "gist"
DIGITS = 12  # of a sha256 in a record
CHUNK = 256  # images at a time


@dataclass(frozen=True, kw_only=True)
class FeatureSpace:
    """A way to describe images.

    Attributes:
        name: with a digest: "gist-v1@001ecadca61e", "features-mnist@" and twelve digits of the sha256 of its
            weights.
        describe: uint8 images (N, C, H, W), and who is told (what, done, total) → features (N, F) float64.
        standardised: whether each feature is to be centred and scaled by training images; those of a net are
            taken as it gives them.
    """

    name: str
    describe: Callable[[Tensor, Progress | None], Tensor]
    standardised: bool = False


GIST = FeatureSpace(name=FEATURES, describe=gist, standardised=True)


def feature_space(name: str | None, images: Images) -> FeatureSpace:
    """Return the space called `name`, "gist" or a published feature net; None: the one in which sets such as
    `images` are measured.

    Raises:
        UnknownNameError: nobody has a model of this name.
        ArgumentError: it is no classifier, or was made for images of another shape.
        HubError: it has no published weights, or they cannot be had.
    """
    if name == GIST_NAME:
        return GIST
    rows = load_ledgers(plugins=installed().ledgers)
    if name is None:
        own = next(_nets_of(images, rows), None)
        return GIST if own is None else _loaded(own, rows)
    card = installed().find(name)
    if not card.family.is_instrument:
        known = [
            GIST_NAME,
            *(
                other.name
                for other in installed().cards.values()
                if other.family.is_instrument and other.name in rows
            ),
        ]
        raise ArgumentError(
            f"{name!r} is no classifier whose features samples could be measured in",
            f"choose one of {', '.join(known)}",
        )
    if name not in rows:
        raise HubError(
            f"{name!r} has no published weights",
            f"genzoo train {name} makes some; GENZOO_ZOO=runs/{name} lets them be found",
        )
    return _loaded(card, rows, images)


def space_of(model: ClassifyingModel, name: str) -> FeatureSpace:
    """Return the space of a classifier's features under `name`, which holds the digest of its weights."""

    def describe(images: Tensor, progress: Progress | None = None) -> Tensor:
        parts = []
        for chunk in torch.split(as_pixels(images), CHUNK):
            parts.append(model.features(chunk).double().cpu())
            if progress is not None:
                progress("features", sum(map(len, parts)), len(images))
        return torch.cat(parts)

    return FeatureSpace(name=name, describe=describe)


def _nets_of(images: Images, rows: Ledger) -> Iterator[Card]:
    """Yield the published feature nets that were trained on the set of `images`, in its own size; official
    ones come first.
    """
    for card in installed().cards.values():
        trained = card.recipe.data if card.recipe is not None else ""
        fits = tuple(card.config.get("image_shape", images.shape)) == images.shape
        if card.family.is_instrument and trained == images.name and fits and card.name in rows:
            yield card


def _loaded(card: Card, rows: Ledger, images: Images | None = None) -> FeatureSpace:
    row = rows[card.name]
    model = build_filled(card, hub.pull_bytes(row), f"the weights file of {card.name!r}")
    if not isinstance(model, ClassifyingModel):
        raise ArgumentError(f"{card.name!r} is a {type(model).__name__}, not a ClassifyingModel")
    if images is not None and not model.any_size and model.image_shape != images.shape:
        raise ArgumentError(
            f"{card.name!r} was made for images of the shape {model.image_shape}, and {images.name} has "
            f"{images.shape}",
            f"--features {GIST_NAME} suits every shape",
        )
    return space_of(model, f"{card.name}@{row.sha256[:DIGITS]}")
