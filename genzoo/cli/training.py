"""`genzoo train`: card and recipe first, then the game, then what came of it."""

from __future__ import annotations

import contextlib
import json
import shlex
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genzoo.card import Card, Family
from genzoo.cli.info import recipe_keys, setting_words
from genzoo.cli.options import (
    Command,
    as_typed,
    collect_garbage,
    command,
    data_option,
    device_option,
    find,
    json_option,
    name_argument,
)
from genzoo.cli.output import fact_lines, note, say, say_json
from genzoo.errors import GenzooError, Interrupted, TrainingError, safe_text
from genzoo.files import atomic_write
from genzoo.names import TRACKERS
from genzoo.places.disk import COMMAND
from genzoo.recipe import FACTS
from genzoo.schema import literal
from genzoo.units import several

if TYPE_CHECKING:
    from genzoo.training.callbacks import Moment
    from genzoo.training.publish import Outcome


def read_settings(
    context: click.Context, parameter: click.Parameter, pairs: tuple[str, ...]
) -> dict[str, Any]:
    """Return `key=value` texts as a mapping, values read as numbers, true or false, lists, or texts; the last
    of a key counts.
    """
    found = {}
    for pair in pairs:
        key, sign, text = pair.partition("=")
        if not sign or not key.strip():
            raise click.BadParameter(
                f"{pair!r} must read key=value, for example batch_size=32 or lr.generator=1e-4",
                context,
                parameter,
            )
        # Texts stay texts; whether the key takes them is checked against the recipe.
        found[key.strip()] = literal(text.strip())
    return found


def read_trackers(
    context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the trackers that `--track tensorboard,wandb --track mlflow` names."""
    return tuple(word.strip() for text in texts for word in text.split(",") if word.strip())


_USES = {Family.AUTOENCODER: "reconstruct", Family.CLASSIFIER: "info"}  # what a finished run is good for
RESUME = ("always", "auto", "previous")


class TrainCommand(Command):
    """A command whose --resume may stand alone, wherever it stands: click would read any word behind it as
    its value.
    """

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Let --resume mean --resume=always, unless one of its values follows."""
        # click would take the next word (`--resume NAME`) as the value.
        words: list[str] = []
        for word in args:
            if words and words[-1] == "--resume":
                words[-1:] = [f"--resume={word}"] if word in RESUME else ["--resume=always", word]
            else:
                words.append(word)
        return super().parse_args(
            context, ["--resume=always" if word == "--resume" else word for word in words]
        )


def resume_mode(context: click.Context, parameter: click.Parameter, value: str | None) -> bool | str:
    """Return what `genzoo.train` takes as `resume`."""
    return {None: False, "always": True}.get(value, value or False)


@command("train", TrainCommand)
@name_argument
@data_option
@click.option("--out", type=click.Path(file_okay=False), help="Folder of the run. Default: runs/NAME.")
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    help="Training steps, each a round of all players. Default: the recipe's.",
)
@click.option(
    "--set",
    "settings",
    metavar="KEY=VALUE",
    multiple=True,
    callback=read_settings,
    help="Change a key of the recipe or config. Repeatable.",
)
@click.option(
    "--resume",
    is_flag=False,
    flag_value="always",
    metavar="[=auto|previous]",
    type=click.Choice(RESUME),
    callback=resume_mode,
    help="Continue from the checkpoint in the folder of the run, also with more steps. =auto starts a run if "
    "there is none. =previous continues from the checkpoint before the last. Default: start a run, or "
    "continue the one in the folder if it has the same recipe, steps and data.",
)
@click.option(
    "--init-from",
    metavar="NAME|DIR|FILE",
    help="Start from these weights: a model, the folder of a run, a .safetensors file, or hf:OWNER/REPO. "
    "What fits by name and shape is taken; the rest starts at random and is listed.",
)
@device_option
@click.option(
    "--licence",
    "--license",
    "licence",
    metavar="TEXT",
    help="Licence of the weights, published with them. Default: none.",
)
@click.option(
    "--track",
    metavar="TRACKER[,TRACKER]...",
    multiple=True,
    callback=read_trackers,
    help=f"Also report to {', '.join(TRACKERS)} or a plugin's tracker. What they keep stays on this machine "
    "unless their own variables say otherwise.",
)
@click.option("--quiet", is_flag=True, help="Print no progress.")
@json_option
def train_command(
    name: str, settings: dict[str, Any], quiet: bool, as_json: bool, licence: str | None, **options: Any
) -> None:
    """Train a model and publish it to a folder.

    Ctrl-C, or a scheduler's SIGTERM, finishes the current step and saves a checkpoint; --resume continues
    from it, as does the same command again. For several processes: torchrun --nproc-per-node 2 -m genzoo
    train NAME.
    """
    from genzoo import zoo

    entry = find(name)
    import genzoo.training.train  # noqa: F401 - before the collector is on again
    from genzoo.training.checkpoint import CheckpointError
    from genzoo.training.parallel import place
    from genzoo.training.plan import plan
    from genzoo.training.signals import ignore_repetitions
    from genzoo.training.starting import starting
    from genzoo.training.tracking import chosen_trackers

    collect_garbage()
    chosen_trackers(options["track"])
    talks = place().writes  # of the processes that torchrun starts, one
    folder = Path(options["out"] or Path("runs") / entry.card.name).expanduser()
    _, card = starting(options["init_from"], folder, entry.card)
    settings |= {} if licence is None else {"licence": licence}
    # a wrong key or value is reported before the recipe is printed, not after a page of it
    recipe, config = plan(card, settings, steps=options["steps"], data=options["data"])
    if talks and not quiet:
        shape = _checked(recipe.data, config, folder)
        typed = {key: options[key] for key in ("data", "steps", "init_from") if options[key] is not None}
        introduce(card, {**typed, **settings}, shape)
    try:
        kept = _CommandKept(command_words(card.name))
        outcome = zoo.train(entry, settings=settings, quiet=quiet, callbacks=[kept], **options)
    except CheckpointError as error:
        if error.earlier is None:
            raise
        line = resume_line(card.name, options["out"], "previous")
        raise TrainingError(
            error.message,
            f"the previous one, of step {error.earlier:,}, is intact; to continue from it: {line}",
        ) from error
    if outcome.signal:
        ignore_repetitions()
    if talks:
        conclude(card, outcome, as_json)
    if not outcome.finished:
        raise Interrupted(outcome.signal or signal.SIGINT)


