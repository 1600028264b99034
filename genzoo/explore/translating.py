"""Translate picture files of any size (`genzoo translate`).

A picture is padded at its right and lower edge to the next size that the model takes, and what was added is
cut off again. A model that takes one size alone gets the picture resized and its middle cut out, as in
training.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import pad

from genzoo.data.decode import GREEDY, TOO_LARGE, Skip, advice, decode, decode_whole, upright_size
from genzoo.data.layout import is_image
from genzoo.data.listing import list_files
from genzoo.errors import ArgumentError, DataError
from genzoo.explore.figure import beside
from genzoo.images import grid, to_float
from genzoo.models import Model, TranslatingModel

MOST = 2048 * 2048  # pixels of a picture that is translated at its own size; memory grows with it
SMALLEST = 1
NARROW = "too narrow to be resized"
Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class Translation:
    """A picture, its translation, and what the translation becomes on the way back, if that was asked for:
    (C, H, W) float32 in [0, 1] each.
    """

    picture: Tensor
    translated: Tensor
    back: Tensor | None = None

    @property
    def error(self) -> float:
        """The mean absolute error of the round trip, 0 to 1; NaN without one."""
        return float("nan") if self.back is None else float((self.back - self.picture).abs().mean())

    def drawn(self) -> Image.Image:
        """Return the translation alone, or with a round trip the three pictures from left to right."""
        if self.back is None:
            return _drawn(self.translated)
        return beside(*(_drawn(image).convert("RGB") for image in (self.picture, self.translated, self.back)))


def _drawn(image: Tensor) -> Image.Image:
    return grid(image[None], padding=0, upscale=1)


def check_translator(model: Model) -> TranslatingModel:
    """Return `model` if it translates pictures.

    Raises:
        ArgumentError: it does not.
    """
    if not isinstance(model, TranslatingModel):
        raise ArgumentError(
            f"{type(model).__name__} does not translate pictures",
            "genzoo list names the condition of each model; one that translates takes a picture",
        )
    return model


def pictures_in(source: Path, leave: Path | None = None) -> list[tuple[Path, str]]:
    """Return the picture files of the folder `source` and of those in it, except in the folder `leave`, each
    with the name of the PNG that its translation is saved as. Two files that differ only in their ending keep
    it: a.jpg.png.

    Raises:
        DataError: there are no pictures.
    """
    left = None if leave is None else leave.resolve()
    names = [path for path, _ in list_files(source).files if is_image(path)]
    names = [name for name in names if left is None or left not in (source / name).resolve().parents]
    if not names:
        raise DataError(f"the folder {source} holds no pictures", "PNG, JPEG and others, at any depth")
    stems = [str(PurePosixPath(name).with_suffix("")) for name in names]
    counts = Counter(map(str.casefold, stems))
    return [
        (source / name, f"{name if counts[stem.casefold()] > 1 else stem}.png")
        for name, stem in zip(names, stems, strict=True)
    ]


def read(model: TranslatingModel, path: Path, to: str, fit: bool = False) -> Tensor:
    """Return the picture in the file `path` as (C, H, W) float32 in [0, 1], upright, on white, in the
    channels that a translation into `to` starts from.

    With `fit` its shorter side is resized to that of the model's images.

    Raises:
        DataError: not a picture that can be read, or one of more than `MOST` pixels.
    """
    first, second = model.picture.domains
    channels, height, width = model.shape_of(first if to == second else second)
    try:
        if not model.multiple:
            pixels = decode(path, (channels, height, width))
        elif fit:
            pixels = decode(path, (channels, *_fitted(upright_size(path), min(height, width))))
        else:
            pixels = decode_whole(path, channels, MOST)
    except Skip as skip:
        raise DataError(f"{path} cannot be translated: {skip}", _remedy(str(skip), fit)) from skip
    return to_float(torch.from_numpy(pixels.copy()))


def _remedy(why: str, fit: bool) -> str:
    """Return what to do about a picture that was left out for the reason `why`."""
    if NARROW in why:
        return "leave out --fit, or crop it"
    # what is too large to be decoded cannot be resized here either
    resizable = why.startswith("too large") and why not in (TOO_LARGE, GREEDY)
    return "--fit resizes it" if resizable and not fit else advice(why)


def _fitted(size: tuple[int, int], shorter: int) -> tuple[int, int]:
    """Return (H, W) in the proportions of `size` (width, height) with the shorter side as given.

    Raises:
        Skip: the longer side would be too long.
    """
    width, height = (max(SMALLEST, round(side * shorter / min(size))) for side in size)
    if width * height > MOST:
        raise Skip(f"{size[0]}x{size[1]} is {NARROW}")
    return height, width


def translated(
    model: TranslatingModel, picture: Tensor, to: str, seed: int = 0, progress: Tell | None = None
) -> Tensor:
    """Return the translation into `to` of a picture (C, H, W) in [0, 1] of any height and width: (C', H, W)
    float32 in [0, 1], on the CPU.

    It is padded with its own edge to the next multiple that the model takes. Translations of one seed are the
    same alone and in a folder.
    """
    height, width = picture.shape[1:]
    step = model.multiple or 1
    padded = pad(picture[None], (0, -width % step, 0, -height % step), mode="replicate")
    return model.translate(padded, to, seed, progress=progress)[0, :, :height, :width].cpu()


def round_trip(
    model: TranslatingModel, picture: Tensor, to: str, seed: int = 0, *, cycle: bool = False
) -> Translation:
    """Return the translation of a picture (C, H, W) into `to`, with `cycle` also on the way back.

    Raises:
        ArgumentError: the way back of a model that knows one direction.
    """
    found = translated(model, picture, to, seed)
    if not cycle:
        return Translation(picture, found)
    first, second = model.picture.domains
    return Translation(picture, found, translated(model, found, first if to == second else second, seed))
