"""The figures of SECURITY.md: the table is that of its command, and the harness behind it sees what goes
wrong."""

import contextlib
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

if not sys.platform.startswith("linux"):
    pytest.skip("needs fork, and the faults of Linux", allow_module_level=True)

import corpora
import figures
from fault_scenarios import AGAIN, DECODED, FETCH, NEW, OLD, ROW, SCENARIOS, publish
from faults import KINDS, asked, play

from genzoo import files
from genzoo.errors import StorageError, TrainingError
from genzoo.ledger import Row, add_row

HERE = Path(__file__).resolve().parent


class TestTable:
    def test_names_everything_that_is_tried_and_all_of_it_is_right(self):
        table = figures.written(figures.PAGE.read_text("utf-8"))
        assert list(table) == [name for name, _ in figures.everything(0)]
        assert {name: row for name, row in table.items() if row[0] != row[1] or row[0] < 1} == {}
        assert all(table[figures.chain_name(family)][0] >= 10 for family in figures.FAMILIES)
        assert table[figures.corpus_name("plugins")][0] >= 41

    def test_lines_are_replaced_one_by_one(self):
        page = f"before\n{figures.BEGIN}\n{figures.END}\nafter\n"
        names = [name for name, _ in figures.everything(0)]
        page = figures.replaced(page, {names[1]: str(figures.Figure(names[1], 1200))})
        page = figures.replaced(page, {names[0]: str(figures.Figure(names[0], 7, ("bad",)))})
        assert figures.written(page) == {names[0]: (7, 6), names[1]: (1200, 1200)}
        assert page.startswith("before\n") and page.endswith("\nafter\n") and page.count(figures.HEAD) == 1

    def test_the_families_are_those_of_the_chains(self):
        source = (HERE / "chains.py").read_text("utf-8")
        assert all(f'"{family}": Family(' in source for family in figures.FAMILIES)


class TestFaults:
    def test_a_row_through_power_cuts(self, tmp_path):
        assert [case for case in play(ROW, tmp_path / "faults") if not case.right] == []

    def test_a_push_through_power_cuts(self, tmp_path):
        assert [case for case in play(AGAIN, tmp_path / "faults", ("lost",)) if not case.right] == []

    def test_a_pull(self, tmp_path):
        cases = list(play(FETCH, tmp_path / "faults"))
        assert [case for case in cases if not case.right] == [] and {case.kind for case in cases} == set(
            KINDS
        )

    def test_decoded_images(self, tmp_path):
        cases = list(play(DECODED, tmp_path / "faults", ("kill",)))
        assert [case for case in cases if not case.right] == [] and {case.verdict for case in cases} == {
            "old",
            "new",
        }

    def test_a_checkpoint_in_a_process_of_its_own(self):
        """Which has computed no gradient, for its children do."""
        command = [sys.executable, str(HERE / "faults.py"), "checkpoint over an older one"]
        done = subprocess.run(command, env=env(), capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert int(done.stdout.splitlines()[2].split("|")[3]) >= 25

    def test_every_scenario_has_a_name_of_its_own(self):
        assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS) >= 9

    def test_a_row_written_in_place_is_seen(self, tmp_path):
        """A planted bug: wrong is counted."""

        def plant(folder):
            files.put_in_place = lambda source, target: target.write_bytes(source.read_bytes())
            ROW.act(folder)

        assert [
            case
            for case in play(replace(ROW, act=plant), tmp_path / "faults", ("kill", "cut"))
            if not case.right
        ]

    def test_a_transfer_that_is_not_checked_is_seen(self, tmp_path):
        """A planted bug: what was fetched half is given its name at once."""

        def plant(folder):
            target = folder / "cache" / "weights" / f"{files.sha256_of(NEW)}.safetensors"
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "wb") as file:
                file.write(NEW)

        wrong = [
            case.verdict
            for case in play(replace(FETCH, act=plant), tmp_path / "faults", ("kill", "cut"))
            if not case.right
        ]
        assert any("is not what its name says" in verdict for verdict in wrong)

    def test_a_child_that_hangs_is_wrong(self, monkeypatch):
        monkeypatch.setattr("faults.PATIENCE", 0.2)
        assert asked(lambda: threading.Event().wait() and "") == "wrong: it hangs"


