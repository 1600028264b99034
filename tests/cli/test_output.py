"""Tables, sizes, bars: what people see."""

import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shell import HOSTILE
from tqdm import tqdm

from genzoo.cli import output
from genzoo.cli.output import Progress, fact_lines, human_size, say_facts, say_table, width, wrap
from genzoo.units import human_time


class TestTables:
    def test_columns_are_aligned(self, capsys):
        say_table(["NAME", "WHAT"], [["a", "first"], ["longer", "second"], ["模型", "third"]])
        assert capsys.readouterr().out == "NAME    WHAT\na       first\nlonger  second\n模型    third\n"

    @pytest.fixture
    def terminal(self, monkeypatch):
        """Give a function that makes stdout a terminal of so many columns."""
        monkeypatch.setattr(output, "_is_terminal", lambda stream: True)
        return lambda columns: monkeypatch.setenv("COLUMNS", str(columns))

    def test_on_a_terminal_the_last_column_is_wrapped_between_words(self, capsys, terminal):
        terminal(34)
        say_table(
            ["NAME", "WHAT"], [["a-name-of-it", "some words of a reason, and 0.5 ± 0.1 × 1e-3"], ["b", "c"]]
        )
        assert capsys.readouterr().out.splitlines()[1:] == [
            "a-name-of-it  some words of a",
            "              reason, and",
            "              0.5 ± 0.1 × 1e-3",
            "b             c",
        ]

    def test_a_name_or_a_command_is_never_cut(self, capsys, terminal):
        terminal(30)
        say_table(["NAME", "WHAT"], [["a-name-of-it", f"try {'x' * 40} now"]])
        words = capsys.readouterr().out.split()
        assert words == ["NAME", "WHAT", "a-name-of-it", "try", "x" * 40, "now"]

    @pytest.mark.parametrize(
        ("columns", "header"), [(70, "NAME KIND SIZE WHAT"), (60, "NAME SIZE WHAT"), (40, "NAME WHAT")]
    )
    def test_columns_to_spare_are_dropped_one_by_one(self, capsys, terminal, columns, header):
        terminal(columns)
        rows = [["n" * 15, "k" * 12, "s" * 12, "one two three four five"]]
        say_table(["NAME", "KIND", "SIZE", "WHAT"], rows, spare=["KIND", "SIZE"])
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].split() == header.split() and max(map(len, lines)) <= columns
        say_table(["NAME", "KIND", "WHAT"], [["n", "k", "short"]], spare=["KIND"])
        assert capsys.readouterr().out.splitlines()[1] == "n     k     short"

    def test_facts_are_wrapped_beside_their_key(self, capsys, terminal):
        terminal(30)
        say_facts([("Key", "one two three four five six"), ("Longer", "y" * 40)], indent="  ")
        assert capsys.readouterr().out.splitlines() == [
            "  Key     one two three four",
            "          five six",
            "  Longer  " + "y" * 40,
        ]

    def test_in_a_file_nothing_is_cut(self, capsys, monkeypatch):
        monkeypatch.setenv("COLUMNS", "30")
        say_table(["NAME", "SPARE", "WHAT"], [["a", "b", "words " * 30]], spare=["SPARE"])
        say_facts([("key", "words " * 30)])
        assert capsys.readouterr().out.splitlines()[1:] == [
            f"a     b      {'words ' * 30}".rstrip(),
            f"key  {'words ' * 30}".rstrip(),
        ]

    def test_a_hostile_cell_is_made_harmless(self, capsys):
        say_table(["NAME", "WHAT"], [[HOSTILE, HOSTILE]])
        assert all(line.isprintable() for line in capsys.readouterr().out.splitlines())

    def test_facts_without_a_value_are_left_out(self):
        assert fact_lines([("a", ""), ("long", 3), ("b", None), ("c", "x")]) == ["long  3", "c     x"]
        assert fact_lines([]) == []
        assert fact_lines([("key", HOSTILE)])[0].isprintable()

    @given(st.text("ab ±=模", max_size=60), st.integers(12, 40))
    def test_wrapping_keeps_every_word_and_fills_no_line_over(self, text, columns):
        lines = wrap(text, columns)
        assert " ".join(lines).split() == text.split()
        assert all(
            width(line) <= columns or len(re.split(r"(?<![±=]) (?![±=])", line)) == 1 for line in lines
        )


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (54_784, "54.8 kB"),
        (7_400_000, "7.4 MB"),
        (2**31, "2.15 GB"),
        (10**16, "1e+04 TB"),
    ],
)
def test_sizes(count, words):
    assert human_size(count) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s"),
        (8.4, "8 s"),
        (99, "99 s"),
        (100, "2 min"),
        (3500, "58 min"),
        (3600, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_times(seconds, words):
    assert human_time(seconds) == words


class Clock:
    """A clock that a test turns."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(output, "time", clock)
    return clock


class TestProgress:
    def test_what_is_quick_says_nothing(self, clock, capsys, monkeypatch):
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        with Progress("it") as progress:
            clock.now += 1.9
            progress(5, 10)
        assert capsys.readouterr() == ("", "")

    def test_elsewhere_a_line_after_two_seconds_and_then_now_and_then(self, clock, capsys):
        with Progress("it\x1b[31m", "images") as progress:
            for done in range(0, 5001, 25):
                progress(done, 5000)
                clock.now += 0.25
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.splitlines() == [
            "it�: 200 of 5,000 images, 100 images/s, 48 s left",
            "it�: 1,700 of 5,000 images, 100 images/s, 33 s left",
            "it�: 3,200 of 5,000 images, 100 images/s, 18 s left",
            "it�: 4,700 of 5,000 images, 100 images/s, 3 s left",
        ]

    def test_the_pace_is_that_of_what_was_done_here(self, clock, capsys):
        with Progress("it") as progress:
            progress(50_000_000, 70_000_000)  # a download that goes on
            clock.now += 4
            progress(60_000_000, 70_000_000)
        assert capsys.readouterr().err == "it: 60 MB of 70 MB, 2.5 MB/s, 4 s left\n"

    def test_a_pace_that_is_not_known_is_not_told_and_a_slow_one_by_the_time_of_each(self, clock, capsys):
        with Progress("it", "images") as progress:
            clock.now += 30
            progress(2, 5)
            clock.now += 30
            progress(3, 5)
            progress(5, 5)
        assert capsys.readouterr().err == "it: 2 of 5 images\nit: 3 of 5 images, 30 s each, 60 s left\n"

    def test_on_a_terminal_a_bar_that_leaves_nothing(self, clock, capsys, monkeypatch):
        getattr(tqdm, "_instances", set()).clear()  # bars that other tests left open would move this one down
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        with Progress("drawing", "images") as progress:
            clock.now += 3
            progress(2, 10)
            progress(7, 10)
            assert progress._bar.n == 7
        captured = capsys.readouterr()
        assert captured.out == ""
        assert "drawing" in captured.err and captured.err.endswith("\r")

    def test_a_task_may_count_something_of_its_own(self, clock, capsys):
        with Progress("it", "images") as progress:
            clock.now += 3
            progress("certificate", 1, 7)
            clock.now += 20
            progress("likelihood", 1, 7)
        assert capsys.readouterr().err == "certificate: 1 of 7 laws\nlikelihood: 1 of 7 images\n"

    def test_a_new_task_is_a_new_bar(self, clock, capsys, monkeypatch):
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        with Progress("it", "images") as progress:
            clock.now += 3
            progress("features", 2, 10)
            first = progress._bar
            progress("features", 3, 10)
            assert progress._bar is first
            progress("neighbours", 1, 4)
            assert progress._bar is not first
            assert (progress._bar.n, progress._bar.total) == (1, 4)
        assert "features" in capsys.readouterr().err
