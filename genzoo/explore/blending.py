"""From one label to another: z stays, and what moves is the vector that the label is embedded as.

A label has no value between two others, but its embedding has. The walk is straight: embeddings have no prior
that says where they lie.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from genzoo.condition import Labels
from genzoo.errors import ArgumentError
from genzoo.explore.latents import check_latent_model
from genzoo.models.latent import LatentModel
from genzoo.models.model import Model, check_count, in_chunks
from genzoo.process import neutral


@neutral()
def blend(model: LatentModel, z: Any, first: Any, last: Any, *, steps: int = 9) -> Tensor:
    """Return the images (N, steps, C, H, W) in [0, 1] of each z (N, latent_size), from the label `first` to
    the label `last`.

    The first image is `model.decode(z, first)` and the last `model.decode(z, last)`; between them every
    `nn.Embedding` of the labels gives (1 - t) e(first) + t e(last), t at equal steps from 0 to 1.

    Args:
        model: a model with a z that takes labels and embeds them with `nn.Embedding`.
        z: latent vectors.
        first: the label of the first image, by name or number.
        last: that of the last image.
        steps: images of each walk, including both ends.

    Raises:
        ArgumentError: a model without z or labels, or one whose labels enter in another way than by an
            embedding; an invalid z or label; steps below 2.
        UnknownNameError: a label that does not exist.
    """
    check_latent_model(model)
    if not isinstance(model.condition, Labels):
        raise ArgumentError(
            f"{type(model).__name__} takes no labels to walk between", "leave `to` out for a walk through z"
        )
    if check_count(steps, "steps") < 2:
        raise ArgumentError("steps must be at least 2, the two labels, not 1", "for example steps=9")
    latents = model.check_latents(z).detach()
    start, end = (model.condition.number(label) for label in (first, last))
    shares = [step / (steps - 1) for step in range(steps)]
    images = torch.stack([_between(model, latents, start, end, share) for share in shares], dim=1)
    if not torch.equal(images[:, -1], model.decode(latents, end)):
        raise ArgumentError(
            f"the labels of {type(model).__name__} are not embedded, so there is nothing between them",
            "draw one row for each label instead: sample(n, seed, condition=label)",
        )
    return images


def _between(model: LatentModel, z: Tensor, start: int, end: int, share: float) -> Tensor:
    """Return the images (N, C, H, W) at `share` of the way."""
    (rows,) = model.check_condition(start, len(z))
    with model.asking() as asked, _moved(asked, len(model.condition), end, share):  # type: ignore[arg-type]
        images = in_chunks(asked._decode, model.decode_chunk, z, rows)
    return images.float().clamp(0, 1).contiguous()


@contextlib.contextmanager
def _moved(model: Model, labels: int, end: int, share: float) -> Iterator[None]:
    """Let every embedding of the labels give, in this thread, what lies at `share` of the way to `end`."""
    here = threading.get_ident()

    def move(layer: nn.Module, _: Any, output: Tensor) -> Tensor | None:
        if threading.get_ident() != here:
            return None
        weight: Any = layer.weight
        return torch.lerp(output, weight[end].expand_as(output), share)

    embeddings = [
        layer
        for layer in model.modules()
        if isinstance(layer, nn.Embedding) and layer.num_embeddings == labels
    ]
    hooks = [layer.register_forward_hook(move) for layer in embeddings]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
