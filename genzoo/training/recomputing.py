"""`recompute=true`: what a network has computed inside is dropped after each of its calls, and computed again
when the backward pass needs it.

A turn of a GAN calls its networks several times before any gradient is computed, on real images, on fakes and
once more in the generator's turn. All their activations are then in memory at once; with this option those of
one call are, and the inputs of the others (Chen et al. 2016, arXiv:1604.06174). It costs one more forward
pass for each of these calls.

The second computation is that of the first to the bit: it draws the same random numbers, and starts from the
same buffers (batch statistics, the vectors of spectral norm), which it leaves as it found them.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import CheckpointError, checkpoint

from genzoo.errors import ArgumentError, TrainingError
from genzoo.recipe import Recipe
from genzoo.rng import BatchRng
from genzoo.shares import twice
from genzoo.training.compiling import Compiled, networks
from genzoo.training.players import Player

_KEEPING: ContextVar[bool] = ContextVar("keeping activations", default=False)


@contextlib.contextmanager
def keeping_activations() -> Iterator[None]:
    """Keep the activations of the calls in the block: for a loss that has gradients in it, as a gradient
    penalty does, which needs all of them anyway.
    """
    token = _KEEPING.set(True)
    try:
        yield
    finally:
        _KEEPING.reset(token)


def calling(players: Sequence[Player], recipe: Recipe, compiled: bool) -> Compiled | Recomputed:
    """Settle how the losses of `players` call their networks: compiled, computed again, or as they are.

    Raises:
        ArgumentError: the recipe asks for both.
    """
    if compiled and recipe.recompute:
        raise ArgumentError(
            "compile=on and recompute=true exclude each other: what is compiled is not computed again",
            "set one of them",
        )
    return Recomputed(players) if recipe.recompute else Compiled(players if compiled else ())


def backward(loss: Tensor, parameters: Sequence[nn.Parameter]) -> None:
    """Compute the gradients of `loss` in `parameters` alone: the opponent's weights need none, which saves a
    third of a step (32.7 ms, not 51.5).

    Raises:
        TrainingError: a network computed something else the second time.
    """
    try:
        loss.backward(inputs=parameters)
    except CheckpointError as error:
        raise TrainingError(
            "recompute=true needs networks that compute the same twice, and one computed something else the "
            "second time",
            "set recompute=false, or draw its random numbers by torch's functions",
        ) from error


class Recomputed:
    """The networks of a run that are computed again, and how many of their calls waited for it at most.

    Networks of one layer are left out: their input is all that they keep. So are those that say
    `recomputable = False`, because the hooks of a second computation cost them more than they keep.
    """

    def __init__(self, players: Sequence[Player]) -> None:
        self._waiting = self._most = 0
        self._unchecked = True
        for player in players:
            for _, module in networks(player.module):
                whole = next(module.children(), None) is not None
                if whole and getattr(module, "recomputable", True):
                    # torch keeps here what a call of the module runs; copies and checkpoints leave it out
                    module._compiled_call_impl = functools.partial(self._call, module)

    def _call(self, module: nn.Module, *arguments: Any, **options: Any) -> Any:
        if not torch.is_grad_enabled() or _KEEPING.get():
            return module._call_impl(*arguments, **options)
        call = _Call(module, [*arguments, *options.values()], self._count)
        self._count(1)
        return checkpoint(call, *arguments, use_reentrant=False, context_fn=twice, **options)

    def _count(self, more: int) -> None:
        self._waiting += more
        self._most = max(self._most, self._waiting)

    def check(self, talks: bool) -> None:
        """After the first round, check that something was saved.

        Raises:
            ArgumentError: no two calls of networks were waiting at the same time.
        """
        if self._unchecked and self._most < 2:
            raise ArgumentError(
                "recompute=true saves no memory in this game: it never has the activations of two networks, "
                "or of two calls of one, at once",
                "set recompute=false, or accumulate=4 to compute each batch in parts",
            )
        self._unchecked = False


class _Call:
    """One call of `module`, which can be repeated: the first computes, later ones compute the same.

    Args:
        module: the network.
        given: its arguments, among which are the sources of its noise.
        count: called with -1 once the call is repeated.
    """

    def __init__(self, module: nn.Module, given: Iterable[Any], count: Any) -> None:
        self._module, self._count, self._first = module, count, True
        self._weights = [(p, p._version, p.requires_grad) for p in module.parameters()]
        self._noise = [(source, source.get_state()) for source in _sources(given)]
        self._buffers = [
            (part, buffer, buffer._version, buffer.detach().clone())
            for part in module.modules()
            for buffer in part.buffers(recurse=False)
        ]

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        if not self._first:
            with self._as_before():
                return self._module._call_impl(*arguments, **options)
        made = self._module._call_impl(*arguments, **options)
        self._first = False
        # those that it has changed: constants, such as masks, stay as they are
        self._buffers = [
            entry for entry in self._buffers if _follows(entry[0]) or entry[1]._version != entry[2]
        ]
        return made

    @contextlib.contextmanager
    def _as_before(self) -> Iterator[None]:
        """Bring back the buffers, the noise and the frozen weights of the first call for the block."""
        if any(weight._version != version for weight, version, _ in self._weights):
            raise TrainingError(
                "recompute=true: the weights of a network have changed before its gradients were computed",
                "set recompute=false",
            )
        self._count(-1)
        buffers = [(buffer, buffer.detach().clone()) for _, buffer, _, _ in self._buffers]
        noise = [(source, source.get_state()) for source, _ in self._noise]
        flags = [(weight, weight.requires_grad) for weight, _, _ in self._weights]
        try:
            _restore([(buffer, before) for _, buffer, _, before in self._buffers], self._noise)
            _set_learning([(weight, learning) for weight, _, learning in self._weights])
            yield
        finally:
            _restore(buffers, noise)
            _set_learning(flags)


def _follows(part: nn.Module) -> bool:
    """Return whether `part` is a norm whose statistics follow what it sees, which torch does not note as a
    change of these tensors.
    """
    return isinstance(part, nn.modules.batchnorm._NormBase) and part.training


def _restore(
    buffers: Iterable[tuple[Tensor, Tensor]], noise: Iterable[tuple[torch.Generator, Tensor]]
) -> None:
    with torch.no_grad():
        for buffer, value in buffers:
            buffer.copy_(value)
    for source, state in noise:
        source.set_state(state)


def _set_learning(flags: Iterable[tuple[nn.Parameter, bool]]) -> None:
    for weight, learning in flags:
        if weight.requires_grad != learning:
            weight.requires_grad_(learning)


def _sources(given: Iterable[Any]) -> Iterator[torch.Generator]:
    """Yield the sources of noise among the arguments of a call."""
    for value in given:
        found = value.noise if isinstance(value, BatchRng) else value
        if isinstance(found, torch.Generator):
            yield found
