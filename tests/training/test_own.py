"""A stranger's objective, penalty, transform and optimiser, named in the recipe; what is none is told."""

from __future__ import annotations

import own_parts
import pytest
import torch
import toys
from toys import recipe_of

from genzoo import Recipe
from genzoo.errors import ArgumentError, GenzooError
from genzoo.training.plan import plan
from genzoo.training.players import players

CARD = toys.CARDS["toy-gan"]
OWN = {
    "objective": "own_parts:SQUARES",
    "gp_weight": 2.0,
    "penalty_kind": "own_parts:at_real",
    "augment": "color,own_parts:darken",
    "optimizer": "own_parts:adamw",
    "norm": False,
}


def test_they_are_played(start):
    recipe, config = plan(CARD, OWN)
    own_parts.MARK.clear()
    run = start(toys.gan(**config), **{f: getattr(recipe, f) for f in ("optimizer", "game")})
    run.play_round()
    assert {"penalty", "transform"} == set(own_parts.MARK)
    assert {type(one) for one in run.optimisers.values()} == {torch.optim.AdamW}
    assert run.players[0].loss.__self__.objective is own_parts.SQUARES


def test_a_run_with_them_goes_on_from_its_checkpoint(start, tmp_path):
    recipe, config = plan(CARD, OWN)
    facts = {f: getattr(recipe, f) for f in ("optimizer", "game")}
    run = start(toys.gan(**config), **facts)
    run.play_round()
    run.save()
    again = start(toys.gan(**config), **facts)
    again.resume()
    for one in (run, again):
        one.play_round()
    ours, theirs = run.model.state_dict(), again.model.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"objective": "own_parts:SQUARE"}, "'own_parts:SQUARE' cannot be imported: AttributeError"),
        ({"penalty_kind": "no_such_package:x"}, "cannot be imported: ModuleNotFoundError"),
        ({"augment": "color,own_parts:torch.x"}, "augment must be one of color, translation, cutout"),
        ({"augment": "own_parts:torch"}, "cannot be used as augment: it is"),
        ({"optimizer": "adamw"}, "must be one of adam, rmsprop, sgd, muon"),
        ({"optimizer.generator": "own_parts:adam"}, "cannot be imported"),
    ],
)
def test_a_wrong_name_is_told_before_anything_else(settings, words):
    with pytest.raises(ArgumentError, match=words):
        plan(CARD, settings)


def test_what_is_named_must_be_of_that_kind(start):
    with pytest.raises(ArgumentError, match=r"is not a genzoo\.losses\.objectives\.Objective"):
        players(toys.gan(), recipe_of(objective="own_parts:adamw"))
    with pytest.raises(ArgumentError, match=r"makes a list, not a torch\.optim\.Optimizer"):
        start(optimizer={"all": "own_parts:no_optimiser"})


def test_a_hint_says_that_one_s_own_are_welcome():
    with pytest.raises(GenzooError) as caught:
        plan(CARD, {"objective": "wgan"})
    assert "package.module:name" in caught.value.hint


def test_the_defaults_are_not_looked_up_elsewhere():
    assert plan(CARD, {})[0] == CARD.recipe and Recipe().game is None
