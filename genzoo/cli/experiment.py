"""`genzoo experiment`: many small runs under one budget, as one table and one picture; run it again to
continue.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from genzoo.cli.options import collect_garbage, command, data_option, device_option, find, json_option
from genzoo.cli.output import note, say, say_json
from genzoo.cli.training import read_settings
from genzoo.errors import safe_text


def complete_experiment(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the experiments that come with genzoo."""
    from genzoo.experiments.plan import names

    return [CompletionItem(name) for name in names() if name.startswith(incomplete)]


@command("experiment")
@click.argument("source", metavar="NAME|FILE.toml", shell_complete=complete_experiment)
@data_option
@click.option("--out", type=click.Path(file_okay=False), help="Folder for all cells. Default: runs/NAME.")
@click.option(
    "--budget", type=click.IntRange(min=2), help="Turns of all players per cell. Default: the experiment's."
)
@click.option("--seeds", type=click.IntRange(1, 1000), help="Runs per cell. Default: the experiment's.")
@click.option(
    "--split", type=click.Choice(("valid", "test")), help="Split to measure. Default: the experiment's."
)
@click.option(
    "-n", "n", type=click.IntRange(min=6), help="Number of images to measure. Default: the experiment's."
)
@click.option(
    "--features", metavar="gist|NAME", help="Feature space for comparing samples. Default: the experiment's."
)
@click.option(
    "--set",
    "settings",
    metavar="KEY=VALUE",
    multiple=True,
    callback=read_settings,
    help="Change a setting of every cell. Repeatable.",
)
@click.option("--quiet", is_flag=True, help="Print no progress.")
@device_option
@json_option
def experiment_command(
    source: str, out: str | None, device: str | None, quiet: bool, as_json: bool, **changes: Any
) -> None:
    """Compare training settings in one table.

    A file defines the rows and columns. All cells are trained and measured in the same way.

    `architectures` trains seven objectives with six architectures; `saturation` compares the two generator
    losses over five seeds; `pixels` measures two improvements of PixelCNN; `turns` gives D one, two or five
    turns. Ctrl-C finishes the current step and saves; run the same command again to continue.
    """
    from genzoo.experiments.plan import cells, read

    experiment = read(source, changes)
    # All names are looked up before the first cell is trained.
    cards = {name: find(name).card for name in dict.fromkeys(cell.model for cell in cells(experiment))}
    folder = Path(out or Path("runs") / Path(source).stem)
    from genzoo.experiments import report, saturation
    from genzoo.experiments.cells import play_all
    from genzoo.plots import check_plots

    if experiment.figure == "saturation":
        check_plots()
    collect_garbage()
    tell = None if quiet else lambda words: note(safe_text(words))
    results, written = [], []
    for results in play_all(experiment, cards, folder, device, tell):
        # After every cell: a run of many hours shows what it has so far, and an interrupted one leaves a
        # report.
        written = report.write(experiment, results, folder)
    if experiment.figure == "saturation":
        written.append(saturation.save(folder / "saturation.png"))
    if as_json:
        say_json([result.as_dict() for result in results])
    else:
        say("\n".join(safe_text(line, 2000) for line in report.lines(experiment, results)))
    note(safe_text(", ".join(map(str, written)), 1000))
