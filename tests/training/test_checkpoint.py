"""A run that is killed at any moment and resumed ends in the same bits (rule R10)."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import toys
from safetensors.torch import save
from toys import Bernoulli, ToyConfig

import genzoo
from genzoo.data import Images
from genzoo.errors import StorageError, TrainingError
from genzoo.training import averages, checkpoint, loop
from genzoo.training.loop import play
from genzoo.training.parallel import World

ROOT = Path(genzoo.__file__).resolve().parent.parent
HERE = Path(toys.__file__).resolve().parent / "training"
HARD = {"turns": {"discriminator": 2}, "ema": 0.9, "flip": True, "augment": ("color", "translation", "cutout"), "steps": 6}


def everything(run):
    """Return all that a run will go on from."""
    state = {f"model.{key}": value for key, value in run.model.state_dict().items()}
    for name, average in run.averages.modules.items():
        state |= {f"average.{name}.{key}": value for key, value in average.state_dict().items()}
    for name, optimiser in run.optimisers.items():
        state |= {
            f"optimiser.{name}.{i}.{slot}": value for i, slots in optimiser.state_dict()["state"].items() for slot, value in slots.items()
        }
    return state


def differ(one, other):
    """Return the keys of two runs in which any bit differs."""
    one, other = everything(one), everything(other)
    assert one.keys() == other.keys()
    return [key for key in one if not torch.equal(one[key], other[key])]


def finish(run):
    play(run, lambda losses: None, lambda: None, lambda: False)
    return run


def resumed(start, folder, **recipe):
    """Return a run of six steps that was left after three and taken up by another."""
    folder.mkdir()
    finish(start(folder=folder, **{**recipe, "steps": 3}))
    torch.manual_seed(12345)  # another process begins with another state of the global generator
    run = start(folder=folder, **recipe)
    run.resume()
    assert run.step == 3
    return finish(run)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the runs are forks")
class TestKilled:
    def test_killed_at_any_moment_the_bits_are_those_of_the_uninterrupted_run(self, tmp_path):
        """Between two turns, half-way through writing, before and after the rename, and twice from outside; in fp32 and bf16."""
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE.parent)])}
        done = subprocess.run(
            [sys.executable, str(HERE / "killed_runs.py"), str(tmp_path)], env=env, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, done.stderr
        for precision, told in json.loads(done.stdout).items():
            assert told["ends"][:5] == [0, -9, -9, -9, -9], precision
            assert set(told["ends"][5:7]) <= {-9, 0} and told["ends"][7] == 0
            assert told["reached"] == [2, 3, 5, 8], precision  # half-written and not renamed do not count
            assert told["killed"] == told["whole"], precision
            assert told["whole"][1] == 12


COUNT = itertools.count()


class TestResumed:
    @pytest.mark.parametrize("precision", ["fp32", "bf16"])
    def test_the_bits_are_those_of_the_uninterrupted_run(self, start, tmp_path, precision):
        whole = finish(start(precision=precision, **HARD))
        assert differ(whole, resumed(start, tmp_path / "b", precision=precision, **HARD)) == []

    @pytest.mark.parametrize("name", ["rmsprop", "sgd", "muon"])
    def test_whatever_the_optimiser(self, start, tmp_path, monkeypatch, name):
        monkeypatch.setattr("genzoo.training.optimisers.LEAST", 4)  # the toy is narrow
        recipe = {**HARD, "optimizer": {"all": name}}
        assert differ(finish(start(**recipe)), resumed(start, tmp_path / "b", **recipe)) == []

    def test_another_seed_gives_other_bits(self, start, tmp_path):
        assert differ(finish(start(**HARD)), resumed(start, tmp_path / "b", seed=1, **HARD))

    @pytest.mark.parametrize(
        ("where", "what", "instead", "suffers"),
        [
            (checkpoint, "_restore_optimiser", lambda optimiser, flat: None, "model.generator.0.weight"),
            (averages.AveragedModel, "state_dict", lambda self, *a, **k: {}, "average.generator.module.0.weight"),
            (loop, "mix", lambda *parts: next(COUNT), "model.discriminator.0.weight"),
        ],
        ids=["optimisers", "averages", "dropout"],
    )
    def test_nothing_may_be_left_out(self, start, tmp_path, where, what, instead, suffers):
        """Without restoring each of these (or with dropout's generator just going on) the bits differ: the tests above can fail."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(where, what, instead)
            whole, other = finish(start(**HARD)), resumed(start, tmp_path / "b", **HARD)
        assert suffers in differ(whole, other)

    def test_checkpoints_are_not_touched_by_looking(self, start):
        """Writing and sampling on the way change nothing: saved often or once, the bits are the same."""
        often = start(**HARD)
        while often.step < 6:
            often.play_round()
            often.save()
            often.averages.finished(often.model, often.players).sample(2, seed=0)
        (often.folder / "other").mkdir()
        assert differ(often, finish(start(folder=often.folder / "other", **HARD))) == []


class TestRefused:
    @pytest.fixture
    def left(self, start):
        run = start(steps=2, rate={"generator": 1e-3})
        finish(run)
        return run

    def test_none_there(self, start):
        with pytest.raises(TrainingError, match="there is no checkpoint at") as caught:
            start().resume()
        assert "--resume" in caught.value.hint

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"rate": {"generator": 2e-3}}, "recipe: rate was {'discriminator': 0.0002, 'generator': 0.001}, is {'discriminator': 0.0002, 'generator': 0.002}"),
            ({"batch": 8}, "recipe: batch was 16, is 8"),
            ({"seed": 9}, "recipe: seed was 0, is 9"),
            ({"ema": 0.5}, "recipe: ema was 0.0, is 0.5"),
            ({"augment": ("color",)}, "recipe: augment was [], is ['color']"),
            ({"world": World(0, 2)}, "processes: 1, not 2"),
        ],
    )
    def test_another_recipe_or_number_of_processes(self, start, left, change, told):
        run = start(**{"rate": {"generator": 1e-3}, **change})
        with pytest.raises(TrainingError) as caught:
            run.resume()
        assert told in caught.value.message and str(left.checkpoint) in caught.value.message

    def test_more_steps_are_welcome(self, start, left):
        run = start(rate={"generator": 1e-3}, steps=5)
        run.resume()
        assert finish(run).step == 5

    def test_other_data(self, start, left, digits):
        for data, told in (
            (digits.subset(slice(0, 500)), "data: 1,797 images of 1×8×8, not 500 images of 1×8×8"),
            (Images(pixels=digits.pixels.repeat(2, axis=2).repeat(2, axis=3)), "not 1,797 images of 1×16×16"),
        ):
            with pytest.raises(TrainingError) as caught:
                start(data=data, rate={"generator": 1e-3}).resume()
            assert told in caught.value.message

    @pytest.mark.parametrize("model", [lambda: toys.gan(width=6), lambda: toys.gan(norm=False)])
    def test_another_architecture(self, start, left, model):
        run = start(model=model(), rate={"generator": 1e-3})
        with pytest.raises(TrainingError, match="with other config: "):
            run.resume()

    @pytest.mark.parametrize("model", [lambda: toys.gan(width=6), lambda: toys.gan(norm=False)])
    def test_other_tensors_under_the_same_config(self, start, left, model):
        changed = model()
        changed.config = ToyConfig()
        with pytest.raises(TrainingError, match="the checkpoint is of another run"):
            start(model=changed, rate={"generator": 1e-3}).resume()

    def test_another_game(self, start, left):
        run = start(model=Bernoulli(ToyConfig()), rate={})
        with pytest.raises(TrainingError):
            run.resume()

    @pytest.mark.parametrize(
        "damage",
        [
            lambda blob: blob[:-1],
            lambda blob: blob[: len(blob) // 2],
            lambda blob: blob[:-1] + bytes([blob[-1] ^ 1]),
            lambda blob: b"",
            lambda blob: b"\0" * 64,
            lambda blob: bytes(reversed(blob)),
            lambda blob: save({"a": torch.zeros(1)}),
            lambda blob: save({"a": torch.zeros(1)}, metadata={"genzoo": "{"}),
            lambda blob: save({"a": torch.zeros(1)}, metadata={"genzoo": "[]"}),
            lambda blob: save({"a": torch.zeros(1)}, metadata={"genzoo": "{}"}),
            lambda blob: save({"a": torch.zeros(1)}, metadata={"genzoo": '{"step": null}'}),
        ],
        ids=range(11),
    )
    def test_a_damaged_one_is_named(self, start, left, damage):
        left.checkpoint.write_bytes(damage(left.checkpoint.read_bytes()))
        with pytest.raises(TrainingError, match="is damaged") as caught:
            start(rate={"generator": 1e-3}).resume()
        assert str(left.checkpoint) in caught.value.message and str(caught.value).isprintable()

    @pytest.mark.parametrize(
        "key", ["optimiser.discriminator.99.step", "optimiser.critic.0.step", "optimiser.discriminator.x.step", "model.more"]
    )
    def test_odd_tensors_are_named(self, start, left, key):
        tensors, facts = checkpoint.read(left.checkpoint)
        left.checkpoint.write_bytes(checkpoint.encode({**tensors, key: torch.zeros(1)}, facts))
        with pytest.raises(TrainingError, match="1 tensors differ"):
            start(rate={"generator": 1e-3}).resume()


class TestWriting:
    def test_no_pickle_and_everything_in_it(self, start):
        run = finish(start(**HARD))
        tensors, facts = checkpoint.read(run.checkpoint)
        assert tensors.keys() == everything(run).keys()
        assert all(torch.equal(tensors[key], value) for key, value in everything(run).items())
        assert facts.step == 6 and facts.processes == 1 and facts.recipe["turns"] == {"discriminator": 2, "generator": 1}

    def test_on_a_full_disk_the_old_one_stays(self, start, monkeypatch):
        run = finish(start(steps=2))
        before = run.checkpoint.read_bytes()

        def full(handle):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("genzoo.files.os.fsync", full)
        run.play_round()
        with pytest.raises(StorageError, match="the disk is full"):
            run.save()
        assert run.checkpoint.read_bytes() == before
        assert {p.name for p in run.folder.iterdir()} == {checkpoint.NAME, checkpoint.PREVIOUS}

    def test_only_one_process_writes(self, start):
        run = start(world=World(1, 2))
        run.save()
        assert not run.checkpoint.exists()
