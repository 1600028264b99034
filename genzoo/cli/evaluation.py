"""`genzoo eval`: a model measured on data: likelihoods, or the quality of its samples beside what real images reach."""

from __future__ import annotations

from typing import Any

import click

from genzoo.cli.options import LARGEST_SEED, command, data_option, find, json_option, name_argument, settled
from genzoo.cli.output import Progress, note, say, say_json
from genzoo.errors import safe_text


def read_draws(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> list[int] | None:
    """Return the numbers of draws that `--k 1,50 --k 500` asks for, or None where it is not given."""
    words = [word.strip() for text in texts for word in text.split(",")]
    for word in words:
        if not (word.isascii() and word.isdigit() and len(word) < 19 and int(word)):
            raise click.BadParameter(f"{word!r} must be a whole number of at least 1, for example --k 1,50,5000", context, parameter)
    return [int(word) for word in words] or None


@command("eval")
@name_argument
@data_option
@click.option("-n", "n", type=click.IntRange(min=1), help="How many images to measure.")
@click.option(
    "--k", "ks", metavar="K[,K]...", multiple=True, callback=read_draws,
    help="Draws of a VAE's importance-weighted bound. By default 1,50,500,5000.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0, LARGEST_SEED), default=0, show_default=True, help="Seed of the samples and of every choice.")
@json_option
def eval_command(name: str, data: str | None, n: int | None, ks: list[int] | None, seed: int, as_json: bool) -> None:
    """Measure a model.

    Each number comes with what one must know to compare it. Of a VAE the ELBO is told, and tighter bounds of K draws per image; their
    time grows with the largest K.
    """
    from genzoo import zoo

    card, _ = find(name)
    zoo.row(card.name)  # before torch is loaded
    import genzoo.evaluation.scoring  # noqa: F401 - before the collector is on again

    settled()
    with Progress(card.name, "images") as progress:
        wanted: dict[str, Any] = {} if ks is None else {"ks": ks}
        records = zoo.evaluate(card.name, data, n, seed, progress, **wanted)
    if as_json:
        say_json([record.as_dict() for record in records])
        return
    for record in records:
        say(safe_text(record, 1000))
    if not records:
        note(f"nothing can be measured of a model of the family {card.family.value} yet")
