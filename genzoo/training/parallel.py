"""Data-parallel training by torchrun: gloo on CPUs, NCCL on GPUs, any number of nodes.

Each process computes the loss on its share of the batch; gradients and running statistics are averaged, so that the weights are
equal on every rank at every step. DistributedDataParallel hooks only `forward()`, while our losses call `log_prob` and `decode`:
hence one all-reduce of one flat buffer per turn.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from genzoo.errors import GenzooError, TrainingError

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """The processes of a run. `rank` 0 is the one writer of files."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def writes(self) -> bool:
        """Whether this process writes files and talks to the user."""
        return self.rank == 0

    def device(self, wanted: torch.device) -> torch.device:
        """Return this process's own GPU where `wanted` is a GPU without a number."""
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
        """Return each flag as true where any rank raised it: all ranks stop, save or go on together."""
        if self.size == 1:
            return list(flags)
        votes = torch.tensor([float(flag) for flag in flags], device=_collective_device())
        _reduce(votes, dist.ReduceOp.MAX)
        return [bool(vote) for vote in votes.tolist()]

    def first(self, work: Callable[[], T]) -> T:
        """Let rank 0 do `work` before the others: what it leaves in the cache they find there."""
        if self.size > 1 and self.rank:
            dist.barrier()
        result = work()
        if self.size > 1 and not self.rank:
            dist.barrier()
        return result

    def together(self, work: Callable[[], T]) -> T:
        """Do `work` on every rank; where one is refused all are, so that none waits for it.

        Raises:
            GenzooError: what `work` raised here.
            TrainingError: it was raised on another rank.
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

    def _average(self, tensors: list[Tensor]) -> None:
        if not tensors:
            return
        flat = torch.cat([t.detach().reshape(-1).float() for t in tensors])
        _reduce(flat, dist.ReduceOp.SUM)
        flat /= self.size
        for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(part.view(tensor.shape))


def enter(device: torch.device) -> World:
    """Join the processes that torchrun started, or return a world of one.

    Raises:
        TrainingError: torchrun's environment is there, but the other processes are not.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return World()
    world = World(int(os.environ["RANK"]), size, int(os.environ.get("LOCAL_RANK", "0")))
    if device.type == "cuda":
        torch.cuda.set_device(world.device(device))
    try:
        if not dist.is_initialized():
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    except (RuntimeError, ValueError) as error:
        raise TrainingError(
            f"the {size} processes could not find each other: {error}", "start them with torchrun --nproc-per-node N -m genzoo train …"
        ) from error
    return world


def leave(exit_code: int) -> None:
    """End a process of a torchrun group.

    gloo's threads abort now and then after correct work when the interpreter tears them down; so the process ends here, after
    everybody has arrived and everything is written.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return
    if exit_code == 0:
        dist.barrier()
        dist.destroy_process_group()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


def _reduce(tensor: Tensor, operation: dist.ReduceOp.RedOpType) -> None:
    """Combine `tensor` over all ranks in place; TrainingError where one of them is gone."""
    try:
        dist.all_reduce(tensor, op=operation)
    except RuntimeError as error:
        raise TrainingError(
            f"another process of the group has ended: {str(error).splitlines()[0]}", "see what it said; --resume goes on"
        ) from error


def _collective_device() -> torch.device:
    return torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")
