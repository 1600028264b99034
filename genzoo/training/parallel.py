"""Data-parallel training by torchrun: gloo on CPUs, NCCL on GPUs, any number of nodes.

Each process computes the loss on its share of the batch; gradients and running statistics are averaged, so
the weights are equal on every rank at every step. DistributedDataParallel hooks only `forward()`, while our
losses call `log_prob` and `decode`: hence one all-reduce of one flat buffer per turn, and one per round for
statistics and votes.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from genzoo.errors import GenzooError, TrainingError
from genzoo.shares import Share
from genzoo.training import launcher, meeting

T = TypeVar("T")


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
        """Replace each gradient by its mean over all ranks: a view of one flat buffer, which is reduced whole
        and copied to nowhere.
        """
        if self.size == 1:
            return
        learning = [p for p in parameters if p.grad is not None]
        flat, views = _buffer_of(learning)
        torch._foreach_copy_(views, [p.grad for p in learning if p.grad is not None])
        self._mean(flat)
        for parameter, view in zip(learning, views, strict=True):
            if parameter.dtype == view.dtype:
                parameter.grad = view
            elif parameter.grad is not None:
                parameter.grad.copy_(view)

    def average_buffers(self, *modules: nn.Module, votes: Sequence[bool] = ()) -> Tensor:
        """Replace each floating-point buffer (batch statistics) of the modules by its mean over all ranks.

        Returns: the share of the ranks that raised each of the `votes`, (len(votes),) float32, on the device
        of the buffers: they travel in the same all-reduce, and reading them makes a GPU wait.
        """
        found = {id(b): b for module in modules for b in module.buffers() if b.is_floating_point()}
        buffers = list(found.values())
        device = buffers[0].device if buffers else _collective_device() if self.size > 1 else None
        raised = torch.tensor([float(vote) for vote in votes], device=device)
        if self.size == 1 or not (buffers or votes):
            return raised
        flat = torch.cat([*(b.detach().reshape(-1).float() for b in buffers), raised])
        self._mean(flat)
        sizes = [*(b.numel() for b in buffers), len(raised)]
        for buffer, part in zip([*buffers, raised], flat.split(sizes), strict=True):
            buffer.copy_(part.view(buffer.shape))
        return raised

    def exchange(self, word: str) -> list[str]:
        """Return the word of each rank once all have reached this point; no timeout limits the wait.

        Raises:
            TrainingError: another process has ended.
        """
        return [word] if self.size == 1 else meeting.exchange(word)

    def meet(self) -> None:
        """Wait until all ranks have reached this point, as `exchange` does."""
        self.exchange("")

    def agree(self, *flags: bool) -> list[bool]:
        """Return each flag as true if any rank raised it, once all ranks have reached this point."""
        votes = self.exchange("".join(str(int(flag)) for flag in flags))
        return ["1" in column for column in zip(*votes, strict=True)]

    def largest(self, number: int) -> int:
        """Return the largest `number` of any rank, once all ranks have reached this point."""
        return max(map(int, self.exchange(str(number))))

    def first(self, work: Callable[[], T]) -> T:
        """Let rank 0 do `work` before the others, which then find its results in the cache; raise as
        `together` does.
        """
        early = self.together(lambda: work() if self.writes else None)
        return cast(T, self.together(lambda: early if self.writes else work()))

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
        """Return whether all ranks gave the same text, by its digest."""
        return len(set(self.exchange(hashlib.sha256(text.encode()).hexdigest()))) == 1

    def share(self, batch: int) -> slice:
        """Return this rank's part of a batch."""
        return slice(self.rank * batch // self.size, (self.rank + 1) * batch // self.size)

    def part(self, norms: bool = False) -> Share:
        """Return this rank's share of the turns of a run, see `genzoo.shares`; with `norms`, batch norms use
        the whole batch.
        """
        add = functools.partial(_reduce, operation=dist.ReduceOp.SUM) if self.size > 1 else None
        return Share(self.rank, self.size, add, norms)

    def _mean(self, flat: Tensor) -> None:
        _reduce(flat, dist.ReduceOp.SUM)
        flat /= self.size


def place(environment: Mapping[str, str] = os.environ) -> World:
    """Return which of torchrun's processes this one is, without joining them; a world of one if torchrun
    started none.

    Raises:
        TrainingError: torchrun's variables are incomplete or invalid, or another launcher has started several
            processes that do not know of each other.
    """
    return World(*launcher.ranks(environment))


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
        TrainingError: torchrun's environment is incomplete, or the other processes cannot be reached or run
            other versions. See `place`.
    """
    world = place()
    if world.size == 1:
        return world
    if device.type == "cuda":
        launcher.check_gpu(os.environ, world.local_rank, torch.cuda.device_count())
        torch.cuda.set_device(world.device(device))
    meeting.join(world.rank, world.size, world.device(device))
    return world


def leave(exit_code: int) -> None:
    """End a process of a torchrun group.

    gloo's threads sometimes abort after correct work when the interpreter tears them down. So the process
    ends here, once every process has arrived, however long that takes, and everything is written.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return
    if exit_code == 0:
        # the others may have gone
        with contextlib.suppress(RuntimeError, GenzooError, ValueError):
            meeting.exchange("leaving")
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
        raise meeting.ended(error) from error


def _buffer_of(parameters: Sequence[nn.Parameter]) -> tuple[Tensor, list[Tensor]]:
    """Return a float32 buffer of all values, and its part for each of the parameters, laid out in memory as
    the parameter is.
    """
    sizes = [p.numel() for p in parameters]
    flat = torch.empty(sum(sizes), device=parameters[0].device if parameters else None)
    return flat, [
        part.as_strided(p.shape, _strides(p), part.storage_offset())
        for p, part in zip(parameters, flat.split(sizes), strict=True)
    ]


def _strides(tensor: Tensor) -> tuple[int, ...]:
    """Return the strides of `tensor`, or those of a contiguous one if it has gaps."""
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    dense = last + 1 == tensor.numel()
    return tensor.stride() if dense else tensor.new_empty(tensor.shape).stride()


def _collective_device() -> torch.device:
    return (
        torch.device("cuda", torch.cuda.current_device())
        if dist.get_backend() == "nccl"
        else torch.device("cpu")
    )
