"""`genzoo few-labels`: what an encoder that was trained without labels is worth to a classifier that has few
of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import click

from genzoo.card import Card
from genzoo.catalogue import Entry as Known
from genzoo.cli.options import (
    collect_garbage,
    command,
    data_option,
    device_option,
    find,
    json_option,
    models_argument,
)
from genzoo.cli.output import Progress, note, say, say_json, say_table
from genzoo.cli.pictures import check_file, free_file
from genzoo.errors import ArgumentError, safe_text

SHOWN = 100  # labels: the verdict is about the number nearest to this


def read_counts(context: click.Context, parameter: click.Parameter, text: str) -> tuple[int, ...]:
    """Return `10,30,100` as numbers."""
    counts = tuple(int(word) for word in text.split(",") if re.fullmatch(r"\s*[0-9]{1,9}\s*", word))
    if len(counts) < len(text.split(",")) or 0 in counts:
        raise click.BadParameter(
            f"{text!r} must read N,N,..., whole numbers of at least 1, for example 10,100,1000",
            context,
            parameter,
        )
    return counts


@command("few-labels")
@models_argument
@data_option
@click.option(
    "--labels",
    "counts",
    metavar="N,N,...",
    callback=read_counts,
    default="10,30,100,300,1000",
    show_default=True,
    help="Numbers of labelled images, divided equally among the classes.",
)
@click.option(
    "--seeds",
    type=click.IntRange(2, 1000),
    default=5,
    show_default=True,
    help="Repetitions, each with different images and initial weights.",
)
@click.option(
    "-n",
    "n",
    type=click.IntRange(min=1),
    default=2000,
    show_default=True,
    help="Maximum number of test images.",
)
@click.option(
    "--steps",
    type=click.IntRange(1, 10**6),
    default=200,
    show_default=True,
    help="Training steps per classifier.",
)
@click.option("-o", "--out", type=click.Path(), help="PNG file to write. Default: NAME-few-labels.png.")
@json_option
@device_option
def few_labels_command(
    names: tuple[str, ...],
    data: str | None,
    counts: tuple[int, ...],
    seeds: int,
    n: int,
    steps: int,
    out: str | None,
    as_json: bool,
    device: str | None,
) -> None:
    """Classify with few labels, starting from a trained encoder.

    The decoder is discarded. For each number of labels three classifiers are compared: one initialised with
    the encoder, a linear probe of the frozen encoder, and one with the same architecture and random weights.
    All see the same labelled images and are trained in the same way.
    """
    chosen = _chosen(names)
    cards = [known.card for known in chosen]
    from genzoo.plots import Plot, check_plots

    # matplotlib is an extra: without it the run would fail at its very end.
    check_plots()
    path = check_file(out) if out is not None else free_file(f"{cards[0].name}-few-labels")
    entries = _entries(names, chosen, _source(cards, data), device)
    from genzoo.evaluation.classifier import Protocol
    from genzoo.evaluation.few_labels import curves, few_labels

    collect_garbage()
    with Progress("few labels", "steps") as progress:
        found = few_labels(entries, counts, seeds, n, Protocol(steps=steps), progress)
    where = f"{found.n:,} test images of {found.test[0]}"
    Plot(
        panels={"accuracy, %": curves(found)},
        x_label="labelled images",
        title=f"Accuracy on {where}, mean ± standard error over {found.seeds} seeds",
        log_x=True,
    ).save(path)
    if as_json:
        say_json(found.as_dicts())
    else:
        _tell(found)
    note(
        safe_text(
            f"{path}: accuracy on {where}, ± standard error over {found.seeds} seeds; {found.protocol}", 1000
        )
    )


def _chosen(names: tuple[str, ...]) -> list[Known]:
    """Return what is known of `names`, once it is certain that they have weights; torch is not loaded."""
    from genzoo import zoo

    found = [find(name) for name in names]
    for name, entry in zip(names, found, strict=True):
        if names.count(name) > 1:
            raise ArgumentError(f"{name} is named twice", "name each model once")
        if entry.card.condition is not None:
            raise ArgumentError(
                f"{entry.card.name} is given the label of an image, which is what a classifier is to find",
                "name models that take no condition: genzoo list",
            )
        zoo.row(entry)
    return found


def _source(cards: list[Card], data: str | None) -> str | None:
    """Return what all models are compared on: `data`, or the data of their recipes where these are the
    same.
    """
    own = dict.fromkeys(card.recipe.data if card.recipe else "none" for card in cards)
    if data is None and len(own) > 1:
        raise ArgumentError(
            f"the recipes of these models name different data: {', '.join(own)}",
            "choose one data set for all of them: --data NAME",
        )
    return data


def _entries(names: Sequence[str], chosen: list[Known], source: str | None, device: str | None) -> list[Any]:
    """Load the models, and the data in the shape of each; all are split as the first model's recipe says."""
    from genzoo import zoo
    from genzoo.evaluation.few_labels import Candidate
    from genzoo.evaluation.scoring import held_in
    from genzoo.models import EncodingModel
    from genzoo.places import label_of

    found = []
    for name, known in zip(names, chosen, strict=True):
        card = known.card
        if not issubclass(card.load_class(), EncodingModel):
            raise ArgumentError(
                f"{card.name} has no encoder to start a classifier from",
                f"models with an encoder: {_encoders()}",
            )
        with Progress(card.name) as progress:
            model: Any = zoo.load(known, device=device, progress=progress)
        sides = [held_in(model, chosen[0].card, source, split) for split in ("train", "test")]
        found.append(Candidate(label_of(name, card), model, *sides))
    return found


def _encoders() -> str:
    """Return the names of the models with weights and an encoder."""
    from genzoo import zoo
    from genzoo.models import EncodingModel

    names = [
        card.name for card in zoo.cards() if card.has_weights and issubclass(card.load_class(), EncodingModel)
    ]
    return ", ".join(names) or "none with weights yet"


def _tell(found: Any) -> None:
    """Print the table, and of the number of labels nearest to a hundred what the encoder gained."""
    from genzoo.evaluation.few_labels import curves

    drawn = curves(found)
    header = ["LABELS", *(safe_text(curve.label, 100).upper() for curve in drawn)]
    counts = sorted({score.labels for score in found.scores})
    say_table(header, [[f"{count:,}", *(_cell(curve, count) for curve in drawn)] for count in counts])
    for gain in found.gains(min(counts, key=lambda count: (abs(math.log(count / SHOWN)), count))):
        say(safe_text(gain, 1000))


def _cell(curve: Any, count: int) -> str:
    place = list(curve.x).index(count)
    return f"{curve.y[place]:.1f} ± {curve.error[place]:.1f}"
