"""A run in the browser: while it goes on, when it is over, and one that somebody else wrote."""

import json
import os

import pytest
from explorer_site import running
from PIL import Image

HOSTILE = '<img src=x onerror="alert(1)">\u202e'


def log(folder, *lines):
    with (folder / "log.jsonl").open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def grid(folder, step):
    (folder / "samples").mkdir(exist_ok=True)
    Image.new("L", (16, 16), 100).save(folder / "samples" / f"step-{step:07d}.png")


@pytest.fixture
def run(toys, tmp_path):
    log(tmp_path, {"step": 1, "generator": 2.0, HOSTILE: 1.5}, {"step": 2, "generator": float("nan")})
    with running(str(tmp_path)) as site:
        yield site, tmp_path


def test_what_a_run_logs_reaches_the_page_as_it_is_written(run):
    site, folder = run
    with site.page() as page:
        assert page.ask("catalogue")["run"]
        number = page.send("follow")
        first = page.receive()
        assert first["id"] == number and first["steps"] == [1, 2] and not first["finished"]
        assert first["curves"]["generator"] == [2.0, None]  # NaN is no number of JSON
        (hostile,) = set(first["curves"]) - {"generator"}
        assert hostile == HOSTILE.replace("\u202e", "\ufffd")[:60]
        log(folder, {"step": 3, "generator": 1.0}, {"step": 3, "doctor": "noise", "words": HOSTILE})
        grid(folder, 3)
        found = page.receive()
        while not (found["grids"] and found["findings"]):
            found |= {key: value for key, value in page.receive().items() if value}
        assert found["steps"] == [3] and found["grids"] == [3]
        assert found["findings"] == [
            {"step": 3, "kind": "noise", "words": HOSTILE.replace("\u202e", "\ufffd")}
        ]
        (folder / "zoo.toml").touch()
        assert page.receive()["finished"]


def test_grids_are_served_by_number_and_only_those_of_the_run(run):
    site, folder = run
    grid(folder, 7)
    status, headers, body = site.get("/grids/7")
    assert status == 200 and headers["content-type"] == "image/png" and body.startswith("\x89PNG")
    os.symlink("/etc/passwd", folder / "samples" / "step-0000008.png")
    (folder / "samples" / "step-0000009.png").write_text("<script>alert(1)</script>")
    assert [site.get(f"/grids/{step}")[0] for step in (6, 8, 9, 10**20)] == [404] * 4


def test_a_run_that_started_over_is_read_again(run):
    site, folder = run
    with site.page() as page:
        page.send("follow")
        page.receive()
        os.rename(folder / "log.jsonl", folder / "old")
        log(folder, {"step": 1, "generator": 9.0})
        again = page.receive()
        while not again["steps"]:  # it was read before its line was written
            again |= {key: value for key, value in page.receive().items() if value}
        assert again["restarted"] and again["curves"] == {"generator": [9.0]}


def test_a_log_that_becomes_unreadable_is_one_message(run, monkeypatch):
    from genzoo.errors import StorageError
    from genzoo.runs import LogReader

    def fail(self, *rest):
        raise StorageError("cannot read the log")

    monkeypatch.setattr(LogReader, "read", fail)
    with run[0].page() as page:
        page.send("follow")
        assert page.receive()["problem"] == "cannot read the log"


def test_a_server_without_a_run_follows_none(page):
    assert "follows no run" in page.error("follow")


def test_a_page_that_left_is_not_followed(run):
    site, _ = run
    with site.page() as page:
        page.send("follow")
        page.receive()
    with site.page() as page:
        page.send("follow")
        assert page.receive()["steps"] == [1, 2]  # from the start, for each page
