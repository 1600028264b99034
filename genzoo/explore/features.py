"""What a model has learned to see, one row of numbers per image: the code of an encoder, or the hidden layers
of a discriminator.

A discriminator is read as in Radford et al. 2016, section 5.1: every hidden layer, max-pooled to at most 4 ×
4 positions, flattened and laid end to end. Published weights of a GAN hold both players, so its features are
available with its samples.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from genzoo.data import Images
from genzoo.errors import ArgumentError
from genzoo.explore.latents import codes, each
from genzoo.images import as_tensor
from genzoo.models.adversarial import AdversarialModel
from genzoo.models.classifier import ClassifyingModel
from genzoo.models.density import DensityModel
from genzoo.models.latent import EncodingModel
from genzoo.models.model import Model, in_chunks
from genzoo.process import neutral

BATCH = 64  # images at a time
GRID = 4  # positions along a side to which a hidden map is pooled


@neutral()
def features(
    model: Model, images: Any, progress: Callable[[int, int], None] | None = None, *, condition: Any = None
) -> Tensor:
    """Return the features (N, F) float32, on the CPU, of images (N, C, H, W): a set, or uint8 or floats in
    [0, 1].

    For a model with an encoder they are the codes, or the means of q(z|x), and F is the latent size; for a
    GAN the hidden layers of its discriminator; for a classifier the features that its logits are computed
    from. The model runs in evaluation mode without gradients; an image has the same features in any batch.

    Args:
        model: a model with features, see `source`.
        images: `genzoo.data.Images`, which is read a batch at a time, a tensor or a numpy array.
        progress: called with (done, total).
        condition: of a conditional model, the condition of each image, or one for all.

    Raises:
        ArgumentError: the model has no features, the images do not fit it, or a missing, invalid or
            superfluous condition.
        UnknownNameError: a label that does not exist.
    """
    source(model)
    many = images if isinstance(images, Images) else as_tensor(images)
    if not len(many):
        raise ArgumentError("images must hold at least one image, not 0")
    given = each(model, condition, len(many))
    rows = []
    for start in range(0, len(many), BATCH):
        batch = model.check_images(many[start : start + BATCH], "images")
        own = () if given is None else (given[start : start + BATCH],)
        rows.append(in_chunks(lambda x, *c: _features(model, x, *c), BATCH, batch, *own).float().cpu())
        if progress is not None:
            progress(min(start + BATCH, len(many)), len(many))
    return torch.cat(rows)


@neutral()
def logits(model: AdversarialModel, images: Any, *, condition: Any = None) -> Tensor:
    """Return the logit of the discriminator for each image, (N,) float32, of images (N, C, H, W) in [0, 1].

    A conditional model takes the `condition` of each image, or one for all.
    """
    with model.asking() as asked:
        shown = asked.check_images(images, "images")
        return asked._discriminate(shown, *asked.check_condition(condition, len(shown))).float()


def source(model: Model) -> str:
    """Return in words what the features of `model` are.

    Raises:
        ArgumentError: it has none; the hint says which models do.
    """
    if isinstance(model, ClassifyingModel):
        return "features of the classifier"
    if isinstance(model, EncodingModel):
        return "means of q(z|x)" if isinstance(model, DensityModel) else "codes of the encoder"
    if not isinstance(model, AdversarialModel):
        raise ArgumentError(
            f"{type(model).__name__} has no features: it has neither an encoder nor a discriminator",
            "an autoencoder, a VAE or a GAN has them: genzoo list --tree",
        )
    if len(_weighted(model)) < 2:
        raise ArgumentError(
            f"{type(model).__name__} has no features: its discriminator has no hidden layer",
            "a discriminator with two or more convolutions has one; an autoencoder or a VAE has codes",
        )
    return "hidden layers of the discriminator"


def _features(model: Model, x: Tensor, condition: Tensor | None = None) -> Tensor:
    if isinstance(model, ClassifyingModel):
        return model.features(x)
    if isinstance(model, EncodingModel):
        return codes(model, x, condition)
    return _hidden(model, x, condition)


def _hidden(model: Any, x: Tensor, condition: Tensor | None) -> Tensor:
    """Return (N, F): what each weighted layer of the discriminator is shown, but not the images themselves.

    That is the hidden layer after its norm and its non-linearity, whether that is a module or a function.
    """
    here, shown = threading.get_ident(), list[Tensor]()
    pooled: list[Tensor] = []

    def look(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        mine = threading.get_ident() == here  # another thread may be asking the same model
        # a shortcut reads what another layer reads
        if mine and not any(inputs[0] is earlier for earlier in shown):
            shown.append(inputs[0])
            pooled.append(_pool(inputs[0]))  # at once: the net may go on to change it in place

    with model.asking() as asked:
        hooks = [layer.register_forward_pre_hook(look) for layer in _weighted(asked)]
        try:
            asked._discriminate(x, *asked.check_condition(condition, len(x)))
        finally:
            for hook in hooks:
                hook.remove()
    return torch.cat(pooled[1:], dim=1)


def _weighted(model: Model) -> list[nn.Module]:
    """Return the convolutions and linear layers of the discriminator; none where there is no
    discriminator.
    """
    judge = getattr(model, "discriminator", None)
    return (
        [layer for layer in judge.modules() if isinstance(layer, (_ConvNd, nn.Linear))]
        if isinstance(judge, nn.Module)
        else []
    )


def _pool(maps: Tensor) -> Tensor:
    """Return maps (N, C, H, W), or vectors (N, C), as rows (N, F)."""
    if maps.ndim != 4:
        return maps.flatten(1).clone()
    height, width = (min(side, GRID) for side in maps.shape[2:])
    return F.adaptive_max_pool2d(maps, (height, width)).flatten(1)
