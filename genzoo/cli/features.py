"""`genzoo features`: what a model has learned to see, as an array in a file, and what a linear classifier
reads from it.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from genzoo.card import Card
from genzoo.cli.conditions import OF_IMAGES, check_one, condition_option, in_words, of_images
from genzoo.cli.exploring import loaded
from genzoo.cli.options import command, data_option, device_option, find, json_option, model_argument
from genzoo.cli.output import Progress, note, say, say_json
from genzoo.cli.pictures import check_writable, free_path
from genzoo.errors import ArgumentError, DataError, safe_text

FORMATS = (".npz", ".safetensors")
LONG = 1_000_000  # numbers to which a classifier is not fitted in two seconds


@command("features")
@model_argument
@data_option
@click.option("-n", "n", type=click.IntRange(min=1), help="Images per split, a fixed subset. Default: all.")
@click.option(
    "-o",
    "--out",
    type=click.Path(),
    help="The .npz or .safetensors file to write. Default: NAME-features.npz.",
)
@click.option(
    "--probe",
    is_flag=True,
    help="Fit a linear classifier to the training images' features and print its held-out accuracy.",
)
@condition_option(OF_IMAGES)
@json_option
@device_option
def features_command(
    name: str,
    data: str | None,
    n: int | None,
    out: str | None,
    probe: bool,
    condition: str | None,
    as_json: bool,
    device: str | None,
) -> None:
    """Write the features that a model has learned to a file.

    The features are the codes of an encoder, the means of q(z|x), or the hidden layers of a discriminator.
    The file holds features (N, F) float32, held_out (N,) bool, and labels (N,) int64 if the data have them.
    """
    entry = find(name)
    card = entry.card
    condition = check_one(entry, condition, needed=False)
    if probe and card.condition is not None and condition is None:
        raise _read_back(card)
    path = check_array_file(out) if out is not None else _free_file(card)
    model = loaded(entry, device)
    from genzoo.evaluation.scoring import held_in
    from genzoo.explore.features import source

    kind = source(model)  # before the images are decoded
    sides = [_some(held_in(model, card, data, split), n) for split in ("train", "test")]
    if probe:
        _check_labels(sides)
    rows = _rows(model, card, sides, condition)
    records = [_probed(card, kind, sides, rows)] if probe else []
    # After the probe: a file is written only if everything that was asked for worked.
    arrays = _arrays(sides, rows)
    write(path, arrays)
    count, width = arrays["features"].shape
    if as_json:
        about = {"name": card.name, "file": str(path), "features": kind, "shape": [count, width]}
        say_json({**about, "data": sides[0].name, **_found(arrays, records)})
    for record in [] if as_json else records:
        say(safe_text(record, 1000))
    guess = f"; always predicting the most common label has accuracy {_commonest(sides):.3g}" if probe else ""
    which = (
        f"{count:,} x {width:,} {kind} of {card.name}, {sides[0].name}, {len(sides[1]):,} of them held out"
    )
    labelled = ", with labels" if "labels" in arrays else ""
    note(safe_text(f"{path}: {which}{labelled}{in_words(model, condition)}{guess}", 1000))


def _found(arrays: dict[str, Any], records: list[Any]) -> dict[str, Any]:
    return {"labels": "labels" in arrays, "records": [record.as_dict() for record in records]}


def _rows(model: Any, card: Card, sides: list[Any], condition: str | None) -> list[Any]:
    """Return the features (N, F) of each side; a conditional model is given the labels of its images, or the
    one that was typed.
    """
    from genzoo.explore.features import features

    labels = [of_images(model, side, condition) for side in sides]
    with Progress(card.name, "images") as progress:
        return [
            features(model, side, progress, condition=each) for side, each in zip(sides, labels, strict=True)
        ]


def _read_back(card: Card) -> ArgumentError:
    return ArgumentError(
        f"{card.name} is given the label of each image, and a probe would read it back",
        "give all images one label with --condition LABEL, or leave out --probe",
    )


def check_array_file(out: str) -> Path:
    """Return the path of the array to write.

    Raises:
        click.UsageError: a name that promises another format.
        StorageError: its folder is missing or cannot be written.
    """
    path = Path(out)
    if path.suffix.lower() not in FORMATS:
        words = (
            f"features are written as .npz or .safetensors, not as {path.suffix or 'a folder'!r}; "
            f"try -o {path.stem}.npz"
        )
        raise click.UsageError(words, click.get_current_context())
    return check_writable(path)


def _free_file(card: Card) -> Path:
    return check_array_file(str(free_path(f"{card.name}-features", ".npz")))


def _some(images: Any, n: int | None) -> Any:
    """Return `n` of the images, in their order; not the first ones, as some sets are sorted by class."""
    from genzoo.evaluation.inputs import subset

    return (
        images
        if n is None or n >= len(images)
        else images.subset(subset(len(images), n, 0, "features").sort().values)
    )


def _check_labels(sides: list[Any]) -> None:
    if any(side.labels is None for side in sides):
        why = (
            sides[0].facts.get("labels")
            or "labelled: digits, mnist, fashion-mnist, cifar10; or leave out --probe"
        )
        raise DataError(f"{sides[0].name} has no labels for --probe", why)


def _arrays(sides: list[Any], rows: list[Any]) -> dict[str, Any]:
    """Return what the file holds, by name: training images first."""
    import numpy as np
    import torch

    arrays = {
        "features": torch.cat(rows).numpy(),
        "held_out": np.repeat([False, True], [len(side) for side in sides]),
    }
    if all(side.labels is not None for side in sides):
        arrays["labels"] = np.concatenate([side.labels for side in sides]).astype(np.int64)
    return arrays


def _commonest(sides: list[Any]) -> float:
    """Return the accuracy of always saying the commonest label of the training images."""
    import numpy as np

    values, counts = np.unique(sides[0].labels, return_counts=True)
    return float((sides[1].labels == values[counts.argmax()]).mean())


def _probed(card: Card, kind: str, sides: list[Any], rows: list[Any]) -> Any:
    """Return the record of a linear probe's held-out accuracy; that it takes a while is said before."""
    if rows[0].numel() > LONG:
        size = f"{len(rows[0]):,} x {rows[0].shape[1]:,}"
        note(f"fitting a linear classifier to {size} features; this takes a while")
    from genzoo.evaluation import Record
    from genzoo.evaluation.probe import PENALTY, fit_probe

    accuracy = fit_probe(rows[0], sides[0].labels).accuracy(rows[1], sides[1].labels)
    n = len(sides[1])
    about = {
        "data": sides[1].name,
        "split": sides[1].split,
        "transform": sides[1].transform,
        "subject": card.name,
        "better": "higher",
    }
    how = f"multinomial logistic regression, penalty {PENALTY}"
    stderr = math.sqrt(accuracy * (1 - accuracy) / n)  # of a share
    return Record(
        metric="accuracy",
        value=accuracy,
        stderr=stderr,
        n=n,
        n_reference=len(rows[0]),
        features=kind,
        protocol=how,
        **about,
    )


def write(path: Path, arrays: dict[str, Any]) -> None:
    """Write arrays of numbers by name, whole or not at all, as the ending of `path` says; nothing in the file
    can run.
    """
    import numpy as np
    from safetensors.numpy import save

    from genzoo.files import atomic_write

    if path.suffix.lower() == ".safetensors":
        atomic_write(path, save(arrays))
    else:
        atomic_write(path, lambda file: np.savez(file, **arrays))
