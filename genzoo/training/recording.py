"""Recorded turns: on a GPU the loss and the gradients of a turn are recorded once, as a CUDA graph, and
replayed in every later round.

Small nets keep a GPU waiting for Python, which launches several hundred kernels per turn; a graph launches
them all at once. A graph repeats the same operations on the same memory, so only players that allow it
(`Player.recordable`) are recorded: every tensor of the batch is copied to where the graph reads it, and its
noise is reseeded before each turn with the seed of that turn, so that it gives the same numbers as an
unrecorded turn. EMA of gradients, optimisers and everything else stay outside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genzoo.errors import TrainingError
from genzoo.training.batch import Batch
from genzoo.training.hardware import Hardware
from genzoo.training.players import Player

# rounds before the first recording: libraries choose their algorithms in them, and optimisers make their
# state
WARM = 3

# computes the gradients of a player's turn and returns its loss
Gradients = Callable[[Player, torch.Generator, Batch], Tensor]


@dataclass
class _Recorded:
    graph: torch.cuda.CUDAGraph
    inputs: Batch
    loss: Tensor
    gradients: Sequence[tuple[nn.Parameter, Tensor]]  # where the graph writes them


class Recorder:
    """Records each player's first turn after `WARM` rounds and replays it from then on.

    All players of a game are recorded in one round, one after the other: a player may use what the previous
    one computed, as G does from the fakes of D's last turn, and its graph then reads the memory of the other
    graph. Hence all share one memory pool.
    """

    def __init__(self, players: Sequence[Player], settings: Hardware, gradients: Gradients) -> None:
        self.on = settings.cuda_graphs and all(player.recordable for player in players)
        self._gradients, self._device = gradients, settings.device
        self._recorded: dict[str, _Recorded] = {}
        self._noise = torch.Generator(settings.device if self.on else "cpu")
        self._pool = torch.cuda.graph_pool_handle() if self.on else None
        self._rounds = 0

    def begin_round(self) -> None:
        """Note that another round starts."""
        self._rounds += 1

    def plays(self, player: Player) -> bool:
        """Return whether the next turn of `player` is a recorded one."""
        return self.on and self._rounds > WARM

    def play(self, player: Player, seed: int, batch: Batch) -> Tensor:
        """Compute the gradients of a turn whose noise has `seed`; return its loss, detached, which the next
        turn overwrites.
        """
        recorded = self._recorded.get(player.name)
        if recorded is None:
            recorded = self._recorded[player.name] = self._record(player, batch)
        for name, tensor in recorded.inputs.tensors.items():
            tensor.copy_(batch.tensors[name])
        self._noise.manual_seed(seed)
        recorded.graph.replay()
        for parameter, gradient in recorded.gradients:
            parameter.grad = gradient  # several processes have put their mean in its place
        return recorded.loss

    def _record(self, player: Player, batch: Batch) -> _Recorded:
        inputs = batch.map(torch.clone)
        graph = torch.cuda.CUDAGraph()
        # dropout's generator, the default one, is registered by torch
        graph.register_generator_state(self._noise)
        try:
            # which may be the second GPU
            with torch.cuda.device(self._device), torch.cuda.graph(graph, pool=self._pool):
                loss = self._gradients(player, self._noise, inputs)  # nothing is computed yet
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise TrainingError(
                f"a turn of the {player.name} cannot be recorded as a CUDA graph: {reason}",
                "set cuda_graphs=off",
            ) from error
        gradients = [(p, p.grad) for p in player.module.parameters() if p.grad is not None]
        return _Recorded(graph, inputs, loss, gradients)
