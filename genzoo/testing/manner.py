"""Laws of samples that are not drawn from p(x): a mean, temperature or truncation is obeyed or refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from genzoo.errors import ArgumentError
from genzoo.manner import Manner
from genzoo.models import AutoregressiveModel, GenerativeModel
from genzoo.models.manner import check_manner as refused
from genzoo.models.manner import in_manner, pictured
from genzoo.rng import Rng
from genzoo.testing.law import hold, refuses

MANNERS: tuple[dict[str, Any], ...] = ({"mean": True}, {"temperature": 0.2}, {"truncation": 0.05})
IMAGES = 4


def check_manners(model: GenerativeModel) -> None:
    """Check that `model` obeys each manner that has a meaning for it, and refuses the others.

    Raises:
        LawError: the first law that is broken.
    """
    name = type(model).__name__
    sample: Callable[..., Tensor] = model.sample
    for manner in MANNERS:
        (said,) = manner
        try:
            refused(model, Manner(**manner))
        except ArgumentError:
            law = "a manner of sampling without a meaning for the model is an ArgumentError"
            refuses(partial(sample, 1, seed=0, **manner), ArgumentError, law, said, f"{name}.sample")
            continue
        few, many = (sample(n, seed=0, **manner) for n in (IMAGES, model.decode_chunk + 1))
        hold(
            torch.equal(few, many[:IMAGES]),
            f"image i of a seed is the same in any company, with {said} too",
            "other images",
            f"{name}._sample: take noise from rng only",
        )
    if model.latent:
        _check_truncation(model, f"{name}._sample")
    if isinstance(model, AutoregressiveModel):
        _check_temperature(model, f"{name}._complete")


def _check_truncation(model: GenerativeModel, where: str) -> None:
    # means where p(x|z) has one: black and white pixels drawn from two z that are near can be the same
    drawn = partial(model.sample, IMAGES, seed=0, mean=pictured(model).mean)
    hold(
        not torch.equal(drawn(), drawn(truncation=0.05)),
        "a truncation of z changes the images",
        "the same images with |z| <= 0.05",
        f"{where}: draw z with self._latents(rng)",
    )


def _check_temperature(model: AutoregressiveModel, where: str) -> None:
    cold, given = in_manner(model, Manner(temperature=0.2)), model.check_condition(None, IMAGES)
    nothing = torch.zeros(IMAGES, *model.image_shape, device=model.device)
    with torch.no_grad(), cold.asking() as asked:
        fast, plain = (
            way(nothing, nothing.bool(), Rng(0, 0, IMAGES, model.device), *given)
            for way in (asked._drawing, asked._complete_naively)
        )
    hold(
        torch.equal(fast.float(), plain.float()),
        "a temperature is obeyed by every way of sampling",
        "other images than those of _complete_naively at temperature 0.2",
        f"{where}: choose levels with self._level(params, u), or leave cools = False",
    )
