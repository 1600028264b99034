"""Feature spaces: the features in which sets of images are compared. Each has a name with a digest, for the
records.

GIST needs no weights and is always available. A feature net is a published `ClassifyingModel`: every record
measured in it states its name and the first digits of the sha256 of its weights. By default a data set is
measured in the net whose recipe says that it was trained on that data set and its labels, or in GIST if no
such net is installed.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from genzoo import hub, places
from genzoo.card import Card
from genzoo.catalogue import Catalogue, catalogue
from genzoo.data.collection import Images
from genzoo.data.types import Shape
from genzoo.datasets import NAMES
from genzoo.errors import ArgumentError, HubError
from genzoo.evaluation.gist import FEATURES, gist
from genzoo.evaluation.inputs import Progress, as_pixels, counted
from genzoo.ledger import Row
from genzoo.models.classifier import ClassifyingModel
from genzoo.models.weights import build_filled
from genzoo.sharing import each

GIST_NAME = "gist"
DIGITS = 12  # of a sha256 in a record
CHUNK = 256  # images at a time

Describe: TypeAlias = Callable[[Tensor, "Progress | None"], Tensor]  # (N, C, H, W) uint8 -> (N, F)


@dataclass(frozen=True, kw_only=True)
class FeatureSpace:
    """A feature extractor for images.

    Attributes:
        name: with a digest: "gist-v1@001ecadca61e", "features-mnist@" and twelve digits of the sha256 of its
            weights.
        describe: maps uint8 images (N, C, H, W), and a progress callback of (what, done, total), to features
            (N, F) float64.
        standardised: whether each feature is to be centred and scaled by training images; a net's features
            are used unchanged.
        classify: of a classifier, maps the same arguments to log p(class | x), (N, K) float64; None where
            there is none.
        classes: the name of each of its classes.
        logits: of an Inception net, maps features (N, F) to class scores (N, K) float64, for the Inception
            score; None for any other.
        usual: whether a Fréchet distance in it is the usual FID.
        device: the kind of device that the features are computed on.
    """

    name: str
    describe: Describe
    standardised: bool = False
    classify: Describe | None = None
    classes: tuple[str, ...] = ()
    logits: Callable[[Tensor], Tensor] | None = None
    usual: bool = False
    device: str = "cpu"


GIST = FeatureSpace(name=FEATURES, describe=gist, standardised=True)


def feature_space(name: str | None, images: Images) -> FeatureSpace:
    """Return the space called `name`, "gist" or a published feature net; None: the one in which sets such as
    `images` are measured.

    Raises:
        UnknownNameError: there is no model of this name.
        ArgumentError: it is not a classifier, or expects images of another shape.
        HubError: it has no published weights, or they are not available.
    """
    if name == GIST_NAME:
        return GIST
    known_models = catalogue()
    if name is None:
        own = next(_nets_of(images, known_models), None)
        return GIST if own is None else _loaded(*own, images)
    card, row = places.find(name)
    if not card.family.is_instrument:
        nets = (other for other, _ in known_models.values() if other.family.is_instrument)
        known = [GIST_NAME, *(other.name for other in nets if other.has_weights)]
        raise ArgumentError(
            f"{name!r} is not a classifier whose features can measure samples",
            f"choose one of {', '.join(known)}",
        )
    if row is None:
        raise HubError(
            f"{name!r} has no published weights",
            f"train them with genzoo train {name}, then name their folder: --features runs/{name}",
        )
    return _loaded(card, row, images)


def space_of(model: ClassifyingModel, name: str, classes: tuple[str, ...] = ()) -> FeatureSpace:
    """Return the space of a classifier's features under `name`, which holds the digest of its weights.

    `classes` are the names of its classes; by default its own, or their numbers.
    """

    def asked(what: str, ask: Callable[[Tensor], Tensor], images: Tensor, tell: Progress | None) -> Tensor:
        done = counted(tell, what, CHUNK, len(images))
        return torch.cat(each(as_pixels(images).split(CHUNK), lambda chunk: ask(chunk).cpu(), done)).double()

    def describe(images: Tensor, progress: Progress | None = None) -> Tensor:
        return asked("features", model.features, images, progress)

    def classify(images: Tensor, progress: Progress | None = None) -> Tensor:
        return asked("classes", model.log_probs, images, progress)

    return FeatureSpace(
        name=name,
        describe=describe,
        classify=classify,
        classes=classes or model.class_names or tuple(map(str, range(model.classes))),
    )


def remembering(space: FeatureSpace) -> FeatureSpace:
    """Return `space` with a memory: images that were described before are not described again. For several
    measurements against the same images; features of all of them are kept.
    """
    known: dict[bytes, Tensor] = {}

    def describe(images: Tensor, progress: Progress | None = None) -> Tensor:
        pixels = as_pixels(images).contiguous()
        key = hashlib.sha256(f"{tuple(pixels.shape)}".encode() + pixels.numpy().tobytes()).digest()
        if key not in known:
            known[key] = space.describe(images, progress)
        return known[key]

    return dataclasses.replace(space, describe=describe)


def _nets_of(images: Images, known: Catalogue) -> Iterator[tuple[Card, Row]]:
    """Yield the published feature nets that were trained on the set of `images` and its labels, in its own
    size; official ones come first.
    """
    if images.labels is None and not (images.name in NAMES and NAMES[images.name].classes):
        return
    for card, row in known.values():
        trained = card.recipe.data if card.recipe is not None else ""
        fits = tuple(card.config.get("image_shape", images.shape)) == images.shape
        if card.family.is_instrument and trained == images.name and fits and row is not None:
            yield card, row


def net_of(card: Card, row: Row, shape: Shape, of: str) -> tuple[ClassifyingModel, str]:
    """Return the published classifier of `card` for images of the `shape` that those called `of` have, and
    its name with the digest of its weights.

    Raises:
        ArgumentError: it is not a classifier, or expects images of another shape.
        HubError: its weights are not available.
    """
    model = build_filled(card, hub.pull_bytes(row), f"the weights file of {card.name!r}")
    if not isinstance(model, ClassifyingModel):
        raise ArgumentError(f"{card.name!r} is a {type(model).__name__}, not a ClassifyingModel")
    if not model.any_size and model.image_shape != shape:
        raise ArgumentError(
            f"{card.name!r} expects images of the shape {model.image_shape}, but {of} has {shape}",
            f"--features {GIST_NAME} suits every shape",
        )
    return model, f"{card.name}@{row.sha256[:DIGITS]}"


def _loaded(card: Card, row: Row, images: Images) -> FeatureSpace:
    model, name = net_of(card, row, images.shape, images.name)
    # without names of its own, it has learned the classes of its set by their numbers
    own = card.recipe is not None and card.recipe.data == images.name and not model.class_names
    classes = images.class_names if own and len(images.class_names) == model.classes else ()
    return space_of(model, name, classes)
