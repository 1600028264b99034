"""Several processes that share the work of one command: they join, and one of them talks."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator

import torch

from genzoo import __version__
from genzoo.sharing import Group, check_same, sharing
from genzoo.training.parallel import World, enter


@contextlib.contextmanager
def joined(command: str) -> Iterator[World]:
    """Join the processes that torchrun started, and share the work in this block; a process alone does it
    alone.

    Only the first process prints; errors are printed by the process in which they are raised. `command` is
    what all must have been asked, in words.

    Raises:
        TrainingError: the others cannot be reached, were asked something else, or have another version.
    """
    # gloo whatever the model computes on: what is shared are results, and they are on the CPU
    world = enter(torch.device("cpu"))
    with contextlib.ExitStack() as stack:
        if world.size > 1:
            stack.enter_context(sharing(Group(world.rank, world.size)))
            check_same("commands or versions", lambda: f"{__version__} {torch.__version__} {command}")
        if not world.writes:
            stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
            stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        yield world
