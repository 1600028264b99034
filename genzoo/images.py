"""The one image convention, and the pictures and animations made from it.

Images are (N, C, H, W) float32 in [0, 1]. uint8 in 0..255 is accepted and divided by 255; everything else is
refused by `check_images` with what came and what was expected.
"""

from __future__ import annotations

import io
import math
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image, PngImagePlugin
from torch import Tensor

from genzoo.errors import ArgumentError
from genzoo.files import atomic_write, make_folder

Pixels: TypeAlias = "Tensor | np.ndarray[Any, Any]"

TILE = 64  # pixels: about the size at which an image in a grid is seen without a magnifying glass
MOST_PIXELS = 500_000_000  # of a grid: beyond it no viewer opens the picture
# milliseconds that a frame of a GIF is shown at least: shorter ones are slowed down to 100 by most viewers
_QUICKEST = 20
_KINDS = (torch.uint8, torch.float16, torch.bfloat16, torch.float32, torch.float64)


def as_tensor(images: object, what: str = "images") -> Tensor:
    """Return `images` (a tensor or a numpy array) as a tensor, without a copy where that is possible.

    Raises:
        ArgumentError: something else, or an array of a dtype that torch has not.
    """
    if isinstance(images, Tensor):
        return images
    if not isinstance(images, np.ndarray):
        raise ArgumentError(
            f"{what} must be a torch tensor or a numpy array of images, not {type(images).__name__}"
        )
    if images.dtype.kind not in "buif" or images.dtype.itemsize > 8:
        raise ArgumentError(f"{what} must be float32 in [0, 1] or uint8, not {images.dtype}")
    array = images.astype(images.dtype.newbyteorder("="), copy=False)
    if not array.flags.writeable or any(step < 0 for step in array.strides):
        array = array.copy()  # torch has neither read-only tensors nor negative strides
    return torch.from_numpy(array)


def to_float(images: Pixels) -> Tensor:
    """Return `images` as float32; uint8 is divided by 255, floats keep their values. Any shape."""
    tensor = as_tensor(images)
    return tensor.to(torch.float32).div_(255) if tensor.dtype == torch.uint8 else tensor.to(torch.float32)


def quantise(images: Pixels) -> Tensor:
    """Return `images` in [0, 1] as uint8 of the same shape: 255 x, rounded half to even, clamped to 0..255.

    uint8 is returned as it is, so that quantising twice changes nothing.
    """
    tensor = as_tensor(images)
    if tensor.dtype == torch.uint8:
        return tensor
    return tensor.detach().to(torch.float32).mul(255).round_().clamp_(0, 255).to(torch.uint8)


def check_images(x: object, image_shape: Sequence[int] | None = None, what: str = "x") -> Tensor:
    """Return `x` as a float32 tensor (N, C, H, W) in [0, 1] on its own device; gradients flow through.

    `image_shape` is (C, H, W), or None for any; `what` is the argument's name in messages.

    Raises:
        ArgumentError: not an array, another shape, an integer dtype other than uint8, NaN or infinity, values
            outside [0, 1].
    """
    tensor = as_tensor(x, what)
    expected = (
        "(N, C, H, W)" if image_shape is None else f"(N, {', '.join(str(size) for size in image_shape)})"
    )
    if tensor.ndim != 4 or (image_shape is not None and tuple(tensor.shape[1:]) != tuple(image_shape)):
        hint = _shape_hint(tuple(tensor.shape), None if image_shape is None else tuple(image_shape), what)
        raise ArgumentError(f"{what} must have shape {expected}, not {tuple(tensor.shape)}", hint)
    if tensor.dtype not in _KINDS:
        kind = str(tensor.dtype).removeprefix("torch.")
        raise ArgumentError(
            f"{what} must be float32 in [0, 1] or uint8 in 0..255, not {kind}",
            f"convert {what} to one of the two",
        )
    if tensor.dtype != torch.uint8 and tensor.numel():
        _check_range(tensor, what)
    return to_float(tensor)


def _shape_hint(came: tuple[int, ...], expected: tuple[int, ...] | None, what: str) -> str:
    if len(came) == 3 and (expected is None or came == expected):
        return f"for one image write {what}[None]"
    if expected is not None and len(came) == 3 and expected[0] == 1 and came[1:] == expected[1:]:
        return f"for grey images write {what}[:, None]"
    if len(came) == 4 and came[3] in (1, 3) and (expected is None or (came[3], *came[1:3]) == expected):
        return "channels come before height and width: move the last axis to the second place"
    return ""


def _check_range(x: Tensor, what: str) -> None:
    # NaN wins in aminmax; one wait for the device
    low, high = torch.stack(torch.aminmax(x.detach())).tolist()
    if math.isnan(low) or math.isnan(high):
        raise ArgumentError(f"{what} must lie in [0, 1], but holds NaN")
    if math.isinf(low) or math.isinf(high):
        raise ArgumentError(f"{what} must lie in [0, 1], but holds infinity")
    if low >= 0 and high <= 1:
        return
    if -1 <= low < 0 and high <= 1:
        raise ArgumentError(
            f"{what} must lie in [0, 1], but has values in [-1, 1]",
            f"({what} + 1) / 2 brings them into [0, 1]",
        )
    if low >= 0 and 1.5 < high <= 255:
        raise ArgumentError(
            f"{what} must lie in [0, 1], but has values in [0, 255]", f"divide {what} by 255, or pass uint8"
        )
    came = f"values in [{low:.6g}, {high:.6g}]"
    raise ArgumentError(
        f"{what} must lie in [0, 1], but has {came}", f"{what}.clamp(0, 1) cuts what lies outside"
    )


