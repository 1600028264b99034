"""The line and the exit code of each kind of error: genzoo's own, click's, the system's, and those of
packages that cannot be imported.
"""

from __future__ import annotations

import os
import signal

import click

from genzoo.errors import GenzooError, Interrupted
from genzoo.safe_open import reason, storage_error


def words_of(error: BaseException) -> tuple[str, int]:
    """Return what `error` says, in one line that need not be safe, and the exit code of the program."""
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        number = error.number if isinstance(error, Interrupted) else signal.SIGINT
        return "interrupted" + f" by {signal.Signals(number).name}" * (number != signal.SIGINT), 128 + number
    if isinstance(error, GenzooError):
        return str(error), 1
    # Before ClickException, of which it is a subclass: only here is a help page of use.
    if isinstance(error, click.UsageError):
        where = error.ctx.command_path if error.ctx else "genzoo"
        if isinstance(error, click.NoSuchOption) and (instead := _instead(error)):
            return f"no option {error.option_name}: {instead} — see: {where} --help", 2
        return f"{error.format_message().rstrip('.')} — see: {where} --help", 2
    if isinstance(error, click.ClickException):
        return error.format_message(), error.exit_code
    return _foreign(error), 1


def named_once(name: str, error: GenzooError) -> str:
    """Return the line of an error that concerns one of several models: `error`, after the `name` of the model
    unless it says that already.
    """
    return str(error) if repr(name) in error.message else f"{name}: {error}"


def _instead(error: click.NoSuchOption) -> str:
    """Return what to type instead of an option of another library, or of a recipe key typed as an option of a
    command with --set; or an empty string.
    """
    known = {name for option in error.ctx.command.params for name in option.opts} if error.ctx else set()
    if "--set" not in known:
        return ""
    from genzoo.games import Adversarial
    from genzoo.recipe import Recipe, keys_of
    from genzoo.synonyms import meant

    typed = error.option_name.lstrip("-").replace("-", "_")
    if option := meant(typed, {name.lstrip("-") for name in known}):
        return f"use --{option}"
    keys = set(keys_of(Recipe(), Adversarial()))
    key = typed if typed in keys else meant(typed, keys | {f"{table}.PLAYER" for table in ("lr", "turns")})
    return f"settings are given with --set {key}=…" if key else ""


def _foreign(error: BaseException) -> str:
    if package := _broken_package(error):
        from genzoo.isolation import describe

        return (
            f"the package {package} cannot be imported: {describe(error)} — reinstall it: pip "
            f"install --force-reinstall {package}"
        )
    # `Path.is_file` raises for names that are too long, for example
    if isinstance(error, OSError) and error.filename is not None:
        return str(storage_error("use", os.fsdecode(error.filename), error))
    if isinstance(error, OSError) and error.errno is not None:
        why, remedy = reason(error)
        return f"the system refused to read or write: {why} — {remedy}"
    if _wants_memory(error):
        return "there is not enough memory for this — ask for less at a time"
    if isinstance(error, RecursionError):
        return "something is nested too deeply — --debug shows where"
    from genzoo.isolation import describe

    return f"internal error: {describe(error)} — run it again with --debug and report what that shows"


def _broken_package(error: BaseException) -> str:
    """Return the foreign package whose import failed with `error`: it is not there, or its own code or
    libraries are broken.
    """
    name = getattr(error, "name", None)
    if isinstance(error, ModuleNotFoundError) and isinstance(name, str):
        package = name.partition(".")[0]
        return "" if package == "genzoo" else package
    found, trace = "", error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        module = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if frame.f_code.co_name == "<module>" and module not in ("genzoo", "__main__", "") and not found:
            found = module  # the outermost: torch, and not one of the packages that torch needs
        trace = trace.tb_next
    return found


def _wants_memory(error: BaseException) -> bool:
    """Whether `error` says that memory is short: Python's own, or those of torch and of threads, which are
    RuntimeErrors.
    """
    said = ("can't allocate memory", "out of memory", "can't start new thread")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in said)
    )
