"""Curves drawn with Pillow: a line for each, error bars, a legend beside the ends of the lines. Enough for a
score against a number.

Colours are those of Okabe & Ito 2008, told apart by colour-blind eyes too, and each curve has a marker of its
own for print without colours. Everything is drawn four times as large and then reduced, which smooths the
edges.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

from PIL import Image, ImageDraw, ImageFont

from genzoo.errors import ArgumentError, safe_text
from genzoo.files import atomic_write

Point: TypeAlias = "tuple[float, float]"

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("circle", "square", "triangle", "diamond")
INK, FAINT, PAPER = "#222222", "#E4E4E4", "#FFFFFF"
SIZE = (1000, 560)
LARGEST = 8192  # pixels of a side
_FINE = 4  # times as large is what is drawn
# pixels: letters, lines, markers, ends of error bars, free space
_TEXT = 15
_LINE = 2
_MARK = 5
_CAP = 5
_GAP = 10
_ASIDE = 4  # pixels between the error bars of curves that were measured at the same x
_TICKS = 6  # about so many on an axis


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One line of a plot.

    Attributes:
        label: what the legend calls it.
        x: where it was measured.
        y: what was measured, one value for each x.
        error: the standard error of each, or None.
        dashed: for the second of two that belong together.
        colour: a place in COLOURS, from 0, for curves that share one; by default each has the next.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    error: Sequence[float] | None = None
    dashed: bool = False
    colour: int | None = None

    @property
    def bars(self) -> list[tuple[float, float, float, float]]:
        """x, y, and the lower and upper end of the error bar, in the order of x."""
        spread = self.error if self.error is not None else [0.0] * len(self.y)
        return sorted((x, y, y - e, y + e) for x, y, e in zip(self.x, self.y, spread, strict=True))


@dataclass(frozen=True)
class Axis:
    """Values → pixels: `low` … `high` to `first` … `last`, evenly, or in equal ratios where `log` is set."""

    low: float
    high: float
    first: float
    last: float
    log: bool = False

    def at(self, value: float) -> float:
        """Return the pixel of `value`."""
        low, high, here = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return self.first + (self.last - self.first) * (here - low) / (high - low)


def plot(
    curves: Sequence[Curve],
    *,
    title: str = "",
    x_label: str = "",
    y_label: str = "",
    log_x: bool = False,
    size: tuple[int, int] = SIZE,
) -> Image.Image:
    """Return `curves` as one picture of `size` (width, height) in pixels.

    Args:
        curves: at least one, each of one point or more.
        title: stands above.
        x_label: stands below the axis.
        y_label: stands above the axis, as text lies.
        log_x: equal ratios of x are equal lengths.
        size: width and height, each 300 to 8,192.

    Raises:
        ArgumentError: no curve, x and y of different lengths, values that are not finite, x of 0 or less
            where `log_x`, a wrong size.
    """
    _check(curves, log_x, size)
    page = _Page(size)
    reach = [value for curve in curves for bar in curve.bars for value in bar[2:]]
    rises = ticks(min(reach), max(reach))
    left = _GAP + max(page.width(number(tick)) for tick in rises) + _GAP
    right = size[0] - page.width(max((curve.label for curve in curves), key=page.width)) - 6 * _GAP
    top = _GAP + (2 * _TEXT if title else 0) + (2 * _TEXT if y_label else _GAP)
    bottom = size[1] - 2 * _GAP - _TEXT - (int(1.5 * _TEXT) if x_label else 0)
    places = [x for curve in curves for x in curve.x]
    across = _across(
        min(places), max(places), left + 2 * _GAP, max(right, left + 10 * _GAP) - 2 * _GAP, log_x
    )
    up = Axis(rises[0], rises[-1], bottom, top)
    page.text((_GAP, _GAP), title, scale=1.2)
    page.text((_GAP, _GAP + (2 * _TEXT if title else 0)), y_label)
    page.text(((across.first + across.last) / 2, size[1] - _GAP), x_label, "mb")
    _axes(page, across, up, rises)
    for index, curve in enumerate(curves):
        aside = _ASIDE * (index - (len(curves) - 1) / 2) if curve.error is not None else 0.0
        _draw(page, curve, _style(curve, index), across, up, aside)
    _legend(page, curves, across.last + 2 * _GAP, up)
    return page.finished()


def save_plot(curves: Sequence[Curve], path: str | os.PathLike[str], **options: Any) -> Path:
    """Write `plot(curves, ...)` to `path` as PNG, whole or not at all, and return the path.

    Raises:
        ArgumentError: see `plot`; also a name that promises another format than PNG.
    """
    target = Path(path)
    if target.suffix.lower() != ".png":
        raise ArgumentError(
            f"plots are written as PNG, not as {target.suffix!r}: {target}",
            f"write to {target.with_suffix('.png').name}",
        )
    buffer = io.BytesIO()
    plot(curves, **options).save(buffer, "PNG", optimize=True)
    atomic_write(target, buffer.getvalue())
    return target


def ticks(low: float, high: float) -> list[float]:
    """Return round numbers at equal steps of 1, 2 or 5 · 10^k, the first not above `low` and the last not
    below `high`.
    """
    span = (high - low) or abs(high) or 1.0
    rough = span / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [n * step for n in range(first, max(last, first + 1) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Return the numbers 1 and 3 · 10^k from `low` to `high`; of more than five decades only 1 · 10^k, of
    less than half a one `ticks`.
    """
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 3) if math.log10(high / low) <= 5 else (1,)
    found = [
        f * 10.0**e
        for e in exponents
        for f in factors
        if low * (1 - 1e-9) <= f * 10.0**e <= high * (1 + 1e-9)
    ]
    return found if len(found) > 1 else [tick for tick in ticks(low, high) if low <= tick <= high] or [low]


