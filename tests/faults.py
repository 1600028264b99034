"""Faults to order: something runs in a child process, and one of its writes, fsyncs, renames or unlinks goes
wrong.

For every operation of a scenario and every kind of fault, the state that is left is judged by a process of
its own: it must be the old one or the new one, an error must be one that genzoo raises on purpose, and doing
it once more must give the new state. Needs fork.

    python tests/faults.py [SCENARIO ...]       prints how many faults left the old state, the new one or
    neither
"""

from __future__ import annotations

import builtins
import collections
import contextlib
import errno
import io
import os
import pathlib
import shutil
import signal
import stat
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KINDS = {
    "kill": "SIGKILL before it, or in the middle of a write",
    "ENOSPC": "the disk is full, and stays so",
    "EIO": "an input/output error",
    "cut": "power cut: what was written and not flushed is gone",
    "lost": "power cut: of the renames whose folder was not flushed, only the last one is there",
}
PATIENCE = 60  # seconds for one child


@dataclass(frozen=True)
class Scenario:
    """What is interrupted.

    Attributes:
        name: for the table.
        prepare: puts the old state into an empty folder.
        act: makes the new state of it.
        judge: tells which state the folder is in, "old" or "new"; anything else says what is wrong.
        around: what must be there meanwhile, such as a server.
        comfort: what is made only saves time, so that going on without it is right.
    """

    name: str
    prepare: Callable[[Path], object]
    act: Callable[[Path], object]
    judge: Callable[[Path], str]
    around: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext
    comfort: bool = False


@dataclass(frozen=True)
class Case:
    """One fault and what came of it: "old", "new", or what is wrong."""

    kind: str
    number: int
    operation: str
    verdict: str

    @property
    def right(self) -> bool:
        return self.verdict in ("old", "new")


def play(scenario: Scenario, folder: Path, kinds: tuple[str, ...] = tuple(KINDS)) -> Iterator[Case]:
    """Yield every case of `scenario`; `folder` is empty and is used up."""
    with scenario.around():
        yield from _play(scenario, folder, kinds)


def _play(scenario: Scenario, folder: Path, kinds: tuple[str, ...]) -> Iterator[Case]:
    start, place = folder / "start", folder / "place"
    start.mkdir(parents=True)
    if (told := asked(lambda: _prepared(scenario.prepare, place, start))) != "ready":
        raise AssertionError(f"{scenario.name} cannot be prepared: {told}")
    shutil.copytree(start, place)
    operations = asked(lambda: _recorded(scenario.act, place)).split("\n")
    if (verdict := asked(lambda: scenario.judge(place))) != "new":
        raise AssertionError(f"{scenario.name}: without a fault the state is {verdict!r}, after {operations}")
    for number, operation in enumerate(operations):
        for kind in kinds:
            shutil.rmtree(place)
            shutil.copytree(start, place)
            yield Case(kind, number, operation, _verdict(scenario, place, kind, number))


def _prepared(prepare: Callable[[Path], object], place: Path, start: Path) -> str:
    """Prepare in the folder where it will be used: what is there may hold its own path."""
    place.mkdir()
    _Disk("none", -1).patch()
    prepare(place)
    shutil.rmtree(start)
    place.rename(start)
    return "ready"


def _recorded(act: Callable[[Path], object], place: Path) -> str:
    disk = _Disk("none", -1)
    disk.patch()
    act(place)
    return "\n".join(disk.done)


def _verdict(scenario: Scenario, place: Path, kind: str, number: int) -> str:
    told = asked(lambda: _faulty(scenario.act, place, kind, number))
    if told.startswith("wrong"):
        return told
    found, _, again = asked(lambda: _judged_twice(scenario, place)).partition("\n")
    if told == "done" and found == "old" and not scenario.comfort:
        return "wrong: it returned as if all were well, and the state is the old one"
    return found if again == "new" else f"wrong: {found}, and done once more it is {again}"


def _judged_twice(scenario: Scenario, place: Path) -> str:
    found = scenario.judge(place)
    _recorded(scenario.act, place)
    return f"{found}\n{scenario.judge(place)}"


def _faulty(act: Callable[[Path], object], place: Path, kind: str, number: int) -> str:
    from genzoo.errors import GenzooError

    _Disk(kind, number).patch()
    try:
        act(place)
    except GenzooError as error:
        return "refused" if "\n" not in str(error) else f"wrong: an error of several lines: {error}"
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is the finding
        return f"wrong: {type(error).__name__}: {error}"
    return "done"


