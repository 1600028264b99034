"""`genzoo cache`: what is kept on this machine, how much room it takes, what of it may go, and whether it is
whole.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import click

from genzoo.cli.options import command, json_option
from genzoo.cli.output import Progress, human_size, note, say, say_json, say_table
from genzoo.errors import GenzooError, safe_text
from genzoo.files import cache_dir
from genzoo.hub import pins, pull, store
from genzoo.hub.store import CachedFile
from genzoo.ledger import Row

ACTIONS = ("list", "size", "prune", "verify", "repair")


@command("cache")
@click.argument("action", type=click.Choice(ACTIONS), default="list")
@click.option(
    "--days",
    type=click.FloatRange(0),
    default=store.OLD,
    show_default=True,
    help="prune: days without use after which a file is old.",
)
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="prune: remove all that can be downloaded or made again, used or not.",
)
@click.option("--dry-run", is_flag=True, help="prune, repair: print what would be done, and do nothing.")
@json_option
@click.pass_context
def cache_command(
    context: click.Context, action: str, days: float, every: bool, dry_run: bool, as_json: bool
) -> None:
    r"""List, prune, verify or repair the cache of this machine.

    \b
    list     list all files, the most recently used last
    size     show the disk space that each kind of file takes
    prune    remove leftovers of killed programs, and files that were not
             used for 30 days and are in no ledger
    verify   check the sha256 of all weights; exit with 1 if any are damaged
    repair   download damaged weights again, or remove those in no ledger

    No action asks for confirmation. Files of other programs in the cache folder are never touched.
    GENZOO_CACHE sets the folder.
    """
    given = {"--days": "days", "--all": "every", "--dry-run": "dry_run"}
    fitting = {"prune": set(given), "repair": {"--dry-run"}}.get(action, set())
    for option, name in given.items():
        if (
            # The source, not the value: --days 30 typed with `list` is a mistake even though 30 is the
            # default.
            context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
            and option not in fitting
        ):
            raise click.UsageError(f"{option} cannot be used with {action}", context)
    found = store.entries()
    if action == "list":
        _list(found, as_json)
    elif action == "size":
        _size(found, as_json)
    elif action == "prune":
        context.exit(_prune(found, days, every, dry_run, as_json))
    else:
        context.exit(_check(found, action == "repair", dry_run, as_json))


def _rows() -> dict[str, Row]:
    """Return every row of the ledgers and pins by its digest; of several names the first counts."""
    from genzoo.catalogue import catalogue

    rows: dict[str, Row] = {}
    for row in (*catalogue().ledger.values(), *pins.rows()):
        # Two models may share weights; either name is right.
        rows.setdefault(row.sha256, row)
    return rows


def _name(entry: CachedFile, rows: dict[str, Row]) -> str:
    """Return the model's name for weights, else the path inside the cache."""
    if entry.kind in ("weights", "part") and entry.digest in rows:
        return rows[entry.digest].name
    return entry.path.relative_to(cache_dir()).as_posix()


def _list(found: list[CachedFile], as_json: bool) -> None:
    rows = _rows()
    # Locks are empty files and say nothing to people.
    shown = sorted((entry for entry in found if entry.kind != "lock"), key=lambda entry: entry.used)
    if as_json:
        say_json([_facts(entry, rows) for entry in shown])
    elif shown:
        cells = [
            [entry.kind, human_size(entry.bytes), _day(entry.used), _name(entry, rows)] for entry in shown
        ]
        say_table(["KIND", "SIZE", "USED", "WHAT"], cells)
    else:
        note(safe_text(f"the cache {cache_dir()} is empty", 500))


def _facts(entry: CachedFile, rows: dict[str, Row]) -> dict[str, Any]:
    return {
        "kind": entry.kind,
        "name": _name(entry, rows),
        "path": str(entry.path),
        "bytes": entry.bytes,
        "used": _day(entry.used),
        "in_ledger": entry.digest in rows if entry.digest else None,
    }


def _day(seconds: float) -> str:
    # UTC, so that two machines with one cache show the same day.
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


