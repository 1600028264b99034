"""`genzoo complete`, `context` and `eval` of a pixel model: what is drawn, printed and refused."""

import json
import os

import numpy as np
import pixel_toys
import pytest
from click.testing import CliRunner
from PIL import Image
from shell import lay, one_line

from genzoo import hub, registry
from genzoo.cli.completing import KEEPS
from genzoo.cli.program import cli
from genzoo.data import open_data
from genzoo.explore import completion
from genzoo.explore.completion import HIDDEN
from genzoo.explore.context import ITSELF, UNSEEN
from genzoo.files import sha256_of
from genzoo.ledger import Row
from genzoo.models import golden
from genzoo.models.weights import encode

CLASSES = {"mask": "ToyCNN", "leak": "LeakyCNN", "fresh": "ToyGated"}
PIXELS = f"""
import genzoo
from genzoo import Card, Family, Recipe
@genzoo.hookimpl
def genzoo_cards():
    recipe = Recipe(data="binarized-digits", steps=2, batch=16, precision="fp32")
    names = {CLASSES!r}
    return [Card(name=n, family=Family.TRACTABLE, model="pixel_toys:" + c, recipe=recipe, summary="A toy") for n, c in names.items()]
"""


def toy(name):
    cls = getattr(pixel_toys, CLASSES[name])
    return cls(cls.Config()).eval()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Give a folder with the plugin of pixel toys and one with weights for two of them."""
    packages, hub_folder = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("published")
    lay(packages, "pixel-box", PIXELS)
    for name in ("mask", "leak"):
        blob = encode(toy(name), name, golden.record(toy(name)))
        row = Row(name=name, sha256=sha256_of(blob), bytes=len(blob), sources=(f"folder:{name}.safetensors",), plugin="pixel-box")
        hub.push(hub_folder, name=name, weights=blob, row=row, card_text=f"# {name}\n")
    return packages, hub_folder


@pytest.fixture
def run(home, monkeypatch, tmp_path):
    packages, hub_folder = home
    monkeypatch.syspath_prepend(packages)
    monkeypatch.setenv("GENZOO_PLUGINS", "pixel-box")
    monkeypatch.setenv("GENZOO_ZOO", str(hub_folder))
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GENZOO_DEBUG", raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    installed = registry.installed
    installed.cache_clear()
    yield lambda *args: CliRunner().invoke(cli, [str(arg) for arg in args])
    installed.cache_clear()


def pixels(path):
    return np.asarray(Image.open(path))


class TestComplete:
    def test_each_row_is_an_image_with_its_completions(self, run):
        done = run("complete", "mask", "-n", 3, "--images", 2, "--seed", 5, "-o", "x.png")
        assert (done.exit_code, done.stdout) == (0, ""), done.output
        assert done.stderr == "x.png: 2 images of binarized-digits test, the top half kept, 3 completions each by mask, seed 5\n"
        drawn = pixels("x.png")
        factor = (drawn.shape[1] - 2) // 5 - 2
        tiles = [[drawn[2 + r * (factor + 2) :][:factor, 2 + c * (factor + 2) :][:, :factor] for c in range(5)] for r in range(2)]
        for first, *completions, whole in tiles:
            half = factor // 2
            assert (first[half:] == round(255 * HIDDEN)).all()
            assert all(np.array_equal(tile[:half], whole[:half]) for tile in [first, *completions])

    def test_the_same_seed_draws_the_same_picture(self, run):
        for out, seed in (("a", 1), ("b", 1), ("c", 2)):
            assert run("complete", "mask", "--keep", "left", "-n", 2, "--seed", seed, "-o", f"{out}.png").exit_code == 0
        assert np.array_equal(pixels("a.png"), pixels("b.png")) and not np.array_equal(pixels("a.png"), pixels("c.png"))

    def test_the_picture_has_a_name_of_its_own(self, run):
        assert run("complete", "mask", "-n", 1, "--images", 1).stderr.startswith("mask-completion.png: 1 image of binarized-digits test")

    @pytest.mark.parametrize(
        ("args", "code", "words"),
        [
            (("complete", "mask", "--data", "digits"), 1, ("black and white only", "binarized-mnist")),
            (("complete", "fresh"), 1, ("'fresh' has no published weights",)),
            (("complete", "mask", "--keep", "middle"), 2, ("'--keep'",)),
            (("complete", "mask", "-n", 10**6), 1, ("at most 10,000 images",)),
            (("complete", "mask", "-o", "x.jpg"), 2, ("PNG", "x.png")),
        ],
    )
    def test_what_cannot_be_done_is_one_line(self, run, args, code, words):
        done = run(*args)
        assert (done.exit_code, done.stdout) == (code, "")
        assert one_line(done.stderr, *words)
        assert os.listdir() == []

    def test_the_options_are_those_of_the_mathematics(self):
        """The command names them itself, as importing the other module would bring torch."""
        assert tuple(completion.KEEPS) == KEEPS


class TestContext:
    def test_the_picture_shows_what_the_middle_pixel_sees(self, run):
        done = run("context", "mask", "-o", "x.png")
        assert (done.exit_code, done.stdout) == (0, ""), done.output
        assert done.stderr == "x.png: pixel 4,4 of mask sees 11 of 36 earlier pixels\n"
        drawn = pixels("x.png")
        assert drawn.shape == (448, 448, 3)
        assert tuple(drawn[4 * 56 + 5, 4 * 56 + 5]) == ITSELF and tuple(drawn[5, 5]) == UNSEEN
        assert (drawn[5 * 56 :] == 255).all()

    def test_a_model_without_weights_shows_its_architecture(self, run):
        done = run("context", "fresh", "--pixel", "2,1")
        assert done.stderr == "fresh-context.png: pixel 2,1 of fresh sees 17 of 17 earlier pixels, with fresh weights\n"

    @pytest.mark.parametrize(
        ("args", "code", "words"),
        [
            (("context", "mask", "--pixel", "9,0"), 1, ("no pixel 9,0 in images of 8x8",)),
            (("context", "mask", "--pixel", "middle"), 2, ("ROW,COLUMN",)),
            (("context", "mask", "-o", "x.gif"), 2, ("PNG",)),
        ],
    )
    def test_what_cannot_be_done_is_one_line(self, run, args, code, words):
        done = run(*args)
        assert (done.exit_code, done.stdout) == (code, "")
        assert one_line(done.stderr, *words)
        assert os.listdir() == []


class TestEval:
    def test_an_exact_likelihood_is_told_as_equal(self, run):
        done = run("eval", "mask")
        assert done.exit_code == 0, done.output
        nats, bits = done.stdout.splitlines()
        assert nats.startswith("nll of mask: = ") and " nats (n = 187, binarized-digits test, static-binarised)" in nats
        assert bits.startswith("nll of mask: = ") and " bits/dim (n = 187" in bits

    def test_json_has_all_one_must_know(self, run):
        records = json.loads(run("eval", "mask", "-n", 20, "--json").stdout)
        assert [record["unit"] for record in records] == ["nats", "bits/dim"]
        images = open_data("binarized-digits", split="test")
        for record in records:
            facts = {"metric": "nll", "kind": "exact", "n": 20, "data": images.name, "transform": "static-binarised", "split": "test"}
            assert facts.items() <= record.items() and record["stderr"] > 0

    def test_without_a_certificate_no_number_is_printed(self, run):
        done = run("eval", "leak")
        assert (done.exit_code, done.stdout) == (1, "")
        assert one_line(done.stderr, "law broken: no pixel sees itself", "mask A in the first layer")

    def test_grey_levels_are_refused(self, run):
        done = run("eval", "mask", "--data", "digits")
        assert done.exit_code == 1 and one_line(done.stderr, "ToyCNN knows black and white only", "binarized-mnist")

    def test_training_ends_with_bits_per_dimension_or_says_why_not(self, run):
        done = run("train", "mask", "--steps", 1, "--quiet")
        assert done.exit_code == 0, done.output
        assert [line.split()[-1] for line in done.stdout.splitlines()] == ["static-binarised)"] * 2 and ": = " in done.stdout
        done = run("train", "leak", "--steps", 1, "--quiet")
        assert (done.exit_code, done.stdout) == (0, "") and "leak is not scored: law broken: no pixel sees itself" in done.stderr
