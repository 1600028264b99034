"""When a stage starts and how far the nets have grown: functions of the round alone."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from genzoo_progressive import genzoo_cards
from genzoo_progressive.options import Progressive, place

from genzoo import GameOptions
from genzoo.errors import ArgumentError

LAST = 3


def curve(options, rounds, last=LAST):
    return [options.growth(step, last) for step in range(rounds)]


def test_growth_round_by_round():
    """Four rounds a stage, half of them faded in: α is 1/3, 2/3, 1, 1."""
    third = Fraction(1, 3)
    expected = [
        0,
        0,
        0,
        0,
        third,
        2 * third,
        1,
        1,
        1 + third,
        1 + 2 * third,
        2,
        2,
        2 + third,
        2 + 2 * third,
        3,
        3,
        3,
    ]
    assert curve(Progressive(stage_rounds=(4,)), 17) == pytest.approx([float(g) for g in expected])


@pytest.mark.parametrize("fade", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("stage_rounds", [(1,), (7,), (3, 5, 2), (2, 9)])
def test_it_rises_from_nothing_to_everything(stage_rounds, fade):
    """α starts above 0, since the optimisers start again in that round, and never falls."""
    options = Progressive(stage_rounds=stage_rounds, fade=fade)
    grown = options.grown(LAST)
    growth = curve(options, grown + 5)
    assert growth[0] == 0 and growth == sorted(growth)
    assert growth[grown:] == [LAST] * 5 and (grown == 0 or growth[grown - 1] < LAST)
    for step, (before, after) in enumerate(pairwise(growth), 1):
        starts = options.starts(step, LAST)
        assert starts == (place(after, LAST)[0] > place(before, LAST)[0])
        assert not starts or before == place(before, LAST)[0]  # the stage before was complete


def test_each_stage_has_its_own_rounds_and_the_last_number_holds_on():
    options = Progressive(stage_rounds=(3, 5))
    assert [options.rounds(stage) for stage in range(4)] == [3, 5, 5, 5]
    assert [options.start(stage) for stage in range(4)] == [0, 3, 8, 13]
    assert [step for step in range(30) if options.starts(step, LAST)] == [3, 8, 13]
    assert [options.stage(step, LAST) for step in (0, 2, 3, 7, 8, 12, 13, 10**6)] == [0, 0, 1, 1, 2, 2, 3, 3]


def test_without_a_fade_a_stage_is_there_at_once():
    assert curve(Progressive(stage_rounds=(2,), fade=0.0), 8) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_net_that_cannot_grow_is_complete():
    options = Progressive(stage_rounds=(2,))
    assert options.grown(0) == 0 and curve(options, 5, last=0) == [0] * 5
    assert not any(options.starts(step, 0) for step in range(5))


@pytest.mark.parametrize(
    ("growth", "found"),
    [
        (0.0, (0, 1.0)),
        (0.25, (1, 0.25)),
        (1.0, (1, 1.0)),
        (1.75, (2, 0.75)),
        (3.0, (3, 1.0)),
        (3.5, (3, 1.0)),
        (1e9, (3, 1.0)),
        (-2.0, (0, 1.0)),
    ],
)
def test_the_stage_and_the_share_of_a_growth(growth, found):
    """Also of one that no training sets, from a file of weights."""
    assert place(growth, LAST) == found


def test_no_rounds_are_refused():
    with pytest.raises(ArgumentError, match="stage_rounds is empty"):
        Progressive(stage_rounds=())


def test_options_depend_on_no_total_and_have_the_papers_numbers():
    """A run can be continued with more steps at any time."""
    options = Progressive()
    assert isinstance(options, GameOptions) and options.falling == {}
    assert (options.gp_weight, options.drift, options.fade) == (10.0, 1e-3, 0.5)


@pytest.mark.parametrize("card", genzoo_cards(), ids=lambda card: card.name)
def test_the_cards_grow_to_full_size_and_stay_there(card):
    """At least half of the last stage's rounds, fade excluded, are at full size."""
    last = 4 if "image_shape" in card.config else 1
    options = card.recipe.game
    assert card.recipe.steps - options.grown(last) >= options.rounds(last) // 2
    assert card.recipe.betas == (0.0, 0.99) and card.recipe.ema == 0.999
    assert "1710.10196" in card.paper
