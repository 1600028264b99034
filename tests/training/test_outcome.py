"""What a notebook shows of the end of a run, and which keys of its recipe the row states."""

from dataclasses import replace
from pathlib import Path

import pytest
import toys

from genzoo import Recipe
from genzoo.cli.info import recipe_of
from genzoo.ledger import Row, format_row, parse_rows
from genzoo.recipe import keys_of
from genzoo.record import Record
from genzoo.training.plan import plan
from genzoo.training.publish import Outcome, changed_keys

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


TABLES = Recipe(data="digits", lr={"generator": 1e-4, "critic": 4e-4}, turns={"critic": 5})
CARD = toys.CARDS["toy-gan"].replace(recipe=TABLES)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, ()),
        ({"data": "my pictures", "licence": "CC0"}, ()),  # which the row states under keys of their own
        ({"steps": 6, "flip": True, "betas": [0.5, 0.9]}, ("steps=6", "betas=0.5, 0.9", "flip=true")),
        ({"lr": 1e-3}, ("lr=0.001",)),
        ({"lr": 1e-3, "lr.critic": 1e-5}, ("lr=0.001", "lr.critic=1e-05")),
        ({"lr.critic": 1e-5, "turns.generator": 2}, ("lr.critic=1e-05", "turns.generator=2")),
        ({"augment": "color,cutout", "objective": "hinge"}, ("objective=hinge", "augment=color, cutout")),
    ],
    ids=range(7),
)
def test_the_keys_that_a_row_states_give_the_recipe_again(settings, told):
    recipe, _ = plan(CARD, settings)
    assert changed_keys(recipe, CARD) == told
    row = Row(name="toy-gan", sha256="ab" * 32, bytes=1, sources=("folder:x",), recipe=told)
    wanted = keys_of(recipe, CARD.game)
    for key, value in recipe_of(CARD, row).items():
        assert (tuple(value) if isinstance(value, list) else value) == wanted[key] or not told


def test_a_value_that_no_row_can_hold_is_cut():
    """A run that can be trained must not be refused for what its row says of it."""
    odd = replace(TABLES, turns={"the\ncritic": 3, **{f"p{number}": 2 for number in range(200)}})
    told = changed_keys(odd.replace(precision="x" * 900), CARD)
    row = Row(name="toy-gan", sha256="ab" * 32, bytes=1, sources=("folder:x",), recipe=told)
    assert len(row.recipe) == 100 and max(map(len, told)) <= 200
    assert parse_rows(format_row(row).encode(), Path("zoo.toml"))["toy-gan"].recipe == told
