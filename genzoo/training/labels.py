"""The labels of a run: the card's for the data of its recipe, those of the data for a person's own."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path, PurePosixPath
from typing import Any

from genzoo.card import Card
from genzoo.condition import SHOWN, Labels, Picture, Text
from genzoo.data import Images
from genzoo.data.conditions import conditions_of
from genzoo.data.formats import SUFFIXES
from genzoo.data.labels import places_of
from genzoo.data.listing import list_files
from genzoo.errors import DataError, safe_text

KEY = "labels"  # of a config, and of --set


def set_labels(card: Card, config: dict[str, Any]) -> Card:
    """Return `card` with the labels that a person has set, which are taken out of `config`: "cat,dog", or a
    list.

    Raises:
        CardError: they cannot be labels.
    """
    if not isinstance(card.condition, Labels) or KEY not in config:
        return card
    given = config.pop(KEY)
    names = given.split(",") if isinstance(given, str) else given
    names = names if isinstance(names, (list, tuple)) else [names]
    return card.replace(condition=Labels(tuple(str(name).strip() for name in names)))


def check_labelled(card: Card, source: Any) -> None:
    """Raise DataError for a folder without folders of classes, before its images are decoded."""
    if not isinstance(card.condition, Labels) or not isinstance(source, str | os.PathLike):
        return
    folder = Path(source).expanduser()
    if not os.path.isdir(folder):
        return
    listing = list_files(folder)
    paths = [path for path, _ in listing.files if PurePosixPath(path).suffix.lower() in SUFFIXES]
    found = listing.layout.classes(paths)
    if paths and found.labels is None:
        raise _unlabelled(card, str(source), found.why)


def settle_labels(card: Card, train: Images, *, own: bool, chosen: bool) -> Card:
    """Return `card` with the labels that its model gets: those of the images of `train`, unless these are the
    recipe's `own` data or the labels were `chosen` by a person, or both have the same names. A model of texts
    gets the words of other captions likewise, and a model of pictures the shape of the sources.

    Raises:
        DataError: images without labels, or with some that the labels of the card lack.
        ArgumentError, UnknownNameError: as `genzoo.data.conditions.conditions_of`.
        CardError: their names cannot be labels.
    """
    if not isinstance(card.condition, Labels):
        return card if own else _settle_others(card, train)
    if train.labels is None:
        raise _unlabelled(card, train.name, train.facts.get(KEY, ""))
    names = train.class_names
    same = len(names) == len(card.condition) and None not in places_of(names, card.condition.names)
    if not (own or chosen or same):
        return card.replace(condition=Labels(names))
    conditions_of(card.condition, train)  # that it knows the names is told before anything is computed
    return card


def _settle_others(card: Card, train: Images) -> Card:
    """Return `card` with the words of the captions, or the shape of the sources; where there are none, the
    loader tells it.
    """
    captions: Any = getattr(train, "captions", None)
    source: Any = getattr(train, "source", None)
    if isinstance(card.condition, Text) and captions is not None:
        return card.replace(condition=Text.of_captions(text for texts in captions for text in texts))
    if isinstance(card.condition, Picture) and source is not None:
        return card.replace(condition=dataclasses.replace(card.condition, shape=source.shape[1:]))
    return card


def words(card: Card, train: Images, source: Any) -> str:
    """Return what is said of the labels before training: "labels: cat, dog (from ./my-pets)".

    The `source` of the images is named where the labels are theirs.
    """
    names = getattr(card.condition, "names", ())
    shown = ", ".join(names[:SHOWN]) + ", …" * (len(names) > SHOWN)
    if names != train.class_names:
        return f"labels: {shown}"
    where = source if isinstance(source, str | os.PathLike) else train.name
    return f"labels: {shown} (from {safe_text(where, 200)})"


def _unlabelled(card: Card, name: str, why: str) -> DataError:
    condition: Any = card.condition
    takes = f"{card.name} takes {condition.words}"
    reason = f": {why.removeprefix('no labels: ')}" if why else ""
    return DataError(
        f"{safe_text(name, 200)} has no labels, and {takes}{reason}",
        "a labelled folder has a folder for each label, such as cat/ and dog/; an .npz has 'labels' beside "
        "'images'",
    )
