"""How the processes of a run find each other, and how they wait for each other.

Two groups are made. The collectives of a training step have a timeout, so a machine that hangs ends the run.
Where one process works alone for as long as it takes (decoding, measuring, publishing), the others wait in a
group of gloo without a timeout: no limit ends that work. A process that dies still ends the wait at once,
since its connections close, and a machine that is cut off ends it when its signs of life stop (`Pulse`).
"""

from __future__ import annotations

import importlib.metadata
import os
import threading
import time
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from genzoo.errors import TrainingError
from genzoo.show import tell
from genzoo.training.launcher import START, TIMEOUT, timeout
from genzoo.training.pulse import Pulse

PATIENCE = 5.0  # seconds before a message says which processes are missing
MEETING = 600.0  # seconds that processes wait for each other at the start, if the timeout is not less
_FOREVER = timedelta(days=3650)
_POLL = (0.001, 0.1)  # seconds between two looks, at first and at most


@dataclass
class _Group:
    """The group in which processes wait, and the store in which they leave words for each other."""

    store: Any
    patient: Any
    rank: int
    size: int
    pulse: Pulse | None = None
    number: int = 0


_groups: list[_Group] = []  # none, or the one of this process


def join(rank: int, size: int, device: torch.device) -> None:
    """Join the other processes: NCCL for a GPU, else gloo. It does nothing if they have met before.

    Raises:
        TrainingError: they cannot be reached, or run other versions of genzoo or torch.
    """
    if _groups and dist.is_initialized():
        return
    where = f"{os.environ.get('MASTER_ADDR', '')}:{os.environ.get('MASTER_PORT', '')}"
    waiting = threading.Timer(PATIENCE, tell, [f"waiting at {where} for the other processes, {size} in all"])
    waiting.daemon = True
    waiting.start()
    limit = timeout(os.environ)
    try:
        store = _met(rank, size, device, limit)
        pulse = Pulse(store, rank, size, limit)
        patient = dist.new_group(backend="gloo", timeout=_FOREVER)
    except (RuntimeError, ValueError, TypeError, OverflowError, OSError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise TrainingError(
            f"the {size} processes could not find each other at {where}: {reason}",
            f"check that all of them run and that this address can be reached; {TIMEOUT}=SECONDS waits longer"
            if limit < MEETING
            else START,
        ) from error
    finally:
        waiting.cancel()
    _groups[:] = [_Group(store, patient, rank, size, pulse)]
    _check_versions()


def _met(rank: int, size: int, device: torch.device, limit: float) -> Any:
    """Initialise torch.distributed unless the user's own code has; return a store that no one else uses."""
    from torch.distributed import PrefixStore  # type: ignore[attr-defined]

    if dist.is_initialized():
        return PrefixStore("genzoo", dist.distributed_c10d._get_default_store())
    from torch.distributed.rendezvous import rendezvous  # not in every build of torch

    patience = min(limit, MEETING)
    until = time.monotonic() + patience
    shared, _, _ = next(rendezvous("env://", rank, size, timeout=timedelta(seconds=patience)))
    store = PrefixStore(_word(shared, rank, size, until), shared)
    dist.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        store=PrefixStore("torch", store),
        rank=rank,
        world_size=size,
        timeout=timedelta(seconds=limit),
        device_id=device if device.type == "cuda" else None,
    )
    return store


def _word(store: Any, rank: int, size: int, until: float) -> str:
    """Return a word that only the processes of this attempt know.

    torchrun keeps one store over all its restarts, and each agent counts the restarts of its own machine
    alone. A process that read an address of an earlier attempt would wait for a dead process. So each process
    leaves a new word under its rank, rank 0 answers every word it finds with its own, and stops once all
    have read that.
    """
    mine = uuid.uuid4().hex
    if rank:
        store.set(f"genzoo/hello/{rank}", mine)
        _await(lambda: store.check([f"genzoo/answer/{mine}"]), until, "process 0 has not answered")
        word: str = store.get(f"genzoo/answer/{mine}").decode()
        store.set(f"genzoo/met/{word}/{rank}", "")
        return word
    missing = set(range(1, size))

    def met() -> bool:
        for other in sorted(missing):
            if store.check([f"genzoo/met/{mine}/{other}"]):
                missing.remove(other)
            elif store.check([f"genzoo/hello/{other}"]):
                store.set(f"genzoo/answer/{store.get(f'genzoo/hello/{other}').decode()}", mine)
        return not missing

    _await(met, until, lambda: f"process {min(missing)} has not come")
    return mine


def _await(done: Any, until: float, missing: Any) -> None:
    """Wait until `done()`; OSError with the text `missing` after the moment `until`."""
    pause = _POLL[0]
    while not done():
        if time.monotonic() > until:
            raise OSError(missing if isinstance(missing, str) else missing())
        time.sleep(pause)
        pause = min(2 * pause, _POLL[1])


def _check_versions() -> None:
    """Raise if the processes run different versions: they would not compute the same."""
    ours = f"genzoo {importlib.metadata.version('genzoo')}, torch {torch.__version__}"
    for rank, theirs in enumerate(exchange(ours)):
        if theirs != ours:
            raise TrainingError(
                f"the processes run different versions: this one {ours}, process {rank} {theirs}",
                "install the same versions on all machines",
            )


def exchange(word: str) -> list[str]:
    """Return the word of each process, by rank, once all processes have reached this point, however long it
    takes.

    Raises:
        TrainingError: a process has ended.
    """
    (group,) = _groups
    number, group.number = group.number, group.number + 1
    keys = [f"word/{number}/{rank}" for rank in range(group.size)]
    try:
        group.store.set(keys[group.rank], word)
        _wait(group)
        found = [text.decode() for text in group.store.multi_get(keys)]
        if number:  # everyone here has read the words before these
            group.store.delete_key(f"word/{number - 1}/{group.rank}")
    except RuntimeError as error:
        raise ended(error) from error
    return found


def _wait(group: _Group) -> None:
    """Wait for all processes, and let Python's signal handlers run meanwhile."""
    work, pause = dist.barrier(group=group.patient, async_op=True), _POLL[0]
    while not work.is_completed():
        if group.pulse is not None:
            group.pulse.check()
        time.sleep(pause)
        pause = min(2 * pause, _POLL[1])
    work.wait()  # raises what went wrong


def ended(error: RuntimeError) -> TrainingError:
    """Return the error of a process whose group lost another one."""
    return TrainingError(
        f"another process of the group ended: {(str(error) or type(error).__name__).splitlines()[0]}",
        "read its message; the same command continues the run",
    )
