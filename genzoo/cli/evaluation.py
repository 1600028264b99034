"""`genzoo eval`: a model measured on data: likelihoods, or the quality of its samples beside what real images reach."""

from __future__ import annotations

import click

from genzoo.cli.options import LARGEST_SEED, command, data_option, find, json_option, name_argument, settled
from genzoo.cli.output import Progress, note, say, say_json
from genzoo.errors import safe_text


@command("eval")
@name_argument
@data_option
@click.option("-n", "n", type=click.IntRange(min=1), help="How many images to measure.")
@click.option("--seed", type=click.IntRange(0, LARGEST_SEED), default=0, show_default=True, help="Seed of the samples and of every choice.")
@json_option
def eval_command(name: str, data: str | None, n: int | None, seed: int, as_json: bool) -> None:
    """Measure a model.

    Each number comes with what one must know to compare it.
    """
    from genzoo import zoo

    card, _ = find(name)
    zoo.row(card.name)  # before torch is loaded
    import genzoo.evaluation.scoring  # noqa: F401 - before the collector is on again

    settled()
    with Progress(card.name, "images") as progress:
        records = zoo.evaluate(card.name, data, n, seed, progress)
    if as_json:
        say_json([record.as_dict() for record in records])
        return
    for record in records:
        say(safe_text(record, 1000))
    if not records:
        note(f"nothing can be measured of a model of the family {card.family.value} yet")
