"""What a notebook shows of the end of a run."""

from pathlib import Path

import pytest

from genzoo.record import Record
from genzoo.training.publish import Outcome

KID = Record(metric="kid", value=0.02, subject="it", data="digits", n=9)
MARKUP = '<script>alert("1")</script>\x1b[31m'


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"finished": True, "records": [KID] * 4}, "runs/x: finished, 2,000 steps, 4 records"),
        ({"finished": False}, "runs/x: interrupted, 2,000 steps, 0 records"),
        ({"finished": False, "signal": 15}, "runs/x: interrupted by signal 15, 2,000 steps, 0 records"),
        (
            {"finished": True, "records": [KID], "folder": Path("a" * 80, "runs", "x")},
            f"…{'a' * 32}/runs/x: finished, 2,000 steps, 1 record",
        ),
    ],
)
def test_an_outcome_in_short(changes, words):
    outcome = Outcome(**{"folder": Path("runs", "x"), "step": 2000, **changes})
    assert repr(outcome).replace("\\", "/") == f"<Outcome of {words}>"
    assert len(repr(outcome)) < 100


def test_an_outcome_is_two_tables_in_a_notebook():
    outcome = Outcome(
        folder=Path("x"), finished=True, step=3, records=[KID], weights=Path("x", "w.safetensors")
    )
    page = outcome._repr_html_()
    assert page.count("<table") == 2
    assert "<tr><th>State</th><td>finished, 3 steps</td></tr>" in page and "w.safetensors" in page
    assert "<th>kid</th><td>it</td><td>0.02</td>" in page
    without = Outcome(folder=Path("x"), finished=False, step=3)._repr_html_()
    assert without.count("<table") == 1 and "Weights" not in without


def test_nothing_in_an_outcome_becomes_markup():
    hostile = Record(metric=MARKUP, value=1.0, subject=MARKUP)
    outcome = Outcome(folder=Path(MARKUP), finished=True, step=3, records=[hostile])
    assert repr(outcome).isprintable() and len(repr(outcome)) < 100
    page = outcome._repr_html_()
    assert page.isprintable() and "<script" not in page and page.count("&lt;script&gt;") == 3
