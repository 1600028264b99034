"""Data-parallel training: equal weights on every rank, one writer of files, the same promise on resume."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import toys
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open

import genzoo
from genzoo.errors import TrainingError
from genzoo.files import locked
from genzoo.training import loop, meeting
from genzoo.training.parallel import World, enter, leave, place

ROOT = Path(genzoo.__file__).resolve().parent.parent
HERE = Path(toys.__file__).resolve().parent / "training"


class TestAlone:
    @given(st.integers(1, 9), st.integers(1, 300))
    def test_shares_are_even_and_make_the_batch(self, size, per_rank):
        batch = list(range(size * per_rank))
        parts = [batch[World(rank, size).share(len(batch))] for rank in range(size)]
        assert [index for part in parts for index in part] == batch
        assert {len(part) for part in parts} == {per_rank}

    def test_a_world_of_one_needs_nobody(self, monkeypatch):
        monkeypatch.delenv("WORLD_SIZE", raising=False)
        world = enter(torch.device("cpu"))
        net = torch.nn.Linear(1, 1)
        net.weight.grad = torch.ones(1, 1)
        world.average_gradients(net.parameters())
        world.average_buffers(net)
        assert world.writes and world.size == 1
        assert (world.agree(True, False), world.first(lambda: 7)) == ([True, False], 7)
        leave(0)  # comes back: there is no group to leave

    def test_the_others_are_missing(self, monkeypatch):
        for name, value in {"WORLD_SIZE": "2", "RANK": "0"}.items():
            monkeypatch.setenv(name, value)
        for name in ("MASTER_ADDR", "MASTER_PORT"):
            monkeypatch.delenv(name, raising=False)
        with pytest.raises(
            TrainingError, match="could not find each other: MASTER_ADDR and MASTER_PORT are not set"
        ) as caught:
            enter(torch.device("cpu"))
        assert "torchrun" in caught.value.hint

    @pytest.mark.parametrize("port", ["x", "-1", "99999999"])
    def test_a_port_that_is_none(self, monkeypatch, port):
        for name, value in {**WHOLE, "RANK": "0", "MASTER_PORT": port}.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(TrainingError, match=f"could not find each other at localhost:{port}"):
            enter(torch.device("cpu"))

    def test_more_processes_than_gpus(self, monkeypatch):
        for name, value in WHOLE.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        with pytest.raises(
            TrainingError, match="process 1 of this machine has no GPU of its own: there are 1"
        ) as caught:
            enter(torch.device("cuda"))
        assert "--nproc-per-node 1" in caught.value.hint
        monkeypatch.delenv("LOCAL_RANK")
        with pytest.raises(TrainingError, match="LOCAL_RANK is not set"):
            enter(torch.device("cuda"))

    def test_a_process_that_has_gone_is_one_line(self, monkeypatch):
        def gone(*arguments, **options):
            raise RuntimeError(
                "[../gloo/transport/tcp/pair.cc:534] Connection closed by peer\nException raised from "
                "here and there"
            )

        monkeypatch.setattr(torch.distributed, "all_reduce", gone)
        monkeypatch.setattr(torch.distributed, "barrier", gone)
        store = torch.distributed.HashStore()
        monkeypatch.setattr(meeting, "_groups", [meeting._Group(store, None, 0, 2)])
        net = torch.nn.BatchNorm1d(2)
        asked = (
            lambda: World(0, 2).agree(True),
            lambda: World(0, 2).average_buffers(net),
            lambda: World(1, 2).first(lambda: pytest.fail("the first has not done it")),
            lambda: World(0, 2).largest(3),
        )
        for ask in asked:
            with pytest.raises(
                TrainingError, match=r"another process of the group ended: .* Connection closed by peer"
            ) as caught:
                ask()
            assert "here and there" not in caught.value.message

    @pytest.fixture
    def twin(self, monkeypatch):
        """Have another process with the same numbers; give the sizes of all that is reduced."""
        sizes = []
        monkeypatch.setattr(torch.distributed, "get_backend", lambda: "gloo")
        monkeypatch.setattr(
            torch.distributed, "all_reduce", lambda tensor, op: (sizes.append(tensor.numel()), tensor.mul_(2))
        )
        return sizes

    def test_gradients_are_views_of_one_buffer_laid_out_as_their_weights(self, twin):
        net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 2), torch.nn.Flatten(), torch.nn.Linear(4, 2))
        net.to(memory_format=torch.channels_last).append(torch.nn.Linear(2, 2).double())
        for parameter in net.parameters():
            parameter.grad = torch.rand(parameter.shape, dtype=parameter.dtype)  # contiguous, so turned
        net[2].bias.grad = None
        before = {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}
        World(0, 2).average_gradients(net.parameters())
        after = {name: p.grad for name, p in net.named_parameters() if p.grad is not None}
        assert after.keys() == before.keys()
        assert all(torch.allclose(after[name], grad) for name, grad in before.items())
        single = [(p, p.grad) for p in net.parameters() if p.grad is not None and p.dtype == torch.float32]
        assert len({grad.untyped_storage().data_ptr() for _, grad in single}) == 1
        assert all(grad.stride() == p.stride() for p, grad in single)
        assert twin == [sum(grad.numel() for grad in before.values())]

    def test_statistics_and_votes_travel_together(self, twin):
        one, other = torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(3)
        one.running_mean.fill_(0.5)
        votes = World(0, 2).average_buffers(one, other, one, votes=[True, False])
        assert (votes.tolist(), twin) == ([1.0, 0.0], [2 * 2 + 2 * 3 + 2])
        assert one.running_mean.tolist() == [0.5, 0.5] and int(one.num_batches_tracked) == 0
        assert World(0, 2).average_buffers(torch.nn.Linear(1, 1)).tolist() == []
        assert World().average_buffers(one, votes=[True]).tolist() == [1.0] and len(twin) == 1

    def test_a_round_of_a_dcgan_takes_three_reductions(self, twin, start):
        run = start(genzoo.create("dcgan", image_shape=(1, 8, 8), width=2), world=World(0, 2), batch_size=8)
        run.ask = lambda: (False, True)
        run.play_round()
        statistics = [b for b in run.model.buffers() if b.is_floating_point()]
        weights = [[p.numel() for p in player.module.parameters()] for player in run.players]
        assert statistics and twin == [*map(sum, weights), sum(b.numel() for b in statistics) + 2]
        assert loop._wishes(run, True) == [False, True]
        run.votes = None  # reading them would make a GPU wait
        assert tuple(loop._wishes(run, False)) == (False, False)

    def test_devices(self):
        world = World(3, 4, 1)
        assert world.device(torch.device("cuda")) == torch.device("cuda", 1)
        assert world.device(torch.device("cuda:0")) == torch.device("cuda:0")
        assert world.device(torch.device("cpu")) == torch.device("cpu")
        assert World().device(torch.device("cuda")) == torch.device("cuda")
        assert not world.writes


WHOLE = {
    "RANK": "1",
    "WORLD_SIZE": "2",
    "LOCAL_RANK": "1",
    "MASTER_ADDR": "localhost",
    "MASTER_PORT": "29500",
}
SLURM = {"SLURM_PROCID": "1", "SLURM_STEP_ID": "0", "SLURM_NTASKS": "4"}


class TestPlace:
    def test_torchruns_environment(self):
        assert place(WHOLE) == World(1, 2, 1)
        assert place({key: value for key, value in WHOLE.items() if key != "LOCAL_RANK"}) == World(1, 2, 0)
        assert place({**WHOLE, "RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}) == World()

    @pytest.mark.parametrize(
        "given", [{}, {"WORLD_SIZE": "1"}, {"RANK": "", "WORLD_SIZE": " "}, {"MASTER_ADDR": "here"}]
    )
    def test_a_world_of_one(self, given):
        assert place(given) == World()

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            (
                {"WORLD_SIZE": "2"},
                "RANK is not set, but the environment has WORLD_SIZE=2; torchrun sets RANK, WORLD_SIZE, ",
            ),
            ({"RANK": "1"}, "WORLD_SIZE is not set, but the environment has RANK=1"),
            ({"RANK": "0"}, "WORLD_SIZE is not set"),
            ({"LOCAL_RANK": "0"}, "RANK and WORLD_SIZE are not set, but the environment has LOCAL_RANK=0"),
            ({"LOCAL_RANK": "0", "WORLD_SIZE": "1"}, "RANK is not set"),
            ({**WHOLE, "WORLD_SIZE": "0", "RANK": "0"}, "must be less than WORLD_SIZE"),
            (
                {**WHOLE, "WORLD_SIZE": "abc"},
                "WORLD_SIZE must be a whole number from 0, but the environment has",
            ),
            ({**WHOLE, "WORLD_SIZE": "-1"}, "WORLD_SIZE must be a whole number"),
            ({**WHOLE, "WORLD_SIZE": "2.0"}, "WORLD_SIZE must be a whole number"),
            ({**WHOLE, "WORLD_SIZE": "\u0662"}, "WORLD_SIZE must be a whole number"),
            ({**WHOLE, "WORLD_SIZE": "9" * 5000}, "WORLD_SIZE must be a whole number"),
            ({**WHOLE, "RANK": "2"}, "RANK and LOCAL_RANK must be less than WORLD_SIZE"),
            ({**WHOLE, "RANK": "-1"}, "RANK must be a whole number"),
            ({**WHOLE, "LOCAL_RANK": "x"}, "LOCAL_RANK must be a whole number"),
            (
                {**WHOLE, "MASTER_ADDR": ""},
                "the 2 processes could not find each other: MASTER_ADDR is not set",
            ),
            (SLURM, r"srun has started 4 processes \(SLURM_NTASKS=4\) that do not know of each other"),
            ({**SLURM, "SLURM_NTASKS": "1", "SLURM_STEP_NUM_TASKS": "2"}, "srun has started 2 processes"),
            ({"OMPI_COMM_WORLD_SIZE": "3"}, "mpirun has started 3 processes"),
            ({"PMI_SIZE": "2"}, "mpirun has started 2 processes"),
        ],
    )
    def test_half_of_it_is_one_line(self, given, told):
        with pytest.raises(TrainingError, match=told) as caught:
            place(given)
        assert "torchrun" in str(caught.value) and str(caught.value).isprintable()

    @pytest.mark.parametrize(
        "given",
        [
            {**SLURM, **WHOLE},  # srun has started torchrun, once a node
            {**SLURM, "SLURM_STEP_NUM_TASKS": "1"},  # one step of a job of many tasks
            {"SLURM_PROCID": "0", "SLURM_NTASKS": "4"},  # the script of a batch job: no step
            {**SLURM, "SLURM_NTASKS": "1"},
        ],
    )
    def test_a_cluster_may_start_what_knows_of_each_other(self, given):
        place(given)


PLUGIN = """
import genzoo, toys

