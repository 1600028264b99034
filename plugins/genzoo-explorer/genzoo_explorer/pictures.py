"""Images as the bytes that a page puts into a canvas."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from genzoo.errors import ArgumentError
from genzoo_explorer import limits
from genzoo_explorer.worker import Job

if TYPE_CHECKING:
    from torch import Tensor

FEW = 4  # images that one thread computes


def show(job: Job, images: Tensor, **facts: Any) -> None:
    """Send images (N, C, H, W) in [0, 1] as bytes in the order (N, H, W, C), with `facts`."""
    from genzoo.images import quantise

    check_size(len(images), images[0].numel())
    n, channels, height, width = images.shape
    values = quantise(images.detach().cpu()).movedim(1, 3).contiguous()
    job.tell(
        {"pictures": {"n": n, "c": channels, "h": height, "w": width}, **facts}, values.numpy().tobytes()
    )


def check_size(n: int, each: int) -> None:
    """Raise ArgumentError if `n` images of `each` values are more than one reply may hold."""
    if n * each > limits.VALUES:
        raise ArgumentError(
            f"{n} images of {each:,} values are more than the explorer shows at once",
            "ask for fewer, or use genzoo sample",
        )


def check_images(model: Any, n: int) -> None:
    """Raise ArgumentError if `n` images of `model` are more than one reply may hold; before they are
    drawn.
    """
    check_size(n, math.prod(model.image_shape))


def decoded(model: Any, z: Tensor, condition: Any) -> Tensor:
    """Return the images (N, C, H, W) in [0, 1] of z (N, latent_size).

    They are those of `model.decode`, up to the rounding of a network that sees N rows instead of a whole
    chunk: for a single z that is many times faster.
    """
    import torch

    check_images(model, len(z))
    latents = model.check_latents(z)
    given = model.check_condition(condition, len(latents))
    with few_threads(len(latents)), torch.inference_mode(), model.asking() as asked:
        images: Tensor = asked(latents, *given).float().clamp(0, 1)
    return images


@contextlib.contextmanager
def few_threads(images: int) -> Iterator[None]:
    """Let one thread compute a few images in this block.

    A network takes milliseconds for an image, in dozens of operations. At the end of each, torch's threads
    wait for the slowest; if other programs are using the cores, that wait is longer than the work.
    """
    import torch

    threads = torch.get_num_threads()
    if images > FEW or threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def in_turns(job: Job, batches: Iterator[Tensor]) -> Iterator[Tensor]:
    """Yield `batches` while somebody waits for them."""
    for batch in batches:
        job.check()
        yield batch
