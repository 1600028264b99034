"""What is asked of a measurement: one form, one set of defaults, checked in one place."""

import dataclasses
import inspect

import numpy as np
import pytest
import toys

from genzoo import zoo
from genzoo.catalogue import Entry
from genzoo.cli.evaluation import eval_command
from genzoo.data.binary import WAYS as MADE
from genzoo.data.splits import FIT as PART
from genzoo.data.splits import SPLITS as PARTS
from genzoo.errors import ArgumentError
from genzoo.experiments.plan import Cell
from genzoo.request import FIT, SPLITS, WAYS, Request


def test_numbers_of_labels_become_whole_numbers_so_that_equal_requests_are_equal():
    assert Request(condition=np.int64(3)) == Request(condition=3) and Request(condition="3").condition == "3"


def test_lists_become_tuples_so_that_equal_requests_are_equal():
    assert Request(draws=[1, 50], metrics=["kid"]) == Request(draws=(1, 50), metrics=("kid",))
    assert hash(Request(draws=range(1, 3))) == hash(Request(draws=(1, 2)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        Request().n = 3


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"n": 0}, "n must be a whole number of at least 1, not 0"),
        ({"n": True}, "n must be a whole number of at least 1, not True"),
        ({"n": np.bool_(True)}, "n must be a whole number of at least 1"),
        ({"seed": -1}, "seed must lie between 0 and"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"draws": [0]}, "k must be a whole number of at least 1, not 0"),
        ({"draws": "many"}, "ks must be a list of numbers of draws"),
        ({"split": "all"}, "split must be one of train, valid, test, not 'all'"),
        ({"features": "inception"}, "need the weights of an Inception net.*--weights pt_inception"),
        ({"weights": "x.pth"}, "weights must be the file of the features inception, not 'x.pth' of None"),
        ({"features": "inception", "weights": 3}, "weights must be the file of the features inception"),
        ({"binarise": "round"}, "binarise must be one of threshold, draw, not 'round'"),
    ],
)
def test_its_own_values_are_checked_before_anything_is_loaded(monkeypatch, wrong, words):
    with pytest.raises(ArgumentError, match=words):
        Request(**wrong)
    monkeypatch.setattr(zoo, "load", lambda *args: pytest.fail("the model was loaded first"))
    with pytest.raises(ArgumentError, match=words):
        zoo.evaluate("toy-gan", **wrong)


def test_the_words_are_those_of_the_data():
    assert set(SPLITS) == set(PARTS) and FIT == PART and WAYS == MADE


def test_a_request_and_its_keywords_are_one_question(monkeypatch):
    asked = []
    monkeypatch.setattr(zoo, "load", lambda name, device: toys.Coins(toys.ToyConfig()))
    monkeypatch.setattr(zoo, "find", lambda name: Entry(toys.CARDS[name], None))
    one, same = (
        zoo.evaluate("coins", Request(n=4, draws=(2,)), progress=lambda *told: asked.append(told)),
        zoo.evaluate("coins", n=4, draws=(2,)),
    )
    assert one == same and len(one) == 4 and asked
    with pytest.raises(ArgumentError, match="given a request and n beside it"):
        zoo.evaluate("coins", Request(), n=4)
    with pytest.raises(TypeError):
        zoo.evaluate("coins", "binarized-digits", 4)  # what was once told by its place


def test_there_is_one_set_of_defaults():
    """The command has an option for each attribute, and no default of its own."""
    given = eval_command.make_context("eval", ["dcgan"]).params
    asked = {key: value for key, value in given.items() if key not in ("names", "as_json", "debug")}
    assert asked.pop("device") is None  # of the model, not of the request
    assert set(asked) == {field.name for field in dataclasses.fields(Request)}
    assert Request(**asked) == Request()
    assert set(inspect.signature(zoo.evaluate).parameters) == {
        "name",
        "request",
        "device",
        "progress",
        "asked",
    }


def test_an_experiment_asks_for_what_its_file_says():
    about = {"row": "a", "column": "b", "seed": 1, "model": "dcgan", "settings": {}, "steps": 3}
    cell = Cell(**about, data="digits", n=50, metrics=(), features="", split="valid")
    assert cell.request == Request(data="digits", n=50, split="valid", draws=())
    chosen = dataclasses.replace(cell, metrics=("kid",), features="gist").request
    assert (chosen.metrics, chosen.features, chosen.of_samples) == (("kid",), "gist", True)
    assert not cell.request.of_samples  # a likelihood where there is one
    assert dataclasses.replace(cell, condition="kitchen").request.condition == "kitchen"
    assert cell.request.condition is None
