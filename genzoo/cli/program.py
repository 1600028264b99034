"""The program `genzoo`: a group whose commands are imported when they are used, and one line for every
error.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NoReturn

import click

from genzoo import __version__
from genzoo.cli.options import Session, debug_option, debug_wanted
from genzoo.cli.output import colour, mute_stdout, note
from genzoo.cli.reasons import words_of
from genzoo.errors import PluginError, safe_text, suggest
from genzoo.names import COMMANDS, COMPLETE

# The first command of each section of the help page -> its heading; plugins' commands have a section too.
SECTIONS: Mapping[str, str] = MappingProxyType(
    {
        "list": "Use a model",
        "traverse": "Look inside",
        "train": "Train and measure",
        "pull": "Share",
        "data": "Extend and maintain",
    }
)


class Program(click.Group):
    """The group of all commands: ours, then those of plugins, which can never replace one of ours."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return every name; torch is not imported, nor any command of a plugin."""
        return [*COMMANDS, *sorted(_foreign())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command of ours; for a plugin's, what the help page needs to know of it."""
        if cmd_name in COMMANDS:
            module = importlib.import_module(f"genzoo.cli.{COMMANDS[cmd_name]}")
            found: click.Command = getattr(module, f"{cmd_name.replace('-', '_')}_command")
            return found
        provided = _foreign().get(cmd_name)
        return (
            click.Command(cmd_name, short_help=f"Provided by {safe_text(provided.plugin, 60)}.")
            if provided
            else None
        )

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write every command with its first sentence, by section, all in the same two columns."""
        size = max(map(len, COMMANDS))  # whatever the names of plugins' commands
        sections: dict[str, list[tuple[str, str]]] = {}
        heading = ""
        for name in self.list_commands(ctx):
            heading = SECTIONS.get(name, heading) if name in COMMANDS else "From plugins"
            found = self.get_command(ctx, name)
            words = found.get_short_help_str(formatter.width - 6 - size) if found else ""
            sections.setdefault(heading, []).append((name.ljust(size), words))
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that `args` begin with, imported; for an unknown one the error suggests the
        nearest name.
        """
        name = str(args[0])
        if name in COMMANDS:
            return name, self.get_command(ctx, name), args[1:]
        if name in _foreign():
            return name, _load_foreign(name), args[1:]
        # A shell completes: errors must not be printed into its prompt.
        if ctx.resilient_parsing:
            return None, None, args[1:]
        from genzoo.registry import installed, warn_broken

        # The command may belong to a plugin that could not be loaded.
        warn_broken(installed())
        raise click.UsageError(f"no command is called {name!r}{suggest(name, self.list_commands(ctx))}", ctx)

    def main(
        self, args: Sequence[str] | None = None, prog_name: str | None = None, *rest: Any, **extra: Any
    ) -> NoReturn:
        """Run and raise SystemExit; click's own tests and the completion of shells call this."""
        words = list(sys.argv[1:] if args is None else args)
        self._main_shell_completion({}, prog_name or "genzoo", COMPLETE)
        sys.exit(self.run(words, prog_name or "genzoo"))

    def run(self, args: Sequence[str], name: str = "genzoo") -> int:
        """Run the command that `args` name and return the exit code.

        0 done, 1 failed, 2 wrong usage, 128 + n interrupted by signal n: 130 for Ctrl-C.
        """
        session = Session(debug=debug_wanted())
        try:
            self._main_shell_completion({}, name, COMPLETE)
            _check_signs(args)
            with self.make_context(name, list(args), obj=session) as context:
                self.invoke(context)
        except click.exceptions.Exit as end:
            return end.exit_code
        except SystemExit as end:
            return _exit_code(end)
        except BrokenPipeError:
            mute_stdout()
            return 1
        # whatever it is, it becomes one line
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001
            return report(error, session.debug)
        return 0


def _check_signs(args: Sequence[str]) -> None:
    """Refuse what no shell can give and no file can be called: callers inside a process can."""
    for arg in args:
        try:
            wrong = b"\0" in os.fsencode(arg)
        except UnicodeEncodeError:
            wrong = True
        if wrong:
            raise click.UsageError(f"the argument {arg!r} contains a character that no command line can hold")


def report(error: BaseException, debug: bool = False) -> int:
    """Report `error` in one line on stderr (with its traceback where `debug` is set) and return the exit
    code.
    """
    if debug:
        import traceback

        # a place and its line of code, or what the error says: one line then
        for piece in traceback.format_exception(error):
            for line in piece.splitlines() if piece.startswith("  File ") else [piece]:
                indent = len(line) - len(line.lstrip(" "))
                note(" " * indent + safe_text(line, 2000))
    message, code = words_of(error)
    note(f"{click.style('genzoo:', fg='red')} {safe_text(message, 2000)}")
    return code


def _exit_code(end: SystemExit) -> int:
    """Return the code of a SystemExit as the interpreter reads it: None is 0, a text is an error message."""
    if isinstance(end.code, int):
        return end.code
    if end.code is not None:
        note(safe_text(end.code))
    return 0 if end.code is None else 1


def _foreign() -> Mapping[str, Any]:
    """Return the commands of plugins, without ours: a plugin cannot replace those."""
    from genzoo.registry import installed

    return {name: provided for name, provided in installed().commands.items() if name not in COMMANDS}


def _load_foreign(name: str) -> click.Command:
    """Import the command `name` of a plugin; PluginError says who brought it and why it cannot be used."""
    from genzoo.isolation import import_target

    provided = _foreign()[name]
    what = f"the command {name!r} of {provided.plugin}"
    found = import_target(provided.value, what)
    if not isinstance(found, click.Command):
        raise PluginError(
            f"{what} is a {type(found).__name__}, not a click command", "report this to its author"
        )
    return found


@click.group(
    "genzoo",
    cls=Program,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    params=[debug_option()],
    epilog=(
        "Data goes to stdout, messages to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 "
        "interrupted, 143 terminated by SIGTERM."
    ),
    help="""A model zoo for the generative models of Stanford's CS231n lecture 12.

    \b
    First steps:
      genzoo list
      genzoo sample dcgan-bedrooms -n 16 -o bedrooms.png
    """,
)
@click.version_option(__version__, message="genzoo %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Show the help page where no command is named."""
    context.color = colour()
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def leave(code: int) -> NoReturn:
    """End the process with `code`, without the third of a second that the interpreter takes to pull torch
    down.

    Only what cannot matter is skipped, the destruction of modules: output is flushed, functions of `atexit`
    run, and while a thread is still at work the process ends in the ordinary way.
    """
    # Looked up, not imported: that would load torch only to end the process.
    parallel = sys.modules.get("genzoo.training.parallel")
    if parallel is not None:
        parallel.leave(code)  # returns only where torchrun started no group
    try:
        # os._exit would cut off what such a thread is still writing.
        if any(map(_at_work, threading.enumerate())):
            sys.exit(code)
        # os._exit skips these, and libraries register temporary files and the like here.
        atexit._run_exitfuncs()
        _flush()
    except KeyboardInterrupt:
        code = 130
    os._exit(code)


def _at_work(thread: threading.Thread) -> bool:
    """Say whether `thread` must be waited for: not the main one, no daemon, and none that a plugin left
    behind while it was loaded.
    """
    loading = sys.modules.get("genzoo.loading")
    foreign = loading is not None and thread in loading.left_behind
    return thread is not threading.main_thread() and not thread.daemon and not foreign


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
