"""Whole runs: killed and resumed, in two processes, on the command line; the log has M and k."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import genzoo
from genzoo.training import checkpoint

HERE = Path(__file__).parent
spec = importlib.util.spec_from_file_location("began_runs", HERE / "began_runs.py")
began_runs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(began_runs)


def python(*arguments, torchrun=False):
    """Run began_runs.py in a process of its own, or in two."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [sys.executable, *(launcher if torchrun else []), str(HERE / "began_runs.py")]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    return subprocess.run(
        [*command, *map(str, arguments)], env=env, capture_output=True, text=True, timeout=600
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    done = python("whole", tmp_path_factory.mktemp("whole"))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class TestKilled:
    def test_killed_between_two_turns_and_resumed_it_ends_in_the_same_bits(self, whole, tmp_path):
        assert python("killed", tmp_path).returncode == -9
        assert checkpoint.read(tmp_path / checkpoint.NAME)[1].step == began_runs.KILLED
        done = python("resumed", tmp_path)
        assert done.returncode == 0, done.stderr
        again = json.loads(done.stdout)
        assert again["from"] == began_runs.KILLED
        assert again["digest"] == whole["digest"]
        assert again["curves"] == whole["curves"][began_runs.KILLED :]

    def test_k_has_moved_by_then_and_is_in_the_checkpoint(self, whole, tmp_path):
        run = began_runs.start(tmp_path)
        told = began_runs.finish(run, began_runs.KILLED)
        assert [line["k"] for line in told] == [line["k"] for line in whole["curves"][: began_runs.KILLED]]
        assert told[-1]["k"] > 0.01 and len({line["k"] for line in told}) == began_runs.KILLED
        tensors, _ = checkpoint.read(run.checkpoint)
        kept = {key: float(v) for key, v in tensors.items() if key.startswith("memory.discriminator.")}
        assert kept.keys() == {f"memory.discriminator.{name}" for name in ("k", "real", "fake")}
        assert kept["memory.discriminator.k"] == told[-1]["k"]

    def test_a_k_outside_the_checkpoint_would_be_seen(self, whole, tmp_path):
        """The planted bug: the resumed run starts with k = 0 again."""
        run = began_runs.start(tmp_path)
        began_runs.finish(run, began_runs.KILLED)
        again = began_runs.start(tmp_path)
        again.resume()
        again.players[0].memory.k.zero_()
        assert began_runs.finish(again) != whole["curves"][began_runs.KILLED :]
        assert began_runs.digest(again) != whole["digest"]

    def test_another_gamma_is_another_run(self, tmp_path):
        began_runs.finish(began_runs.start(tmp_path), 1)
        changed = began_runs.RECIPE.replace(game=began_runs.Equilibrium(gamma=0.7, k_rate=0.05))
        with pytest.raises(genzoo.errors.TrainingError, match=r"gamma was 0\.5, is 0\.7"):
            began_runs.start(tmp_path, recipe=changed).resume()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    done = python("pair", folder, torchrun=True)
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"rank-{rank}.json").read_text()) for rank in (0, 1)]


@pytest.mark.skipif(not torch.distributed.is_available() or sys.platform == "win32", reason="needs gloo")
class TestTwoProcesses:
    def test_weights_averages_moments_and_k_are_equal_on_both(self, ranks):
        assert ranks[0]["whole"] == ranks[1]["whole"]
        curves = [[(line["M"], line["k"]) for line in rank["curves"]] for rank in ranks]
        assert curves[0] == curves[1] and curves[0][-1][1] > 0.01

    def test_their_own_losses_differ(self, ranks):
        """So that equal curves are no accident of equal images."""
        first, second = ([line["generator"] for line in rank["curves"]] for rank in ranks)
        assert first != second

    def test_resumed_they_end_in_the_same_bits(self, ranks):
        for rank in ranks:
            assert rank["halves"] == rank["whole"]
            assert rank["again"] == rank["curves"][began_runs.KILLED :]

    def test_k_is_that_of_the_whole_batch_also_where_one_share_would_clip_it(self, ranks):
        for rank in ranks:
            for measure, k, alone_measure, alone_k in rank["shares"]:
                assert measure == pytest.approx(alone_measure, rel=1e-6)
                assert k == pytest.approx(alone_k, rel=1e-6, abs=1e-7)
        clipped = torch.tensor([0.35, -0.85]).mul(0.5).clamp(0, 1).mean()  # each share by itself
        assert abs(ranks[0]["shares"][0][1] - float(clipped)) > 0.05

    def test_averaged_gradients_are_those_of_the_whole_batch(self, ranks):
        for rank in ranks:
            size, off = rank["gradient"]
            assert size > 1e-3 and off < 1e-5 * size


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "began"
    settings = {"image_size": "8x8", "channels": 1, "width": 4, "val_split": 0.0, "gamma": 0.7}
    return genzoo.train("began", out=folder, steps=4, settings=settings, quiet=True)


class TestLog:
    def test_every_round_has_m_and_k(self, trained):
        lines = [json.loads(line) for line in (trained.folder / "log.jsonl").read_text("utf-8").splitlines()]
        assert [line["step"] for line in lines] == [1, 2, 3, 4]
        assert all(line.keys() == {"step", "discriminator", "generator", "M", "k"} for line in lines)
        k = 0.0
        for line in lines:
            # L_D = L(x) - k L(G(z)), so L(x) is not in the log, but M and k agree on what it was
            step = (line["k"] - k) / 1e-3
            real = (step + line["generator"]) / 0.7
            assert line["k"] in (0.0, 1.0) or line["M"] == pytest.approx(real + abs(step), abs=0.01)
            k = line["k"]

    def test_what_it_publishes_can_be_sampled(self, trained, monkeypatch):
        monkeypatch.setenv("GENZOO_ZOO", str(trained.folder))
        assert genzoo.load("began").sample(2, seed=0).shape == (2, 1, 8, 8)

    def test_the_curves_are_events_of_their_own(self, tmp_path):
        events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
        settings = {"image_size": "8x8", "channels": 1, "width": 4, "val_split": 0.0}
        genzoo.train("began", out=tmp_path, steps=2, settings=settings, quiet=True, track="tensorboard")
        read = events.EventAccumulator(str(tmp_path / "tensorboard"))
        read.Reload()
        tags = {"curve/M", "curve/k", "loss/discriminator", "loss/generator"}
        assert set(read.Tags()["scalars"]) == tags and len(read.Scalars("curve/M")) == 2
