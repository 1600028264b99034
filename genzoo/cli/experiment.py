"""`genzoo experiment`: many small runs under one budget, as one table and one picture; run it again to
continue.
"""

from __future__ import annotations

import re
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


def read_part(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, int]:
    """Return K and N of `--cells K/N`, by default 1 and 1."""
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text or "1/1", re.ASCII)
    k, n = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= k <= n:
        raise click.BadParameter(
            f"{text!r} must read K/N with K from 1 to N, for example 3/8", context, parameter
        )
    return k, n


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
@click.option(
    "--cells",
    "part",
    metavar="K/N",
    callback=read_part,
    help="Only every N-th cell from number K, for the K-th of N jobs. Default: all.",
)
@click.option("--quiet", is_flag=True, help="Print no progress.")
@device_option
@json_option
def experiment_command(
    source: str,
    out: str | None,
    part: tuple[int, int],
    device: str | None,
    quiet: bool,
    as_json: bool,
    **changes: Any,
) -> None:
    """Compare training settings in one table.

    A file defines the rows and columns. All cells are trained and measured in the same way.

    `architectures` trains seven objectives with six architectures; `saturation` compares the two generator
    losses over five seeds; `pixels` measures two improvements of PixelCNN; `turns` gives D one, two or five
    turns; `games` trains the nets of `dcgan-bedrooms` with four losses; `facades`, `matching` and `gamma` are
    the ablations of pix2pix, text to image and BEGAN. Ctrl-C finishes the current step and saves; run the
    same command again to continue.

    Several processes may run the same command with one folder, also by torchrun: each cell is done once. Jobs
    with folders of their own take --cells 1/8, 2/8 …; copy the folders of their cells into one, and the same
    command without --cells makes the whole table.
    """
    from genzoo.experiments.plan import cells, read

    experiment = read(source, changes)
    # All names are looked up before the first cell is trained.
    cards = {name: find(name).card for name in dict.fromkeys(cell.model for cell in cells(experiment))}
    folder = Path(out or Path("runs") / Path(source).stem)
    import torch

    from genzoo.cli.destinations import own_device
    from genzoo.experiments import report, saturation
    from genzoo.experiments.cells import play_all
    from genzoo.plots import check_plots
    from genzoo.training.parallel import separate

    if experiment.figure == "saturation":
        check_plots()
    collect_garbage()
    tell = None if quiet else lambda words: note(safe_text(words))
    world = separate()
    if world.size > 1 and device is None and torch.cuda.is_available():
        device = "cuda"
    results, written = [], []
    for results in play_all(experiment, cards, folder, own_device(device, world), tell, part):
        if not world.writes:
            continue
        # After every cell: a run of many hours shows what it has so far, and an interrupted one leaves a
        # report.
        written = report.write(experiment, results, folder)
    if not world.writes:
        return
    if experiment.figure == "saturation":
        written.append(saturation.save(folder / "saturation.png"))
    if as_json:
        say_json([result.as_dict() for result in results])
    else:
        say("\n".join(safe_text(line, 2000) for line in report.lines(experiment, results)))
    note(safe_text(", ".join(map(str, written)), 1000))
