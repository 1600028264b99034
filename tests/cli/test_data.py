"""`genzoo data`: what is listed, and what is made or refused."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from shell import one_line

from genzoo.data.prepare import frames
from genzoo.datasets import NAMES


@pytest.fixture(autouse=True)
def nothing_at_hand(monkeypatch):
    monkeypatch.delenv("GENZOO_DATA", raising=False)


@pytest.fixture
def here(run):
    """Give the folder in which the program runs."""
    return Path.cwd()


def test_the_list_says_where_each_set_is(run, here, monkeypatch):
    listed = {one["name"]: one for one in json.loads(run("data", "--json").stdout)}
    assert listed.keys() == NAMES.keys()
    states = {name: listed[name]["state"] for name in ("digits", "mnist", "frey", "omniglot")}
    assert states == {"digits": "ships", "mnist": "fetched", "frey": "prepare", "omniglot": "yours"}
    assert listed["dynamic-binarized-mnist"]["prepare"].startswith("genzoo data prepare mnist --from")
    (here / "frey_faces.npz").touch()
    monkeypatch.setenv("GENZOO_DATA", str(here))
    done = run("data")
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("frey ")]
    assert "under GENZOO_DATA" in line and "genzoo data prepare NAME" in done.stderr


def test_a_set_is_made_and_the_next_step_is_said(run, here, monkeypatch):
    from scipy.io import savemat

    images = np.arange(2 * 560, dtype=np.int64).reshape(2, 28, 20) % 256
    monkeypatch.setattr(frames, "SHAPE", images.shape)
    monkeypatch.setattr(frames, "DIGEST", frames.digest_arrays(images.astype(np.uint8)))
    savemat(here / "frey_rawface.mat", {"ff": images.reshape(2, 560).T.astype(np.uint8)})
    done = run("data", "prepare", "frey", "--from", "frey_rawface.mat", "--out", "data")
    assert done.exit_code == 0 and done.stdout == f"data{os.sep}frey_faces.npz\n"
    assert "export GENZOO_DATA=data" in done.stderr and (here / "data" / "frey_faces.npz").is_file()
    monkeypatch.setenv("GENZOO_DATA", "here")
    done = run("data", "prepare", "frey", "--from", "frey_rawface.mat", "--json")
    assert json.loads(done.stdout)["files"] == [f"here{os.sep}frey_faces.npz"] and "export" not in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("prepare",), 2, "which data set"),
        (("prepare", "frey"), 1, "get frey_rawface.mat from https://cs.nyu.edu/~roweis/data.html"),
        (("prepare", "freyy"), 1, "genzoo cannot prepare a data set 'freyy'; did you mean 'frey'?"),
        (("prepare", "digits"), 1, "ships with genzoo"),
        (("prepare", "frey"), 1, "frey is made from files that you get yourself"),
        (("prepare", "mnist"), 1, "mnist is downloaded when it is first used; without a network"),
        (("prepare", "dynamic-binarized-mnist"), 1, "genzoo data prepare mnist --from mnist/ --out data"),
        (("prepare", "facades"), 1, "genzoo data prepare facades --from facades/ --out data"),
        (("prepare", "horses-zebras"), 1, "genzoo data prepare horse2zebra --from horse2zebra/ --out data"),
        (("prepare", "flowers-unseen"), 1, "genzoo data prepare flowers102 --from colorization-tf/ --out"),
        (("prepare", "frey", "--from", "x"), 1, "--out data"),
        (("prepare", "frey", "--from", "x", "--out", "y"), 1, "no such file or folder: 'x'"),
        (("prepare", "freyy", "--from", "x", "--out", "y"), 1, "did you mean 'frey'?"),
        (("prepare", "digits", "--from", "x", "--out", "y"), 1, "ships with genzoo"),
        (("list", "frey"), 2, "list takes no name"),
        (("make",), 2, "'make' is not one of"),
    ],
)
def test_what_is_wrong_is_one_line(run, here, words, code, told):
    done = run("data", *words)
    assert done.exit_code == code and not done.stdout
    assert one_line(done.stderr, told) and not (here / "y").exists()
