"""`genzoo eval`: a model measured on data: likelihoods, or the quality of its samples beside what real images
reach.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from genzoo import metrics
from genzoo.card import Card
from genzoo.cli.destinations import own_device
from genzoo.cli.options import (
    LARGEST_SEED,
    collect_garbage,
    command,
    data_option,
    device_option,
    find,
    json_option,
    manner_options,
    models_argument,
)
from genzoo.cli.output import Progress, note, say, say_facts, say_json
from genzoo.cli.reasons import named_once
from genzoo.errors import GenzooError, safe_text
from genzoo.record import Record, standings
from genzoo.request import DRAWS, SPLITS, WAYS, Request

if TYPE_CHECKING:
    from genzoo.catalogue import Entry


def complete_net(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return "gist", "inception" and the names of feature nets that begin with `incomplete`."""
    from genzoo.registry import installed

    nets = [card.name for card in installed().cards.values() if card.family.is_instrument]
    return [CompletionItem(name) for name in ("gist", "inception", *nets) if name.startswith(incomplete)]


def read_metrics(
    context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]
) -> list[str] | None:
    """Return the measures that `--metrics kid,fid` asks for, or None where it is not given."""
    return [word.strip() for text in texts for word in text.split(",") if word.strip()] or None


def read_draws(
    context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]
) -> list[int] | None:
    """Return the numbers of draws that `--k 1,50 --k 500` asks for, or None where it is not given."""
    words = [word.strip() for text in texts for word in text.split(",")]
    for word in words:
        if not (word.isascii() and word.isdigit() and len(word) < 19 and int(word)):
            raise click.BadParameter(
                f"{word!r} must be a whole number of at least 1, for example --k 1,50,5000",
                context,
                parameter,
            )
    return [int(word) for word in words] or None


def check_metrics(names: Sequence[str]) -> None:
    """Raise UnknownNameError for an unknown measure, before any sample is drawn."""
    import genzoo.evaluation.scoring  # noqa: F401 - before the collector is on again
    from genzoo.evaluation.plugged import every_metric

    metrics.chosen(names, every_metric())


def check_bounds(card: Card, request: Request) -> None:
    """Raise ArgumentError if --k is given and the class of `card` has no such bound, before any model is
    loaded.
    """
    from genzoo.evaluation.scoring import check_draws_apply

    if request.draws is not None:
        check_draws_apply(card.load_class(), card.name, request)


