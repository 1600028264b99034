"""`genzoo sample --stages`: a row for each z, a column for each stage; models with stages, and no other."""

import os

import numpy as np
import pytest
from PIL import Image
from shell import in_process, lay, one_line, publish
from staged_toys import steps

from genzoo.explore.stages import stages
from genzoo.images import grid

STEPS = """
import genzoo
from genzoo import Card, Family
genzoo_api = 2
@genzoo.hookimpl
def genzoo_cards():
    return [
        Card(name="toy-steps", family=Family.IMPLICIT, model="staged_toys:Steps"),
        Card(name="toy-leap", family=Family.IMPLICIT, model="toys:ToyGAN"),
    ]
"""


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Give `run(*args)` with a plugin of a model with stages and one without."""
    packages, published = tmp_path / "packages", tmp_path / "published"
    packages.mkdir()
    lay(packages, "step-box", STEPS)
    publish(published, "toy-steps", steps(), "step-box")
    with in_process(monkeypatch, tmp_path, packages, "step-box", published) as run:
        yield run


def test_the_picture_shows_the_stages_of_the_samples(run):
    done = run("sample", "toy-steps", "-n", 2, "--seed", 3, "--stages", "-o", "x.png")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "x.png: 2 images at the stages 2×2, 4×4, 8×8 of toy-steps, seed 3\n"
    net = steps()
    shown = stages(net, net.sample_latents(2, 3))
    with Image.open("x.png") as picture:
        assert np.array_equal(np.asarray(picture), np.asarray(grid(shown.flatten(0, 1), columns=3)))
    assert shown[:, -1].equal(net.sample(2, seed=3))


def test_without_a_name_it_is_not_overwritten(run):
    names = [run("sample", "toy-steps", "-n", 1, "--stages").stderr.partition(":")[0] for _ in range(2)]
    assert names == ["toy-steps.png", "toy-steps-2.png"]


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("toy-leap", "--stages"), 1, ("toy-leap makes an image in one go", "leave out --stages")),
        (("toy-steps", "--stages", "--columns", 2), 2, ("leave out --columns",)),
        (("toy-steps", "--stages", "-o", "folder/"), 2, ("one picture", "-o toy-steps-stages.png")),
    ],
)
def test_what_does_not_fit_is_refused_before_any_work(run, monkeypatch, args, code, words):
    def load(*args, **kwargs):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("genzoo.zoo.load", load)
    done = run("sample", *args)
    assert (done.exit_code, done.stdout) == (code, "")
    assert one_line(done.stderr, *words) and os.listdir() == []


def test_a_grid_counts_every_stage(run):
    for n in (4000, 10_001, 10**9):
        done = run("sample", "toy-steps", "--stages", "-n", n)
        assert done.exit_code == 1 and os.listdir() == []
        words = f"at most 10,000 images, not {3 * n:,}"
        assert one_line(done.stderr, f"{words} — at most 3,333 with --stages: -n 3333")
    assert run("sample", "toy-steps", "--stages", "-n", 3333).exit_code == 0
