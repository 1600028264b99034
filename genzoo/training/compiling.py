"""`compile=on`: torch.compile for the networks that a game's losses call.

torch compiles what a module computes when it is called. A model is not called in training, its losses call
`_log_prob` or `_decode`; so its networks are compiled, each as large as it is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import nn

from genzoo.errors import TrainingError
from genzoo.models import Model
from genzoo.show import tell
from genzoo.training.players import Player


class Compiled:
    """The compiled networks of a run, and which of them its losses have called."""

    def __init__(self, players: Sequence[Player]) -> None:
        self._unchecked = [player.name for player in players]
        self._found: dict[str, list[str]] = {player.name: [] for player in players}
        self._called: set[str] = set()
        for player in players:
            for name, module in networks(player.module):
                place = f"{player.name}.{name}" if name else player.name
                self._found[player.name].append(place)
                module.compile()
                # torch keeps here what a call of the module runs; copies and checkpoints leave it out
                compiled: Any = module._compiled_call_impl
                module._compiled_call_impl = functools.partial(self._call, place, compiled)

    def _call(self, place: str, compiled: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        self._called.add(place)
        return compiled(*arguments, **options)

    def check(self, talks: bool) -> None:
        """After the first round, report once what was compiled and called, if this process `talks`.

        Raises:
            TrainingError: a player's loss has called none.
        """
        for player in self._unchecked:
            if not self._called.intersection(self._found[player]):
                raise TrainingError(
                    f"compile=on compiles nothing of the {player}: its loss calls no network as a module",
                    "set compile=off",
                )
        if talks and self._unchecked:
            tell(f"compiled: {', '.join(sorted(self._called))}", level="INFO")
        self._unchecked = []


def networks(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield the largest networks in `module` that can be called, with their names: not a model, and not a
    list of modules.
    """
    if not isinstance(module, Model) and type(module).forward is not nn.Module.forward:
        yield name, module
        return
    for child, inner in module.named_children():
        yield from networks(inner, f"{name}.{child}" if name else child)
