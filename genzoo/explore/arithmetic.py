"""Sums of concepts: "smiling woman" - "neutral woman" + "neutral man" (Radford et al. 2016, section 6.3.2, figure 7).

A concept is the mean z of at least three images: a single z carries its own accidents, and sums of singles were unstable. The same
sum over pixels is the control: it gives ghosts of overlaid images, which is what z is better than.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from genzoo.errors import ArgumentError, safe_repr
from genzoo.explore.latents import check_latent_model, codes
from genzoo.models.latent import EncodingModel, LatentModel
from genzoo.models.model import check_count
from genzoo.noise import Draws, check_seed

FEWEST = 3  # images of a concept
NOISE = 0.25  # half the width of the uniform noise around the result, as in the paper


class Sum(NamedTuple):
    """What a sum of concepts gives.

    Attributes:
        images: (n, C, H, W) in [0, 1]: first the sum itself, then its neighbours.
        concepts: (3, C, H, W): the images of the mean z of each concept.
        control: (C, H, W): the same sum over the mean pixels of each concept.
        z: (latent_size,): the sum.
    """

    images: Tensor
    concepts: Tensor
    control: Tensor
    z: Tensor


def arithmetic(model: LatentModel, start: Any, minus: Any, plus: Any, n: int = 9, noise: float = NOISE, seed: int | None = None) -> Sum:
    """Return the images of `start` - `minus` + `plus`, three groups of latent vectors (≥ 3, latent_size).

    Groups come from `of_seeds` or `of_images`. Around the sum, `n` - 1 neighbours are drawn with uniform noise of ± `noise` on each
    component of z.

    Raises:
        ArgumentError: a model without z, a group of fewer than three vectors, a wrong n, noise or seed.
    """
    check_latent_model(model)
    count, first = check_count(n), check_seed(seed)
    if isinstance(noise, bool) or not isinstance(noise, (int, float)) or not 0 <= noise <= 100:
        raise ArgumentError(f"noise must be a number between 0 and 100, not {safe_repr(noise)}", f"{NOISE} is that of the paper")
    groups = [check_group(model, group, name) for group, name in ((start, "start"), (minus, "minus"), (plus, "plus"))]
    means = torch.stack([group.mean(0) for group in groups])  # (3, D)
    z = means[0] - means[1] + means[2]  # (D,)
    shifts = noise * (2 * Draws(first, 0, count, z.device).uniform(model.latent_size) - 1).float()  # (n, D)
    shifts[0] = 0
    pixels = [model.decode(group).mean(0) for group in groups]
    control = (pixels[0] - pixels[1] + pixels[2]).clamp(0, 1)
    return Sum(model.decode(z + shifts), model.decode(means), control, z)


def of_seeds(model: LatentModel, seeds: Sequence[int]) -> Tensor:
    """Return the group of latent vectors (len(seeds), latent_size) whose images were chosen by looking: the first z of each seed.

    Raises:
        ArgumentError: a model without z, fewer than three seeds, or a wrong one.
    """
    check_latent_model(model)
    if isinstance(seeds, (str, bytes)) or not isinstance(seeds, Sequence):
        raise ArgumentError(f"seeds must be whole numbers, not {safe_repr(seeds)}", "for example seeds=[3, 14, 15]")
    _check_size(len(seeds), "seeds")
    if None in seeds:
        raise ArgumentError("a seed of a group must be a whole number, not None", "for example seeds=[3, 14, 15]")
    return torch.cat([model.sample_latents(1, seed) for seed in seeds])


def of_images(model: EncodingModel, images: Any) -> Tensor:
    """Return the group of codes (N, latent_size) of images (N, C, H, W) that share a label.

    Raises:
        ArgumentError: a model that cannot encode, wrong images, or fewer than three.
    """
    group = codes(model, images)
    _check_size(len(group), "images")
    return group


def check_group(model: LatentModel, group: Any, name: str) -> Tensor:
    """Return `group` as latent vectors (≥ 3, latent_size), or raise ArgumentError that says what to use instead."""
    try:
        size = len(group)
    except TypeError as error:
        raise ArgumentError(
            f"{name} must be a group of latent vectors, not {type(group).__name__}", "see of_seeds and of_images"
        ) from error
    _check_size(size, name)
    return model.check_latents(group, name).detach()


def _check_size(size: int, name: str) -> None:
    if size < FEWEST:
        found = "is empty" if not size else f"has {size}"
        raise ArgumentError(
            f"{name} {found}: a concept is the mean of at least {FEWEST}, as a single z carries its own accidents",
            "choose more seeds by their images, or take a label that more images have",
        )
