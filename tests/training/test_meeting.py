"""How processes find each other and wait: whatever an earlier attempt left behind, and however long one of
them works alone."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
import toys

import genzoo
from genzoo.errors import ArgumentError, TrainingError
from genzoo.training import launcher, meeting
from genzoo.training.parallel import World, enter

ROOT = Path(genzoo.__file__).resolve().parent.parent
HERE = Path(toys.__file__).resolve().parent / "training"
needs_gloo = pytest.mark.skipif(
    not torch.distributed.is_available() or sys.platform == "win32", reason="needs gloo"
)


def environment(**more):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, HERE.parent)))}
    return env | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1", "GENZOO_PLUGINS": ""} | more


def torchrun(*arguments, options=(), **more):
    """Start two processes as people do, and wait for both."""
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *options]
    return subprocess.run(
        [sys.executable, *command, *map(str, arguments)],
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=600,
    )


class TestTimeout:
    @pytest.mark.parametrize(("text", "seconds"), [(None, 1800), ("", 1800), (" 12 ", 12), ("0.5", 0.5)])
    def test_what_it_is(self, text, seconds):
        assert launcher.timeout({} if text is None else {launcher.TIMEOUT: text}) == seconds

    @pytest.mark.parametrize("text", ["0", "-1", "x", "nan", "inf", "1e9"])
    def test_what_it_cannot_be(self, text):
        with pytest.raises(ArgumentError, match="GENZOO_GROUP_TIMEOUT must be a number of seconds above 0"):
            launcher.timeout({launcher.TIMEOUT: text})


@needs_gloo
class TestWord:
    """The words of all processes of an attempt are equal, whatever is in the store."""

    def met(self, store, size, seconds=20.0, ranks=None):
        until = time.monotonic() + seconds
        with ThreadPoolExecutor(size) as pool:
            ranks = range(size) if ranks is None else ranks
            found = [pool.submit(meeting._word, store, rank, size, until) for rank in ranks]
            return [one.result() for one in found]

    def test_one_word_for_all_and_another_in_each_attempt(self):
        store = torch.distributed.HashStore()
        words = [set(self.met(store, 3)) for _ in range(3)]
        assert [len(found) for found in words] == [1, 1, 1] and len(set.union(*words)) == 3

    def test_the_dead_of_an_earlier_attempt_are_not_met(self):
        """Process 1 came and was killed before anybody answered; process 0 of then has answered another."""
        store = torch.distributed.HashStore()
        store.set("genzoo/hello/1", "dead")
        store.set("genzoo/answer/dead", "dead-too")
        store.set("genzoo/met/dead-too/1", "")
        late = []
        begun = threading.Timer(0.5, lambda: late.append(meeting._word(store, 1, 2, time.monotonic() + 20)))
        begun.start()
        word = meeting._word(store, 0, 2, time.monotonic() + 20)
        begun.join()
        assert late == [word] and word not in ("dead", "dead-too")

    def test_a_process_that_does_not_come_is_named(self):
        store = torch.distributed.HashStore()
        with pytest.raises(OSError, match="process 2 has not come"):
            self.met(store, 3, seconds=0.4, ranks=(0, 1))
        with pytest.raises(OSError, match="process 0 has not answered"):
            self.met(torch.distributed.HashStore(), 3, seconds=0.1, ranks=(1,))


@needs_gloo
class TestNobodyThere:
    def test_an_address_that_nobody_answers_is_one_line(self, monkeypatch, capsys):
        with socket.socket() as taken:  # a port that nobody listens at
            taken.bind(("127.0.0.1", 0))
            given = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_ADDR": "127.0.0.1"}
            given |= {"MASTER_PORT": str(taken.getsockname()[1]), launcher.TIMEOUT: "1"}
            for name, value in given.items():
                monkeypatch.setenv(name, value)
            monkeypatch.setattr(meeting, "PATIENCE", 0.0)
            begun = time.monotonic()
            with pytest.raises(
                TrainingError, match="the 2 processes could not find each other at 127"
            ) as caught:
                enter(torch.device("cpu"))
        assert time.monotonic() - begun < 30
        assert str(caught.value).isprintable() and "GENZOO_GROUP_TIMEOUT=SECONDS" in caught.value.hint
        assert "waiting at 127.0.0.1" in capsys.readouterr().err


class TestTogether:
    """The calls of a `World`, with what the other process says."""

    @pytest.fixture
    def other(self, monkeypatch):
        said = []
        monkeypatch.setattr(meeting, "exchange", lambda word: [word, said.pop(0) if said else word])
        return said

    def test_votes_numbers_and_texts(self, other):
        other += ["010", "7", "something else"]
        assert World(0, 2).agree(False, False, True) == [False, True, True]
        assert World(0, 2).largest(3) == 7
        assert not World(0, 2).alike("this") and World(0, 2).alike("this")

    def test_what_one_is_refused_all_are(self, other):
        other += ["1"]
        with pytest.raises(TrainingError, match="another process of the group was refused"):
            World(0, 2).first(lambda: 7)
        other += ["0", "1"]
        with pytest.raises(TrainingError, match="another process of the group was refused"):
            World(0, 2).first(lambda: 7)
        assert World(0, 2).first(lambda: 7) == 7

    def test_the_others_do_not_work_before_the_first(self, other):
        other += ["1"]
        with pytest.raises(TrainingError, match="was refused"):
            World(1, 2).first(lambda: pytest.fail("the first has not done it"))

    def test_other_versions_are_refused_by_name(self, other, monkeypatch):
        other += ["genzoo 9.9, torch 9"]
        with pytest.raises(
            TrainingError, match=r"different versions: this one genzoo .*, process 1 genzoo 9.9"
        ):
            meeting._check_versions()


@needs_gloo
def test_no_timeout_ends_what_one_process_does_alone(tmp_path):
    """Rank 0 decodes, rehearses, saves and measures, each for longer than collectives may take."""
    done = torchrun(HERE / "patient_processes.py", tmp_path, GENZOO_GROUP_TIMEOUT="2")
    assert done.returncode == 0, done.stderr
    first = json.loads((tmp_path / "rank-0.json").read_text())
    assert first["records"] and (tmp_path / "run" / "zoo.toml").exists()
    assert first["decoding"] == first["rehearsing"] == []
    assert [name[:8] for name in first["measuring"]] == ["checkpoi", "toy-gan-"]  # published before
