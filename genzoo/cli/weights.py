"""`genzoo pull`, `genzoo verify` and `genzoo push`: weights fetched, checked and published."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import Any

import click

from genzoo.card import Family
from genzoo.cli.conditions import option_of, stated
from genzoo.cli.options import (
    as_typed,
    catalogue,
    command,
    find,
    json_option,
    name_argument,
    names_argument,
    wanted_digest,
)
from genzoo.cli.output import Progress, note, say, say_json
from genzoo.cli.reasons import named_once
from genzoo.condition import Picture
from genzoo.errors import GenzooError, safe_text


@command("pull")
@names_argument
@json_option
@click.pass_context
def pull_command(context: click.Context, names: tuple[str, ...], every: bool, as_json: bool) -> None:
    """Download weights, verify their digest and print their path."""
    from genzoo import zoo

    def pull(name: str) -> str:
        with Progress(name) as progress:
            path = str(zoo.pull(name, progress=progress, sha256=wanted_digest()))
        _say_condition(name)
        return path

    context.exit(_each(_chosen(names, every), pull, "path", as_json))


@command("verify")
@names_argument
@json_option
@click.pass_context
def verify_command(context: click.Context, names: tuple[str, ...], every: bool, as_json: bool) -> None:
    """Verify the digest and the golden outputs of weights.

    Golden outputs show whether this machine generates the same images as the author's machine.
    """
    from genzoo import zoo

    def verify(name: str) -> str:
        return zoo.verify(name, wanted_digest())

    context.exit(_each(_chosen(names, every), verify, "result", as_json))


@command("push")
@name_argument
@click.argument("dest")
@click.option(
    "--run",
    type=click.Path(exists=True, file_okay=False),
    help="Folder of a training run: publish its weights.",
)
@click.option(
    "--licence",
    "--license",
    "licence",
    metavar="TEXT",
    help="Licence of the weights. Default: the one in their ledger row.",
)
@click.option("--public", is_flag=True, help="Make a newly created repository public. Default: private.")
@json_option
def push_command(
    name: str, dest: str, run: str | None, licence: str | None, public: bool, as_json: bool
) -> None:
    """Publish weights to a folder or to hf:OWNER/REPO.

    NAME may be the folder of a run: genzoo push runs/mine hf:OWNER/REPO. The card and the ledger row are
    published too, so that others can use the weights from there: genzoo sample hf:OWNER/REPO.
    """
    from genzoo import zoo

    catalogue()
    row = zoo.push(
        name, dest, run=run, licence=licence, public=public, tell=lambda line: note(safe_text(line, 1000))
    )
    if as_json:
        say_json(
            {
                "name": row.name,
                "dest": dest,
                "sha256": row.sha256,
                "bytes": row.bytes,
                "sources": list(row.sources),
            }
        )
        return
    say(safe_text(f"{row.name}: {row.sources[0]}", 1000))
    # A repository is named with the commit of this very push, which nobody can change.
    place = row.sources[0].rpartition(":")[0] if dest.startswith("hf:") else as_typed(dest)
    where = f"genzoo pull {shlex.quote(f'{place}#{row.name}')}"
    unstated = "" if row.licence else "; no licence is stated: state one with --licence TEXT"
    note(safe_text(f"published to {dest}; to use it elsewhere: {where}{unstated}", 1000))


def _say_condition(name: str) -> None:
    """Say on stderr what a conditional model takes, and how it is given; of other models nothing."""
    card, row = entry = find(name)
    condition = stated(entry, offline=True)
    if condition is not None and row is not None:
        named = shlex.quote(name)
        call = "" if card.family in (Family.AUTOENCODER, Family.CLASSIFIER) else f"genzoo sample {named} "
        way = f"{call}{option_of(condition)}"
        if isinstance(condition, Picture):
            way = f"genzoo translate {named} picture.png"
        note(safe_text(f"{name} takes {condition.words}: {way}", 1000))


def _chosen(names: Sequence[str], every: bool) -> list[str]:
    """Return the names to work on: those given, each once, or all that have published weights."""
    # Both or neither: --all with names would leave it open which of the two is meant.
    if bool(names) == every:
        raise click.UsageError(
            "give the names of models, or --all" + ", not both" * every, click.get_current_context()
        )
    known = catalogue()
    if not every:
        return list(dict.fromkeys(names))
    return [name for name, entry in known.items() if entry.row is not None]


def _each(names: Sequence[str], work: Callable[[str], str], key: str, as_json: bool) -> int:
    """Do `work` for each model, one line each; a failure does not stop the others. Return the exit code."""
    results: list[dict[str, Any]] = []
    for name in names:
        try:
            done = work(name)
        except GenzooError as error:
            # Ten models may be asked for, and one server be down.
            results.append({"name": name, "ok": False, key: None, "error": str(error)})
            note(f"{click.style('genzoo:', fg='red')} {safe_text(named_once(name, error), 2100)}")
            continue
        results.append({"name": name, "ok": True, key: done, "error": None})
        if not as_json:
            say(safe_text(f"{name}: {done}", 2000))
    if as_json:
        say_json(results)
    if not names:
        note("no installed model has published weights")
    return int(not all(result["ok"] for result in results))