def number(value: float) -> str:
    """Return a tick's number as people write it: 0.2, 30, 1,000."""
    return f"{value:,.10g}"


def _across(low: float, high: float, first: float, last: float, log: bool) -> Axis:
    if low < high:
        return Axis(low, high, first, last, log)
    return Axis(low / 2, low * 2, first, last, True) if log else Axis(low - 1, low + 1, first, last)


class _Page:
    """What is drawn on, in pixels of the finished picture, any fraction of them."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._image = Image.new("RGB", (size[0] * _FINE, size[1] * _FINE), PAPER)
        self._draw = ImageDraw.Draw(self._image)

    def finished(self) -> Image.Image:
        return self._image.reduce(_FINE)

    def width(self, text: str) -> float:
        return float(self._draw.textlength(safe_text(text), self._font())) / _FINE

    def text(self, at: Point, text: str, anchor: str = "lt", scale: float = 1.0, fill: str = INK) -> None:
        self._draw.text(self._fine([at])[0], safe_text(text), fill, self._font(scale), anchor)

    def line(self, points: Sequence[Point], fill: str, width: float = 1, dashed: bool = False) -> None:
        for part in _dashes(points) if dashed else [points]:
            self._draw.line(self._fine(part), fill, round(width * _FINE), joint="curve")

    def marker(self, at: Point, kind: str, fill: str) -> None:
        corners = {"square": 4, "triangle": 3, "diamond": 4}.get(kind, 0)
        (x, y), radius = self._fine([at])[0], _MARK * _FINE
        if not corners:
            self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill, PAPER, _FINE)
            return
        turn = math.pi / 4 if kind == "square" else 0
        angles = [turn + 2 * math.pi * corner / corners for corner in range(corners)]
        shape = [
            (x + 1.25 * radius * math.sin(angle), y - 1.25 * radius * math.cos(angle)) for angle in angles
        ]
        self._draw.polygon(shape, fill, PAPER, _FINE)

    def _font(self, scale: float = 1.0) -> Any:
        return ImageFont.load_default(_TEXT * _FINE * scale)

    def _fine(self, points: Sequence[Point]) -> list[Point]:
        return [(x * _FINE, y * _FINE) for x, y in points]


def _axes(page: _Page, across: Axis, up: Axis, rises: Sequence[float]) -> None:
    left, right = across.first - 2 * _GAP, across.last + _GAP
    for tick in rises:
        page.line([(left, up.at(tick)), (right, up.at(tick))], FAINT)
        page.text((left - _GAP / 2, up.at(tick)), number(tick), "rm")
    page.line([(left, up.first), (right, up.first)], INK)
    for tick in log_ticks(across.low, across.high) if across.log else ticks(across.low, across.high):
        if across.low * (1 - 1e-9) <= tick <= across.high * (1 + 1e-9):
            page.line([(across.at(tick), up.first), (across.at(tick), up.first + _CAP)], INK)
            page.text((across.at(tick), up.first + _GAP), number(tick), "mt")


def _style(curve: Curve, index: int) -> tuple[str, str]:
    colour = index if curve.colour is None else curve.colour
    return COLOURS[colour % len(COLOURS)], MARKERS[index % len(MARKERS)]


def _draw(page: _Page, curve: Curve, style: tuple[str, str], across: Axis, up: Axis, aside: float) -> None:
    colour, kind = style
    # in pixels
    bars = [(across.at(x) + aside, up.at(y), up.at(low), up.at(high)) for x, y, low, high in curve.bars]
    for x, _, low, high in bars:
        if low != high:
            page.line([(x, low), (x, high)], colour)
            for end in (low, high):
                page.line([(x - _CAP, end), (x + _CAP, end)], colour)
    points = [(x, y) for x, y, _, _ in bars]
    if len(points) > 1:
        page.line(points, colour, _LINE, curve.dashed)
    for point in points:
        page.marker(point, kind, colour)


def _legend(page: _Page, curves: Sequence[Curve], left: float, up: Axis) -> None:
    """Write the labels beside the ends of their curves, from the highest to the lowest, moved apart where
    they would touch.
    """
    order = sorted(range(len(curves)), key=lambda i: -curves[i].bars[-1][1])
    heights = spread([up.at(curves[i].bars[-1][1]) for i in order], 1.5 * _TEXT, up.last, up.first)
    for i, height in zip(order, heights, strict=True):
        colour, kind = _style(curves[i], i)
        page.line([(left, height), (left + 3 * _GAP, height)], colour, _LINE, curves[i].dashed)
        page.marker((left + 1.5 * _GAP, height), kind, colour)
        page.text((left + 3.6 * _GAP, height), curves[i].label, "lm")


def spread(heights: Sequence[float], room: float, first: float, last: float) -> list[float]:
    """Return rising `heights` moved as little as it takes to be `room` apart and, if they fit, between
    `first` and `last`.
    """
    moved: list[float] = []
    for height in heights:
        moved.append(max(height, moved[-1] + room if moved else first))
    limit = last
    for index in range(len(moved) - 1, -1, -1):
        moved[index] = min(moved[index], limit)
        limit = moved[index] - room
    return moved


def _dashes(points: Sequence[Point], on: float = 8.0, off: float = 5.0) -> Iterator[list[Point]]:
    """Yield the dashes of a line through `points`; a dash may bend."""
    dash, left, drawing = [points[0]], on, True
    for (x, y), end in pairwise(points):
        length = math.dist((x, y), end)
        done = 0.0
        while length - done > left:
            done += left
            corner = (x + (end[0] - x) * done / length, y + (end[1] - y) * done / length)
            if drawing:
                yield [*dash, corner]
            dash, drawing, left = [corner], not drawing, off if drawing else on
        left -= length - done
        dash.append(end)
    if drawing and len(dash) > 1:
        yield dash


def _check(curves: Sequence[Curve], log_x: bool, size: tuple[int, int]) -> None:
    if not curves:
        raise ArgumentError("a plot needs at least one curve, not 0")
    if len(size) != 2 or not all(isinstance(side, int) and 300 <= side <= LARGEST for side in size):
        raise ArgumentError(
            f"size must be a width and a height of 300 to {LARGEST:,} pixels, not {size!r}",
            f"for example {SIZE}",
        )
    for curve in curves:
        lengths = {len(values) for values in (curve.x, curve.y, curve.error) if values is not None}
        if len(lengths) != 1 or not curve.x:
            raise ArgumentError(
                f"the curve {curve.label!r} must have as many x as y and errors, and at least one"
            )
        if not all(math.isfinite(value) for bar in curve.bars for value in bar):
            raise ArgumentError(f"the curve {curve.label!r} holds NaN or infinite values")
        if any(low > y for _, y, low, _ in curve.bars):
            raise ArgumentError(f"the errors of the curve {curve.label!r} must be 0 or more")
        if log_x and min(curve.x) <= 0:
            raise ArgumentError(
                f"the curve {curve.label!r} has x = {min(curve.x):g}, which a logarithmic axis has not",
                "set log_x=False",
            )
