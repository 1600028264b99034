"""`genzoo export`: a model for programs without genzoo."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from genzoo.cli.options import command, find, json_option, model_argument
from genzoo.cli.output import human_size, note, say, say_json
from genzoo.cli.pictures import check_writable
from genzoo.errors import safe_text

FORMATS = ("onnx", "torch")
PARTS = ("decoder", "encoder", "discriminator", "step", "classifier")
ENDINGS = {"onnx": ".onnx", "torch": ".pt2"}


@command("export")
@model_argument
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="onnx", show_default=True, help="Format."
)
@click.option(
    "-o",
    "--out",
    type=click.Path(),
    required=True,
    metavar="FILE",
    help="File: an .onnx, or a .pt2 of torch.",
)
@click.option(
    "--part",
    type=click.Choice(PARTS),
    help="Part of the model; step is a pass of a pixel model. Default: the first of these that it has.",
)
@click.option("--opset", type=click.IntRange(min=1), help="Version of ONNX's operators. Default: 18.")
@json_option
def export_command(
    name: str, form: str, out: str, part: str | None, opset: int | None, as_json: bool
) -> None:
    """Write a part of a model for other programs.

    The file is checked against the model and its golden outputs before it is written. ONNX needs pip install
    'genzoo[export]'. Example: genzoo export dcgan-bedrooms -o bedrooms.onnx
    """
    path = Path(out)
    if path.suffix.lower() != ENDINGS[form]:
        raise click.UsageError(
            f"the format {form} is written to a file that ends in {ENDINGS[form]}, not {out!r}",
            click.get_current_context(),
        )
    check_writable(path)
    entry = find(name)
    from genzoo.porting.exporting import export

    done = export(entry, path, format=form, part=part, opset=opset)
    if as_json:
        say_json({**dataclasses.asdict(done), "path": str(done.path)})
        return
    opset_words = f", opset {done.opset}" if done.opset else ""
    say(safe_text(f"{done.path}: the {done.part} of {name}, {human_size(done.bytes)}{opset_words}", 1000))
    for way, values in (("inputs", done.inputs), ("outputs", done.outputs)):
        note(safe_text(f"{way}: {', '.join(f'{key} {shape}' for key, shape in values.items())}", 1000))
    note(
        safe_text(f"checked: it differs from the model by at most {done.difference:.1e}; {done.golden}", 1000)
    )
    by = "onnxruntime" if form == "onnx" else "torch"
    note(
        f"16 rows: {1000 * done.seconds:.1f} ms by {by}, {1000 * done.own_seconds:.1f} ms by genzoo; "
        f"genzoo's weights of the whole model: {human_size(done.weights_bytes)}"
    )
