"""Arrays brought to the one convention: (N, C, H, W) uint8, of the shape that was asked for."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from PIL import Image
from torch import Tensor

from genzoo.data.cache import Loaded, cached, key_of
from genzoo.data.collection import Images
from genzoo.data.contents import digest_arrays
from genzoo.data.decode import Shape, fit
from genzoo.data.pool import Progress, decode_all
from genzoo.errors import ArgumentError, DataError
from genzoo.images import as_tensor, check_images, quantise

Array: TypeAlias = "np.ndarray[Any, Any]"

BLOCK = 4096  # images converted at a time: floats take four times the room


def standard(images: Array | Tensor, what: str, last: bool = False) -> Array:
    """Return `images` as (N, C, H, W) uint8: float in [0, 1] is quantised, bool becomes 0 or 255, a channel axis is added.

    Channels are looked for in the second place and then in the last one; the other way round with `last`.

    Raises:
        ArgumentError: another shape or dtype, values out of range, no image at all.
    """
    if isinstance(images, np.ndarray) and images.dtype == bool:
        images = images.astype(np.uint8) * np.uint8(255)
    tensor = as_tensor(images, what).detach().cpu()
    if tensor.ndim == 3:
        tensor = tensor[:, None]  # (N, 1, H, W)
    if tensor.ndim != 4 or 0 in tensor.shape:
        raise ArgumentError(f"{what} must have shape (N, H, W), (N, C, H, W) or (N, H, W, C), not {tuple(images.shape)}")
    inner, outer = tensor.shape[1] in (1, 3), tensor.shape[3] in (1, 3)
    if outer and (last or not inner):
        tensor = tensor.permute(0, 3, 1, 2)  # (N, C, H, W)
    elif not inner:
        raise ArgumentError(f"{what} must have 1 or 3 channels, not shape {tuple(images.shape)}")
    check_images(tensor[:1], None, what)  # the dtype, before the whole is touched
    if not tensor.is_floating_point():
        return np.ascontiguousarray(tensor.numpy())
    return np.concatenate([_quantised(tensor[i : i + BLOCK], what) for i in range(0, len(tensor), BLOCK)])


def _quantised(part: Tensor, what: str) -> Array:
    pixels: Array = quantise(check_images(part, None, what)).numpy()
    return pixels


def conform(images: Images, shape: Shape | None, cache: bool = False, progress: Progress | None = None) -> Images:
    """Return `images` as `shape`: resized to cover and cut (see `genzoo.data.decode.fit`), grey repeated or colours to luminance.

    Nothing is done where the shape is right, or None. With `cache` the result is kept, under the sha256 of the pixels.

    Raises:
        DataError: static binarisation would be lost.
    """
    if shape is None or images.shape == shape:
        return images
    if images.transform != "8-bit" and images.shape[1:] != shape[1:]:
        wanted = "x".join(map(str, shape))
        source = images.name.removeprefix("binarized-")
        raise DataError(
            f"{images.name} is binary at {images.shape[1]}x{images.shape[2]} and cannot be resized to {wanted}", f"use {source!r}"
        )

    def load(row: int) -> Array:
        pixels = images.pixels[row]
        return fit(Image.fromarray(np.ascontiguousarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))), shape)

    def make() -> Loaded:
        return decode_all(len(images), load, shape, images.name, progress)

    key = key_of("resized", digest_arrays(images.pixels), shape) if cache else None
    return images.replace(pixels=cached(key, make, images.name).pixels, grey=None)
