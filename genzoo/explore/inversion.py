"""Inversion: a z whose image is as near as possible to a given image, for models without an encoder.

The squared error of G(z) falls by gradient descent on z (Creswell & Bharath 2016, arXiv:1611.05644, algorithm
1). Several starts are followed at once, since the error has many local minima; the best of them counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim.adam import adam

from genzoo.errors import ArgumentError
from genzoo.explore.latents import check_latent_model
from genzoo.models import GenerativeModel, LatentModel
from genzoo.models.model import check_count
from genzoo.process import neutral

STEPS, STARTS, RATE = 100, 4, 0.1


class Inverse(NamedTuple):
    """The best z so far.

    Attributes:
        z: (latent_size,).
        error: root mean square of G(z) - x per value in [0, 1]; not zero for an image that the model cannot
            draw.
        step: gradient steps taken.
    """

    z: Tensor
    error: float
    step: int


def inversion(
    model: LatentModel,
    image: Any,
    steps: int = STEPS,
    starts: int = STARTS,
    seed: int = 0,
    *,
    condition: Any = None,
) -> Iterator[Inverse]:
    """Yield the best z for `image` (1, C, H, W) in [0, 1] after every step: first the best of the starts,
    then `steps` more.

    The error never rises from one to the next. z of a uniform prior stays within its cube.

    Args:
        model: any model with a z.
        image: the image to find.
        steps: gradient steps (Adam).
        starts: z of `seed` from the prior that are followed; an autoencoder starts at zero.
        seed: see `sample_latents`.
        condition: of a conditional model, that of the image.

    Raises:
        ArgumentError: a model without z, not one image, invalid steps, starts or seed, or a missing, invalid
            or superfluous condition.
        UnknownNameError: a label that does not exist.
    """
    check_latent_model(model)
    x = model.check_images(image, "image")
    if len(x) != 1:
        raise ArgumentError(f"image must be one image (1, C, H, W), not {len(x)}", "invert one at a time")
    rounds, count = check_count(steps, "steps"), check_count(starts, "starts")
    z = (
        model.sample_latents(count, seed)
        if isinstance(model, GenerativeModel)
        else torch.zeros(1, model.latent_size, device=model.device)
    )
    given = model.check_condition(condition, len(z))
    return _descend(model, x, z.clone(), given, rounds)


def _descend(
    model: LatentModel, x: Tensor, z: Tensor, given: tuple[Tensor, ...], rounds: int
) -> Iterator[Inverse]:
    z.requires_grad_(True)
    moments = (torch.zeros_like(z), torch.zeros_like(z), torch.zeros(()))
    best, lowest = z[0].detach().clone(), float("inf")
    for step in range(rounds + 1):
        # not across the yield, where the process is the caller's
        with neutral(), torch.enable_grad(), model.asking(gradients=True) as asked:
            errors = (asked(z, *given) - x).square().flatten(1).mean(1)  # (starts,)
            (slope,) = torch.autograd.grad(errors.sum(), z)
        errors = errors.detach()
        place = int(errors.argmin())
        if float(errors[place]) < lowest:
            best, lowest = z[place].detach().clone(), float(errors[place])
        yield Inverse(best, lowest**0.5, step)
        with torch.no_grad():
            _step(z, slope, *moments)
            if model.prior == "uniform":
                z.clamp_(-1, 1)


def _step(z: Tensor, slope: Tensor, mean: Tensor, square: Tensor, count: Tensor) -> None:
    """Move z by one step of Adam. The function is torch's own: the class would load torch's compiler first,
    which takes seconds.
    """
    adam(
        [z], [slope], [mean], [square], [], [count], foreach=False, amsgrad=False, beta1=0.9, beta2=0.999,
        lr=RATE, weight_decay=0.0, eps=1e-8, maximize=False,
    )  # fmt: skip
