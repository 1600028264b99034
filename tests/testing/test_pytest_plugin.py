"""pytest with genzoo installed: a broken law in three lines, and nothing at all in other people's runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STRANGER = """
import sys

HEAVY = {"torch", "numpy", "PIL", "click", "genzoo.registry", "genzoo.hookspecs", "genzoo.zoo",
         "genzoo.testing.whole"}

def test_nothing_heavy_was_loaded():
    assert "genzoo.testing.pytest_plugin" in sys.modules
    assert HEAVY & set(sys.modules) == set()

def test_a_failure():
    assert 1 + 1 == 3
"""
BROKEN = """
import pytest
from genzoo.errors import GenzooError
from genzoo.testing.law import LawError, hold

def test_law():
    hold(False, "a density sums to 1", "Σ p(x) = 2", "Mine._log_prob")

def test_law_after_an_error():
    try:
        1 / 0
    except ZeroDivisionError as error:
        raise LawError("a model answers", "ZeroDivisionError", "mine.py:7") from error

def test_law_that_is_expected():
    with pytest.raises(LawError):
        hold(False, "law", "seen", "place")

@pytest.mark.xfail(strict=True)
def test_law_that_is_known_to_be_broken():
    hold(False, "law", "seen", "place")

def test_other():
    raise GenzooError("something else")
"""


@pytest.fixture
def run(tmp_path):
    """run(text, *options): pytest's answer in a process of its own, in which genzoo's is the only plugin."""
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("GENZOO_", "PYTEST_", "COV_"))
    }
    environment |= {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": str(ROOT),
        "NO_COLOR": "1",
        "COLUMNS": "200",
    }
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")

    def call(text, *options):
        (tmp_path / "test_it.py").write_text(text, encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "genzoo.testing.pytest_plugin",
            "-p",
            "no:cacheprovider",
            *options,
        ]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", check=False
        ).stdout

    return call


def test_a_strangers_run_is_left_alone(run):
    out = run(STRANGER)
    assert "1 failed, 1 passed" in out
    assert "assert (1 + 1) == 3" in out and "test_it.py:12: AssertionError" in out


def test_a_broken_law_is_three_lines(run):
    out = run(BROKEN)
    assert "law broken: a density sums to 1\n      seen: Σ p(x) = 2\n   look at: Mine._log_prob\n" in out
    assert (
        "look at: mine.py:7\n\nTraceback (most recent call last):" in out
        and "ZeroDivisionError: division by zero" in out
    )
    assert "def hold" not in out, "the way through genzoo is no news for an author"
    assert (
        "FAILED test_it.py::test_law - genzoo.law.LawError: law broken: a density sums to 1; seen: Σ" in out
    )
    assert 'raise GenzooError("something else")' in out, "any other error keeps its traceback"
    assert "3 failed, 1 passed, 1 xfailed" in out


def test_the_whole_way_can_be_asked_for(run):
    assert "def hold" in run(BROKEN, "--tb=long", "-k", "test_law and not error")