def grid(
    images: Pixels, columns: int | None = None, padding: int = 2, upscale: int | None = None
) -> Image.Image:
    """Return one picture with `images` (N, C, H, W), C = 1 or 3, in rows from left to right.

    Args:
        images: float in [0, 1] or uint8.
        columns: images in a row; by default as many as make the grid nearly square.
        padding: white pixels between and around the images.
        upscale: whole factor by which every image is enlarged, nearest neighbour. By default small images
            grow to tiles of about 64 pixels, so that 8x8 digits can be seen; 1 keeps the size.

    Raises:
        ArgumentError: images that `check_images` refuses, none at all, or a number that is not positive.
    """
    pixels = _drawable(images)
    count, channels, height, width = pixels.shape
    if count == 0:
        raise ArgumentError("images must hold at least one image, not 0")
    columns = _positive(columns, "columns") if columns is not None else math.ceil(math.sqrt(count))
    factor = (
        _positive(upscale, "upscale") if upscale is not None else max(1, round(TILE / max(height, width)))
    )
    padding = _positive(padding, "padding", least=0)
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    high, wide = height * factor + padding, width * factor + padding
    if rows * high * columns * wide > MOST_PIXELS:
        raise ArgumentError(
            f"a picture of {columns * wide} x {rows * high} pixels is too large",
            "draw fewer images, or set upscale=1",
        )
    tiles = pixels.repeat(factor, axis=2).repeat(factor, axis=3)
    canvas = np.full((rows * high + padding, columns * wide + padding, channels), 255, np.uint8)
    for index, tile in enumerate(tiles):
        top, left = padding + index // columns * high, padding + index % columns * wide
        canvas[top : top + tile.shape[1], left : left + tile.shape[2]] = tile.transpose(1, 2, 0)  # (H, W, C)
    return Image.fromarray(canvas[..., 0] if channels == 1 else canvas)


def _drawable(images: Pixels) -> np.ndarray[Any, np.dtype[np.uint8]]:
    tensor = as_tensor(images)
    if tensor.ndim != 4 or tensor.shape[1] not in (1, 3):
        raise ArgumentError(f"images must have shape (N, 1, H, W) or (N, 3, H, W), not {tuple(tensor.shape)}")
    pixels: np.ndarray[Any, np.dtype[np.uint8]] = quantise(check_images(tensor, what="images")).cpu().numpy()
    return pixels


