"""Plots: the right data stand in the axes, which are shared, and a file is written without a display."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageColor

from genzoo import plots
from genzoo.errors import ArgumentError, GenzooError
from genzoo.plots import COLOURS, MARKERS, Curve, Plot, check_plots

COUNTS = [10, 30, 100, 300, 1000]
RISING = Curve(label="rising", x=COUNTS, y=[10, 20, 30, 40, 50])
FALLING = Curve(label="falling", x=COUNTS, y=[50, 40, 30, 20, 10], error=[1, 2, 3, 4, 5])


def one(*curves, **options):
    """Return the axes of a plot of one panel."""
    return Plot(panels={"y": curves}, x_label="x", **options).figure().axes[0]


def near(picture, colour, tolerance=40):
    """Return where the picture shows a colour, (n, 2) rows and columns."""
    pixels = np.asarray(picture.convert("RGB")).astype(int)
    return np.argwhere(np.abs(pixels - ImageColor.getrgb(colour)).max(-1) < tolerance)


def tick_labels(axes):
    axes.figure.canvas.draw()
    low, high = axes.get_xlim()
    return [t.get_text() for t in axes.get_xticklabels() if low <= t.get_position()[0] <= high]


class TestData:
    def test_each_curve_stands_in_its_axes_with_its_numbers(self):
        axes = one(RISING, FALLING)
        for container, curve in zip(axes.containers, (RISING, FALLING), strict=True):
            line = container.lines[0]
            assert line.get_xdata().tolist() == curve.x and line.get_ydata().tolist() == curve.y
        assert [text.get_text() for text in axes.get_legend().get_texts()] == ["rising", "falling"]

    def test_error_bars_are_as_long_as_the_errors(self):
        plain, barred = one(RISING, FALLING).containers
        (bars,) = barred.lines[2]
        ends = [(low[1], high[1]) for low, high in bars.get_segments()]
        assert ends == [(49, 51), (38, 42), (27, 33), (16, 24), (5, 15)]
        assert not plain.has_yerr and plain.lines[2] == ()

    def test_bars_at_one_place_are_drawn_beside_each_other_and_the_data_stay(self):
        curves = [Curve(label=name, x=[1, 2], y=[1, 2], error=[0.5, 0.5]) for name in "ab"]
        axes = one(*curves)
        first, second = (container.lines[0] for container in axes.containers)
        assert first.get_xdata().tolist() == second.get_xdata().tolist() == [1, 2]
        left, right = (line.get_transform().transform((1, 1)) for line in (first, second))
        assert right[0] - left[0] == pytest.approx(3 / 72 * plots.DPI) and right[1] == left[1]

    def test_the_order_of_points_does_not_matter(self):
        shuffled = Curve(label="rising", x=[300, 10, 1000, 30, 100], y=[40, 10, 50, 20, 30])
        assert (
            Plot(panels={"y": [RISING]}, x_label="x")._repr_png_()
            == Plot(panels={"y": [shuffled]}, x_label="x")._repr_png_()
        )

    def test_colours_markers_and_dashes(self):
        curves = [Curve(label=str(n), x=[1, 2], y=[n, n]) for n in range(9)]
        shared = Curve(label="s", x=[1], y=[1], colour=-1, dashed=True)
        lines = [container.lines[0] for container in one(*curves, shared).containers]
        assert [line.get_color() for line in lines[:7]] == list(COLOURS) == list(dict.fromkeys(COLOURS))
        assert lines[7].get_color() == COLOURS[0] and lines[7].get_marker() != lines[0].get_marker()
        assert [line.get_marker() for line in lines[:4]] == list(MARKERS) == list(dict.fromkeys(MARKERS))
        assert lines[9].get_color() == COLOURS[-1] and lines[9].get_linestyle() == "--"
        assert lines[0].get_linestyle() == "-"


class TestAxes:
    def test_panels_share_the_axis_of_x(self):
        drawn = Plot(
            panels={"above": [Curve(label="a", x=[0, 1], y=[0, 1])], "below": [RISING]},
            x_label="step",
            title="told once",
        ).figure()
        upper, lower = drawn.axes
        assert upper.get_shared_x_axes().joined(upper, lower) and upper.get_xlim() == lower.get_xlim()
        assert (upper.get_ylabel(), lower.get_ylabel()) == ("above", "below")
        assert (upper.get_xlabel(), lower.get_xlabel()) == ("", "step")
        assert (upper.get_title(), lower.get_title()) == ("told once", "")
        assert not any(label.get_visible() for label in upper.get_xticklabels())
        drawn.canvas.draw()
        boxes = [axes.get_position() for axes in drawn.axes]
        assert boxes[0].x0 == pytest.approx(boxes[1].x0) and boxes[0].width == pytest.approx(boxes[1].width)

    def test_equal_ratios(self):
        axes = one(RISING, log_x=True)
        assert axes.get_xscale() == "log"
        assert tick_labels(axes) == ["10", "30", "100", "300", "1,000"]
        assert one(RISING).get_xscale() == "linear"

    @settings(max_examples=20)
    @given(st.floats(1e-3, 1e4), st.floats(1, 1e5))
    def test_a_logarithmic_axis_has_numbers(self, low, ratio):
        axes = one(Curve(label="a", x=[low, low * ratio], y=[0, 1]), log_x=True)
        assert 1 <= len(tick_labels(axes)) <= 12

    def test_numbers_below_zero_have_a_minus_sign_that_survives(self):
        """In the pictures of before it was a hyphen of one pixel."""
        axes = one(Curve(label="a", x=[1, 2], y=[-20, -10]))
        axes.figure.canvas.draw()
        assert all(text.get_text().startswith("\N{MINUS SIGN}") for text in axes.get_yticklabels())

    @pytest.mark.parametrize("log_x", [False, True])
    def test_one_point_alone(self, log_x, tmp_path):
        path = Plot(panels={"y": [Curve(label="a", x=[3], y=[0])]}, x_label="x", log_x=log_x).save(
            tmp_path / "a.png"
        )
        assert len(near(Image.open(path), COLOURS[0])) > 30

    def test_one_curve_needs_no_legend(self):
        assert one(RISING).get_legend() is None

    def test_labels_are_shown_as_they_are(self, tmp_path):
        """No formula is read between dollar signs, no escape reaches the picture, every letter is allowed."""
        odd = Curve(label="_a $x^2$ \x1b[31m", x=[1], y=[1])
        whole = Plot(panels={"$y$": [odd, odd]}, x_label="猫 $x$", title="a $t$")
        axes = whole.figure().axes[0]
        texts = [axes.xaxis.label, axes.yaxis.label, axes.title, *axes.get_legend().get_texts()]
        assert len(texts) == 5 and not any(text.get_parse_math() for text in texts)
        assert not any("\x1b" in text.get_text() for text in texts)
        whole.save(tmp_path / "a.png")


class TestSaving:
    def test_a_picture_of_1200_pixels_in_which_the_curves_are_seen(self, tmp_path):
        path = Plot(panels={"y": [RISING, FALLING]}, x_label="x", log_x=True).save(tmp_path / "x.png")
        with Image.open(path) as picture:
            assert (picture.format, picture.size) == ("PNG", (1200, 640))
            assert all(len(near(picture, colour)) > 1000 for colour in COLOURS[:2])
            assert len(near(picture, COLOURS[2])) == 0

    def test_the_same_numbers_make_the_same_file(self, tmp_path):
        plot = Plot(panels={"y": [RISING]}, x_label="x")
        first, second = (plot.save(tmp_path / f"{name}.png").read_bytes() for name in "ab")
        assert first == second == plot._repr_png_() and b"atplotlib" not in first

    def test_another_format_is_refused(self, tmp_path):
        with pytest.raises(ArgumentError, match=r"written as PNG.*x\.png"):
            Plot(panels={"y": [RISING]}, x_label="x").save(tmp_path / "x.svg")

    def test_no_display_and_no_window_is_asked_for(self, tmp_path):
        code = (
            "import sys\n"
            "from genzoo.plots import Curve, Plot\n"
            "assert 'matplotlib' not in sys.modules\n"
            "Plot(panels={'y': [Curve(label='a', x=[1, 2], y=[1, 2])]}, x_label='x').save(sys.argv[1])\n"
            "assert 'matplotlib.pyplot' not in sys.modules\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "a.png")],
            env={"MPLBACKEND": "tkagg", "MPLCONFIGDIR": str(tmp_path), "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "") and (tmp_path / "a.png").stat().st_size > 5000

    def test_without_matplotlib_it_says_what_to_install(self, monkeypatch):
        monkeypatch.setattr(plots.importlib.util, "find_spec", lambda name: None)
        plot = Plot(panels={"y": [RISING]}, x_label="x")
        for asked in (check_plots, plot.figure):
            with pytest.raises(GenzooError, match=r"plots need matplotlib — pip install 'genzoo\[plots\]'"):
                asked()


@pytest.mark.parametrize(
    ("curves", "options", "words"),
    [
        ([], {}, "at least one curve"),
        ([Curve(label="a", x=[1, 2], y=[1])], {}, "as many x as y"),
        ([Curve(label="a", x=[], y=[])], {}, "at least one"),
        ([Curve(label="a", x=[1], y=[1], error=[1, 2])], {}, "as many x as y"),
        ([Curve(label="a", x=[1], y=[float("nan")])], {}, "NaN"),
        ([Curve(label="a", x=[1], y=[1], error=[float("inf")])], {}, "NaN or infinite"),
        ([Curve(label="a", x=[1], y=[1], error=[-1])], {}, "0 or more"),
        ([Curve(label="a", x=[0, 1], y=[1, 2])], {"log_x": True}, "logarithmic axis cannot show"),
    ],
)
def test_bad_arguments(curves, options, words):
    with pytest.raises(ArgumentError, match=words):
        Plot(panels={"y": curves}, x_label="x", **options)
    with pytest.raises(ArgumentError, match="at least one curve"):
        Plot(panels={}, x_label="x")
