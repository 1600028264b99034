"""`genzoo experiment`: many small runs under one budget, as one table and one picture; run it again and it
goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from genzoo.cli.options import command, data_option, device_option, find, json_option, settled
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
@click.option(
    "--out", type=click.Path(file_okay=False), help="The folder of all cells. By default runs/NAME."
)
@click.option(
    "--budget",
    type=click.IntRange(min=2),
    help="Turns of all players in a cell. By default the experiment's.",
)
@click.option("--seeds", type=click.IntRange(1, 1000), help="Runs of each cell. By default the experiment's.")
@click.option(
    "--split", type=click.Choice(("valid", "test")), help="What is measured. By default the experiment's."
)
@click.option(
    "-n", "n", type=click.IntRange(min=6), help="How many images to measure. By default the experiment's."
)
@click.option(
    "--features", metavar="gist|NAME", help="What images are described by. By default the experiment's."
)
@click.option(
    "--set",
    "settings",
    metavar="KEY=VALUE",
    multiple=True,
    callback=read_settings,
    help="Change a setting of every cell.",
)
@click.option("--quiet", is_flag=True, help="No progress.")
@device_option
@json_option
def experiment_command(
    source: str, out: str | None, device: str | None, quiet: bool, as_json: bool, **changes: Any
) -> None:
    """Compare settings of training in one table.

    Its rows and columns stand in a file; each cell is trained and measured alike.

    `architectures` trains five objectives with six architectures; `saturation` compares the two losses of the
    generator over five seeds; `pixels` adds to a PixelCNN what improved it. Ctrl-C finishes the step and
    saves; the same command goes on.
    """
    from genzoo.experiments.plan import cells, read

    experiment = read(source, changes)
    cards = {name: find(name).card for name in dict.fromkeys(cell.model for cell in cells(experiment))}
    folder = Path(out or Path("runs") / Path(source).stem)
    from genzoo.experiments import report, saturation
    from genzoo.experiments.cells import play_all
    from genzoo.plots import check_plots

    if experiment.figure == "saturation":
        check_plots()
    settled()
    tell = None if quiet else lambda words: note(safe_text(words))
    results, written = [], []
    for results in play_all(experiment, cards, folder, device, tell):
        written = report.write(experiment, results, folder)
    if experiment.figure == "saturation":
        written.append(saturation.save(folder / "saturation.png"))
    if as_json:
        say_json([result.as_dict() for result in results])
    else:
        say("\n".join(safe_text(line, 2000) for line in report.lines(experiment, results)))
    note(safe_text(", ".join(map(str, written)), 1000))