def _positive(value: object, what: str, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ArgumentError(f"{what} must be a whole number of at least {least}, not {value!r}")
    return value


def save_grid(
    images: Pixels,
    path: str | os.PathLike[str],
    columns: int | None = None,
    padding: int = 2,
    upscale: int | None = None,
    *,
    text: Mapping[str, str] | None = None,
) -> Path:
    """Write `grid(images, ...)` to `path` as PNG, whole or not at all, and return the path; `text` as for
    `png`.

    Raises:
        ArgumentError: see `grid`; also a name that promises another format than PNG.
    """
    return save_picture(grid(images, columns, padding, upscale), path, text)


def save_image(image: Pixels, path: str | os.PathLike[str], text: Mapping[str, str] | None = None) -> Path:
    """Write one image (C, H, W), C = 1 or 3, to `path` as PNG in its own size, whole or not at all, and
    return the path; `text` as for `png`.
    """
    tensor = as_tensor(image, "image")
    if tensor.ndim != 3:
        raise ArgumentError(f"image must have shape (C, H, W), not {tuple(tensor.shape)}")
    return save_picture(grid(tensor[None], padding=0, upscale=1), path, text)


def save_images(images: Pixels, folder: str | os.PathLike[str], prefix: str = "sample") -> list[Path]:
    """Write every image of (N, C, H, W) to `folder` (made where absent) as `prefix-0000.png`, ..., and return
    the paths.
    """
    pixels = _drawable(images)
    make_folder(Path(folder))
    digits = max(4, len(str(len(pixels) - 1)))
    return [
        save_image(image, Path(folder) / f"{prefix}-{index:0{digits}}.png")
        for index, image in enumerate(pixels)
    ]


def save_animation(
    frames: Iterable[Pixels],
    path: str | os.PathLike[str],
    columns: int | None = None,
    *,
    seconds: float = 5.0,
    hold: float = 2.0,
    padding: int = 2,
    upscale: int | None = None,
) -> Path:
    """Write `grid(frame, ...)` of each frame (N, C, H, W) to `path` as a looping GIF, whole or not at all;
    return the path.

    A GIF has 256 colours: grey images are kept exactly, others are shown in the 256 that suit the first and
    last frame best.

    Args:
        frames: float in [0, 1] or uint8, each of the same shape.
        path: ends in .gif.
        columns: as for `grid`, like padding and upscale.
        padding: white pixels between and around the images.
        upscale: whole factor by which every image is enlarged.
        seconds: how long the frames take together; none is shown for less than 20 ms, which viewers cannot
            do.
        hold: how long the last one then stays.

    Raises:
        ArgumentError: see `grid`; also no frames, frames of different sizes, more than fit into memory, or
            another format than GIF.
    """
    target = Path(path)
    if target.suffix.lower() != ".gif":
        hint = f"write to {target.with_suffix('.gif').name}"
        raise ArgumentError(f"animations are written as GIF, not as {target.suffix!r}: {path}", hint)
    pictures = _pictures(frames, columns, padding, upscale)
    each = max(_QUICKEST, round(100 * seconds / len(pictures)) * 10)  # a GIF counts hundredths of a second
    durations = [each] * (len(pictures) - 1) + [max(each, round(1000 * hold))]
    buffer = io.BytesIO()
    first, *rest = _one_palette(pictures)
    first.save(buffer, "GIF", save_all=True, append_images=rest, duration=durations, loop=0)
    return atomic_write(target, buffer.getvalue())


def _pictures(
    frames: Iterable[Pixels], columns: int | None, padding: int, upscale: int | None
) -> list[Image.Image]:
    """Return the grids of all frames."""
    pictures: list[Image.Image] = []
    for frame in frames:
        pictures.append(grid(frame, columns, padding, upscale))
        size = pictures[-1].size
        if size != pictures[0].size or pictures[-1].mode != pictures[0].mode:
            raise ArgumentError(
                f"every frame must be like the first, {pictures[0].size}, not {size}",
                "draw each with as many images",
            )
        if len(pictures) * size[0] * size[1] > MOST_PIXELS:
            words = f"{len(pictures)} frames of {size[0]} x {size[1]} pixels are too large"
            raise ArgumentError(words, "draw fewer images, or set upscale=1")
    if not pictures:
        raise ArgumentError("frames must hold at least one frame, not 0")
    return pictures


def _one_palette(pictures: list[Image.Image]) -> list[Image.Image]:
    """Return colour pictures in one palette for all of them, so that nothing flickers; grey ones as they
    are.
    """
    if pictures[0].mode == "L":
        return pictures
    ends = Image.new("RGB", (pictures[0].width, 2 * pictures[0].height))
    ends.paste(pictures[0], (0, 0))
    ends.paste(pictures[-1], (0, pictures[0].height))
    palette = ends.quantize(256)
    return [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]


def save_picture(
    picture: Image.Image, path: str | os.PathLike[str], text: Mapping[str, str] | None = None
) -> Path:
    """Write `picture` to `path` as PNG, whole or not at all, and return the path; `text` as for `png`.

    Raises:
        ArgumentError: a name that promises another format than PNG.
    """
    target = Path(path)
    if target.suffix.lower() not in ("", ".png"):
        raise ArgumentError(
            f"pictures are written as PNG, not as {target.suffix!r}: {target}",
            f"write to {target.with_suffix('.png').name}",
        )
    return atomic_write(target, png(picture, text))


def png(picture: Image.Image, text: Mapping[str, str] | None = None) -> bytes:
    """Return `picture` as the bytes of a PNG file; `text` is stored in it as keywords and texts, such as
    {"seed": "0"}, which PIL shows as `Image.open(path).text`.
    """
    return _encoded(picture, text or {})


def pngs(images: Tensor, text: Mapping[str, str]) -> list[bytes]:
    """Return each of `images`, uint8 (N, 1, H, W) or (N, 3, H, W), as the bytes of a PNG file in its own
    size; `text` as for `png`.

    Matches are looked for in runs of one value only, which takes half the time for photographs and samples,
    and makes them no larger.
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3) or images.dtype != torch.uint8:
        raise ArgumentError(
            f"images must be uint8 (N, 1, H, W) or (N, 3, H, W), not {images.dtype} {tuple(images.shape)}"
        )
    pixels = images.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    pixels = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    quick = {"compress_level": 1, "compress_type": zlib.Z_RLE}
    return [_encoded(Image.fromarray(image), text, **quick) for image in pixels]


def png_head(shape: Sequence[int], text: Mapping[str, str]) -> bytes:
    """Return what stands before the pixels in a PNG of an image of `shape` (C, H, W) with `text`."""
    channels, height, width = shape
    blob = _encoded(Image.new("L" if channels == 1 else "RGB", (width, height)), text, compress_level=1)
    at = 8
    while blob[at + 4 : at + 8] != b"IDAT":
        at += 12 + int.from_bytes(blob[at : at + 4], "big")
    return blob[:at]


def _encoded(picture: Image.Image, text: Mapping[str, str], **how: int) -> bytes:
    buffer, info = io.BytesIO(), PngImagePlugin.PngInfo()
    for keyword, value in text.items():
        info.add_itxt(keyword, value)
    picture.save(buffer, "PNG", pnginfo=info, **how)
    return buffer.getvalue()