class TestLocks:
    def row(self):
        return Row(name="a", sha256=files.sha256_of(NEW), bytes=len(NEW), sources=("folder:x",))

    def test_a_row_waits_for_the_lock(self, tmp_path, monkeypatch):
        monkeypatch.setenv("GENZOO_LOCK_TIMEOUT", "0.2")
        path = tmp_path / "zoo.toml"
        with held(tmp_path / ".zoo.toml.lock"), pytest.raises(StorageError, match="is locked by"):
            add_row(path, self.row())
        assert not path.exists()
        add_row(path, self.row())

    def test_a_run_holds_its_folder(self, tmp_path):
        from genzoo.training.beginning import LOCK, hold
        from genzoo.training.parallel import World

        with (
            held(tmp_path / LOCK),
            pytest.raises(TrainingError, match="another run is using"),
            hold(tmp_path, World()),
        ):
            pass


@contextlib.contextmanager
def held(path):
    """Hold a lock by another open file, as another process does."""
    from genzoo.locks import try_lock

    with path.open("w+b") as file:
        assert try_lock(file.fileno())
        yield


class TestIsolation:
    def load(self, load):
        from genzoo.registry import load_registry

        about = SimpleNamespace(name="stranger", version="1.0")
        entry = SimpleNamespace(name="stranger", value="stranger", group="genzoo", dist=about, load=load)
        return load_registry([entry], timeout=0.3).reports[0]

    def test_what_a_plugin_prints(self, capfd):
        def load():
            print("noise")
            os.write(1, b"more noise")
            return SimpleNamespace()

        assert not self.load(load).loaded and capfd.readouterr().out == ""

    @pytest.mark.parametrize("error", [ValueError("odd"), SystemExit(0), GeneratorExit()], ids=repr)
    def test_a_plugin_that_raises(self, error):
        def load():
            raise error

        report = self.load(load)
        assert not report.loaded and type(error).__name__ in report.reason

    def test_a_plugin_that_sleeps(self):
        import time

        def load():
            time.sleep(1.5)
            raise ValueError("it came back")

        assert "did not load within 0.3 s" in self.load(load).reason


class TestLeftOvers:
    def test_a_push_sweeps(self, tmp_path):
        left = tmp_path / "hub" / f".genzoo-{'0' * 16}.tmp"
        left.parent.mkdir()
        left.write_bytes(OLD)
        publish(tmp_path, NEW, "MIT")
        assert not left.exists()


class TestCorpora:
    @pytest.mark.parametrize(
        ("name", "every"), [("weights", 23), ("zoo.toml", 23), ("images", 23), ("plugins", 19)]
    )
    def test_a_part_of_each(self, tmp_path, name, every):
        count, wrong = corpora.play(corpora.CORPORA[name], tmp_path, every)
        assert wrong == [] and count > 2

    def test_what_is_accepted_is_wrong(self, tmp_path, monkeypatch):
        """A planted bug: weights that are not finite are let in."""
        import torch

        monkeypatch.setattr(torch, "isfinite", lambda value: torch.ones_like(value, dtype=torch.bool))
        _, wrong = corpora.play(
            lambda room: (case for case in corpora.weights(room) if case[0].endswith(("nan", "inf"))),
            tmp_path,
            5,
        )
        assert wrong and all("accepted" in told for told in wrong)

    def test_an_internal_error_is_wrong(self):
        assert corpora.refused(lambda: 1 / 0).startswith("ZeroDivisionError")
        assert corpora.refused(lambda: None) == "accepted: None"


class TestChains:
    def test_one_chain_of_each_family(self):
        done = subprocess.run(
            [sys.executable, str(HERE / "chains.py"), "1"],
            env=env(),
            capture_output=True,
            text=True,
            timeout=500,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        told = json.loads(done.stdout.splitlines()[-1])
        assert set(told) == set(figures.FAMILIES) and all(one["wrong"] == [] for one in told.values())
        assert sum(one["killed"] for one in told.values()) >= 5

    def test_an_optimiser_that_is_not_restored_is_seen(self):
        """A planted bug: a chain ends in other bits, unless all its kills fell before the first checkpoint or
        after the last."""
        plant = "from genzoo.training import slots; slots.restore = lambda optimiser, tensors: None"
        code = f"{plant}; import sys, chains; sys.exit(chains.main(['8', 'classifier']))"
        done = subprocess.run(
            [sys.executable, "-c", code], env=env(), capture_output=True, text=True, timeout=300
        )
        assert done.returncode and "other weights" in done.stdout, done.stdout + done.stderr


def env():
    """Return the environment of a process of its own."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GENZOO_")}
    return {**kept, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE)])}
