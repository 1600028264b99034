"""Sharing: several processes that measure one model each do a part of the work, and all get all results.

`each(pieces, work)` is a plain loop in one process. Inside `sharing(crew)`, where every process of a group
runs the same program, process r of s does the pieces r, r + s, r + 2 s …, or a run of them. The result of a
piece depends on nothing but the piece, and all processes put the results together in the order of the pieces,
so each has the bits that one process would have (with the same number of threads: kernels of several threads
may sum in another order).
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Protocol, TypeVar

import torch.distributed as dist
from safetensors.torch import load, save
from torch import Tensor, frombuffer, inference_mode, int64, tensor, uint8

from genzoo.errors import TrainingError

T = TypeVar("T")


class Crew(Protocol):
    """The processes that share work.

    Attributes:
        rank: the number of this process, from 0.
        size: how many there are.
    """

    rank: int
    size: int

    def exchange(self, own: bytes) -> list[bytes]:
        """Return what each process gave, in the order of their ranks; all processes call it."""


_CREW: ContextVar[Crew | None] = ContextVar("crew", default=None)


@contextlib.contextmanager
def sharing(crew: Crew | None) -> Iterator[None]:
    """Share the work of `each` with `crew` in this block; None, or a crew of one: do it alone."""
    token = _CREW.set(crew if crew is not None and crew.size > 1 else None)
    try:
        yield
    finally:
        _CREW.reset(token)


def each(
    pieces: Iterable[T],
    work: Callable[[T], Tensor],
    done: Callable[[int], None] | None = None,
    *,
    in_runs: bool = False,
) -> list[Tensor]:
    """Return `work(piece)`, a tensor on the CPU, for each of `pieces`, in their order.

    `work` draws nothing from a global generator. In it, work is not shared again. `done` is called with the
    number of pieces that are done, as far as this process knows. With `in_runs` a process does pieces that
    follow each other, for neighbours that have some work in common; else pieces are dealt out one by one.

    Raises:
        Exception: what `work` raised in this process.
        TrainingError: a piece failed in another process, or another process has ended.
    """
    todo, crew = list(pieces), _CREW.get()
    if crew is None or len(todo) < 2:
        return [_done(work(piece), number + 1, done) for number, piece in enumerate(todo)]
    found = _own(crew, todo, _numbers(crew, len(todo), in_runs), work, done)
    shared: dict[str, Tensor] = {}
    for blob in crew.exchange(b"" if isinstance(found, Exception) else save(found)):
        if not isinstance(found, Exception):
            shared |= _checked(blob)
    if isinstance(found, Exception):
        raise found
    return [shared[str(number)] for number in range(len(todo))]


def first(work: Callable[[], T]) -> T:
    """Let process 0 do `work` before the others, which then find its results in the cache."""
    crew = _CREW.get()
    if crew is None:
        return work()
    if crew.rank:
        _checked(crew.exchange(save({}))[0])
        return work()
    try:
        result = work()
    except Exception:
        crew.exchange(b"")  # the others must not wait
        raise
    crew.exchange(save({}))
    return result


def agreed(flag: bool) -> bool:
    """Return whether `flag` is true in all processes."""
    crew = _CREW.get()
    return flag if crew is None else all(blob == b"1" for blob in crew.exchange(b"1" if flag else b"0"))


def check_same(what: str, text: Callable[[], str]) -> None:
    """Raise TrainingError if the processes give different texts; a process alone is not asked."""
    crew = _CREW.get()
    if crew is not None and len(set(crew.exchange(hashlib.sha256(text().encode()).digest()))) > 1:
        raise TrainingError(
            f"the processes have different {what}", "start all with the same command and files"
        )


def writes() -> bool:
    """Return whether this process is the one that writes files for all."""
    crew = _CREW.get()
    return crew is None or crew.rank == 0


class Group:
    """The crew of the processes of `torch.distributed`, and of their `group`, whose backend is gloo; by
    default the group of all.
    """

    def __init__(self, rank: int, size: int, group: dist.ProcessGroup | None = None) -> None:
        self.rank, self.size, self._group = rank, size, group

    @inference_mode(False)
    def exchange(self, own: bytes) -> list[bytes]:
        """Return what each process gave, by two collectives: lengths, then bytes padded to the longest.

        Raises:
            TrainingError: another process has ended.
        """
        try:
            lengths = [tensor([0]) for _ in range(self.size)]
            dist.all_gather(lengths, tensor([len(own)], dtype=int64), group=self._group)
            longest = max(int(length) for length in lengths)
            padded = frombuffer(bytearray(own.ljust(max(longest, 1), b"\0")), dtype=uint8)
            parts = [padded.new_empty(len(padded)) for _ in range(self.size)]
            dist.all_gather(parts, padded, group=self._group)
        except RuntimeError as error:
            raise TrainingError(
                f"another process of the group ended: {str(error).splitlines()[0]}", "read its message"
            ) from error
        return [part[: int(length)].numpy().tobytes() for part, length in zip(parts, lengths, strict=True)]


def _numbers(crew: Crew, count: int, in_runs: bool) -> range:
    """Return the numbers of the pieces that this process does, of `count`."""
    if not in_runs:
        return range(crew.rank, count, crew.size)
    return range(crew.rank * count // crew.size, (crew.rank + 1) * count // crew.size)


def _own(
    crew: Crew, todo: list[T], numbers: range, work: Callable[[T], Tensor], done: Callable[[int], None] | None
) -> dict[str, Tensor] | Exception:
    """Return the results of the pieces `numbers` of this process by their number, or why there are none: the
    others must be told before it is raised.
    """
    token = _CREW.set(None)
    try:
        return {
            str(number): _done(work(todo[number]).contiguous(), min((place + 1) * crew.size, len(todo)), done)
            for place, number in enumerate(numbers)
        }
    except Exception as error:  # noqa: BLE001 - raised again by `each`
        return error
    finally:
        _CREW.reset(token)


def _done(result: Tensor, count: int, done: Callable[[int], None] | None) -> Tensor:
    if done is not None:
        done(count)
    return result


def _checked(blob: bytes) -> dict[str, Tensor]:
    if not blob:
        raise TrainingError("another process of the group failed", "read its message")
    tensors: dict[str, Tensor] = load(blob)
    return tensors
