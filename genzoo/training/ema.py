"""Averaged weights (EMA): torch's AveragedModel for each player that wants it, with its buffers."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from genzoo.models import Model
from genzoo.training.players import Feed, Player


class EMA:
    """The averaged weights of a run; empty if the recipe's `ema` is 0.

    The decay grows from 0.1 to `decay` over the first rounds, min(decay, (1 + n) / (10 + n)), so that an
    early average does not consist of random weights.
    """

    def __init__(self, players: Sequence[Player], decay: float) -> None:
        self.decay = decay
        self.modules = {
            player.name: AveragedModel(player.module, use_buffers=True)
            for player in players
            if player.average and decay
        }

    def update(self, players: Sequence[Player]) -> None:
        """Update the averages with the players' weights after a round."""
        for player in players:
            average = self.modules.get(player.name)
            if average is None:
                continue
            n = int(average.n_averaged)
            if not n:
                average.update_parameters(player.module)  # copies them, and counts
                continue
            # What update_parameters does with a function of its own, but without sending n to a GPU and back.
            pairs = zip(_tensors(average.module), _tensors(player.module), strict=True)
            averaged, current = zip(*((a, c) for a, c in pairs if a.is_floating_point()), strict=True)
            torch._foreach_lerp_(averaged, current, 1 - min(self.decay, (1 + n) / (10 + n)))
            average.n_averaged += 1

    def finished(self, model: Model, players: Sequence[Player], feed: Feed) -> Model:
        """Return a copy of `model` with the averaged weights and recomputed batch statistics, in evaluation
        mode; `feed` returns the batches of the run.
        """
        finished = copy.deepcopy(model)
        for player in players:
            average = self.modules.get(player.name)
            if average is not None:
                _copy_state(average.module, _same_part(model, player.module, finished))
            if player.finish is not None:
                player.finish(finished, feed)
        return finished.eval()


def _tensors(module: nn.Module) -> list[Tensor]:
    return [tensor.detach() for tensor in (*module.parameters(), *module.buffers())]


def _same_part(model: nn.Module, part: nn.Module, copied: nn.Module) -> nn.Module:
    name = next(name for name, module in model.named_modules() if module is part)
    return copied.get_submodule(name)


def _copy_state(source: nn.Module, target: nn.Module) -> None:
    with torch.no_grad():
        state = source.state_dict()
        for key, tensor in target.state_dict().items():
            tensor.copy_(state[key])
