"""What a page asks of a model with a z."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from genzoo_explorer import limits
from genzoo_explorer.ask import Ask
from genzoo_explorer.facts import has_mean
from genzoo_explorer.pictures import check_images, decoded, show
from genzoo_explorer.worker import Job

DIRECTIONS = 8
SIDEWAYS = 9  # images of a sum: itself in the middle of its neighbours


def latents(model: Any, ask: Ask, job: Job) -> None:
    """Send the z of a seed, and their images: those of `genzoo sample`.

    Of a VAE the images are the means of p(x|z), or with `noise` draws from it.
    """
    import torch

    from genzoo.explore.latents import prior_latents

    n, seed, truncation = ask.whole("n", 1, limits.IMAGES, 12), ask.seed(), ask.number("truncation")
    check_images(model, n)
    if hasattr(model, "sample"):
        z = prior_latents(model, n, seed, truncation)
    else:  # an autoencoder has no prior; codes are not far from such numbers
        z = torch.randn(n, model.latent_size, generator=torch.Generator().manual_seed(seed))
    if ask.flag("noise") and has_mean(model):
        images = model.sample(n, seed, condition=ask.condition(), truncation=truncation)
    else:
        images = decoded(model, z, ask.condition())
    show(job, images, z=z.tolist())


def decode(model: Any, ask: Ask, job: Job) -> None:
    """Send the image of each z."""
    show(job, decoded(model, ask.vectors("z", model.latent_size), ask.condition()))


def directions(model: Any, ask: Ask, job: Job) -> None:
    """Send the principal directions."""
    from genzoo.explore.directions import directions as principal

    job.tell({"directions": principal(model, DIRECTIONS, condition=ask.condition()).tolist()})


def walk(model: Any, ask: Ask, job: Job) -> None:
    """Send the images from one z to another: round the sphere of a Gaussian prior, straight otherwise."""
    from genzoo.explore.interpolation import path

    ends = ask.vectors("z", model.latent_size, 2)
    steps = ask.whole("steps", 2, 32, 9)
    way = model.prior if hasattr(model, "sample") else "uniform"
    z = path(ends[:1], ends[-1:], steps, way)[0]
    show(job, decoded(model, z, ask.condition()), z=z.tolist())


def sums(model: Any, ask: Ask, job: Job) -> None:
    """Send a sum of concepts: its images, those of the concepts' means, and the control over pixels."""
    import torch

    from genzoo.explore.arithmetic import arithmetic

    plus = [ask.vectors(name, model.latent_size, 16) for name in ("plus", "more") if ask.has(name)]
    minus = [ask.vectors("minus", model.latent_size, 16)] if ask.has("minus") else []
    found = arithmetic(model, plus, minus, SIDEWAYS, seed=ask.seed(), condition=ask.condition())
    parts = [found.images, found.concepts, found.control[None]]
    show(job, torch.cat(parts), parts=[len(part) for part in parts], z=[found.z.tolist()])


def encode(model: Any, ask: Ask, job: Job) -> None:
    """Send the code of an image, its reconstruction, and the error."""
    from genzoo.explore.latents import codes

    image = ask.pixels(model.image_shape)
    z = codes(model, image, ask.condition()).detach()
    rebuilt = decoded(model, z, ask.condition())
    error = float((rebuilt - image.to(rebuilt)).square().mean().sqrt())
    show(job, rebuilt, z=z.tolist(), rmse=error)


def invert(model: Any, ask: Ask, job: Job) -> Iterator[None]:
    """Send the z whose image is nearest to an image, step by step, with the error."""
    from genzoo.explore.inversion import inversion

    image, steps = ask.pixels(model.image_shape), limits.INVERT_STEPS
    for found in inversion(model, image, steps, seed=ask.seed(), condition=ask.condition()):
        if found.step % 5 == 0 or found.step == steps:
            show(
                job,
                decoded(model, found.z[None], ask.condition()),
                z=[found.z.tolist()],
                rmse=found.error,
                step=found.step,
                steps=steps,
            )
        yield


def sample(model: Any, ask: Ask, job: Job) -> Iterator[None]:
    """Send samples of any model that has them, batch by batch."""
    n = ask.whole("n", 1, limits.IMAGES, 12)
    check_images(model, n)
    batches = model.sample_batches(
        n,
        ask.seed(),
        condition=ask.condition(),
        temperature=ask.number("temperature"),
        truncation=ask.number("truncation"),
    )
    for images in batches:
        show(job, images)
        yield


def translate(model: Any, ask: Ask, job: Job) -> None:
    """Send the translation of an image into the domain `to`."""
    domains = model.picture.domains
    target = model.picture.target(ask.text("to", 80) if ask.has("to") else None)
    image = ask.pixels(model.shape_of(domains[0] if target == domains[1] else domains[1]))
    show(job, model.translate(image, target, ask.seed()))
