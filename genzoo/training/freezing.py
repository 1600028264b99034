"""Freeze the first blocks of a discriminator (Mo, Cho & Shin 2020, "Freeze the Discriminator: a Simple
Baseline for Fine-Tuning GANs", arXiv:2002.10964).

The lower layers of a discriminator that was trained on other images keep their weights; only the upper ones
are trained. On a few hundred images this keeps features that these are too few to teach.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import nn
from torch.nn.modules.conv import _ConvNd


def blocks_of(net: nn.Module) -> list[list[nn.Parameter]]:
    """Return the parameters of `net` block by block, in the order of its layers.

    A block is a convolution or a fully connected layer with what follows it up to the next one, such as its
    norm. What comes before the first of them belongs to the first block.
    """
    blocks: list[list[nn.Parameter]] = [[]]
    seen: set[int] = set()
    begun = False
    for module in net.modules():
        if isinstance(module, (_ConvNd, nn.Linear)):
            if begun:
                blocks.append([])
            begun = True
        for parameter in module.parameters(recurse=False):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                blocks[-1].append(parameter)
    return [block for block in blocks if block]


def freeze(net: nn.Module, count: int) -> None:
    """Exclude the first `count` blocks of `net` from training: no player has them among its weights.

    Running statistics of a frozen batch norm still follow the images; a discriminator does not use them while
    it is trained.
    """
    for block in blocks_of(net)[:count]:
        for parameter in block:
            parameter.requires_grad_(False)


def frozen_in(model: nn.Module) -> list[str]:
    """Return the names of the parameters of `model` that are not trained."""
    return [name for name, parameter in model.named_parameters() if not parameter.requires_grad]


@contextlib.contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Keep the parameters of `module` out of the graphs that are built meanwhile.

    The loop needs the gradients of its player alone, but a custom autograd function cannot know that and
    computes the opponent's as well.
    """
    parameters = [p for p in module.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
