"""Several processes share the cells of an experiment: each is done once, and a dead one's is taken over."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import click
import pytest
import toys

import genzoo
from genzoo import locks
from genzoo.cli.experiment import read_part
from genzoo.errors import TrainingError
from genzoo.experiments import cells as room
from genzoo.experiments import claims
from genzoo.experiments.cells import Result, play_all
from genzoo.experiments.claims import ALIVE, Claims
from genzoo.experiments.plan import Experiment, cells
from genzoo.files import atomic_write

EXPERIMENT = Experiment(
    title="Toys",
    data="digits",
    budget=4,
    n=24,
    metrics=("kid",),
    model="toy-gan",
    columns={name: {} for name in "abcdefgh"},
)
NAMES = [cell.name for cell in cells(EXPERIMENT)]


@pytest.fixture
def quick(monkeypatch):
    """Let a cell be a moment of waiting and a result; give the names of those that were played."""
    played = []

    def play(cell, card, folder, device, quiet):
        played.append(cell.name)
        time.sleep(0.02)
        result = Result(cell=cell, records=[{"metric": "kid"}])
        atomic_write(folder / room.RESULT, room.json.dumps(result.as_dict()).encode())
        return result

    monkeypatch.setattr(room, "play_cell", play)
    monkeypatch.setattr(room, "PAUSE", 0.01)
    return played


def play(folder, **options):
    return list(play_all(EXPERIMENT, toys.CARDS, folder, "cpu", **options))[-1]


class TestShared:
    def test_each_cell_is_done_once_and_all_see_all(self, quick, tmp_path):
        """Locks are those of an open file, so threads exclude each other as processes do."""
        found = []
        threads = [threading.Thread(target=lambda: found.append(play(tmp_path))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(quick) == NAMES
        assert [[result.cell.name for result in results] for results in found] == [NAMES] * 3

    def test_a_cell_of_another_is_waited_for(self, quick, tmp_path):
        told = []
        with ExitStack() as stack:
            assert stack.enter_context(Claims().claimed(tmp_path / NAMES[2]))
            results = play_all(EXPERIMENT, toys.CARDS, tmp_path, "cpu", told.append)
            for _ in range(7):
                last = next(results)
            assert NAMES[2] not in quick and len(last) == 7
            threading.Timer(0.1, stack.close).start()
            assert len(list(results)[-1]) == 8 and quick[-1] == NAMES[2]
            assert told.count("waiting for other processes, cells left: 1") == 1

    def test_a_result_that_came_meanwhile_is_not_repeated(self, quick, tmp_path, monkeypatch):
        asked = room.Claims.claimed

        def late(self, folder):
            for name in NAMES:  # another process is quicker, between the first look and the claim
                if name not in quick:
                    (tmp_path / name).mkdir(exist_ok=True)
                    cell = next(cell for cell in cells(EXPERIMENT) if cell.name == name)
                    room.play_cell(cell, None, tmp_path / name, None, True)
            return asked(self, folder)

        monkeypatch.setattr(room.Claims, "claimed", late)
        assert len(play(tmp_path)) == 8 and quick == NAMES

    def test_a_failure_frees_the_cell(self, quick, tmp_path, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(room, "play_cell", lambda *args, **options: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                play(tmp_path)
        assert len(play(tmp_path)) == 8 and quick == NAMES


class TestParts:
    def test_they_are_every_cell_once_and_do_not_wait(self, quick, tmp_path):
        for k in (1, 2, 3):
            assert len(play(tmp_path / str(k), part=(k, 3))) == len(NAMES[k - 1 :: 3])
        assert sorted(quick) == NAMES

    def test_tables_of_several_machines_merge(self, quick, tmp_path):
        for k in (1, 2):
            play(tmp_path / str(k), part=(k, 2))
        for k in (1, 2):
            shutil.copytree(tmp_path / str(k), tmp_path / "all", dirs_exist_ok=True)
        quick.clear()
        told = []
        assert [result.cell.name for result in play(tmp_path / "all", tell=told.append)] == NAMES
        assert quick == [] and told == []

    @pytest.mark.parametrize(("text", "part"), [(None, (1, 1)), ("3/8", (3, 8)), ("8/8", (8, 8))])
    def test_how_they_are_written(self, text, part):
        assert read_part(None, None, text) == part

    @pytest.mark.parametrize("text", ["0/8", "9/8", "3", "3/8/2", "-1/8", "a/b", "3 / 8", "٣/8"])
    def test_how_they_are_not(self, text):
        with pytest.raises(click.BadParameter, match="must read K/N"):
            read_part(None, None, text)


def test_a_killed_process_is_taken_over_at_once(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from genzoo.experiments.claims import Claims\n"
        "with Claims().claimed(Path(sys.argv[1])) as mine: print(mine, flush=True); time.sleep(600)"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(genzoo.__file__).parent.parent)}
    child = subprocess.Popen([sys.executable, "-c", code, tmp_path / "x"], stdout=subprocess.PIPE, env=env)
    try:
        assert child.stdout.readline() == b"True\n"
        with Claims().claimed(tmp_path / "x") as mine:
            assert not mine
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    with Claims().claimed(tmp_path / "x") as mine:
        assert mine


class TestWithoutLocks:
    """On a file system without locks, a file that is touched says who is alive."""

    @pytest.fixture(autouse=True)
    def no_locks(self, monkeypatch):
        def refuse(handle):
            raise locks.LocklessError

        monkeypatch.setattr(locks, "try_lock", refuse)
        monkeypatch.setattr(locks, "_told_lockless", set())
        monkeypatch.setattr(claims, "BEAT", 0.05)
        monkeypatch.setattr(claims, "DEAD", 0.5)

    def test_one_claims_it_and_frees_it(self, tmp_path):
        one, other = Claims(), Claims()
        with one.claimed(tmp_path) as mine, other.claimed(tmp_path) as theirs:
            assert mine and not theirs and (tmp_path / ALIVE).exists()
        assert not (tmp_path / ALIVE).exists()
        with other.claimed(tmp_path) as theirs:
            assert theirs

    def test_a_living_one_is_never_taken_for_dead(self, tmp_path):
        other = Claims()
        with Claims().claimed(tmp_path) as mine:
            assert mine
            until = time.monotonic() + 1.5
            while time.monotonic() < until:
                with other.claimed(tmp_path) as theirs:
                    assert not theirs
                time.sleep(0.05)

    def test_a_dead_one_is_taken_over_by_one(self, tmp_path):
        (tmp_path / ALIVE).write_bytes(b"")  # of a process that was killed
        others = [Claims(), Claims()]
        for other in others:
            with other.claimed(tmp_path) as theirs:
                assert not theirs
        time.sleep(0.6)
        with others[0].claimed(tmp_path) as first, others[1].claimed(tmp_path) as second:
            assert first and not second
        assert sorted(path.name for path in tmp_path.iterdir()) == ["cell.lock"]

    def test_who_came_too_late_leaves_the_new_one(self, tmp_path):
        """Two see a dead one; one has replaced it when the other moves it away."""
        (tmp_path / ALIVE).write_bytes(b"")
        late = Claims()
        assert not late._is_dead(tmp_path / ALIVE)
        os.utime(tmp_path / ALIVE, (1, 1))
        assert late._bury(tmp_path / ALIVE) is False and (tmp_path / ALIVE).exists()


def test_a_training_run_in_the_folder_is_told(tmp_path):
    folder = tmp_path / NAMES[0]
    folder.mkdir()
    with locks.locked(folder / "run.lock"), pytest.raises(TrainingError, match="another run is using"):
        play(tmp_path)
