"""Sums of concepts: "smiling woman" - "neutral woman" + "neutral man" (Radford et al. 2016, section 6.3.2,
figure 7).

A concept is the mean z of at least three images: a single z has its own peculiarities, and sums of single
vectors were unstable in the paper. The same sum over pixels is the control: it gives ghosts of overlaid
images, which arithmetic on z avoids.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from genzoo.errors import ArgumentError, safe_repr
from genzoo.explore.concepts import FEWEST, check_group
from genzoo.explore.figure import above, beside, sign
from genzoo.explore.latents import check_latent_model
from genzoo.images import grid
from genzoo.models.latent import LatentModel
from genzoo.models.model import check_count
from genzoo.process import neutral
from genzoo.rng import Rng, check_seed

NOISE = 0.25  # half the width of the uniform noise around the result, as in the paper
AROUND = 9  # images of the result: a square with the sum itself in the middle


class Sum(NamedTuple):
    """The result of a sum of concepts.

    Attributes:
        images: (n, C, H, W) in [0, 1]: first the sum itself, then its neighbours.
        concepts: (groups, C, H, W): the image of the mean z of each concept, added ones first.
        control: (C, H, W): the same sum over the mean pixels of each concept.
        z: (latent_size,): the sum.
    """

    images: Tensor
    concepts: Tensor
    control: Tensor
    z: Tensor


@neutral()
def arithmetic(
    model: LatentModel,
    plus: Sequence[Any],
    minus: Sequence[Any] = (),
    n: int = AROUND,
    noise: float = NOISE,
    seed: int | None = None,
    *,
    condition: Any = None,
) -> Sum:
    """Return the images of the sum of the concepts in `plus` minus those in `minus`, each a group of latent
    vectors (≥ 3, latent_size).

    Groups come from `of_seeds` or `of_images`. Around the sum, `n` - 1 neighbours are drawn with uniform
    noise of ± `noise` on each component of z. The paper's figure is plus=[smiling woman, neutral man],
    minus=[neutral woman]. A conditional model takes one `condition` for all.

    Raises:
        ArgumentError: a model without z, nothing to add, a group of fewer than three vectors, an invalid n,
            noise or seed, or a missing, invalid or superfluous condition.
        UnknownNameError: a label that does not exist.
    """
    check_latent_model(model)
    count, first = check_count(n), check_seed(seed)
    if isinstance(noise, bool) or not isinstance(noise, (int, float)) or not 0 <= noise <= 100:
        raise ArgumentError(
            f"noise must be a number between 0 and 100, not {safe_repr(noise)}", f"the paper uses {NOISE}"
        )
    groups = [*_groups(model, plus, "plus"), *_groups(model, minus, "minus")]
    if not len(plus):
        raise ArgumentError("plus has no concept to add", "plus=[of_seeds(model, [3, 14, 15])], for example")
    signs = torch.tensor([1.0] * len(plus) + [-1.0] * len(minus), device=model.device)
    means = torch.stack([group.mean(0) for group in groups])  # (groups, D)
    z = signs @ means  # (D,)
    shifts = noise * (2 * Rng(first, 0, count, z.device).uniform(model.latent_size) - 1).float()  # (n, D)
    shifts[0] = 0
    pixels = torch.stack([model.decode(group, condition).mean(0) for group in groups])  # (groups, C, H, W)
    control = torch.einsum("g,gchw->chw", signs, pixels).clamp(0, 1)
    return Sum(model.decode(z + shifts, condition), model.decode(means, condition), control, z)


def _groups(model: LatentModel, groups: Any, name: str) -> list[Tensor]:
    if isinstance(groups, (str, bytes, Tensor)) or not isinstance(groups, Sequence):
        raise ArgumentError(
            f"{name} must be a list of groups of latent vectors, not {type(groups).__name__}",
            f"{name}=[group]",
        )
    return [check_group(model, group, f"{name}[{place}]") for place, group in enumerate(groups)]


def picture(result: Sum, samples: Sequence[Tensor], minus: int) -> Image.Image:
    """Return the figure of the paper: samples of each concept above its mean, the sum's signs between them;
    the result; the control.

    Args:
        result: a result with nine images.
        samples: some images of each concept (n, C, H, W), in the order of `result.concepts`.
        minus: how many of the concepts, counted from the last, were subtracted.
    """
    added = len(samples) - minus
    order = [0, *range(added, len(samples)), *range(1, added)]  # a - b + c, as it is spoken
    parts: list[Image.Image] = []
    for place, concept in enumerate(order):
        mean = grid(result.concepts[concept][None])
        if place:
            parts.append(sign("-" if concept >= added else "+", mean))
        parts.append(above(grid(samples[concept][:FEWEST], columns=1), mean))
    around = [*range(1, AROUND // 2 + 1), 0, *range(AROUND // 2 + 1, AROUND)]
    control = grid(result.control[None])
    return beside(
        *parts, sign("=", control), grid(result.images[around], columns=3), sign(" ", control), control
    )
