"""Parts of a model as plain modules, tensors in and tensors out, for programs that know nothing of genzoo.

A part computes what the public method of its name computes, in float32, without checks: latent vectors are
(N, latent_size), images (N, C, H, W) in [0, 1], labels (N,) int64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from genzoo.condition import Labels
from genzoo.errors import ArgumentError, suggest
from genzoo.models.adversarial import AdversarialModel
from genzoo.models.autoregressive import AutoregressiveModel
from genzoo.models.classifier import ClassifyingModel
from genzoo.models.conditions import example_rows
from genzoo.models.latent import EncodingModel, LatentModel
from genzoo.models.model import Model
from genzoo.models.posterior import Posterior
from genzoo.rng import Rng


class Part(nn.Module):
    """One part of `model`; a subclass computes it."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model


class Decoder(Part):
    """z → images: a GAN's generator, a VAE's mean of p(x|z)."""

    def forward(self, z: Tensor, *labels: Tensor) -> Tensor:
        """Return images (N, C, H, W) in [0, 1]."""
        images: Tensor = self.model._decode(z, *labels)  # type: ignore[operator]
        return images.float().clamp(0, 1)


class Encoder(Part):
    """Images → codes, or mean and log σ² of q(z|x)."""

    def forward(self, images: Tensor, *labels: Tensor) -> Any:
        """Return the code (N, latent_size), or two tensors of that shape."""
        found: Tensor | Posterior = self.model._encode(images, *labels)  # type: ignore[operator]
        return tuple(found) if isinstance(found, tuple) else found


class Discriminator(Part):
    """Images → one logit each: large where they look real."""

    def forward(self, images: Tensor, *labels: Tensor) -> Tensor:
        """Return logits (N,)."""
        logits: Tensor = self.model._discriminate(images, *labels)  # type: ignore[operator]
        return logits


class Step(Part):
    """One pass of a pixel model: the parameters of every conditional, of which drawing uses one at a time."""

    def forward(self, images: Tensor, *labels: Tensor) -> Tensor:
        """Return parameters (N, P, C, H, W); those of a dimension depend on earlier ones alone."""
        params: Tensor = self.model._predict(images, *labels)  # type: ignore[operator]
        return params


class Classifier(Part):
    """Images → the logit of each class."""

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, classes)."""
        logits: Tensor = self.model._logits(self.model._features(images))  # type: ignore[operator]
        return logits


@dataclass(frozen=True)
class Kind:
    """A kind of part.

    Attributes:
        of: the class of models that have it.
        make: what makes it.
        takes: the name of its first input, "z" or "images".
        gives: the names of what it returns; of an encoder that returns one code the first alone.
    """

    of: type[Model]
    make: Callable[[Model], Part]
    takes: str
    gives: tuple[str, ...]


# in the order in which the first that a model has is exported, if none is named
PARTS: Mapping[str, Kind] = MappingProxyType(
    {
        "decoder": Kind(LatentModel, Decoder, "z", ("images",)),
        "encoder": Kind(EncodingModel, Encoder, "images", ("mean", "log_var")),
        "discriminator": Kind(AdversarialModel, Discriminator, "images", ("logits",)),
        "step": Kind(AutoregressiveModel, Step, "images", ("params",)),
        "classifier": Kind(ClassifyingModel, Classifier, "images", ("logits",)),
    }
)


def parts_of(cls: type[Any]) -> list[str]:
    """Return the names of the parts that models of a class have."""
    return [name for name, kind in PARTS.items() if issubclass(cls, kind.of)]


def choose(cls: type[Any], name: str, part: str | None) -> str:
    """Return `part`, or the first part of models of `cls`, that of the card `name`.

    Raises:
        ArgumentError: it has no such part, or none at all.
    """
    known = parts_of(cls)
    if not known:
        raise ArgumentError(f"{name} has no part that can be exported", f"parts: {', '.join(PARTS)}")
    if part is None:
        return known[0]
    if part not in known:
        raise ArgumentError(f"{name} has no {part}{suggest(part, known)}", f"it has: {', '.join(known)}")
    return part


def example(model: Model, part: str, n: int, seed: int = 0) -> dict[str, Tensor]:
    """Return `n` examples of the inputs of a part, by name: z from the prior, or images of noise; and labels
    where the model takes such.
    """
    kind = PARTS[part]
    if kind.takes == "z" and isinstance(model, LatentModel):
        first = model.sample_latents(n, seed)
    else:
        # black and white, which every kind of likelihood accepts
        first = (Rng(seed, 0, n).uniform(*model.image_shape) < 0.5).to(torch.float32)
    rows = example_rows(model, n) if isinstance(model.condition, Labels) else ()
    return {kind.takes: first, **({"labels": rows[0]} if rows else {})}
