"""Concepts: groups of images that share labels or attributes, or that are hand-picked, each with its latent
vectors.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genzoo.data import Images
from genzoo.data.types import Array
from genzoo.errors import ArgumentError, safe_repr, suggest
from genzoo.explore.latents import check_encoder, check_latent_model, codes
from genzoo.models.latent import EncodingModel, LatentModel
from genzoo.names import FEWEST as FEWEST
from genzoo.process import neutral
from genzoo.rng import Rng, check_seed, mix, whole

# probability from which an attribute counts as there; below 1 - CLEAR it counts as absent, between as neither
CLEAR = 0.9
NOT = "not-"
_LABEL = re.compile(r"\d{1,9}", re.ASCII)


@neutral()
def of_seeds(model: LatentModel, seeds: Sequence[int | tuple[int, int]]) -> Tensor:
    """Return the group of latent vectors (len(seeds), latent_size) of hand-picked samples.

    A seed means the first image of `model.sample(n, seed)`, a pair (seed, i) for image i of it, counted from
    0.

    Raises:
        ArgumentError: a model without z, fewer than three seeds, or an invalid seed.
    """
    check_latent_model(model)
    if isinstance(seeds, (str, bytes)) or not isinstance(seeds, Sequence):
        raise ArgumentError(
            f"seeds must be whole numbers, not {safe_repr(seeds)}", "for example seeds=[3, 14, 15]"
        )
    check_size(len(seeds), "seeds")
    return torch.cat([model._latents(Rng(*_draw(seed), 1, model.device)) for seed in seeds])


def _draw(seed: Any) -> tuple[int, int]:
    """Return (seed, number of the image)."""
    first, image = seed if isinstance(seed, tuple) and len(seed) == 2 else (seed, 0)
    number = whole(image)
    if first is None or number is None or not 0 <= number < 2**63:
        raise ArgumentError(
            f"a seed of a group must be a whole number or (seed, image), not {safe_repr(seed)}",
            "seeds=[3, (14, 0), (14, 5)]",
        )
    return check_seed(first), number


@neutral()
def of_images(model: EncodingModel, images: Any, name: str = "images", *, condition: Any = None) -> Tensor:
    """Return the group of codes (N, latent_size) of images (N, C, H, W) that share a label; `name` is their
    name in messages. A conditional model takes the `condition` of each image, or one for all.

    Raises:
        ArgumentError: a model that cannot encode, wrong images, fewer than three, or a missing, invalid or
            superfluous condition.
        UnknownNameError: a label that does not exist.
    """
    check_encoder(model)
    size = len(images) if hasattr(images, "__len__") else FEWEST
    check_size(size, name)
    return codes(model, images, condition)


def check_group(model: LatentModel, group: Any, name: str) -> Tensor:
    """Return `group` as latent vectors (≥ 3, latent_size), or raise ArgumentError that says what to use
    instead.
    """
    try:
        size = len(group)
    except TypeError as error:
        raise ArgumentError(
            f"{name} must be a group of latent vectors, not {type(group).__name__}",
            "see of_seeds and of_images",
        ) from error
    check_size(size, name)
    return model.check_latents(group, name).detach()


def check_size(size: int, name: str) -> None:
    """Raise ArgumentError if a group of `size` is too small for a concept."""
    if size < FEWEST:
        found = "is empty" if not size else f"has {size}"
        raise ArgumentError(
            f"{name} {found}: a concept is the mean of at least {FEWEST}, as a single z has its own "
            "peculiarities",
            "hand-pick more seeds, or use a label that more images have",
        )


def members(images: Images, concept: str) -> Array:
    """Return the indices of `images` that show `concept`, int64, in ascending order.

    A concept is a label ("7", or the name of a class), an attribute ("Smiling"), the absence of either
    ("not-Male"), or several at once, with commas between them. Attributes are probabilities: above 0.9 counts
    as present, below 0.1 as absent; images between, or without the attribute, count as neither.

    Raises:
        ArgumentError: data without labels and attributes, or a word that is neither.
    """
    shown = np.ones(len(images), bool)
    for word in concept.split(","):
        shown &= _shows(images, word.strip())
    return np.flatnonzero(shown)


def choose(images: Images, concept: str, most: int, seed: int) -> Tensor:
    """Return images (n, C, H, W) in [0, 1] that show `concept` (see `members`): at most `most`, a choice by
    `seed`.

    Raises:
        ArgumentError: as `members`, or fewer than three images show it.
    """
    found = members(images, concept)
    check_size(len(found), f"the concept {safe_repr(concept)} in {images.name}")
    shuffled = (
        Rng(mix("concept", concept, check_seed(seed)), 0, 1).uniform(len(found))[0].argsort(stable=True)
    )
    return images.float(found[shuffled[:most].numpy()])


def _shows(images: Images, word: str) -> Array:
    absent, name = word.startswith(NOT), word.removeprefix(NOT)
    attributes = images.attributes or {}
    if name in attributes:
        share = attributes[name]
        return share < 1 - CLEAR if absent else share > CLEAR  # NaN is neither
    number = (
        images.class_names.index(name)
        if name in images.class_names
        else int(name)
        if _LABEL.fullmatch(name)
        else None
    )
    if images.labels is not None and number is not None:
        same: Array = images.labels == number
        return ~same if absent else same
    raise _unknown(images, name)


def _unknown(images: Images, name: str) -> ArgumentError:
    """Return the error for a word that does not apply to `images`."""
    attributes = images.attributes or {}
    if not attributes and images.labels is None:
        why = f"{images.name} has neither labels nor attributes to choose images with"
        return ArgumentError(why, "faces has attributes, digits and mnist have labels; or hand-pick seeds")
    if not attributes:
        words = [name for name in images.class_names if not _LABEL.fullmatch(name)]
        known = "a label is a whole number, such as 7" + (
            f", or a class: {', '.join(words)}" if words else ""
        )
        return ArgumentError(f"{images.name} has labels but no attributes: {name!r} is not a label", known)
    near = suggest(name, attributes)
    return ArgumentError(
        f"{images.name} has no attribute {name!r}{near}",
        f"write {NOT}NAME for its absence; it has {', '.join(attributes)}",
    )
