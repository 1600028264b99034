"""Publishing to a folder through every fault of the disk: readers find the old state or the new one."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

if not hasattr(os, "fork") or sys.platform == "darwin":
    pytest.skip("needs fork", allow_module_level=True)

from fault_scenarios import AGAIN, FACTS, FIRST, NAME, NEW, OLD, hub_state, publish
from faults import KINDS, play

from genzoo import files
from genzoo.hub import folder as module
from genzoo.hub import pull_bytes
from genzoo.ledger import read_rows, writing


@pytest.mark.parametrize(
    ("scenario", "kinds"),
    [(AGAIN, tuple(KINDS)), (FIRST, ("kill", "lost")), (FACTS, ("kill", "EIO"))],
    ids=["again", "first", "facts"],
)
def test_every_fault_leaves_the_old_state_or_the_new_one(tmp_path, scenario, kinds):
    cases = list(play(scenario, tmp_path / "faults", kinds))
    assert [case for case in cases if not case.right] == []
    assert {case.verdict for case in cases} == {"old", "new"} and {case.kind for case in cases} == set(kinds)
    words = {case.operation.split()[0] for case in cases}
    assert words >= {"write", "fsync", "rename"} | ({"unlink"} if scenario is AGAIN else set())


def wrong(tmp_path, plant, scenario=AGAIN, kinds=("kill",)):
    """Return the cases that go wrong where `plant`, called in the process that is interrupted, takes a
    safeguard away."""
    planted = replace(scenario, act=lambda place: (plant(), scenario.act(place)))
    return [case.verdict for case in play(planted, tmp_path / "faults", kinds) if not case.right]


class TestThatTheFaultsAreSeen:
    """Each safeguard is taken away; then some fault must leave a hub that is broken."""

    def test_names_without_the_digest(self, tmp_path, monkeypatch):
        # of the older result too
        monkeypatch.setattr(module, "weights_name", lambda row: f"{row.name}.safetensors")
        assert wrong(tmp_path, lambda: None)

    def test_a_card_without_the_digest(self, tmp_path, monkeypatch):
        monkeypatch.setattr(module, "sha256_of", lambda data: "0" * 64)
        monkeypatch.setattr(module, "_write_once", files.atomic_write)
        assert any("card" in verdict for verdict in wrong(tmp_path, lambda: None, FACTS))

    def test_scores_of_the_older_result(self, tmp_path):
        def plant():
            Path.unlink = lambda path, missing_ok=False: None

        assert any("scores" in verdict for verdict in wrong(tmp_path, plant))

    def test_the_row_before_the_weights(self, tmp_path):
        def plant():
            real, later = module.add_row, []

            def first(path, row):
                real(path, row)
                for name, data in later:
                    files.atomic_write(name, data)

            module._write_once, module.add_row = lambda path, data: later.append((path, data)), first

        assert wrong(tmp_path, plant)

    @pytest.mark.parametrize("kind", ["cut", "lost"])
    def test_nothing_flushed(self, tmp_path, kind):
        assert wrong(
            tmp_path,
            lambda: setattr(files, "put_in_place", lambda source, target: os.replace(source, target)),
            kinds=(kind,),
        )

    def test_a_folder_that_is_not_flushed(self, tmp_path):
        assert wrong(tmp_path, lambda: setattr(files, "_flush_folder", lambda folder: None), kinds=("lost",))

    @pytest.mark.parametrize("kind", ["kill", "ENOSPC", "EIO", "cut"])
    def test_a_ledger_that_is_written_in_place(self, tmp_path, kind):
        def add_row(path, row):
            data = writing.with_row(path.read_bytes(), row, path)
            with files.storage("write", path), open(path, "wb") as file:
                file.write(data)

        assert wrong(tmp_path, lambda: setattr(module, "add_row", add_row), kinds=(kind,))


def test_files_of_a_replaced_row_have_their_time_of_grace(tmp_path, monkeypatch):
    """Whoever has read the old row still gets its weights; a later push sweeps them."""
    publish(tmp_path, OLD, "CC0")
    before = read_rows(tmp_path / "hub" / "zoo.toml")[NAME]
    for path in (tmp_path / "hub").iterdir():
        os.utime(path, (0, 0))  # published long ago: the grace begins when the row is replaced
    publish(tmp_path, NEW, "MIT")
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "cache"))
    assert pull_bytes(before) == OLD and (tmp_path / "hub" / before.card).exists()
    publish(tmp_path, NEW, "MIT")
    assert pull_bytes(before) == OLD
    monkeypatch.setattr(module, "GRACE", -1.0)
    (tmp_path / "hub" / "mine.safetensors").write_bytes(b"x")
    (tmp_path / "hub" / f"another-{'0' * 16}.safetensors").write_bytes(b"x")
    publish(tmp_path, NEW, "MIT")
    after = read_rows(tmp_path / "hub" / "zoo.toml")[NAME]
    kept = {
        after.card,
        after.sources[0].removeprefix("folder:"),
        "mine.safetensors",
        f"another-{'0' * 16}.safetensors",
    }
    assert {path.name for path in (tmp_path / "hub").iterdir()} == kept | {
        "zoo.toml",
        ".zoo.toml.lock",
        "scores.json",
    }
    assert hub_state(tmp_path) == "new weights, MIT"