@command("eval")
@models_argument
@data_option
@click.option("-n", "n", type=click.IntRange(min=1), help="Number of images to measure.")
@click.option(
    "--k",
    "draws",
    metavar="K[,K]...",
    multiple=True,
    callback=read_draws,
    help=f"Importance samples for a VAE's tighter bounds. Default: {','.join(map(str, DRAWS))}.",
)
@click.option(
    "--features",
    metavar="gist|inception|NAME",
    shell_complete=complete_net,
    help=(
        "Feature space for comparing samples: gist, inception with --weights, or a classifier from `genzoo "
        "list --family classifier`. Default: the data set's own."
    ),
)
@click.option(
    "--weights",
    type=click.Path(),
    metavar="FILE",
    help="Your own Inception file for --features inception: pt_inception-2015-12-05-6726825d.pth.",
)
@click.option(
    "--reference",
    type=click.Path(),
    metavar="train|FILE.npz",
    help="Compare samples with the training images, or with statistics (mu, sigma) or features in a file. "
    "Default: held-out images.",
)
@click.option(
    "--metrics",
    metavar="M[,M]...",
    multiple=True,
    callback=read_metrics,
    help=f"Sample metrics, comma-separated: {', '.join(metrics.METRICS)}. Default: all that apply.",
)
@click.option(
    "--reads-as",
    "reads_as",
    metavar="LABEL",
    help="Also measure how many samples a classifier reads as LABEL, such as bedroom.",
)
@click.option(
    "--split",
    type=click.Choice(SPLITS),
    default=Request.split,
    show_default=True,
    help="Split to measure. Choose settings on valid; train shows how far a likelihood overfits.",
)
@click.option(
    "--binarise",
    type=click.Choice(WAYS),
    help=(
        "Make grey images and samples black and white. threshold: white from level 128; draw: one draw per "
        "pixel, with its level as the probability of white."
    ),
)
@click.option(
    "--condition",
    metavar="LABEL|all",
    help=(
        "Of a conditional model, measure the images of one label only; all: every label, after all images "
        "together."
    ),
)
@click.option(
    "--seed",
    type=click.IntRange(0, LARGEST_SEED),
    default=Request.seed,
    show_default=True,
    help="Random seed for the samples and all other random choices.",
)
@click.option("--mean", is_flag=True, help="Of VAEs: measure the means of p(x|z) instead of samples of p(x).")
@manner_options
@device_option
@json_option
def eval_command(names: tuple[str, ...], device: str | None, as_json: bool, **asked: Any) -> None:
    """Measure a model, or measure and rank several.

    Each number is printed with what you need to know to compare it; numbers that cannot be compared are not
    ranked together. For a VAE, the ELBO and tighter bounds with K importance samples per image are computed;
    the time grows with the largest K. Sample metrics are printed next to the floor that real images reach.
    --features, --metrics and --reads-as also measure the samples of a model that has a likelihood, as do
    --mean, --temperature and --truncation, which the records state. A model that takes labels is given the
    label of each image. The model computes on the CPU unless --device names another device.

    Several processes share the work and end with the same records, which the first one prints:
    torchrun --nproc-per-node 2 -m genzoo eval NAME
    """
    from genzoo import zoo

    # A name that is given twice is measured once.
    entries = {name: find(name) for name in dict.fromkeys(names)}
    for entry in entries.values():
        zoo.row(entry)  # before torch is loaded
    # A misspelt metric is found now, not after the first model has been measured for an hour.
    check_metrics(asked["metrics"] or ())
    collect_garbage()
    request = Request(**asked)
    for entry in entries.values():
        check_bounds(entry.card, request)
    from genzoo.cli.crew import joined

    with joined(
        repr(([entry.row and entry.row.sha256 for entry in entries.values()], request, as_json))
    ) as world:
        every, failed = measure(entries, request, own_device(device, world), as_json)
        if as_json:
            say_json([record.as_dict() for record in every])
        say_standings(every, as_json)
    click.get_current_context().exit(int(failed))


def measure(
    entries: Mapping[str, Entry], request: Request, device: str | None, as_json: bool
) -> tuple[list[Record], bool]:
    """Return the records of all models, printed as they come unless `as_json`, and whether a model failed
    while others did not.
    """
    from genzoo import zoo
    from genzoo.places import relabelled

    every: list[Record] = []
    failed = False
    for name, entry in entries.items():
        card = entry.card
        try:
            with Progress(card.name, "images") as progress:
                found = zoo.evaluate(entry, request, device=device, progress=progress)
                records = relabelled(found, name, card)
        except GenzooError as error:
            if len(entries) == 1:
                raise
            failed = True  # the others are measured all the same
            note(f"{click.style('genzoo:', fg='red')} {safe_text(named_once(name, error), 2100)}")
            continue
        every += records
        for record in records if not as_json else ():
            say(safe_text(record, 1000))
        if not records:
            note(
                f"nothing can be measured of {safe_text(card.name)}, a model of the family "
                f"{card.family.value}, yet"
            )
    return every, failed


def say_standings(records: list[Record], as_json: bool) -> None:
    """Print a ranking of every measure that models share, and on stderr why others are not ranked
    together.
    """
    shared, apart = standings(records)
    for rows in shared if not as_json else ():
        best = rows[0]
        unit = "" if best.unit == "1" else f" in {best.unit}"
        how = f", {best.protocol}" if best.protocol else ""
        say(
            safe_text(
                f"Ranking of {best.label}{unit} ({best.kind}{how}, n = {best.n:,}, {best.data} "
                f"{best.split}, {best.transform})",
                1000,
            )
        )
        say_facts([(f"{place}. {row.subject}", row.amount) for place, row in enumerate(rows, 1)], indent="  ")
    for line in apart:
        note(safe_text(line, 1000))
