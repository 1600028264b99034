"""Probing: a plugin that is seen for the first time is loaded in a process of its own, which can be ended.

An alarm interrupts Python code, but not code that swallows every exception, holds the interpreter's lock or
ends the process. So what a plugin does at import is seen in a child first. The verdict is kept in the cache
beside the state of the plugin's files: one that is well is loaded directly from then on, and one that hung or
ended its process is left out at once. `genzoo plugins` tries again.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import platform
import select
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint
from typing import Any, NamedTuple

from genzoo.discovery import Plugin, discover
from genzoo.errors import StorageError, safe_text
from genzoo.files import atomic_write, cache_dir, make_folder, read_capped
from genzoo.hookspecs import API_VERSION, read_plugin

CHILD = "GENZOO_PROBING"  # set in the child process, where plugins must not look up models
NAME = "plugins.json"
PATIENCE = 2.0  # seconds of silence before a message says what is loading
_START = 10.0  # seconds more for the child itself to begin
_DAY = 86_400.0  # after which a plugin that hung is given another chance
_MOST_FILES, _CAP = 200, 1 << 20

Told = Callable[[Plugin], object]


class Verdict(NamedTuple):
    """What a probe saw: `reason` is empty where the plugin came back, whatever it raised."""

    reason: str = ""
    when: float = 0.0


def can_probe(plugin: Plugin) -> bool:
    """Whether a child would find `plugin` again: it comes from installed metadata, and this interpreter can
    be started.
    """
    return (
        isinstance(plugin.entry, EntryPoint)
        and bool(plugin.distribution)
        and bool(sys.executable)
        and os.name == "posix"
    )


def probe(
    plugins: Sequence[Plugin], timeout: float, slow: Told, again: bool = False, budget: float | None = None
) -> dict[Plugin, str]:
    """Return for each of `plugins` why it cannot be loaded here ("": it can), from memory or from a child.

    Args:
        plugins: those for which `can_probe` holds.
        timeout: seconds that each may take.
        slow: called with a plugin that has been loading for two seconds.
        again: ask also those that memory says are ill.
        budget: seconds for all together; who was not asked within it is left out of the result and not
            remembered.
    """
    memory, now = _recall(), time.time()
    keys = {plugin: _key(plugin) for plugin in plugins}
    found: dict[Plugin, Verdict] = {}
    for plugin, key in keys.items():
        verdict = memory.get(key)
        if verdict is not None and not (verdict.reason and (again or now - verdict.when > _DAY)):
            found[plugin] = verdict
    unknown = [plugin for plugin in plugins if plugin not in found]
    fresh = _ask(unknown, timeout, slow, budget) if unknown else {}
    if fresh:
        memory.update({keys[plugin]: verdict for plugin, verdict in fresh.items()})
        _remember(memory)
    return {plugin: verdict.reason for plugin, verdict in {**found, **fresh}.items()}


def child() -> None:
    """Load the plugins that stdin names, one after the other, and write a line to stdout after each; what the
    child process runs.
    """
    lines = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what plugins print is no answer
    wanted = json.load(sys.stdin)
    here = {_identity(plugin): plugin for plugin in map(Plugin.of, discover())}
    print("ready", file=lines, flush=True)
    for number, identity in enumerate(wanted):
        plugin = here.get(tuple(identity))
        if plugin is not None:
            # an error is reported later, where the plugin is loaded for use
            with contextlib.suppress(BaseException):
                read_plugin(plugin.load())
        print(number, file=lines, flush=True)
    os._exit(0)  # whatever threads were left behind


def _ask(
    plugins: Sequence[Plugin], timeout: float, slow: Told, budget: float | None
) -> dict[Plugin, Verdict]:
    """Return a verdict on each; a child that a plugin hangs or ends is replaced by another for the rest."""
    verdicts: dict[Plugin, Verdict] = {}
    end = None if budget is None else time.monotonic() + budget
    rest = list(plugins)
    while rest:
        done, reason = _run(rest, timeout, slow, end)
        verdicts |= {plugin: Verdict() for plugin in rest[:done]}
        rest = rest[done:]
        if rest and (end is not None and time.monotonic() >= end):
            return verdicts
        if rest:
            verdicts[rest.pop(0)] = Verdict(reason, time.time())
    return verdicts


def _run(plugins: Sequence[Plugin], timeout: float, slow: Told, end: float | None) -> tuple[int, str]:
    """Let one child load `plugins` and return how many came back, and why the next did not."""
    import subprocess  # only a plugin that was not seen before needs a child

    environment = {**os.environ, CHILD: "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-W", "ignore", "-c", "from genzoo.probing import child; child()"]
    pipes: dict[str, Any] = {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.DEVNULL,
    }
    with subprocess.Popen(command, env=environment, start_new_session=True, **pipes) as process:
        try:
            process.stdin.write(json.dumps([_identity(plugin) for plugin in plugins]).encode())  # type: ignore[union-attr]
            process.stdin.close()  # type: ignore[union-attr]
            answers = _answers(process.stdout.fileno(), plugins, timeout, slow, end)  # type: ignore[union-attr]
            done = sum(answer == "back" for answer in answers)
        except BrokenPipeError:
            done = 0
        finally:
            hung = process.poll() is None
            with contextlib.suppress(OSError):
                os.killpg(process.pid, 9)
            process.wait()
    if hung:
        return (
            done,
            (
                f"it did not load within {timeout:g} s — GENZOO_PLUGIN_TIMEOUT=SECONDS gives it longer, and "
                "genzoo plugins tries again"
            ),
        )
    return (
        done,
        (
            f"it ends the program while it is loaded (exit code {process.returncode}) — report this to "
            "its author; "
            "genzoo plugins tries again"
        ),
    )


def _answers(
    pipe: int, plugins: Sequence[Plugin], timeout: float, slow: Told, end: float | None
) -> list[str]:
    """Return one "back" for each plugin that came back, in their order, until the child has ended or one
    takes too long.
    """
    found: list[str] = []
    buffer = b""
    deadline, patience = time.monotonic() + timeout + _START, time.monotonic() + PATIENCE
    while True:
        now = time.monotonic()
        last = deadline if end is None else min(deadline, end)
        if now >= last:
            return found[1:]
        if now >= patience:
            patience = float("inf")
            slow(plugins[max(len(found) - 1, 0)])
        if not select.select([pipe], [], [], max(0.0, min(last, patience) - now))[0]:
            continue
        chunk = os.read(pipe, 4096)
        if not chunk:
            _wait_for_end()
            return found[1:]
        buffer += chunk
        found = ["back"] * buffer.count(b"\n")  # the first line says that the child has begun
        if len(found) > len(plugins):
            return found[1:]
        deadline, patience = time.monotonic() + timeout, time.monotonic() + PATIENCE


def _wait_for_end() -> None:
    time.sleep(0.05)  # the pipe closes a moment before the exit code is there


def _identity(plugin: Plugin) -> tuple[str, str, str]:
    return plugin.distribution, plugin.name, plugin.value


def _key(plugin: Plugin) -> str:
    """Return what a verdict depends on: who it is, its files, this Python and this interface."""
    return " ".join(
        [*_identity(plugin), plugin.version, platform.python_version(), str(API_VERSION), _state(plugin)]
    )


def _state(plugin: Plugin) -> str:
    """Return the newest change and the total size of the plugin's Python files, as far as they can be found
    without importing it.
    """
    newest = size = 0
    # a broken finder, a name that is none: the verdict then stands for the version alone
    with contextlib.suppress(Exception):
        spec = importlib.util.find_spec(plugin.value.partition(":")[0].partition(".")[0])
        for path in _files(spec):
            facts = os.stat(path)
            newest, size = max(newest, facts.st_mtime_ns), size + facts.st_size
    return f"{newest}/{size}"


def _files(spec: Any) -> list[str]:
    if spec is None or not spec.origin:
        return []
    if not spec.submodule_search_locations:
        return [spec.origin]
    tree = os.walk(os.path.dirname(spec.origin))  # each start lists every plugin, and Path.rglob is slow
    found = (os.path.join(folder, name) for folder, _, names in tree for name in names)
    return sorted(path for path in found if path.endswith(".py"))[:_MOST_FILES]


def _recall() -> dict[str, Verdict]:
    """Return the verdicts of the cache; none where it cannot be read."""
    try:
        kept = json.loads(read_capped(cache_dir() / NAME, _CAP))
        return {str(key): Verdict(safe_text(reason), float(when)) for key, (reason, when) in kept.items()}
    except (StorageError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _remember(memory: dict[str, Verdict]) -> None:
    kept = {key: [verdict.reason, verdict.when] for key, verdict in list(memory.items())[-500:]}
    with contextlib.suppress(StorageError):  # a cache that cannot be written costs a probe each time
        atomic_write(make_folder(cache_dir()) / NAME, json.dumps(kept).encode())
