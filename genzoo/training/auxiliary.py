"""A classifier on D's last hidden layer (hack 12; Odena et al. 2017; Salimans et al. 2016, section 5):
labels, if there are any, are used.

D then learns what real images show, not only that they are real. G is not told: no model here is conditional.
The classifier is no part of the model and is left behind when training ends.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from genzoo.models import AdversarialModel
from genzoo.rng import mix


class Auxiliary(nn.Module):
    """One linear layer behind what the last layer of D sees.

    Args:
        model: whose discriminator is watched.
        classes: of the labels, 0 … classes - 1.
        seed: of the run; the same seed gives the same fresh weights.
    """

    def __init__(self, model: AdversarialModel, classes: int, seed: int) -> None:
        super().__init__()
        leaves = [layer for layer in model.discriminator.modules() if not list(layer.children())]
        # in a list: D's, not ours
        self._last = [layer for layer in leaves if any(p.ndim > 1 for p in layer.parameters())][-1:]
        with torch.no_grad(), model.evaluating(), self.watching() as hidden:
            model._discriminate(torch.zeros(1, *model.image_shape, device=model.device))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(mix(seed, "auxiliary"))
            self.head = nn.Linear(hidden[0].numel(), classes).to(model.device)

    @contextlib.contextmanager
    def watching(self) -> Iterator[list[Tensor]]:
        """Give a list to which each pass of D meanwhile adds what its last layer was shown."""
        hidden: list[Tensor] = []
        handle = self._last[0].register_forward_pre_hook(lambda layer, inputs: hidden.append(inputs[0]))
        try:
            yield hidden
        finally:
            handle.remove()

    def forward(self, hidden: Tensor, labels: Tensor) -> Tensor:
        """Return the mean of -log p(label | hidden layer), in nats, of (N, …) and labels (N,)."""
        return cross_entropy(self.head(hidden.flatten(1)).float(), labels)
