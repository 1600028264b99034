"""Plots: ticks, axes, and what is seen where."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageColor

from genzoo.curves import (
    COLOURS,
    MARKERS,
    SIZE,
    Axis,
    Curve,
    log_ticks,
    number,
    plot,
    save_plot,
    spread,
    ticks,
)
from genzoo.errors import ArgumentError

COUNTS = [10, 30, 100, 300, 1000]
RISING = Curve(label="rising", x=COUNTS, y=[10, 20, 30, 40, 50])
FALLING = Curve(label="falling", x=COUNTS, y=[50, 40, 30, 20, 10])


def near(picture, colour, tolerance=40):
    """Return where the picture shows a colour, (n, 2) rows and columns."""
    pixels = np.asarray(picture).astype(int)
    return np.argwhere(np.abs(pixels - ImageColor.getrgb(colour)).max(-1) < tolerance)


class TestTicks:
    @given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
    def test_they_are_round_hold_the_values_and_are_not_too_many(self, low, span):
        found = ticks(low, low + span)
        steps = np.diff(found)
        assert found[0] <= low + 1e-6 * span and found[-1] >= low + span - 1e-6 * span
        assert 2 <= len(found) <= 10
        assert np.allclose(steps, steps[0])
        mantissa = steps[0] / 10 ** math.floor(math.log10(steps[0] * (1 + 1e-9)))
        assert round(mantissa, 6) in (1, 2, 5)

    def test_examples(self):
        assert ticks(12, 43) == [10, 20, 30, 40, 50]
        assert ticks(0.0, 1.0) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
        assert len(ticks(5, 5)) >= 2

    def test_of_equal_ratios(self):
        assert log_ticks(10, 1000) == [10, 30, 100, 300, 1000]
        assert log_ticks(20, 250) == [30, 100]
        assert log_ticks(1, 1e9) == [10.0**e for e in range(10)]
        assert log_ticks(40, 60) == [40, 45, 50, 55, 60]
        assert log_ticks(7, 7) == [7]

    def test_numbers_as_people_write_them(self):
        assert [number(v) for v in (0.1 + 0.2, 30.0, 1000.0, -2.5)] == ["0.3", "30", "1,000", "-2.5"]


class TestAxis:
    def test_ends_and_middles(self):
        assert Axis(0, 10, 100, 200).at(5) == 150
        assert Axis(0, 10, 200, 100).at(10) == 100
        assert Axis(10, 1000, 0, 100, log=True).at(100) == pytest.approx(50)


class TestLegend:
    @given(st.lists(st.floats(0, 400), min_size=1, max_size=12))
    def test_labels_do_not_touch_and_stay_inside(self, heights):
        moved = spread(sorted(heights), 20, 0, 400)
        assert all(b - a > 20 - 1e-6 for a, b in pairwise(moved))
        assert moved[0] > -1e-6 and moved[-1] < 400 + 1e-6

    def test_what_does_not_touch_is_not_moved(self):
        assert spread([10, 50, 90], 20, 0, 100) == [10, 50, 90]
        assert spread([10, 12, 90], 20, 0, 100) == [10, 30, 90]


class TestPlot:
    def test_every_point_stands_where_its_numbers_say(self):
        """Markers are looked for at the places that five rising steps have, evenly across and up."""
        picture = plot([RISING], log_x=True)
        places = near(picture, COLOURS[0])
        area = places[places[:, 1] < 800]  # without the legend
        (bottom, left), (top, right) = area[area[:, 1].argmin()], area[area[:, 1].argmax()]
        assert top < bottom - 300 and right > left + 500
        # of the way: also for 30, which lies at a quarter on a logarithmic axis (0.239)
        for share in (0.25, 0.5, 0.75):
            middle = left + share * (right - left)
            column = area[np.abs(area[:, 1] - middle) < 3][:, 0].mean()
            assert column == pytest.approx(bottom + share * (top - bottom), abs=12)

    def test_curves_have_their_own_colours(self):
        picture = plot([RISING, FALLING], log_x=True)
        assert all(len(near(picture, colour)) > 500 for colour in COLOURS[:2])
        assert len(near(picture, COLOURS[2])) == 0

    def test_a_shared_colour_and_dashes(self):
        solid = plot([Curve(label="a", x=[1, 2], y=[1, 2], colour=3)])
        dashed = plot([Curve(label="a", x=[1, 2], y=[1, 2], colour=3, dashed=True)])
        assert len(near(solid, COLOURS[3])) > 1.2 * len(near(dashed, COLOURS[3])) > 500

    def test_error_bars_are_as_long_as_the_errors(self):
        """The lower end of the bar stands at 0 and the upper end at 10, which are the ends of the axis."""
        point = Curve(label="a", x=[1], y=[5], error=[5])
        rows = near(plot([point], size=(600, 400)), COLOURS[0])
        bar = rows[rows[:, 1] < 300]
        without = near(plot([Curve(label="a", x=[1, 1], y=[0, 10])], size=(600, 400)), COLOURS[0])
        ends = without[without[:, 1] < 300]
        # a marker is larger than the end of a bar
        assert bar[:, 0].min() == pytest.approx(ends[:, 0].min() + 6, abs=3)
        assert bar[:, 0].max() == pytest.approx(ends[:, 0].max() - 6, abs=3)

    def test_bars_at_one_place_stand_beside_each_other(self):
        curves = [Curve(label=name, x=[1, 2], y=[1, 2], error=[0.5, 0.5]) for name in "ab"]
        picture = plot(curves)
        columns = [near(picture, colour)[:, 1].min() for colour in COLOURS[:2]]
        assert 2 <= columns[1] - columns[0] <= 6

    def test_the_order_of_points_does_not_matter(self):
        shuffled = Curve(label="rising", x=[300, 10, 1000, 30, 100], y=[40, 10, 50, 20, 30])
        assert np.array_equal(plot([RISING], log_x=True), plot([shuffled], log_x=True))

    def test_labels_title_and_markers_change_what_is_seen(self):
        plain = plot([RISING])
        for change in ({"title": "t"}, {"x_label": "x"}, {"y_label": "y"}, {"log_x": True}):
            assert not np.array_equal(plain, plot([RISING], **change))
        assert len(MARKERS) == len(set(MARKERS)) == 4
        assert plain.size == SIZE

    def test_a_long_label_and_many_curves_still_make_a_picture(self):
        many = [
            Curve(label=f"a rather long name of a curve, number {n}", x=[1, 10], y=[n, n + 1])
            for n in range(12)
        ]
        assert plot(many, size=(300, 300)).size == (300, 300)

    def test_one_point_alone(self):
        for log_x in (False, True):
            assert len(near(plot([Curve(label="a", x=[3], y=[0])], log_x=log_x), COLOURS[0])) > 50

    @pytest.mark.parametrize(
        ("curves", "options", "words"),
        [
            ([], {}, "at least one curve"),
            ([Curve(label="a", x=[1, 2], y=[1])], {}, "as many x as y"),
            ([Curve(label="a", x=[], y=[])], {}, "at least one"),
            ([Curve(label="a", x=[1], y=[1], error=[1, 2])], {}, "as many x as y"),
            ([Curve(label="a", x=[1], y=[math.nan])], {}, "NaN"),
            ([Curve(label="a", x=[1], y=[1], error=[math.inf])], {}, "NaN or infinite"),
            ([Curve(label="a", x=[1], y=[1], error=[-1])], {}, "0 or more"),
            ([Curve(label="a", x=[0, 1], y=[1, 2])], {"log_x": True}, "logarithmic axis has not"),
            ([RISING], {"size": (100, 100)}, "300 to 8,192"),
            ([RISING], {"size": (1000, 1e9)}, "300 to 8,192"),
        ],
    )
    def test_bad_arguments(self, curves, options, words):
        with pytest.raises(ArgumentError, match=words):
            plot(curves, **options)


class TestSaving:
    def test_the_file_is_the_picture(self, tmp_path):
        path = save_plot([RISING], tmp_path / "x.png", log_x=True)
        assert np.array_equal(Image.open(path), plot([RISING], log_x=True))

    def test_another_format_is_refused(self, tmp_path):
        with pytest.raises(ArgumentError, match=r"written as PNG.*x\.png"):
            save_plot([RISING], tmp_path / "x.svg")
