"""Analogies: the style of an image kept while its label changes (Kingma et al. 2014, arXiv:1406.5298, figure
1b).

A conditional autoencoder is given the label, so z need not hold it: z holds the rest, such as slant and
stroke. z of one image, decoded with every label, gives the other classes in the same style.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from genzoo.condition import Labels
from genzoo.errors import ArgumentError
from genzoo.explore.latents import check_encoder
from genzoo.models import EncodingModel, Posterior
from genzoo.models.model import check_memory
from genzoo.process import neutral


@neutral()
def analogies(model: EncodingModel, images: Any, conditions: Any) -> Tensor:
    """Return (N, K + 1, C, H, W) in [0, 1]: each image, and its z decoded with each of K labels.

    z is the code that the encoder gives to the image and its own label, the mean of q(z|x, c) of a VAE. The
    image decoded with its own label is its reconstruction.

    Args:
        model: a model that encodes, and whose condition is a label.
        images: (N, C, H, W) in [0, 1].
        conditions: the label of each image, or one for all.

    Raises:
        ArgumentError: a model that cannot encode or takes no label; wrong images; a missing or invalid label;
            more pictures than this machine can hold.
        UnknownNameError: a label that does not exist.
    """
    check_encoder(model, "choose a conditional VAE, which can")
    labels = model.condition
    if not isinstance(labels, Labels):
        raise ArgumentError(
            f"{type(model).__name__} takes no label, so there is nothing to change",
            "choose a conditional VAE: genzoo list names the condition of each model",
        )
    x = model.check_images(images, "images")
    check_memory(len(x) * (len(labels) + 1), 4 * math.prod(model.image_shape))
    found = model.encode(x, conditions)
    z = (found.mean if isinstance(found, Posterior) else found).detach()  # (N, D)
    every = torch.arange(len(labels)).repeat(len(x))  # (N · K,)
    drawn = model.decode(z.repeat_interleave(len(labels), 0), every)
    return torch.cat([x[:, None], drawn.unflatten(0, (len(x), len(labels)))], 1)