def _size(found: list[CachedFile], as_json: bool) -> None:
    kinds: dict[str, list[int]] = defaultdict(list)
    for entry in found:
        kinds[entry.kind].append(entry.bytes)
    total = sum(map(sum, kinds.values()))
    if as_json:
        sizes_by_kind = {kind: {"files": len(sizes), "bytes": sum(sizes)} for kind, sizes in kinds.items()}
        say_json({"folder": str(cache_dir()), "bytes": total, "kinds": sizes_by_kind})
        return
    lines = [[kind, len(sizes), human_size(sum(sizes))] for kind, sizes in kinds.items()]
    say_table(["KIND", "FILES", "SIZE"], [*lines, ["total", len(found), human_size(total)]])
    note(safe_text(f"in {cache_dir()}", 500))


def _prune(found: list[CachedFile], days: float, every: bool, dry_run: bool, as_json: bool) -> int:
    rows = _rows()
    going = store.prunable(found, rows, days, everything=every)
    freed, removed, failed = 0, [], {}
    with Progress("pruning", "files") as progress:
        for count, entry in enumerate(going, 1):
            try:
                # One file that is in use must not keep the others from being removed.
                freed += entry.bytes if dry_run else store.remove(entry)
                removed.append(entry)
            except GenzooError as error:
                failed[str(entry.path)] = error.message
            progress(count, len(going))
    if as_json:
        say_json(
            {
                "dry_run": dry_run,
                "freed": freed,
                "removed": [_facts(entry, rows) for entry in removed],
                "failed": failed,
            }
        )
        return int(bool(failed))
    for entry in removed:
        if entry.kind != "lock":
            words = "would remove" if dry_run else "removed"
            say(safe_text(f"{words} {entry.kind} {_name(entry, rows)}, {human_size(entry.bytes)}", 500))
    for path, why in failed.items():
        note(safe_text(f"genzoo: {path} was not removed: {why}", 1000))
    note(f"{'would free' if dry_run else 'freed'} {human_size(freed)}")
    return int(bool(failed))


def _check(found: Iterable[CachedFile], repairing: bool, dry_run: bool, as_json: bool) -> int:
    """Verify all weights, repair what is damaged if asked to, and return the exit code."""
    rows = _rows()
    weights = [entry for entry in found if entry.kind == "weights"]
    results = []
    for entry, fault in _faults(weights):
        done = ""
        if fault and repairing:
            done, fault = _repaired(entry, rows.get(entry.digest), dry_run, fault)
        results.append({**_facts(entry, rows), "ok": not fault, "error": fault or None, "done": done or None})
        if not as_json:
            _tell(_name(entry, rows), entry, fault, done)
    if as_json:
        say_json(results)
    elif not weights:
        note("there are no weights in the cache")
    return int(not all(result["ok"] for result in results))


def _faults(weights: list[CachedFile]) -> list[tuple[CachedFile, str]]:
    # Progress in bytes: a file of gigabytes beside small ones would make a bar of files stand still.
    total, done, faults = sum(entry.bytes for entry in weights), 0, []
    with Progress("verifying") as progress:
        for entry in weights:
            try:
                faults.append((entry, store.verify(entry)))
            except GenzooError as error:
                faults.append((entry, error.message))
            done += entry.bytes
            progress(done, total)
    return faults


def _repaired(entry: CachedFile, row: Row | None, dry_run: bool, fault: str) -> tuple[str, str]:
    """Return what was done about damaged weights, and what is still wrong with them."""
    if dry_run:
        return "would be downloaded again" if row else "would be removed: no ledger lists it", fault
    try:
        if row is None:
            store.remove(entry)
            return "removed: no ledger lists it", ""
        # pull looks at the cached file itself and replaces it only when the new one is complete.
        with Progress(row.name) as progress:
            pull(row, progress=progress)
        return "downloaded again", ""
    except GenzooError as error:
        return "", str(error)


def _tell(name: str, entry: CachedFile, fault: str, done: str) -> None:
    if fault:
        note(safe_text(f"genzoo: {name}: {entry.path}: {fault}{f' ({done})' if done else ''}", 1500))
    else:
        say(safe_text(f"{name}: {done or 'sha256 is correct'}", 500))