def asked(work: Callable[[], str]) -> str:
    """Return what `work` returns in a forked process; "killed" where that died."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        # threads of the test run do not matter to the child
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        answer = "wrong: no answer"
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what is told on the way is not what is judged
            answer = work()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the answer
            answer = f"wrong: {type(error).__name__}: {error}"
        finally:
            _REAL["os.write"](write, answer.encode("utf-8", "replace"))
            os._exit(0)
    os.close(write)
    deadline = time.monotonic() + PATIENCE
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(read)
            return "wrong: it hangs"
        time.sleep(0.001)
    with os.fdopen(read, "rb") as pipe:
        return pipe.read().decode() or "killed"


_REAL: dict[str, Any] = {f"os.{name}": getattr(os, name) for name in ("write", "replace", "unlink")} | {
    "open": io.open
}


@dataclass
class _Disk:
    """Stands between Python and the system in a child process, and lets operation `number` go wrong."""

    kind: str
    number: int
    done: list[str] = field(default_factory=list)
    full: bool = False
    dirty: dict[tuple[int, int], int] = field(default_factory=dict)  # inode -> a descriptor of it
    # not flushed: target, what was there
    renames: collections.deque[tuple[Path, bytes | None]] = field(default_factory=collections.deque)

    def patch(self) -> None:
        os.write, os.fsync, os.replace, os.rename = self.write, self.fsync, self.rename, self.rename
        os.unlink = os.remove = self.unlink
        pathlib.Path.unlink = lambda path, missing_ok=False: self.unlink_path(path, missing_ok)
        pathlib.Path.replace = pathlib.Path.rename = lambda path, target: self.rename(path, target)
        builtins.open = io.open = self.open

    def step(self, what: str, path: object, half: Callable[[], object] = lambda: None) -> None:
        """Count one operation, and let it go wrong if its turn has come."""
        turn = len(self.done)
        self.done.append(
            f"{what} {Path(os.fsdecode(path)).name if isinstance(path, (str, bytes, os.PathLike)) else path}"
        )
        if self.full and what in ("write", "fsync"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if turn != self.number:
            return
        if self.kind in ("kill", "ENOSPC", "EIO"):
            half()
        if self.kind in ("ENOSPC", "EIO"):
            self.full = self.kind == "ENOSPC"
            raise OSError(getattr(errno, self.kind), os.strerror(getattr(errno, self.kind)))
        for handle in self.dirty.values() if self.kind == "cut" else ():
            os.ftruncate(handle, 0)
        for target, before in [*self.renames][-2::-1] if self.kind == "lost" else ():
            _REAL["os.unlink"](target)
            if before is not None:
                with _REAL["open"](target, "wb") as file:
                    file.write(before)
        os.kill(os.getpid(), signal.SIGKILL)

    def soil(self, handle: int) -> None:
        found = os.fstat(handle)
        if (found.st_dev, found.st_ino) not in self.dirty:
            self.dirty[found.st_dev, found.st_ino] = os.dup(handle)

    def write(self, handle: int, data: Any) -> int:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return int(_REAL["os.write"](handle, data))
        self.step("write", handle, lambda: _REAL["os.write"](handle, bytes(data)[: len(data) // 2]))
        self.soil(handle)
        return int(_REAL["os.write"](handle, data))

    def fsync(self, handle: int) -> None:
        """Note that all is on the disk now; the disk itself is not asked, for no power is cut here."""
        found = os.fstat(handle)
        name = os.readlink(f"/proc/self/fd/{handle}") if os.path.exists("/proc/self/fd") else "a file"
        self.step("fsync", name)
        self.dirty.pop((found.st_dev, found.st_ino), None)
        if stat.S_ISDIR(found.st_mode):
            self.renames = collections.deque(
                item for item in self.renames if not os.path.samestat(os.stat(item[0].parent), found)
            )

    def rename(self, source: Any, target: Any, **options: Any) -> Any:
        self.step("rename to", target)
        before = None
        with contextlib.suppress(OSError), _REAL["open"](target, "rb") as file:
            before = file.read()
        _REAL["os.replace"](source, target, **options)
        self.renames.append((Path(target), before))
        return Path(target)

    def unlink(self, path: Any, **options: Any) -> None:
        self.step("unlink", path)
        _REAL["os.unlink"](path, **options)

    def unlink_path(self, path: Path, missing_ok: bool) -> None:
        try:
            self.unlink(path)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def open(self, file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
        opened = _REAL["open"](file, mode, *args, **options)
        writes = set("wxa+") & set(mode) and stat.S_ISREG(os.fstat(opened.fileno()).st_mode)
        return _File(self, opened, file) if writes else opened


class _File:
    """An open file whose every write reaches the disk by itself and may go wrong."""

    def __init__(self, disk: _Disk, inner: Any, name: object) -> None:
        self._disk, self._inner, self._name = disk, inner, name

    def write(self, data: Any) -> int:
        def half() -> None:
            self._inner.write(data[: len(data) // 2])
            self._inner.flush()

        self._disk.step("write", self._name, half)
        self._disk.soil(self._inner.fileno())
        written = self._inner.write(data)
        self._inner.flush()
        return int(written)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        self._inner.close()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._inner)


def main(names: list[str]) -> int:
    """Print the table; return how many cases went wrong."""
    from fault_scenarios import SCENARIOS

    print("| interrupted | operations | faults | old state | new state | wrong |\n|---|---|---|---|---|---|")
    wrong: list[str] = []
    for scenario in SCENARIOS:
        if names and scenario.name not in names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            cases = list(play(scenario, Path(folder) / "faults"))
        bad = [
            f"{scenario.name}: {case.kind} at {case.number}, {case.operation}: {case.verdict}"
            for case in cases
            if not case.right
        ]
        counts = [sum(case.verdict == state for case in cases) for state in ("old", "new")]
        numbers = (len({case.number for case in cases}), len(cases), *counts, len(bad))
        print("|", scenario.name, "|", " | ".join(map(str, numbers)), "|", flush=True)
        wrong += bad
    print(*wrong, sep="\n", file=sys.stderr, end="\n" if wrong else "")
    return min(len(wrong), 100)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
