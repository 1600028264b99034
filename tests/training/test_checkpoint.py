"""A run that is killed at any moment and resumed ends in the same bits (rule R10)."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import toys
from safetensors.torch import load, save
from small_disks import ballast, small_disk
from toys import Bernoulli, ToyConfig

import genzoo
from genzoo.data import Images
from genzoo.errors import StorageError, TrainingError
from genzoo.training import checkpoint, ema, loop, slots
from genzoo.training.checkpoint import CheckpointError
from genzoo.training.hardware import choose
from genzoo.training.loop import play
from genzoo.training.parallel import World

ROOT = Path(genzoo.__file__).resolve().parent.parent
HERE = Path(toys.__file__).resolve().parent / "training"
HARD = {
    "turns": {"discriminator": 2},
    "ema": 0.9,
    "flip": True,
    "augment": ("color", "translation", "cutout"),
    "steps": 6,
}


def everything(run):
    """Return all that a run will go on from."""
    state = {f"model.{key}": value for key, value in run.model.state_dict().items()}
    for name, average in run.ema.modules.items():
        state |= {f"average.{name}.{key}": value for key, value in average.state_dict().items()}
    for name, optimiser in run.optimisers.items():
        state |= {
            f"optimiser.{name}.{i}.{slot}": value
            for i, slots in optimiser.state_dict()["state"].items()
            for slot, value in slots.items()
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
        """Between two turns, half-way through writing, before and after the rename, and twice from outside;
        in fp32 and bf16."""
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE.parent)])}
        done = subprocess.run(
            [sys.executable, str(HERE / "killed_runs.py"), str(tmp_path)],
            env=env,
            capture_output=True,
            text=True,
            timeout=600,
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
            (slots, "restore", lambda optimiser, tensors: None, "model.generator.0.weight"),
            (ema.AveragedModel, "state_dict", lambda self, *a, **k: {}, "average.generator.module.0.weight"),
            (loop, "mix", lambda *parts: next(COUNT), "model.discriminator.0.weight"),
        ],
        ids=["optimisers", "averages", "dropout"],
    )
    def test_nothing_may_be_left_out(self, start, tmp_path, where, what, instead, suffers):
        """Without restoring each of these (or with dropout's generator just going on) the bits differ: the
        tests above can fail."""
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
            often.ema.finished(often.model, often.players, often.feed).sample(2, seed=0)
        (often.folder / "other").mkdir()
        assert differ(often, finish(start(folder=often.folder / "other", **HARD))) == []


class TestRefused:
    @pytest.fixture
    def left(self, start):
        run = start(steps=2, lr={"generator": 1e-3})
        finish(run)
        return run

    def test_none_there(self, start):
        with pytest.raises(TrainingError, match="there is no checkpoint at") as caught:
            start().resume()
        assert "--resume" in caught.value.hint

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (
                {"lr": {"generator": 2e-3}},
                "'generator': 0.001}, is {'discriminator': 0.0002, 'generator': 0.002}",
            ),
            ({"batch_size": 8}, "recipe: batch_size was 16, is 8"),
            ({"seed": 9}, "recipe: seed was 0, is 9"),
            ({"ema": 0.5}, "recipe: ema was 0.0, is 0.5"),
            ({"augment": ("color",)}, "recipe: augment was [], is ['color']"),
            ({"sync_batch_norm": True}, "recipe: sync_batch_norm was False, is True"),
        ],
    )
    def test_another_recipe(self, start, left, change, told):
        run = start(**{"lr": {"generator": 1e-3}, **change})
        with pytest.raises(TrainingError) as caught:
            run.resume()
        assert told in caught.value.message and str(left.checkpoint) in caught.value.message

    def test_more_steps_are_welcome(self, start, left):
        run = start(lr={"generator": 1e-3}, steps=5)
        run.resume()
        assert finish(run).step == 5

    def test_other_data(self, start, left, digits):
        for data, told in (
            (digits.subset(slice(0, 500)), "data: 1,797 images of 1×8×8, not 500 images of 1×8×8"),
            (Images(pixels=digits.pixels.repeat(2, axis=2).repeat(2, axis=3)), "not 1,797 images of 1×16×16"),
        ):
            with pytest.raises(TrainingError) as caught:
                start(data=data, lr={"generator": 1e-3}).resume()
            assert told in caught.value.message

    @pytest.mark.parametrize("model", [lambda: toys.gan(width=6), lambda: toys.gan(norm=False)])
    def test_another_architecture(self, start, left, model):
        run = start(model=model(), lr={"generator": 1e-3})
        with pytest.raises(TrainingError, match="with other config: "):
            run.resume()

    @pytest.mark.parametrize("model", [lambda: toys.gan(width=6), lambda: toys.gan(norm=False)])
    def test_other_tensors_under_the_same_config(self, start, left, model):
        changed = model()
        changed.config = ToyConfig()
        with pytest.raises(TrainingError, match="the checkpoint belongs to another run"):
            start(model=changed, lr={"generator": 1e-3}).resume()

    def test_another_game(self, start, left):
        run = start(model=Bernoulli(ToyConfig()), lr={})
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
            start(lr={"generator": 1e-3}).resume()
        assert str(left.checkpoint) in caught.value.message and str(caught.value).isprintable()

    @pytest.mark.parametrize(
        "key",
        [
            "optimiser.discriminator.99.step",
            "optimiser.critic.0.step",
            "optimiser.discriminator.x.step",
            "model.more",
        ],
    )
    def test_odd_tensors_are_named(self, start, left, key):
        tensors, facts = checkpoint.read(left.checkpoint)
        left.checkpoint.write_bytes(checkpoint.encode({**tensors, key: torch.zeros(1)}, facts))
        with pytest.raises(TrainingError, match="1 tensors differ"):
            start(lr={"generator": 1e-3}).resume()


def text_of(blob):
    """Return the one string of metadata of a checkpoint."""
    size = int.from_bytes(blob[:8], "little")
    return json.loads(blob[8 : 8 + size])["__metadata__"]["genzoo"]


def with_text(blob, text):
    """Return the checkpoint with another string of metadata: what a hand that cannot forge a digest may
    do."""
    return save(load(blob), metadata={"genzoo": text})


def forged(tensors, facts, **changes):
    """Return a checkpoint whose facts are changed, and whose digest is right nevertheless."""
    told = {**dataclasses.asdict(facts), **changes, "sha256": ""}
    for key in ("lineage", "recent"):
        if not told[key]:  # which is left out
            del told[key]
    said = json.dumps(told, sort_keys=True)
    digest = hashlib.sha256(said.encode())
    for key in sorted(tensors):
        tensor = tensors[key]
        digest.update(json.dumps([key, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return save(
        tensors, metadata={"genzoo": json.dumps({**told, "sha256": digest.hexdigest()}, sort_keys=True)}
    )


ODD = [-5, -1, 0, 1, 4, 10**9, 10**18, 2**80, 0.5, -1e300, True, None, "", "4", "\x1b[31m", "x" * 5000]
ODD += [[], {}, [[]], {"a": 1}, ["a"], {"": [0.5]}]


@pytest.fixture(scope="module")
def whole(tmp_path_factory, digits):
    """Give the bytes of a checkpoint of step three of six."""
    recipe = toys.recipe_of(toys.RECIPE, **HARD)
    run = loop.Run(toys.gan(), recipe, digits, choose(recipe, "cpu"), tmp_path_factory.mktemp("whole"))
    play(run, lambda losses: None, lambda: None, lambda: run.step == 3)
    return run.checkpoint.read_bytes()


class TestFacts:
    def resumes(self, start, tmp_path, blob):
        """Return what became of going on from `blob`: the digest of the weights, or the one line that refuses
        it."""
        (tmp_path / checkpoint.NAME).write_bytes(blob)
        run = start(**HARD)
        try:
            run.resume()
        except TrainingError as error:
            assert str(error).isprintable() and len(str(error)) < 2000
            assert run.step == 0
            return None
        return run.step, {key: value.clone() for key, value in everything(run).items()}

    def test_a_forged_step_is_not_played(self, start, tmp_path, whole):
        """Six changed to four once resumed to other weights, silently."""
        text = text_of(whole)
        assert '"step": 3' in text
        assert self.resumes(start, tmp_path, whole)[0] == 3
        for step in (
            "2",
            "4",
            "-5",
            "1000000000",
            "Infinity",
            "NaN",
            "3.0",
            '"3"',
            "null",
            "[3]",
            "1e400",
            '3, "step": 3',
        ):
            assert (
                self.resumes(start, tmp_path, with_text(whole, text.replace('"step": 3', f'"step": {step}')))
                is None
            ), step

    def test_every_fact_is_under_the_digest(self, start, tmp_path, whole):
        told = json.loads(text_of(whole))
        for key in told:
            for odd in (*ODD, json.loads("1e999")):
                if odd != told[key] or type(odd) is not type(told[key]):
                    text = json.dumps({**told, key: odd}, sort_keys=True)
                    assert self.resumes(start, tmp_path, with_text(whole, text)) is None, (key, odd)
            left_out = {name: value for name, value in told.items() if name != key}
            assert (
                self.resumes(start, tmp_path, with_text(whole, json.dumps(left_out, sort_keys=True))) is None
            ), key

    def test_a_checkpoint_without_the_last_losses_is_resumed(self, start, tmp_path, whole):
        """Versions before wrote none."""
        (tmp_path / checkpoint.NAME).write_bytes(whole)
        tensors, facts = checkpoint.read(tmp_path / checkpoint.NAME)
        assert len(facts.recent["generator"]) == 3
        old = forged(tensors, facts, recent={})
        assert "recent" not in text_of(old)
        assert self.resumes(start, tmp_path, old)[0] == 3

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda text: text.replace('{"', '{ "', 1),
            lambda text: text.replace('"step"', '"\\u0073tep"', 1),
            lambda text: text[:-1] + ', "step": 3}',
            lambda text: text[:-1] + ', "more": 1}',
            lambda text: "[" * 100_000,
            lambda text: '{"a":' * 50_000 + "1" + "}" * 50_000,
            lambda text: text.replace('"step": 3', '"step": ' + "3" * 5000),
            lambda text: "",
            lambda text: text + " " * 1_000_000,
            lambda text: text.replace('"sha256": "', '"sha256": "\x1b[2J'),
        ],
        ids=range(10),
    )
    def test_one_text_says_the_facts(self, start, tmp_path, whole, spoil):
        text = spoil(text_of(whole))
        assert text != text_of(whole)
        assert self.resumes(start, tmp_path, with_text(whole, text)) is None

    def test_even_with_a_right_digest_facts_are_in_range(self, start, tmp_path, whole):
        """Somebody who can compute a sha256 gets one line, too, and no hang."""
        (tmp_path / checkpoint.NAME).write_bytes(whole)
        tensors, facts = checkpoint.read(tmp_path / checkpoint.NAME)
        assert self.resumes(start, tmp_path, forged(tensors, facts)) is not None
        for key in (
            "format",
            "step",
            "steps",
            "seconds",
            "processes",
            "data",
            "recipe",
            "config",
            "machine",
            "lineage",
            "told",
            "curves",
            "recent",
        ):
            for odd in (*ODD, float("inf"), float("nan")):
                self.resumes(start, tmp_path, forged(tensors, facts, **{key: odd}))
        for change in (
            {"step": 10**9},
            {"step": 10**9, "steps": 10**9},
            {"step": -5},
            {"step": float("inf")},
            {"step": "3"},
            {"step": 7},
        ):
            assert self.resumes(start, tmp_path, forged(tensors, facts, **change)) is None, change

    def test_any_byte_of_the_header_may_change(self, start, tmp_path, whole):
        """It is refused, or it means the same; never an internal error, never other weights."""
        expected = self.resumes(start, tmp_path, whole)
        dice, size = random.Random(0), int.from_bytes(whole[:8], "little")
        refused = 0
        for number in range(250):
            blob = bytearray(whole)
            for _ in range(dice.choice((1, 1, 2, 8))):
                blob[dice.randrange(8 + size) if number % 5 else dice.randrange(8)] = dice.randrange(256)
            found = self.resumes(start, tmp_path, bytes(blob))
            refused += found is None
            if found is not None:
                assert found[0] == expected[0] and all(
                    torch.equal(found[1][key], value) for key, value in expected[1].items()
                )
        assert refused > 200

    @pytest.mark.parametrize("key", ["__metadata__", "model.generator.0.weight"])
    def test_no_key_stands_twice(self, start, tmp_path, whole, key):
        size = int.from_bytes(whole[:8], "little")
        head, body = whole[8 : 8 + size].decode().strip(), whole[8 + size :]
        twice = f"{head[:-1]}, {json.dumps(key)}: {json.dumps(json.loads(head)[key])}}}".encode()
        assert self.resumes(start, tmp_path, len(twice).to_bytes(8, "little") + twice + body) is None

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
    def test_what_is_no_file_is_one_line_and_no_hang(self, start, tmp_path):
        path = tmp_path / checkpoint.NAME
        for make in (lambda: path.mkdir(), lambda: os.mkfifo(path), lambda: path.symlink_to("/dev/zero")):
            make()
            with pytest.raises(StorageError, match=r"cannot read .*checkpoint\.safetensors: "):
                start(**HARD).resume()
            path.rmdir() if path.is_dir() else path.unlink()

    @pytest.mark.parametrize(
        "swap", [("generator.0.weight", "generator.3.weight"), ("discriminator.0.bias", "generator.0.bias")]
    )
    def test_names_are_under_the_digest(self, start, tmp_path, whole, swap):
        tensors = load(whole)
        one, other = (f"model.{name}" for name in swap)
        tensors[one], tensors[other] = tensors[other], tensors[one]
        assert self.resumes(start, tmp_path, save(tensors, metadata={"genzoo": text_of(whole)})) is None

    @pytest.mark.parametrize(
        ("key", "change", "told"),
        [
            ("model.generator.0.weight", lambda t: t.double(), r"type torch\.float64, not torch\.float32"),
            ("model.generator.0.weight", lambda t: t[:1], r"shape \(1, "),
            (
                "model.generator.1.num_batches_tracked",
                lambda t: t.float(),
                r"type torch\.float32, not torch\.int64",
            ),
            ("average.generator.n_averaged", lambda t: t.float(), "n_averaged has the type"),
            ("optimiser.generator.0.exp_avg", lambda t: t[:1], r"exp_avg has the shape \(1, "),
            ("optimiser.generator.0.exp_avg", lambda t: t.half(), "exp_avg has the type torch.float16"),
            ("optimiser.generator.0.step", lambda t: -t, r"step is -3"),
            ("optimiser.generator.0.step", lambda t: t * torch.inf, r"step is inf"),
            ("optimiser.generator.0.step", lambda t: t.int(), "step has the type"),
            ("optimiser.generator.0.exp_avg", None, r"keeps \['exp_avg_sq', 'step'\] of weight 0, not"),
        ],
        ids=range(10),
    )
    def test_tensors_are_typed_and_nothing_is_changed_before_all_are(
        self, start, tmp_path, whole, key, change, told
    ):
        (tmp_path / checkpoint.NAME).write_bytes(whole)
        tensors, facts = checkpoint.read(tmp_path / checkpoint.NAME)
        if change is None:
            del tensors[key]
        else:
            tensors[key] = change(tensors[key])
        (tmp_path / checkpoint.NAME).write_bytes(checkpoint.encode(tensors, facts))
        run = start(**HARD)
        before = {name: value.clone() for name, value in everything(run).items()}
        with pytest.raises(TrainingError, match=f"belongs to another run: .*{told}"):
            run.resume()
        assert run.step == 0 and all(
            torch.equal(value, before[name]) for name, value in everything(run).items()
        )

    def test_an_older_and_a_newer_format_are_one_line(self, start, tmp_path, whole):
        old = {
            "step": 3,
            "steps": 6,
            "seconds": 1.0,
            "doctor": {},
            "recipe": {},
            "processes": 1,
            "data": "x",
            "config": {},
        }
        old["sha256"] = "0" * 64
        path = tmp_path / checkpoint.NAME
        path.write_bytes(with_text(whole, json.dumps(old, sort_keys=True)))
        with pytest.raises(CheckpointError, match="was written by an older genzoo") as caught:
            start(**HARD).resume()
        assert "another --out" in caught.value.hint
        path.write_bytes(with_text(whole, json.dumps({"format": 3})))
        with pytest.raises(CheckpointError, match="has the format 3, but this genzoo reads 2"):
            start(**HARD).resume()

    def test_a_missing_digest_is_refused(self, start, tmp_path, whole):
        told = json.loads(text_of(whole))
        for sha256 in ("", "0" * 64):
            assert (
                self.resumes(
                    start, tmp_path, with_text(whole, json.dumps({**told, "sha256": sha256}, sort_keys=True))
                )
                is None
            )


class TestKept:
    def test_the_one_before_the_last_is_kept(self, start, tmp_path):
        run = start(**HARD)
        steps = []
        for _ in range(3):
            run.play_round()
            run.save()
            steps.append(
                [
                    checkpoint.read(p)[1].step
                    for p in (run.checkpoint, run.folder / checkpoint.PREVIOUS)
                    if p.exists()
                ]
            )
        assert steps == [[1], [2, 1], [3, 2]]
        whole, again = finish(run), start(**HARD)
        again.resume(checkpoint.PREVIOUS)
        assert again.step == 3 and differ(whole, finish(again)) == []

    def test_a_damaged_one_never_takes_the_place_of_the_whole_one_before_it(self, start):
        run = start(**HARD)
        for _ in range(2):
            run.play_round()
            run.save()
        run.checkpoint.write_bytes(run.checkpoint.read_bytes()[:-1])
        again = start(**HARD)
        again.resume(checkpoint.PREVIOUS)
        again.play_round()
        again.save()
        assert [
            checkpoint.read(run.folder / name)[1].step for name in (checkpoint.NAME, checkpoint.PREVIOUS)
        ] == [2, 1]

    def test_without_second_names_it_is_a_copy(self, start, monkeypatch):
        def none(*names):
            raise OSError(95, "Operation not supported")

        monkeypatch.setattr(checkpoint.os, "link", none)
        run = start(**HARD)
        for _ in range(2):
            run.play_round()
            run.save()
        assert checkpoint.read(run.folder / checkpoint.PREVIOUS)[1].step == 1

    def test_what_cannot_be_kept_does_not_stop_the_run(self, start, monkeypatch):
        def full(*names):
            raise OSError(28, "No space left on device")

        run = start(**HARD)
        run.play_round()
        run.save()
        monkeypatch.setattr(checkpoint.os, "link", full)
        monkeypatch.setattr(checkpoint, "read_capped", full)
        run.play_round()
        run.save()
        monkeypatch.undo()
        assert checkpoint.read(run.checkpoint)[1].step == 2


class TestWriting:
    def test_no_pickle_and_everything_in_it(self, start):
        run = finish(start(**HARD))
        tensors, facts = checkpoint.read(run.checkpoint)
        assert tensors.keys() == everything(run).keys()
        assert all(torch.equal(tensors[key], value) for key, value in everything(run).items())
        assert (
            facts.step == 6
            and facts.processes == 1
            and facts.recipe["turns"] == {"discriminator": 2, "generator": 1}
        )

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

    def test_on_a_real_disk_that_is_full_the_old_one_stays(self, start, tmp_path):
        """One line, nothing lost, and the run goes on once there is room."""
        with small_disk(tmp_path / "disk", 400) as disk:
            run = start(steps=4, folder=disk)
            run.play_round()
            run.save()
            before, full = run.checkpoint.read_bytes(), ballast(disk)
            run.play_round()
            with pytest.raises(StorageError, match="the disk is full") as refused:
                run.save()
            assert "\n" not in str(refused.value) and run.checkpoint.read_bytes() == before
            assert {path.name for path in disk.iterdir()} == {checkpoint.NAME, checkpoint.PREVIOUS, full.name}
            full.unlink()
            again = start(steps=4, folder=disk)
            again.resume()
            again.play_round()
            assert differ(again, run) == []
            again.save()
            assert checkpoint.read(again.checkpoint)[1].step == 2

    def test_only_one_process_writes(self, start):
        run = start(world=World(1, 2))
        run.save()
        assert not run.checkpoint.exists()
