"""Laws of every model with a latent z."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from genzoo.errors import ArgumentError
from genzoo.explore.latents import codes
from genzoo.models import EncodingModel, LatentModel, Posterior
from genzoo.testing.generative import check_pixels, fresh_noise, near, untouched
from genzoo.testing.given import first_given
from genzoo.testing.law import LawError, hold, refuses
from genzoo.testing.present import check_present, suited_noise


@first_given
def check_latent(model: LatentModel) -> None:
    """Check a model with a latent z: the prior, decoding alone and in a batch, gradients in z, images from
    the present weights, errors. Encoding is checked as well if the model has it.

    Raises:
        LawError: the first law that is broken.
    """
    name = type(model).__name__
    hold(isinstance(model, LatentModel), "check_latent is for a LatentModel", name, "its base classes")
    size = model.latent_size
    whole = isinstance(size, int) and not isinstance(size, bool) and size >= 1
    hold(whole, "latent_size is a whole number of at least 1", repr(size), f"{name}.latent_size")
    with untouched(model, f"{name}._decode"):
        _check_prior(model, f"{name}._latents")
        _check_decode(model, f"{name}._decode")
        _check_arguments(model, name)
        z = model.sample_latents(3, seed=0)
        check_present(model, lambda changed: changed.decode(z), f"{name}._decode")
        if isinstance(model, EncodingModel):
            _check_encode(model, f"{name}._encode")


def _check_prior(model: LatentModel, where: str) -> None:
    rows = max(32, 8192 // model.latent_size)
    with fresh_noise(1):
        z = model.sample_latents(rows, seed=0)
    with fresh_noise(2):
        few, other = model.sample_latents(2, seed=0), model.sample_latents(rows, seed=1)
    law = "sample_latents(n) returns n finite float32 vectors of latent_size"
    hold(
        z.shape == (rows, model.latent_size) and z.dtype == torch.float32,
        law,
        f"{tuple(z.shape)} {z.dtype}",
        where,
    )
    hold(torch.isfinite(z).all(), law, "NaN or infinite values", where)
    hold(
        torch.equal(z[:2], few),
        "the same seed gives the same z, however many",
        "other vectors",
        f"{where}: take noise from rng only",
    )
    hold(not torch.equal(z, other), "another seed gives other z", "the same vectors", f"{where}: use rng")
    hold(
        model.prior in ("normal", "uniform"),
        "prior is 'normal' or 'uniform'",
        repr(model.prior),
        f"{type(model).__name__}.prior",
    )
    mean, spread = float(z.mean()), float(z.std())
    expected = 1.0 if model.prior == "normal" else 3**-0.5  # of N(0, 1), of U(-1, 1)
    seen = f"mean {mean:.2f} and standard deviation {spread:.2f}, not 0 and {expected:.2f}"
    hold(
        abs(mean) < 0.1 and abs(spread - expected) < 0.1,
        f"z is drawn from the {model.prior} prior",
        seen,
        where,
    )


def _check_decode(model: LatentModel, where: str) -> None:
    z = model.sample_latents(5, seed=0)
    with torch.no_grad(), model.evaluating():
        many = model._decode(z, *model.check_condition(None, 5))
        check_pixels(many, (5, *model.image_shape), f"{where} returns images in [0, 1]", where)
        alone = model._decode(z[:1], *model.check_condition(None, 1))
    near(alone, many[:1], many, "an image depends on its own z alone", f"batch statistics in {where}")
    with fresh_noise(1):
        images = model.decode(z)
    with fresh_noise(2):
        again = torch.equal(model.decode(z[2:3]), images[2:3])
    hold(again, "the same z gives the same image", "another image", f"{where}: remove its noise")
    hold(not torch.equal(images[0], images[1]), "another z gives another image", "equal images", where)
    _check_slope(model, z, images, where)


def _check_slope(model: LatentModel, z: Tensor, images: Tensor, where: str) -> None:
    """Check that computing gradients changes no image, and that they reach `z`."""
    asked = z.clone().requires_grad_(True)
    result = model.decode(asked)
    law = "gradients flow from the image to z"
    hold(result.requires_grad, law, "no gradient at all", f"{where}: no_grad, detach or numpy in it")
    near(
        result,
        images,
        images,
        "the same z gives the same image, with gradients and without",
        f"{where}: see layers.decoded",
    )
    (slope,) = torch.autograd.grad(result.sum(), asked)
    hold(torch.isfinite(slope).all() and slope.abs().max() > 0, law, "a gradient of zero", where)


def _check_arguments(model: LatentModel, name: str) -> None:
    size, law = model.latent_size, "a wrong z is an ArgumentError"
    wrong: dict[str, Any] = {
        "z of another size": torch.zeros(1, size + 1),
        "one vector without a batch": torch.zeros(size),
        "no vectors": torch.zeros(0, size),
        "whole numbers": torch.zeros(1, size, dtype=torch.int64),
        "NaN": torch.full((1, size), torch.nan),
        "a text": "z",
    }
    for what, z in wrong.items():
        refuses(
            partial(model.decode, z),
            ArgumentError,
            law,
            what,
            f"{name}.decode: write _decode and leave decode alone",
        )


def _check_encode(model: EncodingModel, where: str) -> None:
    images = suited_noise(model, 3)
    with fresh_noise(1):
        many = _encoded(model, images, where)
    with fresh_noise(2):
        alone = _encoded(model, images[:1], where)
    for code, one in zip(many, alone, strict=True):
        near(
            code[:1],
            one,
            code,
            "the code of an image depends on that image alone",
            f"noise or batch statistics in {where}",
        )
    check_present(model, lambda changed: torch.cat(_encoded(changed, images, where), 1), where)
    found = codes(model, images)
    law = "codes(model, x) returns one row of latent_size numbers per image"
    hold(found.shape == (3, model.latent_size), law, f"the shape {tuple(found.shape)}", where)


def _encoded(model: EncodingModel, images: Tensor, where: str) -> tuple[Tensor, ...]:
    """Return the codes of images, or the mean and the log-variance of q(z|x), each (N, latent_size)."""
    try:
        found = model.encode(images)
    except ArgumentError as error:
        law = "encode returns codes (N, latent_size) or a Posterior of such tensors, all finite"
        raise LawError(law, error.message, where) from error
    return tuple(found) if isinstance(found, Posterior) else (found,)