def _checked(data: str, config: dict[str, Any], folder: Path) -> str:
    """Return the shape of the images of a run, as 1×28×28, or "" if they must be fetched first.

    Raises:
        UnknownNameError, DataError, StorageError: there is no such data, or the folder cannot be written.
    """
    from genzoo.data.opening import check_there
    from genzoo.training.plan import settle_shape
    from genzoo.training.rehearsal import check_writable

    check_there(data)
    check_writable(folder)
    if not data or data.startswith("hf:"):
        return ""
    settle_shape(data, config)
    return "×".join(map(str, config["image_shape"]))


def introduce(card: Card, changes: Mapping[str, Any], shape: str) -> None:
    """Tell on stderr what is about to be trained, and how: the card's config and recipe with the `changes` of
    this run, and the `shape` of its images.
    """
    note(safe_text(f"{card.name}: {card.summary or card.family.words}", 300))
    values = {**card.config, **recipe_keys(card), **changes}
    shown = {key: setting_words(value) for key, value in values.items() if key not in FACTS}
    note("\n".join(fact_lines([("paper", card.paper), ("images", shape), *shown.items()], indent="  ")))


def conclude(card: Card, outcome: Outcome, as_json: bool) -> None:
    """Print the scores of a finished run, or how an interrupted one is resumed."""
    if as_json:
        say_json(
            {
                "name": card.name,
                "folder": str(outcome.folder),
                "finished": outcome.finished,
                "step": outcome.step,
                "weights": str(outcome.weights) if outcome.weights else None,
                "sha256": outcome.sha256 or None,
                "records": [record.as_dict() for record in outcome.records],
            }
        )
    elif outcome.finished:
        for record in outcome.records:
            say(safe_text(record, 1000))
    if outcome.finished:
        place = shlex.quote(as_typed(outcome.folder))
        use = f"to use it: genzoo {_USES.get(card.family, 'sample')} {place}"
        made = f"{outcome.weights}: {card.name} after {several(outcome.step, 'step')}"
        note(safe_text(f"{made}; {use}; to publish it: genzoo push {place} DEST", 2000))
    else:
        saved = f"stopped after step {outcome.step:,}, saved in {outcome.folder}"
        note(safe_text(f"{saved}; to continue: {resume_line(card.name, outcome.folder)}", 2000))


def resume_line(name: str, folder: str | Path | None, mode: str = "") -> str:
    """Return the command that resumes this run: the one that was typed, with --resume and the folder."""
    out = ["--out", str(folder)] if folder is not None else []
    return shlex.join([*command_words(name), *out, f"--resume={mode}" if mode else "--resume"])


def command_words(name: str) -> list[str]:
    """Return the words of the command that was typed, without --out and --resume."""
    given = click.get_current_context().params
    words = ["genzoo", "train", str(given.get("name", name))]  # a place as it was typed
    for option in ("data", "steps", "init_from", "device", "licence"):
        flag = f"--{option.replace('_', '-')}"
        words += [flag, str(given[option])] if given.get(option) is not None else []
    for key, value in given["settings"].items():
        words += ["--set", f"{key}={setting_words(value)}"]
    words += ["--track", ",".join(given["track"])] if given["track"] else []
    return words


class _CommandKept:
    """Keeps the command of a run in its folder, for those who find it unfinished."""

    def __init__(self, words: list[str]) -> None:
        self._words = words
        self._done = False

    def on_checkpoint(self, moment: Moment, path: Path) -> None:
        """Write it with the first checkpoint; a run is not worth less without it."""
        if not self._done:
            with contextlib.suppress(GenzooError):
                atomic_write(moment.folder / COMMAND, json.dumps(self._words).encode())
            self._done = True
