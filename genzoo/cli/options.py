"""What several commands share: names that complete themselves, counts, seeds, --json and --debug."""

from __future__ import annotations

import ast
import copy
import gc
import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from genzoo.cli.output import note
from genzoo.errors import GenzooError, safe_text
from genzoo.manner import COLDEST, HOTTEST, NARROWEST, WIDEST
from genzoo.whole import LARGEST_SEED as LARGEST_SEED

if TYPE_CHECKING:
    from genzoo.catalogue import Catalogue, Entry

F = TypeVar("F", bound=Callable[..., Any])

_RUN = "own_run"
FRESH_SEEDS = 10**9  # those drawn for people: short enough to be typed again


@dataclass
class Session:
    """What one call of the program knows: whether errors are shown with their traceback."""

    debug: bool = False
    sha256: str = ""  # of --sha256


class Command(click.Command):
    """A command of genzoo: each takes --debug, so that it can be added at the end of the line that failed,
    and reads plain digits only.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(debug_option())
        self.runs = any(parameter.name == _RUN for parameter in self.params)
        for parameter in self.params:
            if isinstance(parameter.type, (click.types.IntParamType, click.types.FloatParamType)):
                parameter.type = _with_plain_digits(parameter.type)

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Read --run DIR as the folder DIR in the place of a model's name."""
        return super().parse_args(context, _runs_as_names(args) if self.runs else args)


def _runs_as_names(args: list[str]) -> list[str]:
    words: list[str] = []
    left = iter(args)
    for word in left:
        if word == "--":
            return [*words, word, *left]
        option, sign, folder = word.partition("=")
        if option != "--run":
            words.append(word)
        elif folder := folder if sign else next(left, ""):
            words.append(as_typed(folder))
        else:
            words.append(word)  # without its folder, which click reports
    return words


def as_typed(folder: str | Path) -> str:
    """Return the folder of a run as it is typed where a model's name is expected."""
    from genzoo.places import is_place

    return str(folder) if is_place(str(folder)) else f"./{folder}"


