"""`genzoo reconstruct`: held-out images above what is left of them after encoding and decoding."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from genzoo.card import Card
from genzoo.cli.conditions import OF_IMAGES, check_one, condition_option, in_words, of_images
from genzoo.cli.exploring import drawn, loaded, out_option, target
from genzoo.cli.options import (
    command,
    data_option,
    device_option,
    find,
    json_option,
    model_argument,
    seed_option,
)
from genzoo.cli.output import note, say, say_json
from genzoo.cli.pictures import check_grid
from genzoo.condition import Labels
from genzoo.errors import ArgumentError, safe_text
from genzoo.record import Record
from genzoo.units import several

COLUMNS = 10  # pairs in a line, at most


@command("reconstruct")
@model_argument
@data_option
@click.option("-n", "n", type=click.IntRange(min=1), default=8, show_default=True, help="Number of images.")
@condition_option(OF_IMAGES)
@click.option(
    "--analogies",
    is_flag=True,
    help="Show each image in a row with its code decoded with every label of a conditional model.",
)
@seed_option
@out_option("reconstruct")
@json_option
@device_option
def reconstruct_command(
    name: str,
    data: str | None,
    n: int,
    condition: str | None,
    analogies: bool,
    seed: int | None,
    out: str | None,
    as_json: bool,
    device: str | None,
) -> None:
    """Reconstruct held-out images and print the error.

    Each image is encoded and decoded; the reconstruction is shown below it. --analogies shows instead what
    each label makes of its code, which holds the style. The error is the mean squared error per value in
    [0, 1].
    """
    entry = find(name)
    card = entry.card
    condition = check_one(entry, condition, needed=False)
    check_grid(n * (1 + _across(card, analogies)))
    path = target(out, card, "reconstruct")
    start = drawn(seed)
    model = loaded(entry, device)
    from genzoo.devices import doubled
    from genzoo.evaluation.given import given_words
    from genzoo.evaluation.inputs import subset
    from genzoo.evaluation.reconstruction import error_record
    from genzoo.evaluation.scoring import held_in
    from genzoo.explore.latents import check_encoder, reconstruct
    from genzoo.losses.reconstruction import squared_error

    check_encoder(model, "use an autoencoder or a VAE; to compare samples with data: genzoo neighbours")
    test = held_in(model, card, data, "test")
    # Not the first ones: some sets are sorted by class.
    test = test.subset(subset(len(test), min(n, len(test)), start, "shown"))
    images = test.float()
    given = of_images(model, test, condition)
    rebuilt = reconstruct(model, images, given).to(images.device)
    other = _save_analogies(model, images, given, path) if analogies else ""
    how = other or _save_pairs(images, rebuilt, path)
    # float64, so that the mean does not depend on the order of the sum.
    errors = doubled(squared_error(images, rebuilt)) / images[0].numel()  # (n,)
    said = given_words(model if condition is None else model.given(condition), test)
    _say(replace(error_record(errors, test, card.name), condition=said), as_json)
    shown = f"{several(len(images), 'held-out image')} of {test.name}"
    words = f"{shown}, each {how} by {card.name}, seed {start}"
    note(safe_text(f"{path}: {words}{in_words(model, condition)}", 1000))


def _say(record: Record, as_json: bool) -> None:
    if as_json:
        say_json([record.as_dict()])
    else:
        say(safe_text(record, 1000))


def _across(card: Card, analogies: bool) -> int:
    """Return how many images are drawn of each, or raise ArgumentError where there are no labels to try."""
    if not analogies:
        return 1
    if not isinstance(card.condition, Labels):
        raise ArgumentError(
            f"{card.name} takes no label, so there is nothing to change", "leave out --analogies"
        )
    return len(card.condition)


def _save_analogies(model: Any, images: Any, given: Any, path: Path) -> str:
    from genzoo.explore.analogies import analogies
    from genzoo.images import save_grid

    drawn = analogies(model, images, given)  # (N, K + 1, C, H, W)
    save_grid(drawn.flatten(0, 1), path, columns=drawn.shape[1])
    return f"beside its code decoded with {several(drawn.shape[1] - 1, 'label')}"


def _save_pairs(images: Any, rebuilt: Any, path: Path) -> str:
    from genzoo.explore.figure import stacked
    from genzoo.images import save_picture

    save_picture(stacked([images, rebuilt], COLUMNS), path)
    return "above its reconstruction"
