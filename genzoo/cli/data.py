"""`genzoo data`: the named data sets, which of them are at hand, and making the files of the others."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from genzoo.cli.options import command, json_option
from genzoo.cli.output import note, say, say_json, say_table
from genzoo.datasets import NAMES
from genzoo.errors import ArgumentError, safe_text
from genzoo.homes import EMBEDDED, HOMES, MADE_WITH

ACTIONS = ("list", "prepare")
STATES = {
    "ships": "ships with genzoo",
    "here": "under GENZOO_DATA",
    "fetched": "downloaded when it is first used",
    "prepare": "genzoo data prepare",
    "yours": "only if you have its files",
}


@command("data")
@click.argument("action", type=click.Choice(ACTIONS), default="list")
@click.argument("name", required=False)
@click.option(
    "--from",
    "sources",
    multiple=True,
    metavar="SOURCE",
    help="prepare: the folder or file to make it from; of photographs also hf:OWNER/DATASET. Repeatable.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(file_okay=False),
    help="prepare: folder for the files. Default: GENZOO_DATA.",
)
@json_option
def data_command(
    action: str, name: str | None, sources: tuple[str, ...], out: str | None, as_json: bool
) -> None:
    r"""List the named data sets, or make the files of one.

    \b
    list      list all sets: where they are, or where to get them
    prepare   make the files of the set NAME from what is public, given
              with --from; what does not match is refused

    Without --from, prepare says what to get and where.
    """
    if action == "list":
        if name or sources or out:
            raise click.UsageError(
                "list takes no name and no options: genzoo data", click.get_current_context()
            )
        _list(as_json)
    else:
        _prepare(name, sources, out, as_json)


def _prepare(name: str | None, sources: tuple[str, ...], out: str | None, as_json: bool) -> None:
    if name is None:
        raise click.UsageError(
            f"which data set? one of {', '.join(HOMES)}: genzoo data prepare NAME --from SOURCE",
            click.get_current_context(),
        )
    made_with = MADE_WITH.get(name, name)
    if not sources and made_with in HOMES:
        how = "is made from files that you get yourself"
        if NAMES[name].homes:
            how = "is downloaded when it is first used; without a network it is made from files of your own"
        raise ArgumentError(f"{name} {how}", HOMES[made_with].advice(made_with))
    from genzoo.data.prepare import made_as, prepare

    made_as(name)  # a wrong name is reported before a missing folder
    folder = out or os.environ.get("GENZOO_DATA")
    if not folder:
        raise ArgumentError("GENZOO_DATA is not set", "say where the files go: --out data")
    files, remarks = prepare(name, sources, folder)
    if as_json:
        say_json({"name": name, "files": [str(file) for file in files], "remarks": list(remarks)})
    else:
        say("\n".join(safe_text(file, 1000) for file in files))
    for remark in remarks:
        note(safe_text(f"{name}: {remark}", 1000))
    if Path(folder).absolute() != Path(os.environ.get("GENZOO_DATA") or "/").absolute():
        note(safe_text(f"to use them: export GENZOO_DATA={folder}", 1000))


def _list(as_json: bool) -> None:
    sets = [facts(name) for name in NAMES]
    if as_json:
        say_json(sets)
        return
    cells = [[one["name"], STATES[one["state"]], one["source"]] for one in sets]
    say_table(["DATA SET", "WHERE", "WHAT"], cells)
    if any(one["state"] == "prepare" for one in sets):
        note("genzoo data prepare NAME says what to get for it, and where it is public")


def facts(name: str) -> dict[str, Any]:
    """Return what is known about a data set: its state, terms, home and the command that makes its files."""
    known = NAMES[name]
    home = HOMES.get(MADE_WITH.get(name, name))
    return {
        "name": name,
        "state": state(name),
        "source": known.source,
        "terms": known.terms,
        "homes": list(home.places) if home else [],
        "prepare": home.command(MADE_WITH.get(name, name)) if home else None,
        "stand_in": home.stand_in or None if home else None,
    }


def state(name: str) -> str:
    """Return one of the keys of STATES."""
    known = NAMES[name]
    if name in EMBEDDED:
        return "ships"
    root = Path(os.environ.get("GENZOO_DATA") or os.devnull)
    if all(
        os.path.isfile(root / file) or os.path.isfile((root / file).with_suffix("")) for file in known.files
    ):
        return "here"
    if known.homes:
        return "fetched"
    return "prepare" if MADE_WITH.get(name, name) in HOMES else "yours"
