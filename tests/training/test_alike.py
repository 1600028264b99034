"""The number of processes decides nothing but time: two end with the weights of one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import alike
import pytest
import torch
import toys

import genzoo
from genzoo.errors import ArgumentError
from genzoo.shares import Share
from genzoo.training.checks import check_fit
from genzoo.training.parallel import World
from genzoo.training.train import note_statistics

HERE = Path(__file__).parent
BOUND = 1e-5

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available() or sys.platform == "win32", reason="needs gloo"
)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Play all cases in two processes, once; give the folder, and what each process ended with."""
    folder = tmp_path_factory.mktemp("alike")
    root = Path(genzoo.__file__).parent.parent
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (root, HERE.parent)))}
    env |= {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1", "GENZOO_PLUGIN_TIMEOUT": "60"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, str(HERE.parent / "alike.py"), str(folder), *alike.QUICK, alike.HALF, alike.APART],
        env=env,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return folder, [torch.load(folder / f"2-{rank}.pt") for rank in (0, 1)]


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """Give what a case ends with in one process."""
    ends = {}

    def one(case):
        if case not in ends:
            ends[case] = alike.played(case, World(), tmp_path_factory.mktemp("one"))
        return ends[case]

    return one


@pytest.mark.parametrize("case", alike.QUICK)
def test_two_processes_end_with_the_weights_of_one(two, one, case):
    _, (first, second) = two
    assert alike.distance(first[case], second[case]) == 0
    assert alike.distance(one(case), first[case]) <= BOUND
    begun = alike.tensors_of(alike.started(case, World(), Path("none")))
    moved = [key for key in begun if not torch.equal(begun[key], first[case][key])]
    assert len(moved) > len(begun) / 2  # it has learned something


def test_without_the_statistics_of_the_whole_batch_they_do_not(two, one):
    _, ends = two
    assert alike.distance(one("wgan"), ends[0][alike.APART]) > 10 * BOUND


def test_a_run_of_two_processes_is_resumed_by_one(two, one, tmp_path):
    run = alike.started("hard", World(), two[0] / alike.HALF)
    told = run.resume()
    assert "started with processes 2" in told and "continues with processes 1" in told
    assert "may differ in the last bits" in told and run.step == 2
    run.play_round()
    assert 0 < alike.distance(one("hard"), alike.tensors_of(run)) <= BOUND


def test_it_is_said_that_statistics_are_of_one_process(start, capsys, tmp_path):
    saved = start(steps=2)
    saved.save()
    told = start(world=World(0, 2), steps=2).resume()
    assert "continues with processes 2: its weights will differ, as batch norm sees" in told
    note_statistics(start(world=World(0, 2), folder=tmp_path / "two"))
    assert "batch norm sees the 8 images of each process" in capsys.readouterr().err
    for quiet in (
        start(folder=tmp_path / "one"),
        start(world=World(0, 2), folder=tmp_path / "all", sync_batch_norm=True),
        start(world=World(0, 2), folder=tmp_path / "none", model=toys.gan(norm=False)),
    ):
        note_statistics(quiet)
    assert capsys.readouterr().err == ""


def test_a_turn_that_waits_for_others_is_not_recorded(start, monkeypatch):
    """A recorded turn repeats kernels of the GPU, and sums over processes are none."""
    run = start(world=World(0, 2), sync_batch_norm=True)
    run.share = Share(0, 2, lambda total: None, norms=True)
    monkeypatch.setattr(World, "average_gradients", lambda *_: None)
    monkeypatch.setattr(World, "average_buffers", lambda *_, votes: torch.tensor([0.0 for _ in votes]))
    asked = []
    monkeypatch.setattr(run.recorder, "plays", lambda player: asked.append(player.name) or run.share.talked)
    monkeypatch.setattr(run.recorder, "play", lambda *_: pytest.fail("it was recorded"))
    for _ in range(2):
        run.play_round()
    assert run.share.talked and len(asked) == 4


def test_compiled_nets_cannot_have_the_statistics_of_the_whole_batch(start):
    with pytest.raises(ArgumentError, match="sync_batch_norm would do nothing"):
        start(world=World(0, 2), sync_batch_norm=True, compile="on")
    run = start(sync_batch_norm=True)
    # one process has the whole batch anyway
    check_fit(run.model, run.recipe.replace(compile="on"), run.data, World(), run.players)
