"""What must be as it was for a run to be gone on from, and what may differ but is told."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
import toys
from toys import ToyConfig

from genzoo.data import Images
from genzoo.errors import TrainingError
from genzoo.training import terms
from genzoo.training.hardware import choose
from genzoo.training.loop import play


def left(start, **recipe):
    run = start(**{"steps": 4, **recipe})
    play(run, lambda losses: None, lambda: None, lambda: run.step == 2)
    return run


class TestData:
    def test_the_name_of_the_data_is_nobodys_business(self, start, digits):
        run = left(start)
        run.recipe = run.recipe.replace(data="pics/")
        run.save()
        run = start(steps=4)
        run.recipe = run.recipe.replace(data="./pics")
        assert run.resume() == "" and run.step == 2
        moved = Images(pixels=digits.pixels.copy(), labels=digits.labels, split=digits.split, name="moved")
        assert start(steps=4, data=moved).resume() == ""

    @pytest.mark.parametrize(
        "other",
        [
            lambda digits: digits.replace(pixels=255 - digits.pixels),
            lambda digits: digits.replace(pixels=digits.pixels[::-1].copy()),
            lambda digits: digits.replace(labels=digits.labels[::-1].copy()),
            lambda digits: digits.replace(split="valid"),
        ],
        ids=["pixels", "order", "labels", "split"],
    )
    def test_as_many_other_images_are_refused(self, start, digits, other):
        run = left(start)
        with pytest.raises(
            TrainingError,
            match="was made with other data: also 1,797 images of 1×8×8, but with different pixels",
        ) as caught:
            start(steps=4, data=other(digits)).resume()
        assert str(run.checkpoint) in caught.value.message and "--data" in caught.value.hint


class TestRecipe:
    @pytest.mark.parametrize(
        ("one", "same"),
        [
            ({"lr": {"all": 1e-3}}, {"lr": {"generator": 1e-3, "discriminator": 1e-3}}),
            ({"turns": {}}, {"turns": {"generator": 1}}),
            ({"optimizer": {"all": "adam"}}, {"optimizer": {"generator": "adam"}}),
            ({"precision": "fp32"}, {"precision": "auto"}),
            ({"compile": "auto"}, {"compile": "off"}),
            ({"channels_last": "on"}, {"channels_last": "auto"}),
        ],
        ids=range(6),
    )
    def test_the_same_in_other_words_goes_on(self, start, monkeypatch, one, same):
        monkeypatch.setattr("genzoo.training.hardware.fast_bf16", lambda device: False)
        left(start, **one)
        assert start(**{"steps": 4, **same}).resume() == ""

    @pytest.mark.parametrize(
        ("one", "other", "told"),
        [
            (
                {"lr": {"all": 1e-3}},
                {"lr": {"all": 1e-3, "generator": 2e-3}},
                "lr was {'discriminator': 0.001, 'generator': 0.001}",
            ),
            ({"precision": "fp32"}, {"precision": "bf16"}, "precision was fp32, is bf16"),
            ({"channels_last": "on"}, {"channels_last": "off"}, "channels_last was on, is off"),
        ],
        ids=range(3),
    )
    def test_another_recipe_does_not(self, start, one, other, told):
        left(start, **one)
        with pytest.raises(TrainingError, match="was made with other recipe: ") as caught:
            start(**{"steps": 4, **other}).resume()
        assert told in caught.value.message

    def test_fewer_steps_than_were_played(self, start):
        left(start)
        with pytest.raises(TrainingError, match="is at step 2, past step 1, the last requested") as caught:
            start(steps=1).resume()
        assert "--steps 4" in caught.value.hint
        start(steps=2).resume()

    def test_a_config_that_json_cannot_say_is_kept_as_its_text(self):
        facts = {"a": math.inf, "b": (1, (2.5, None)), "c": {3: torch.float32}, "d": [math.nan]}
        assert terms.plain(facts) == {
            "a": "inf",
            "b": [1, [2.5, None]],
            "c": {"3": "torch.float32"},
            "d": ["nan"],
        }


class TestMachine:
    def test_what_decides_the_last_bits_is_noted(self, start):
        facts = start().facts().machine
        assert {
            "genzoo",
            "torch",
            "device",
            "threads",
            "instructions",
            "precision",
            "compile",
            "matmul",
        } <= facts.keys()
        assert (
            facts["torch"] == torch.__version__
            and facts["device"] == "cpu"
            and facts["threads"] == str(torch.get_num_threads())
        )
        assert terms.machine(choose(toys.RECIPE, "cpu"), "click")["plugin"].startswith("click 8.")
        assert (
            terms.machine(choose(toys.RECIPE, "cpu"), "no-such-thing")["plugin"]
            == "no-such-thing of no known version"
        )

    def test_a_difference_is_told_in_one_line_and_not_refused(self, start):
        run = left(start)
        facts = dataclasses.replace(
            run.facts(), machine={**run.facts().machine, "torch": "2.5.0", "threads": "64"}
        )
        run.facts = lambda: facts
        run.save()
        line = start(steps=4).resume()
        assert line.startswith("the run started with threads 64, torch 2.5.0 and continues with threads ")
        assert torch.__version__ in line and "\n" not in line

    def test_an_automatic_choice_that_comes_out_otherwise_is_told(self, start, monkeypatch):
        for fast, told in ((False, ""), (True, "precision fp32 and continues with precision bf16")):
            monkeypatch.setattr("genzoo.training.hardware.fast_bf16", lambda device, fast=fast: fast)
            if not fast:
                left(start, precision="auto")
            assert told in start(steps=4, precision="auto").resume()


def test_a_config_key_that_has_gone_is_named(start):
    run = left(start)
    facts = dataclasses.replace(run.facts(), config={**run.facts().config, "depth": 3})
    run.facts = lambda: facts
    run.save()
    with pytest.raises(TrainingError, match="other config: depth was 3, is None"):
        start(steps=4, model=toys.ToyGAN(ToyConfig())).resume()
