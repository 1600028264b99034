"""`genzoo import`: weights of another program as a model of the zoo."""

from __future__ import annotations

from typing import Any

import click

from genzoo.cli.options import catalogue, command, complete_name, json_option
from genzoo.cli.output import note, say, say_json
from genzoo.cli.training import read_settings
from genzoo.errors import safe_text


@command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path())
@click.option(
    "--as", "name", required=True, metavar="NAME", shell_complete=complete_name, help="Model that it is."
)
@click.option(
    "--out",
    type=click.Path(),
    default="runs/imported",
    show_default=True,
    help="New folder for weights, card, ledger row and samples.",
)
@click.option("--key", default="", help="Name of the net in the file, if it holds several: g_ema.")
@click.option(
    "--set",
    "settings",
    metavar="KEY=VALUE",
    multiple=True,
    callback=read_settings,
    help="State a key of the config that shapes do not show. Repeatable.",
)
@click.option(
    "--check",
    type=click.Path(),
    metavar="NPZ",
    help="Compare with an .npz file of z and the images that the original net made of them.",
)
@click.option("--licence", "--license", "licence", metavar="TEXT", default="", help="Licence of the weights.")
@json_option
def import_command(
    files: tuple[str, ...],
    name: str,
    out: str,
    key: str,
    settings: dict[str, Any],
    check: str | None,
    licence: str,
    as_json: bool,
) -> None:
    """Import weights from a state dict of another program.

    Reads .pth, .pt, .ckpt and .safetensors files, finds the layout by shapes, and writes a run folder. Code
    in a file is never run. Example: genzoo import netG.pth --as dcgan --out runs/imported
    """
    catalogue()
    from genzoo.porting.importing import import_weights

    done = import_weights(files, name, out, key=key, settings=settings, check=check, licence=licence)
    if as_json:
        worst = None if done.check is None else done.check.worst
        facts = {"name": done.row.name, "folder": str(done.folder), "sha256": done.row.sha256}
        say_json({**facts, "config": dict(done.config), "notes": list(done.notes), "difference": worst})
        return
    config = ", ".join(f"{key}={safe_text(value, 80)}" for key, value in done.config.items())
    say(safe_text(f"{done.row.name}: {done.folder}", 1000))
    note(safe_text(f"its layout: {config or 'that of the card'}", 1000))
    for line in done.notes:
        note(safe_text(line, 1000))
    if done.check is not None:
        note(safe_text(f"checked: {done.check.words}", 1000))
    else:
        note("not checked against the original: look at samples.png, or give --check samples.npz")
    note(safe_text(f"to use it: GENZOO_ZOO={done.folder} genzoo sample {done.row.name}", 1000))