genzoo_api = 2

@genzoo.hookimpl
def genzoo_cards():
    return list(toys.CARDS.values())
"""


def torchrun(*arguments, site):
    """Start two processes as people do, and wait for both."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, HERE.parent, site)))}
    env |= {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1", "GENZOO_PLUGINS": "toys"}
    env["GENZOO_PLUGIN_TIMEOUT"] = "60"  # a busy machine is no failure
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        *map(str, arguments),
    ]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="class")
def told(tmp_path_factory):
    """Run two processes under torchrun once, and give what each found."""
    folder = tmp_path_factory.mktemp("two")
    done = torchrun(HERE / "two_processes.py", folder, site=folder)
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"rank-{rank}.json").read_text()) for rank in (0, 1)], folder


def contents(path):
    """Return the tensors of published weights and the facts beside them, but for the plugin: only an
    installed card knows its name.
    """
    with safe_open(path, "np") as file:
        facts = json.loads(file.metadata()["genzoo"])
        tensors = {key: file.get_tensor(key).tobytes() for key in file.keys()}  # noqa: SIM118 - it is no dict
    return tensors, {key: value for key, value in facts.items() if key != "plugin"}


@pytest.mark.skipif(not torch.distributed.is_available() or sys.platform == "win32", reason="needs gloo")
class TestTwoProcesses:
    def test_weights_statistics_averages_and_moments_are_equal_on_both(self, told):
        (first, second), _ = told
        assert (first["rank"], second["rank"], first["world"]) == (0, 1, 2)
        assert first["whole"] == second["whole"]

    def test_normalised_weights_and_their_vectors_are_equal_on_both(self, told):
        """Power iteration depends on the weights alone, which are equal, and not on a rank's images."""
        (first, second), _ = told
        assert first["spectral"] == second["spectral"]

    def test_resumed_they_end_in_the_same_bits(self, told):
        for rank in told[0]:
            assert rank["halves"] == rank["whole"] != rank["half"]

    def test_one_writer_of_files(self, told):
        (first, second), folder = told
        assert second["opened"] == []
        assert "log.jsonl" in first["opened"]
        assert (first["published"], second["published"]) == (True, False)
        assert {"zoo.toml", "checkpoint.safetensors"} <= {path.name for path in (folder / "whole").iterdir()}
        assert len(list((folder / "whole").glob("toy-gan-*.safetensors"))) == 1

    def test_averaged_gradients_are_those_of_the_whole_batch(self, told):
        for rank in told[0]:
            assert rank["gradients"]["size"] > 1e-3
            assert rank["gradients"]["off"] < 1e-5 * rank["gradients"]["size"] + 1e-8

    def test_votes_and_means(self, told):
        for rank in told[0]:
            assert rank["agree"] == [False, True, True]
            assert rank["mean"] == [0.5, 0.5]

    def test_a_folder_that_another_run_holds_is_refused_by_all_at_once(self, told, tmp_path):
        self.install(tmp_path)
        begun = time.monotonic()
        with locked(tmp_path / "run.lock"):
            done = torchrun(
                "-m",
                "genzoo",
                "train",
                "toy-gan",
                "--out",
                tmp_path,
                "--device",
                "cpu",
                "--quiet",
                site=tmp_path,
            )
        assert done.returncode != 0 and time.monotonic() - begun < 120
        assert done.stderr.count("another run is using") == 1
        assert (
            done.stderr.count("another process of the group was refused") <= 1
            and "Connection closed" not in done.stderr
        )
        assert not (tmp_path / "log.jsonl").exists()

    def test_what_is_alike_on_all_ranks(self, told):
        for rank in told[0]:
            assert rank["alike"] == [True, False]

    def test_samples_are_shared(self, told):
        ranks, folder = told
        made = [rank["drawn"].partition("(")[2] for rank in ranks]
        assert made == ["process 0 of 2 made 16 of them)", "process 1 of 2 made 24 of them)"]
        assert sorted(path.name for path in (folder / "drawn").iterdir()) == [
            f"sample-{i:06}.png" for i in range(40)
        ]

    def test_each_cell_is_done_once_and_has_numbers(self, told):
        ranks, folder = told
        assert all(rank["apart"] == [1, 2] for rank in ranks)  # no batch of a cell is shared
        assert ranks[0]["cells"] == ranks[1]["cells"] and len(ranks[0]["cells"]) == 3
        assert all(cell["records"] for cell in ranks[0]["cells"])
        started = [line for rank in ranks for line in rank["said"] if line.startswith("cell ")]
        assert len(started) == len(set(started)) == 3
        for cell in (folder / "cells").iterdir():
            assert len((cell / "log.jsonl").read_text().splitlines()) == 2  # steps

    def install(self, tmp_path):
        (tmp_path / "toys_plugin.py").write_text(PLUGIN)
        about = tmp_path / "genzoo_toys-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: genzoo-toys\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text("[genzoo]\ntoys = toys_plugin\n")

    def test_the_command_line_does_the_same_and_one_process_talks(self, told, tmp_path):
        self.install(tmp_path)
        keys = (
            "turns.discriminator=2",
            "ema=0.9",
            "flip=true",
            "augment=color,translation,cutout",
            "val_split=0.0",
        )
        settings = [word for key in keys for word in ("--set", key)]
        run = (
            "train",
            "toy-gan",
            "--data",
            "digits",
            "--out",
            tmp_path / "run",
            "--steps",
            6,
            "--device",
            "cpu",
            *settings,
        )
        done = torchrun("-m", "genzoo", *run, site=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("to publish it") == 1
        assert done.stderr.count("A toy") == 1
        (one,), (other,) = (
            list(folder.glob("toy-gan-*.safetensors")) for folder in (tmp_path / "run", told[1] / "whole")
        )
        assert contents(one) == contents(other)
