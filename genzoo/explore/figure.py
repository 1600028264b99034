"""Compose figures from pictures: side by side, one above the other, with the signs of a sum between them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from genzoo.images import grid

GAP = 8  # pixels between two blocks; images of one block are 2 apart
_ARM, _STROKE = 9, 2  # pixels: half the length of a sign's line, and half its thickness
# (across, down, shift down)
_LINES = {"-": ((1, 0, 0),), "+": ((1, 0, 0), (0, 1, 0)), "=": ((1, 0, -5), (1, 0, 5)), " ": ()}


def beside(*pictures: Image.Image, gap: int = GAP) -> Image.Image:
    """Return the pictures from left to right on white, their lower edges on one line."""
    width = sum(picture.width for picture in pictures) + gap * (len(pictures) - 1)
    canvas = Image.new(pictures[0].mode, (width, max(picture.height for picture in pictures)), "white")
    left = 0
    for picture in pictures:
        canvas.paste(picture, (left, canvas.height - picture.height))
        left += picture.width + gap
    return canvas


def above(*pictures: Image.Image, gap: int = GAP) -> Image.Image:
    """Return the pictures from top to bottom on white, their left edges on one line."""
    height = sum(picture.height for picture in pictures) + gap * (len(pictures) - 1)
    canvas = Image.new(pictures[0].mode, (max(picture.width for picture in pictures), height), "white")
    top = 0
    for picture in pictures:
        canvas.paste(picture, (0, top))
        top += picture.height + gap
    return canvas


def stacked(rows: Sequence[Tensor], columns: int) -> Image.Image:
    """Return `rows`, (N, C, H, W) in [0, 1] each, one above the other: image i of a row stands above image i
    of the next. Of more than `columns` images the others follow below.
    """
    parts = zip(*(row.split(columns) for row in rows), strict=True)
    return above(*(grid(torch.cat(part), columns=len(part[0])) for part in parts))


def sign(symbol: str, like: Image.Image) -> Image.Image:
    """Return "+", "-", "=" or " " in black on white, as high as the picture `like` and of its mode."""
    canvas = Image.new(like.mode, (2 * _ARM + 1, like.height), "white")
    pen, middle = ImageDraw.Draw(canvas), like.height // 2
    for across, down, shift in _LINES[symbol]:
        x, y = _ARM * across + _STROKE * down, _ARM * down + _STROKE * across
        pen.rectangle((_ARM - x, middle + shift - y, _ARM + x, middle + shift + y - 1), fill="black")
    return canvas