def _with_plain_digits(kind: Any) -> Any:
    """Return the type of a number that refuses digits of other scripts, which Python's int() and float()
    take.
    """
    # A copy: the types are shared by all commands.
    plain, whole = copy.copy(kind), isinstance(kind, click.types.IntParamType)

    def convert(value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        # int("٣") is 3 in Python: such a seed could not be read back by most people.
        if isinstance(value, str) and not value.isascii():
            kind.fail(f"{value!r} is not written with the digits 0 to 9.", parameter, context)
        read, words = (int, "a whole number") if whole else (float, "a number")
        try:
            read(value)
        except (TypeError, ValueError):
            kind.fail(f"{value!r} is not {words}.", parameter, context)
        return kind.convert(value, parameter, context)

    vars(plain)["convert"] = convert
    return plain


def debug_option() -> click.Option:
    """Return the option --debug."""
    text = "Show the traceback of an error (also: GENZOO_DEBUG=1)."
    return click.Option(
        ["--debug"], is_flag=True, is_eager=True, expose_value=False, callback=_set_debug, help=text
    )


def _set_debug(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        context.ensure_object(Session).debug = True


def debug_wanted() -> bool:
    """Return whether GENZOO_DEBUG turns tracebacks on."""
    return os.environ.get("GENZOO_DEBUG", "0") not in ("", "0")


def command(name: str, cls: type[Command] = Command) -> Callable[[Callable[..., Any]], Command]:
    """Return the decorator that makes a function a command of genzoo, of class `cls`; its docstring is the
    help page.
    """
    return lambda function: click.command(name, cls=cls, help=help_of(function))(function)


def help_of(function: Callable[..., Any]) -> str | None:
    r"""Return the docstring of `function`, from its source where Python strips docstrings (-OO,
    PYTHONOPTIMIZE=2).

    A line `\b` is returned as the backspace by which click keeps the line breaks of the paragraph below it.
    """
    text = _docstring(inspect.unwrap(function))  # from click.pass_context
    return text and text.replace("\\b\n", "\b\n")


def _docstring(function: Callable[..., Any]) -> str | None:
    if function.__doc__ is not None or sys.flags.optimize < 2:
        return inspect.getdoc(function)
    try:
        # Help must not be empty under -OO, which strips docstrings.
        tree = ast.parse(Path(function.__code__.co_filename).read_text("utf-8"))
    except (OSError, ValueError, SyntaxError):
        return None  # no source is installed: a page without words
    found = (
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function.__name__
    )
    return next((ast.get_docstring(node) for node in found), None)


def complete_name(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the names of installed models that begin with `incomplete`."""
    from genzoo.places import is_place
    from genzoo.registry import installed

    if is_place(incomplete):  # the shell knows the folders and files
        return [CompletionItem(incomplete, type="file")]
    try:
        found = installed().cards.values()
    except GenzooError:
        return []
    return [
        CompletionItem(card.name, help=safe_text(card.summary, 80))
        for card in found
        if card.name.startswith(incomplete)
    ]


def name_argument(function: F) -> F:
    """Add the argument NAME; it is checked where it is used, which also knows the nearest name."""
    return click.argument("name", shell_complete=complete_name)(function)


def model_argument(function: F) -> F:
    """Add the argument NAME of a model with weights, and `place_options`."""
    return name_argument(place_options(function))


def models_argument(function: F) -> F:
    """Add the arguments NAME... of models with weights, and `place_options`."""
    names = click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete_name)
    return names(place_options(function))


def names_argument(function: F) -> F:
    """Add the arguments NAME..., --all in their place, and `place_options`."""
    every = click.option("--all", "every", is_flag=True, help="All models with published weights.")
    return click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_name)(
        every(place_options(function))
    )


def place_options(function: F) -> F:
    """Add --run, which `Command` reads as a name, and --sha256, which `find` reads."""
    run = click.option(
        "--run",
        _RUN,
        metavar="DIR",
        expose_value=False,
        help="Folder of a training run, the same as DIR in place of NAME. NAME may also be a .safetensors "
        "file or hf:OWNER/REPO[@REVISION].",
    )
    digest = click.option(
        "--sha256",
        metavar="HEX",
        expose_value=False,
        callback=_set_digest,
        help="Use weights with this sha256 only.",
    )
    return run(digest(function))


def _set_digest(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.ensure_object(Session).sha256 = value.strip().lower()


def wanted_digest() -> str:
    """Return the value of --sha256, "" without one."""
    context = click.get_current_context(silent=True)
    session = None if context is None else context.find_object(Session)
    return "" if session is None else session.sha256


def json_option(function: F) -> F:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")(function)


def seed_option(function: F) -> F:
    """Add --seed."""
    text = "Random seed: the same seed gives the same images. Default: a random one, which is printed."
    return click.option("--seed", type=click.IntRange(0, LARGEST_SEED), help=text)(function)


def temperature_option(function: F) -> F:
    """Add --temperature."""
    text = "Of pixel models: draw each level from p(level | earlier pixels)^(1/T), normalised."
    return click.option("--temperature", type=click.FloatRange(COLDEST, HOTTEST), metavar="T", help=text)(
        function
    )


def manner_options(function: F) -> F:
    """Add --temperature and --truncation."""
    text = "Of models with a z: draw components of z beyond -t … t again until they are within."
    kind = click.FloatRange(NARROWEST, WIDEST)
    return temperature_option(click.option("--truncation", type=kind, metavar="t", help=text)(function))


def device_option(function: F) -> F:
    """Add --device."""
    text = "Device to compute on: cpu, cuda, cuda:1, mps, or auto, a GPU if there is one."
    return click.option("--device", help=text)(function)


def data_option(function: F) -> F:
    """Add --data."""
    text = (
        "A known data set, a folder of images (with captions, if it has metadata.jsonl), an .npz file, an "
        "idx file, hf:owner/dataset, pairs:PATH, or unpaired:PATH. Default: the recipe's."
    )
    return click.option("--data", type=click.Path(), help=text)(function)


def catalogue() -> Catalogue:
    """Return the catalogue; what had to be left out is reported on stderr, one line each."""
    from genzoo import catalogue as module
    from genzoo.registry import installed, warn_broken

    warn_broken(installed())
    found = module.catalogue()
    for problem in found.problems:
        note(safe_text(f"genzoo: {problem}", 800))
    return found


def find(name: str) -> Entry:
    """Return the entry of `name`, a name or a place: its card and the row of its weights, if any;
    UnknownNameError holds the nearest name.
    """
    from genzoo import places

    catalogue()  # its problems are reported
    return places.find(name, wanted_digest())


def collect_garbage() -> None:
    """Switch the garbage collector on again, sparing what has been loaded so far; see `genzoo.cli.main`."""
    # What is loaded stays until the end, so it need not be looked at in every collection.
    gc.freeze()
    gc.enable()
