"""Laws of every model that can generate samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor

from genzoo.errors import ArgumentError
from genzoo.images import quantise
from genzoo.models import GenerativeModel, Model, TranslatingModel
from genzoo.rng import Rng
from genzoo.testing.given import first_given
from genzoo.testing.law import hold, refuses
from genzoo.testing.manner import check_manners
from genzoo.testing.present import check_present

# standard deviations: kernels may sum in another order for another batch size, and bf16 has two or three
# digits
CLOSE = 0.02
BAD_COUNTS = (0, -1, 1.5, True, "3", None)
BAD_SEEDS = (-1, 2**63, 1.5, True, "3")


@first_given
def check_generative(model: GenerativeModel) -> None:
    """Check a model that can generate samples: shape and range, the same image from the same seed in any
    batch, in any manner; samples from the present weights, no side effects, errors.

    Raises:
        LawError: the first law that is broken.
    """
    name = type(model).__name__
    hold(
        isinstance(model, GenerativeModel),
        "check_generative is for a GenerativeModel",
        name,
        "its base classes",
    )
    with untouched(model, f"{name}._sample"), torch.no_grad(), model.evaluating():
        _check_raw(model, f"{name}._sample")
    with untouched(model, f"{name}._sample"):
        _check_samples(model, f"{name}._sample")
    _check_arguments(model, name)
    with untouched(model, f"{name}._sample"):
        check_manners(model)
    with untouched(model, f"{name}._sample"):
        check_present(model, lambda changed: changed.sample(2, seed=0), f"{name}._sample")


def _check_raw(model: GenerativeModel, where: str) -> None:
    """Check what `_sample` itself returns: `sample` clamps, which would hide a range of [-1, 1]."""
    many = _drawn(model, 0, 5)
    check_pixels(many, (5, *model.image_shape), f"{where} returns images in [0, 1]", where)
    same = torch.equal(many, _drawn(model, 0, 5))
    hold(
        same,
        "the same random numbers give the same images",
        "other images",
        f"{where}: take noise from rng only",
    )
    alone = _drawn(model, 0, 1)
    near(
        alone,
        many[:1],
        many,
        "an image does not depend on the others in its batch",
        f"batch statistics in {where}",
    )
    later = _drawn(model, 1, 4)
    near(
        later,
        many[1:],
        many,
        "image i of a seed depends on seed and i alone",
        f"{where}: take noise from rng only",
    )


def _drawn(model: GenerativeModel, first: int, n: int) -> Tensor:
    return model._sample(Rng(0, first, n, model.device), *model.check_condition(None, n))


def _check_samples(model: GenerativeModel, where: str) -> None:
    chunk = model.decode_chunk
    with fresh_noise(1):
        images = model.sample(chunk + 2, seed=0)
    with fresh_noise(2):
        few = model.sample(2, seed=0)
        other = model.sample(chunk + 2, seed=1)
    check_pixels(images, (chunk + 2, *model.image_shape), "sample returns images in [0, 1]", where)
    hold(images.dtype == torch.float32, "sample returns float32", images.dtype, where)
    hold(
        torch.equal(images[:2], few),
        "the same seed gives the same images, however many",
        "other images",
        f"{where}: take noise from rng only",
    )
    bytes_ = model.sample(2, seed=0, dtype=torch.uint8)
    hold(
        torch.equal(bytes_, quantise(few)),
        "sample(dtype=uint8) is sample() in 256 levels",
        "other images",
        "what overrides sample",
    )
    if isinstance(model, TranslatingModel) and not model.picture.noisy:  # one picture has one translation
        return
    hold(
        not torch.equal(images, other),
        "another seed gives other images",
        "the same images",
        f"{where}: use rng",
    )
    # Two equal images may be chance in the smallest binary model; a whole chunk of them is not.
    same = all(torch.equal(image, images[0]) for image in images)
    hold(
        not same,
        "images of one seed differ",
        f"{len(images)} equal images",
        f"{where}: use rng.uniform or rng.normal",
    )


def _check_arguments(model: GenerativeModel, name: str) -> None:
    law = "a wrong n or seed is an ArgumentError"
    where = f"{name}.sample: write _sample and leave sample to its base class"
    # wrong on purpose
    sample: Callable[..., Tensor] = model.sample
    for n in BAD_COUNTS:
        refuses(partial(sample, n, seed=0), ArgumentError, law, f"sample({n!r})", where)
    for seed in BAD_SEEDS:
        refuses(partial(sample, 1, seed=seed), ArgumentError, law, f"sample(1, seed={seed!r})", where)
    refuses(
        lambda: model.sample(10**15, seed=0),
        ArgumentError,
        "an n that exceeds the memory is an ArgumentError",
        "sample(10**15)",
        where,
    )


def check_pixels(images: Tensor, shape: tuple[int, ...], law: str, where: str) -> None:
    """Check that `images` have `shape`, are finite and in [0, 1]."""
    hold(
        isinstance(images, Tensor) and tuple(images.shape) == shape,
        law,
        f"the shape {tuple(getattr(images, 'shape', ()))}, not {shape}",
        where,
    )
    hold(torch.isfinite(images).all(), law, "NaN or infinite values", where)
    low, high = float(images.min()), float(images.max())
    hold(
        low >= -1e-6 and high <= 1 + 1e-6,
        law,
        f"values between {low:.3g} and {high:.3g}",
        f"{where}: a tanh needs (x + 1) / 2",
    )


def near(ones: Tensor, others: Tensor, among: Tensor, law: str, where: str) -> None:
    """Check that `ones` equal `others` up to rounding: within CLOSE standard deviations of `among`."""
    spread = max(float(among.detach().float().std()), 1e-6)
    distance = float((ones - others).detach().abs().max()) / spread
    hold(distance < CLOSE, law, f"a difference of {distance:.3g} standard deviations", where)


@contextmanager
def fresh_noise(seed: int) -> Iterator[None]:
    """Give torch's global generator another state inside the block, so that code that draws from it returns
    something else.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@contextmanager
def untouched(model: Model, where: str) -> Iterator[None]:
    """Check that the block changes no weights or statistics of the model, nor torch's global generator."""
    before = {key: value.clone() for key, value in model.state_dict().items()}
    noise = torch.get_rng_state()
    yield
    changed = [key for key, value in model.state_dict().items() if not torch.equal(value, before[key])]
    hold(
        not changed,
        "using a model does not change its state",
        f"{', '.join(changed[:3])} changed",
        f"{where}: running statistics in evaluation mode",
    )
    same = torch.equal(noise, torch.get_rng_state())
    hold(
        same,
        "using a model does not change torch's global generator",
        "its state changed",
        f"{where}: take noise from rng only",
    )
