"""Arrays brought to the one convention: (N, C, H, W) uint8, of the shape that was asked for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from genzoo.data.cache import Loaded, Room, cached, key_of
from genzoo.data.collection import Images
from genzoo.data.contents import digest_arrays
from genzoo.data.decode import decoder, fit
from genzoo.data.depth import VARIABLE, asked_bits, bits_of
from genzoo.data.frames import Task
from genzoo.data.notes import note
from genzoo.data.pool import Progress
from genzoo.data.types import Array, Shape
from genzoo.errors import ArgumentError, DataError
from genzoo.images import as_tensor, check_images, quantise

BLOCK = 4096  # images converted at a time: floats take four times the room
DARK = 32  # of 255: a whole set that stays below it is nearly black
HALF = 128  # of 255: numbers that do not reach it may have another white, such as the 16 of scanned digits


def standard(images: Array | Tensor, what: str, last: bool = False) -> Array:
    """Return `images` as (N, C, H, W) uint8, a channel axis added where there is none.

    Channels are looked for in the second place and then in the last one; the other way round with `last`.
    Numbers are read as people write images: floats in [0, 1] or [-1, 1], bool, whole numbers in 0..255 or of
    10 to 16 bits. Where that is no certainty, one line on stderr says what was seen and how it was read.

    Raises:
        ArgumentError: another shape or dtype, values out of range, no image at all.
    """
    if isinstance(images, np.ndarray) and images.dtype == bool:
        images = images.astype(np.uint8) * np.uint8(255)
    tensor = _axes(_signed(as_tensor(images, what).detach().cpu()), what, last)
    if tensor.dtype == torch.bool:
        tensor = tensor.to(torch.uint8) * 255
    _check_kind(tensor, what)
    low, white = _range(tensor, what)
    if tensor.dtype == torch.uint8 and (low, white) == (0, 255):
        return np.ascontiguousarray(tensor.numpy())
    return np.concatenate(
        [_eight_bit(tensor[i : i + BLOCK], low, white) for i in range(0, len(tensor), BLOCK)]
    )


def as_images(tensor: Tensor, what: str) -> Tensor:
    """Return `tensor` of an .npz file, of any device, as (N, C, H, W); see `standard`."""
    return _axes(tensor, what, last=True)


def note_range(pixels: Array, what: str) -> None:
    """Say what `standard` says of bytes that are nearly black; no more of them is looked at than needed."""
    high = 0
    for start in range(0, len(pixels), BLOCK):
        high = max(high, int(pixels[start : start + BLOCK].max()))
        if high >= DARK:
            return
    _note_dark(high, what)


def _note_dark(high: int, what: str) -> None:
    hint = f"they are nearly black; if {high} is white, give {what} / {high}"
    note(f"the largest number of {what} is {high} of 255: {hint}")


def _signed(tensor: Tensor) -> Tensor:
    """Return wide unsigned numbers, whose largest value torch cannot compute, as int64."""
    return tensor.to(torch.int64) if tensor.dtype in (torch.uint16, torch.uint32, torch.uint64) else tensor


def _axes(tensor: Tensor, what: str, last: bool) -> Tensor:
    """Return `tensor` as (N, C, H, W) with C = 1 or 3."""
    came = tuple(tensor.shape)
    # As (N, H, W) these would be images three or four pixels wide, which is hardly meant.
    if tensor.ndim == 3 and came[2] in (3, 4) and min(came[:2]) > 4:
        hint = (
            f"many images are (N, H, W, C): write {what}[None] for the one, numpy.stack(list) for a "
            "list of them"
        )
        raise ArgumentError(f"{what} of shape {came} look like one colour image (H, W, C)", hint)
    if tensor.ndim == 3:
        tensor = tensor[:, None]  # (N, 1, H, W)
    if tensor.ndim != 4 or 0 in came:
        raise ArgumentError(
            f"{what} must have shape (N, H, W), (N, C, H, W) or (N, H, W, C), not {came}", _square(came, what)
        )
    inner, outer = tensor.shape[1] in (1, 3), tensor.shape[3] in (1, 3)
    if inner and outer and came[1:] != (1, 1, 1):
        order = "(N, H, W, C)" if last else "(N, C, H, W)"
        note(f"{what} of shape {came} can be read in two ways: taken as {order}")
    # In .npz files and from PIL channels come last, from torch they come second.
    if outer and (last or not inner):
        return tensor.permute(0, 3, 1, 2)  # (N, C, H, W)
    if not inner:
        alpha = 4 in (came[1], came[3])
        hint = f"leave the alpha channel out: {what}[..., :3] or {what}[:, :3]" if alpha else ""
        raise ArgumentError(f"{what} must have 1 or 3 channels, not shape {came}", hint)
    return tensor


def _square(came: tuple[int, ...], what: str) -> str:
    """Return how rows of numbers become square images, where their length is that of such."""
    if len(came) == 2 and came[1] > 3:
        for channels, form in ((1, ""), (3, "3, ")):
            side = math.isqrt(came[1] // channels)
            if channels * side * side == came[1]:
                return f"{what}.reshape(-1, {form}{side}, {side}) gives rows their square shape"
    return ""


def _check_kind(tensor: Tensor, what: str) -> None:
    """Raise ArgumentError unless `tensor` holds floats, or whole numbers that may be the brightness of
    pixels.
    """
    if tensor.dtype == torch.uint8:
        return
    if tensor.is_floating_point():
        check_images(tensor[:1].clamp(0, 1), None, what)  # NaN survives the clamp and is reported
    elif int(tensor.min()) < 0 or int(tensor.max()) > 65_535:
        kind = str(tensor.dtype).removeprefix("torch.")
        came = f"{kind} from {int(tensor.min())} to {int(tensor.max())}"
        raise ArgumentError(
            f"{what} must be float32 in [0, 1] or uint8 in 0..255, not {came}",
            f"convert {what} to one of the two",
        )


def _range(tensor: Tensor, what: str) -> tuple[float, float]:
    """Return which numbers of `tensor` are black and white, and say so where it is a guess."""
    if tensor.is_floating_point():
        return _float_range(tensor, what)
    high = int(tensor.max())
    # One pixel of value 1 is no evidence.
    if high == 1 and tensor.numel() > 1:
        note(f"{what} are {_kind(tensor)} of 0 and 1 alone: 1 is taken as white")
        return 0, 1
    if tensor.dtype == torch.uint8:
        if 1 < high < DARK:
            _note_dark(high, what)
        return 0, 255
    if 0 < high < HALF:
        hint = f"divide {what} by the number that is white, for example {what} / {high}"
        raise ArgumentError(
            f"{what} are {_kind(tensor)} up to {high}, and it is unclear which number is white", hint
        )
    bits = asked_bits() or bits_of(high) if high > 255 else 8
    if high > 2**bits - 1:
        raise ArgumentError(
            f"{what} reach {high:,}, above the {2**bits - 1:,} of {VARIABLE}={bits}", f"set {VARIABLE}=16"
        )
    if bits > 8:
        note(
            f"{what} are {_kind(tensor)} up to {high:,}: read as {bits}-bit, white is {2**bits - 1:,}; "
            f"{VARIABLE}=16 reads them as 16-bit"
        )
    return 0, 2**bits - 1


def _float_range(tensor: Tensor, what: str) -> tuple[float, float]:
    parts = [
        torch.stack(torch.aminmax(tensor[i : i + BLOCK])).to(torch.float64)
        for i in range(0, len(tensor), BLOCK)
    ]
    ends = torch.stack(parts)  # (blocks, 2)
    low, high = float(ends[:, 0].min()), float(ends[:, 1].max())  # NaN wins
    if -1 <= low <= -0.5 and 0.5 <= high <= 1:
        note(f"{what} are floats in [{low:.3g}, {high:.3g}]: -1 is taken as black and 1 as white")
        return -1, 1
    if low >= 0 and HALF <= high <= 255:
        note(f"{what} are floats in [{low:.3g}, {high:.5g}]: 255 is taken as white")
        return 0, 255
    if low >= 0 and 1.5 < high < HALF:
        hint = f"divide {what} by the number that is white, for example {what} / {high:.6g}"
        raise ArgumentError(f"{what} must lie in [0, 1], but has values in [{low:.6g}, {high:.6g}]", hint)
    check_images(torch.tensor([low, high], dtype=torch.float32).view(1, 1, 1, 2), None, what)
    return 0, 1


def _eight_bit(part: Tensor, low: float, white: float) -> Array:
    """Return numbers from `low` to `white` as uint8."""
    if (low, white) == (0, 1) and part.is_floating_point():
        pixels: Array = quantise(part).numpy()
        return pixels
    found: Array = np.rint((part.numpy().astype(np.float64) - low) * (255 / (white - low))).astype(np.uint8)
    return found


def _kind(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def conform(
    images: Images,
    shape: Shape | None,
    cache: bool = False,
    progress: Progress | None = None,
    source: Shape | None = None,
) -> Images:
    """Return `images` as `shape`: resized to cover and cut (see `genzoo.data.decode.fit`), grey repeated or
    colours to luminance.

    Nothing is done where the shape is right, or None. With `cache` the result is kept, under the sha256 of
    the pixels. The other half of pairs becomes `source`; by default it keeps its channels, and its size as
    well unless that was the size of the images: then it follows them. A second domain becomes `shape`.

    Raises:
        DataError: static binarisation would be lost.
    """
    changes: dict[str, Any] = {}
    if images.source is not None:
        channels, height, width = images.source.shape[1:]
        follows = shape is not None and (height, width) == images.shape[1:]
        target = source or ((channels, *shape[1:]) if shape and follows else None)
        half = Images(pixels=images.source, name=images.name)
        changes["source"] = conform(half, target, cache, progress).pixels
    if images.other is not None:
        changes["other"] = conform(images.other, shape, cache, progress)
    resized = _resized(images, shape, cache, progress)
    return resized.replace(**changes) if changes else resized


def _resized(images: Images, shape: Shape | None, cache: bool, progress: Progress | None) -> Images:
    if shape is None or images.shape == shape:
        return images
    if images.transform != "8-bit" and images.shape[1:] != shape[1:]:
        wanted = "x".join(map(str, shape))
        source = images.name.removeprefix("binarized-")
        raise DataError(
            f"{images.name} is binary at {images.shape[1]}x{images.shape[2]} and cannot be resized to "
            f"{wanted}",
            f"use {source!r}",
        )

    def load(row: int) -> Array:
        pixels = images.pixels[row]
        return fit(
            Image.fromarray(
                np.ascontiguousarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
            ),
            shape,
        )

    def make(room: Room) -> Loaded:
        return room(Task(count=len(images), load=load, shape=shape, what=images.name, progress=progress))

    key = key_of("resized", digest_arrays(images.pixels), shape) if cache else None
    facts = images.facts if images.shape[1:] == shape[1:] else {**images.facts, "decoder": decoder()}
    return images.replace(pixels=cached(key, make, images.name).pixels, grey=None, facts=facts)
