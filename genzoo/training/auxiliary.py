"""A classifier on D's last hidden layer (hack 12; Odena et al. 2017; Salimans et al. 2016, section 5), which
uses labels if there are any.

D then learns what real images show, not only that they are real. G gets no labels here: a model that takes a
condition gets it in both nets, with this classifier or without. The classifier is not part of the model and
is discarded when training ends.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from genzoo.models import AdversarialModel
from genzoo.models.conditions import example_rows
from genzoo.rng import mix


class Auxiliary(nn.Module):
    """One linear layer on the input of D's last layer.

    Args:
        model: the model whose discriminator is observed.
        classes: number of classes; labels are 0 … classes - 1.
        seed: seed of the run; the same seed gives the same initial weights.
    """

    def __init__(self, model: AdversarialModel, classes: int, seed: int) -> None:
        super().__init__()
        leaves = [layer for layer in model.discriminator.modules() if not list(layer.children())]
        # in a list: D's, not ours
        self._last = [layer for layer in leaves if any(p.ndim > 1 for p in layer.parameters())][-1:]
        with torch.no_grad(), model.evaluating(), self.watching() as hidden:
            nothing = torch.zeros(1, *model.image_shape, device=model.device)
            model._discriminate(nothing, *example_rows(model, 1))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(mix(seed, "auxiliary"))
            self.head = nn.Linear(hidden[0].numel(), classes).to(model.device)

    @contextlib.contextmanager
    def watching(self) -> Iterator[list[Tensor]]:
        """Yield a list; each pass of D inside the block appends the input of its last layer."""
        hidden: list[Tensor] = []
        handle = self._last[0].register_forward_pre_hook(lambda layer, inputs: hidden.append(inputs[0]))
        try:
            yield hidden
        finally:
            handle.remove()

    def forward(self, hidden: Tensor, labels: Tensor) -> Tensor:
        """Return the mean of -log p(label | hidden layer), in nats, for (N, …) and labels (N,)."""
        return cross_entropy(self.head(hidden.flatten(1)).float(), labels)
