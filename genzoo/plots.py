"""Line plots with matplotlib, which the extra `plots` installs: a score against a number, with error bars.

matplotlib is imported when something is drawn. The figures use no window and no `pyplot` state: they need no
display and do not affect the caller's own plots. The colours are those of Okabe & Ito 2008, which
colour-blind readers can distinguish, and each curve has its own marker for print without colours.
"""

from __future__ import annotations

import importlib.util
import io
import math
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from genzoo.errors import ArgumentError, GenzooError, safe_text
from genzoo.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D")
WIDTH = 7.5  # inches
DPI = 160
_ASIDE = 3.0  # points between the error bars of curves that were measured at the same x


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One line of a plot.

    Attributes:
        label: its name in the legend.
        x: the positions on the x axis.
        y: the measured values, one for each x.
        error: the standard error of each value, or None.
        dashed: for the second of two that belong together.
        colour: an index into COLOURS, for curves that share a colour; by default each curve takes the next.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    error: Sequence[float] | None = None
    dashed: bool = False
    colour: int | None = None


def check_plots() -> None:
    """Raise GenzooError if matplotlib is not installed; a command asks before its long work, not after it."""
    if importlib.util.find_spec("matplotlib") is None:
        raise GenzooError("plots need matplotlib", "pip install 'genzoo[plots]'")


@dataclass(frozen=True, kw_only=True)
class Plot:
    """Panels of curves, one below the other, which share the axis of x. A notebook shows it as a picture.

    Attributes:
        panels: label of the y axis → its curves, at least one, each of one point or more.
        x_label: label below the last panel.
        title: title above the first panel.
        log_x: whether the x axis is logarithmic.
        height: height of each panel in inches; the figure is 7.5 inches wide.
    """

    panels: Mapping[str, Sequence[Curve]]
    x_label: str
    title: str = ""
    log_x: bool = False
    height: float = 4.0

    def __post_init__(self) -> None:
        if not self.panels or not all(self.panels.values()):
            raise ArgumentError("a plot needs at least one curve, not 0")
        for curve in self.curves:
            _check(curve, self.log_x)

    @property
    def curves(self) -> list[Curve]:
        """The curves of all panels."""
        return [curve for curves in self.panels.values() for curve in curves]

    def figure(self) -> Figure:
        """Return the plot as a matplotlib figure.

        Raises:
            GenzooError: matplotlib is not installed.
        """
        check_plots()
        from matplotlib.figure import Figure

        drawn = Figure((WIDTH, self.height * len(self.panels)), dpi=DPI, layout="constrained")
        column = drawn.subplots(len(self.panels), sharex=True, squeeze=False)[:, 0]
        for axes, (y_label, curves) in zip(column, self.panels.items(), strict=True):
            axes.set_ylabel(safe_text(y_label), parse_math=False)
            _fill(axes, curves)
        column[0].set_title(safe_text(self.title), fontsize="medium", parse_math=False)
        column[-1].set_xlabel(safe_text(self.x_label), parse_math=False)
        if self.log_x:
            _space_by_ratio(column[-1], [x for curve in self.curves for x in curve.x])
        return drawn

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the plot to `path` atomically as a PNG, 1,200 pixels wide, and return the path.

        Raises:
            ArgumentError: the file name has the extension of another format.
            GenzooError: matplotlib is not installed.
            StorageError: the file cannot be written.
        """
        target = Path(path)
        if target.suffix.lower() != ".png":
            raise ArgumentError(
                f"plots are written as PNG, not as {target.suffix!r}: {target}",
                f"write to {target.with_suffix('.png').name}",
            )
        return atomic_write(target, self._repr_png_())

    def _repr_png_(self) -> bytes:
        drawn, buffer = self.figure(), io.BytesIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph")  # a letter that the font lacks is drawn as a box
            # without the version of matplotlib: the same numbers make the same file
            drawn.savefig(buffer, format="png", metadata={"Software": None})
        return buffer.getvalue()


def _fill(axes: Axes, curves: Sequence[Curve]) -> None:
    axes.grid(axis="y", color="#E4E4E4")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    for index, curve in enumerate(curves):
        _draw(axes, curve, index, len(curves))
    if len(curves) > 1:
        labels = [safe_text(curve.label) for curve in curves]
        for text in axes.legend(axes.containers, labels, frameon=False).get_texts():
            text.set_parse_math(False)


def _draw(axes: Axes, curve: Curve, index: int, count: int) -> None:
    from matplotlib.transforms import ScaledTranslation

    order = sorted(range(len(curve.x)), key=curve.x.__getitem__)
    drawn = axes.errorbar(
        [curve.x[i] for i in order],
        [curve.y[i] for i in order],
        None if curve.error is None else [curve.error[i] for i in order],
        color=COLOURS[(index if curve.colour is None else curve.colour) % len(COLOURS)],
        linestyle="--" if curve.dashed else "-",
        marker=MARKERS[index % len(MARKERS)],
        markersize=5,
        capsize=3,
    )
    if curve.error is not None:  # the data stay where they are, only the ink moves
        inches = _ASIDE * (index - (count - 1) / 2) / 72
        aside = axes.transData + ScaledTranslation(inches, 0, axes.figure.dpi_scale_trans)
        for artist in drawn.get_children():
            artist.set_transform(aside)


def _space_by_ratio(axes: Axes, places: Sequence[float]) -> None:
    """Make the axis of x logarithmic, with numbers at 1 and 3 · 10^k, or evenly within one decade."""
    from matplotlib.ticker import AutoLocator, LogLocator, NullLocator, StrMethodFormatter

    axes.set_xscale("log")
    wide = max(places) >= 10 * min(places)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)) if wide else AutoLocator())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))


def _check(curve: Curve, log_x: bool) -> None:
    columns = [values for values in (curve.x, curve.y, curve.error) if values is not None]
    if len({len(values) for values in columns}) != 1 or not curve.x:
        raise ArgumentError(
            f"the curve {curve.label!r} must have as many x as y and errors, and at least one"
        )
    if not all(math.isfinite(value) for values in columns for value in values):
        raise ArgumentError(f"the curve {curve.label!r} holds NaN or infinite values")
    if curve.error is not None and min(curve.error) < 0:
        raise ArgumentError(f"the errors of the curve {curve.label!r} must be 0 or more")
    if log_x and min(curve.x) <= 0:
        raise ArgumentError(
            f"the curve {curve.label!r} has x = {min(curve.x):g}, which a logarithmic axis cannot show",
            "set log_x=False",
        )
