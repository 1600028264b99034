"""Data-parallel training by torchrun: gloo on CPUs, NCCL on GPUs, any number of nodes.

Each process computes the loss on its share of the batch; gradients and running statistics are averaged, so
the weights are equal on every rank at every step. DistributedDataParallel hooks only `forward()`, while our
losses call `log_prob` and `decode`: hence one all-reduce of one flat buffer per turn.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from genzoo.errors import GenzooError, TrainingError
from genzoo.shares import Share
from genzoo.show import tell

T = TypeVar("T")

_PATIENCE = 5.0  # seconds before a message says which processes are missing
_START = "start several processes with torchrun --nproc-per-node N -m genzoo train …"
_OF_TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class World:
    """The processes of a run. Only `rank` 0 writes files."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def writes(self) -> bool:
        """Whether this process writes files and prints messages."""
        return self.rank == 0

    def device(self, wanted: torch.device) -> torch.device:
        """Return this process's own GPU if `wanted` is a GPU without a number, else `wanted`."""
        if wanted.type == "cuda" and wanted.index is None and self.size > 1:
            return torch.device("cuda", self.local_rank)
        return wanted

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its mean over all ranks."""
        if self.size > 1:
            self._average([p.grad for p in parameters if p.grad is not None])

    def average_buffers(self, module: nn.Module) -> None:
        """Replace each floating-point buffer (batch statistics) by its mean over all ranks."""
        if self.size > 1:
            self._average([b for b in module.buffers() if b.is_floating_point()])

    def agree(self, *flags: bool) -> list[bool]:
        """Return each flag as true if any rank raised it, so all ranks stop, save or continue together."""
        if self.size == 1:
            return list(flags)
        votes = torch.tensor([float(flag) for flag in flags], device=_collective_device())
        _reduce(votes, dist.ReduceOp.MAX)
        return [bool(vote) for vote in votes.tolist()]

    def largest(self, number: int) -> int:
        """Return the largest `number` of any rank, once all ranks have reached this point."""
        if self.size == 1:
            return number
        votes = torch.tensor([float(number)], device=_collective_device())
        _reduce(votes, dist.ReduceOp.MAX)
        return int(votes.item())

    def first(self, work: Callable[[], T]) -> T:
        """Let rank 0 do `work` before the others, which then find its results in the cache."""
        if self.rank:
            self.largest(0)  # waits; and says so where the first has ended instead
        result = work()
        if not self.rank:
            self.largest(0)
        return result

    def together(self, work: Callable[[], T]) -> T:
        """Do `work` on every rank; if it fails on one, raise on all, so that none waits.

        Raises:
            GenzooError: `work` raised it on this rank.
            TrainingError: `work` failed on another rank.
        """
        refusal, result = None, None
        try:
            result = work()
        except GenzooError as error:
            refusal = error
        (refused,) = self.agree(refusal is not None)
        if refusal is not None:
            raise refusal
        if refused:
            raise TrainingError("another process of the group was refused", "see what it said")
        return cast(T, result)

    def alike(self, text: str) -> bool:
        """Return whether all ranks gave the same text: 64 bits of its digest are compared."""
        number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        bits = [bool(number >> place & 1) for place in range(64)]
        votes = self.agree(*bits, *(not bit for bit in bits))
        return not any(one and none for one, none in zip(votes[:64], votes[64:], strict=True))

    def share(self, batch: int) -> slice:
        """Return this rank's part of a batch."""
        return slice(self.rank * batch // self.size, (self.rank + 1) * batch // self.size)

    def part(self, norms: bool = False) -> Share:
        """Return this rank's share of the turns of a run, see `genzoo.shares`; with `norms`, batch norms use
        the whole batch.
        """
        add = functools.partial(_reduce, operation=dist.ReduceOp.SUM) if self.size > 1 else None
        return Share(self.rank, self.size, add, norms)

    def _average(self, tensors: list[Tensor]) -> None:
        if not tensors:
            return
        flat = torch.cat([t.detach().reshape(-1).float() for t in tensors])
        _reduce(flat, dist.ReduceOp.SUM)
        flat /= self.size
        for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(part.view(tensor.shape))


def place(environment: Mapping[str, str] = os.environ) -> World:
    """Return which of torchrun's processes this one is, without joining them; a world of one if torchrun
    started none.

    Raises:
        TrainingError: torchrun's variables are incomplete or invalid, or another launcher has started several
            processes that do not know of each other.
    """
    given = {name: value.strip() for name in _OF_TORCHRUN if (value := environment.get(name, "")).strip()}
    if not {"RANK", "WORLD_SIZE", "LOCAL_RANK"} & set(given):
        _check_launcher(environment)
        return World()
    if set(given) & {"RANK", "WORLD_SIZE", "LOCAL_RANK"} == {"WORLD_SIZE"} and given["WORLD_SIZE"] == "1":
        return World()
    if missing := _not_set(given, "RANK", "WORLD_SIZE"):
        raise _half_set(missing, given)
    size, rank, local = (_count(given, name) for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK"))
    if not size or rank >= size or local >= size:
        raise _half_set("RANK and LOCAL_RANK must be less than WORLD_SIZE", given)
    if size > 1 and (missing := _not_set(given, "MASTER_ADDR", "MASTER_PORT")):
        raise TrainingError(f"the {size} processes could not find each other: {missing}", _START)
    return World(rank, size, local)


def separate() -> World:
    """Return `place()`, and let this process work by itself from now on: torchrun's processes then share a
    folder, not the batches of one run.
    """
    world = place()
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        os.environ.pop(name, None)
    return world


def enter(device: torch.device) -> World:
    """Join the processes that torchrun started, or return a world of one.

    Raises:
        TrainingError: torchrun's environment is incomplete, or the other processes cannot be reached. See
            `place`.
    """
    world = place()
    if world.size == 1:
        return world
    if device.type == "cuda":
        if not os.environ.get("LOCAL_RANK", "").strip():  # every process would take the first GPU
            raise _half_set(
                "LOCAL_RANK is not set",
                {name: os.environ[name] for name in _OF_TORCHRUN if name in os.environ},
            )
        if world.local_rank >= (count := torch.cuda.device_count()):
            message = f"process {world.local_rank} of this machine has no GPU of its own: there are {count}"
            raise TrainingError(message, f"--nproc-per-node {count}")
        torch.cuda.set_device(world.device(device))
    where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
    waiting = threading.Timer(
        _PATIENCE, tell, [f"waiting at {where} for the other processes, {world.size} in all"]
    )
    waiting.daemon = True
    waiting.start()
    try:
        if not dist.is_initialized():
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    except (RuntimeError, ValueError, TypeError, OverflowError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise TrainingError(
            f"the {world.size} processes could not find each other at {where}: {reason}", _START
        ) from error
    finally:
        waiting.cancel()
    return world


def _not_set(given: Mapping[str, str], *names: str) -> str:
    missing = [name for name in names if name not in given]
    return f"{' and '.join(missing)} {'are' if missing[1:] else 'is'} not set" if missing else ""


def _half_set(what: str, given: Mapping[str, str]) -> TrainingError:
    told = ", ".join(f"{name}={value}" for name, value in given.items())
    message = f"{what}, but the environment has {told}; torchrun sets {', '.join(_OF_TORCHRUN)}"
    return TrainingError(message, f"unset {' '.join(given)}, or {_START}")


def _count(given: Mapping[str, str], name: str) -> int:
    text = given.get(name, "0")
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise _half_set(f"{name} must be a whole number from 0", given)
    return int(text)


def _check_launcher(environment: Mapping[str, str]) -> None:
    """Raise if srun or mpirun has started several processes: each would train alone, and all would write to
    the same folder.
    """
    started = {
        "srun": ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS")
        if {"SLURM_PROCID", "SLURM_STEP_ID"} <= set(environment)
        else (),
        "mpirun": ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE"),
    }
    for launcher, names in started.items():
        name = next((name for name in names if environment.get(name)), "")
        count = environment.get(name, "")
        if re.fullmatch(r"[0-9]{1,9}", count) and int(count) > 1:
            alone = "SLURM_PROCID" if launcher == "srun" else name
            raise TrainingError(
                f"{launcher} has started {count} processes ({name}={count}) that do not know of each "
                "other: each would train alone",
                f"{_START}; for separate runs, each with its own --out: env -u {alone} genzoo train …",
            )


def leave(exit_code: int) -> None:
    """End a process of a torchrun group.

    gloo's threads sometimes abort after correct work when the interpreter tears them down. So the process
    ends here, once every process has arrived and everything is written.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return
    if exit_code == 0:
        # the others have gone, or are still at work on what this one has no part in
        with contextlib.suppress(RuntimeError):
            dist.barrier()
            dist.destroy_process_group()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(exit_code)


def _reduce(tensor: Tensor, operation: dist.ReduceOp.RedOpType) -> None:
    """Combine `tensor` over all ranks in place; raise TrainingError if a rank has ended."""
    try:
        dist.all_reduce(tensor, op=operation)
    except RuntimeError as error:
        raise TrainingError(
            f"another process of the group ended: {str(error).splitlines()[0]}",
            "read its message; --resume continues the run",
        ) from error


def _collective_device() -> torch.device:
    return (
        torch.device("cuda", torch.cuda.current_device())
        if dist.get_backend() == "nccl"
        else torch.device("cpu")
    )
