"""`genzoo complete`, `context` and `eval` of a pixel model: what is drawn, printed and refused."""

import json
import os

import numpy as np
import pixel_toys
import pytest
from PIL import Image, ImageSequence
from shell import in_process, lay, one_line, publish

from genzoo.cli import output
from genzoo.data import open_data
from genzoo.evaluation.inputs import subset
from genzoo.explore import completion
from genzoo.explore.completion import HIDDEN
from genzoo.explore.context import ITSELF, LATER, UNSEEN
from genzoo.images import grid, quantise

CLASSES = {"mask": "ToyCNN", "gate": "ToyGated", "leak": "LeakyCNN", "fresh": "ToyGated"}
PIXELS = f"""
import genzoo
from genzoo import Card, Family, Recipe
genzoo_api = 2
@genzoo.hookimpl
def genzoo_cards():
    recipe = Recipe(data="binarized-digits", steps=2, batch_size=16, precision="fp32")
    names = {CLASSES!r}
    facts = dict(family=Family.TRACTABLE, recipe=recipe, summary="A toy")
    return [Card(name=name, model="pixel_toys:" + kind, **facts) for name, kind in names.items()]
"""


def toy(name):
    cls = getattr(pixel_toys, CLASSES[name])
    return cls(cls.Config()).eval()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Give a folder with the plugin of pixel toys and one with weights for three of them."""
    packages, hub_folder = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("published")
    lay(packages, "pixel-box", PIXELS)
    for name in ("mask", "gate", "leak"):
        publish(hub_folder, name, toy(name), "pixel-box")
    return packages, hub_folder


@pytest.fixture
def run(home, monkeypatch, tmp_path):
    packages, hub_folder = home
    monkeypatch.setattr(output, "PATIENCE", 1e9)  # a busy machine says no more than an idle one
    with in_process(monkeypatch, tmp_path, packages, "pixel-box", hub_folder) as run:
        yield run


def expectation(rows, n, seed):
    """Return what the command should have drawn."""
    images = open_data("binarized-digits", image_shape=(1, 8, 8), split="test")
    chosen = images.float(subset(len(images), rows, seed, "shown"))
    return completion.completions(toy("mask"), chosen, completion.keep_mask("top", 8, 8), n, seed)


def pixels(path):
    return np.asarray(Image.open(path))


def film(path):
    """Return every frame of an animation as grey levels."""
    with Image.open(path) as frames:
        return [np.asarray(frame.convert("L")) for frame in ImageSequence.Iterator(frames)]


@pytest.fixture
def impatient(run, monkeypatch):
    """Let progress be told at once."""
    monkeypatch.setattr(output, "PATIENCE", -1.0)
    monkeypatch.setattr(output, "_LINE_SECONDS", -1.0)


class TestSample:
    def test_an_animation_ends_in_the_picture(self, run):
        done = run(
            "sample", "mask", "-n", 5, "--seed", 3, "--animate", "x.gif", "-o", "x.png", "--columns", 4
        )
        assert (done.exit_code, done.stdout) == (0, ""), done.output
        assert (
            done.stderr
            == "x.gif: 65 frames of 5 images of mask being drawn, seed 3\nx.png: 5 images of mask, seed 3\n"
        )
        expected = np.asarray(grid(toy("mask").sample(5, seed=3), columns=4))
        frames = film("x.gif")
        assert np.array_equal(frames[-1], expected) and np.array_equal(pixels("x.png"), expected)
        assert len(frames) == 65 and set(np.unique(frames[0])) == {128, 255}

    def test_an_animation_alone(self, run):
        done = run("sample", "mask", "-n", 2, "--animate", "x.gif")
        assert done.exit_code == 0 and os.listdir() == ["x.gif"]

    def test_an_animation_beside_single_images(self, run):
        assert (
            run("sample", "mask", "-n", 2, "--seed", 0, "--animate", "x.gif", "-o", "folder/").exit_code == 0
        )
        expected = quantise(toy("mask").sample(2, seed=0))[:, 0].numpy()
        assert [np.array_equal(pixels(f"folder/sample-{i:06}.png"), expected[i]) for i in range(2)] == [
            True,
            True,
        ]

    @pytest.mark.usefixtures("impatient")
    @pytest.mark.parametrize(
        "command",
        [
            ("sample", "-n", 20),
            ("sample", "-n", 20, "--animate", "x.gif"),
            ("complete", "-n", 4, "--images", 5),
        ],
    )
    def test_progress_is_told_pixel_by_pixel(self, run, command):
        done = run(command[0], "mask", *command[1:])
        told = [line for line in done.stderr.splitlines() if line.startswith("mask: ")]
        assert len(told) > 100 and told[0].startswith("mask: 16 of 1,280 pixels")
        assert told[-1].startswith("mask: 1,276 of 1,280 pixels, ") and told[-1].endswith(" s left")

    @pytest.mark.parametrize(
        "command", [("sample", "-o", "x.png"), ("sample", "--animate", "x.gif"), ("complete", "-o", "x.png")]
    )
    def test_an_interrupt_leaves_nothing_behind(self, run, monkeypatch, command):
        calls = []

        def stop(self, told, u):
            calls.append(len(u))
            if len(calls) == 20:
                raise KeyboardInterrupt
            return plain(self, told, u)

        plain = pixel_toys.PixelToy._quantile
        monkeypatch.setattr(pixel_toys.PixelToy, "_quantile", stop)
        done = run(command[0], "mask", *command[1:])
        assert (done.exit_code, done.stdout, done.stderr) == (130, "", "genzoo: interrupted\n")
        assert len(calls) == 20 and os.listdir() == []

    def test_a_half_written_animation_is_not_seen(self, run, monkeypatch):
        def stop(*args, **kwargs):
            raise KeyboardInterrupt

        monkeypatch.setattr("genzoo.files.put_in_place", stop)
        assert run("sample", "mask", "-n", 2, "--animate", "x.gif").exit_code == 130
        assert os.listdir() == []


class TestComplete:
    def test_each_row_is_an_image_with_its_completions(self, run):
        done = run("complete", "mask", "-n", 3, "--images", 2, "--seed", 5, "-o", "x.png")
        assert done.exit_code == 0, done.output
        assert done.stderr.splitlines() == [
            "x.png: 2 images of binarized-digits test, the top half kept, 3 completions each by mask, seed 5",
            "log p of the drawn pixels in nats, given the kept pixels; last column: the original image",
        ]
        lines = [line.split() for line in done.stdout.splitlines()]
        assert lines[0] == ["ROW", "1", "2", "3", "ORIGINAL"] and [line[0] for line in lines[1:]] == [
            "1",
            "2",
        ]
        expected = expectation(2, 3, 5)
        assert [line[1:] for line in lines[1:]] == [
            [f"{value:.1f}" for value in row] for row in expected.log_prob_drawn.tolist()
        ]
        drawn = pixels("x.png")
        factor = (drawn.shape[1] - 2) // 5 - 2
        tiles = [
            [drawn[2 + r * (factor + 2) :][:factor, 2 + c * (factor + 2) :][:, :factor] for c in range(5)]
            for r in range(2)
        ]
        for first, *completions, whole in tiles:
            half = factor // 2
            assert (first[half:] == round(255 * HIDDEN)).all()
            assert all(np.array_equal(tile[:half], whole[:half]) for tile in [first, *completions])

    def test_the_same_seed_draws_the_same_picture(self, run):
        for out, seed in (("a", 1), ("b", 1), ("c", 2)):
            assert (
                run(
                    "complete", "mask", "--keep", "left", "-n", 2, "--seed", seed, "-o", f"{out}.png"
                ).exit_code
                == 0
            )
        assert np.array_equal(pixels("a.png"), pixels("b.png")) and not np.array_equal(
            pixels("a.png"), pixels("c.png")
        )

    def test_a_temperature_is_said(self, run):
        asked = ("complete", "mask", "-n", 2, "--images", 1, "--seed", 5)
        done = run(*asked, "--temperature", 0.5, "-o", "x.png")
        assert done.exit_code == 0 and ", seed 5, temperature 0.5\n" in done.stderr
        assert run(*asked, "-o", "y.png").exit_code == 0
        assert not np.array_equal(pixels("x.png"), pixels("y.png"))
        (row,) = json.loads(run(*asked, "--temperature", 0.5, "--json").stdout)
        assert row["temperature"] == 0.5
        assert run(*asked, "--temperature", 0).exit_code == 2

    def test_json_has_the_log_probability_of_each_completion_and_of_the_image(self, run):
        done = run("complete", "mask", "-n", 3, "--images", 2, "--seed", 5, "--json")
        expected = expectation(2, 3, 5)
        for number, row in enumerate(json.loads(done.stdout)):
            assert {
                "row": number + 1,
                "unit": "nats",
                "pixels_kept": 32,
                "pixels_drawn": 32,
                "conditional": True,
            }.items() <= row.items()
            both = [*row["completions"], row["image"]]
            assert [entry["log_prob"] for entry in both] == pytest.approx(
                expected.log_prob[number].tolist(), abs=1e-4
            )
            assert [entry["log_prob_drawn"] for entry in both] == pytest.approx(
                expected.log_prob_drawn[number].tolist(), abs=1e-4
            )
        assert number == 1

    def test_a_mask_says_what_is_kept(self, run):
        mask = np.zeros((8, 8), np.uint8)
        mask[2:5, 1:7] = 255
        Image.fromarray(mask).save("mask.png")
        done = run(
            "complete",
            "mask",
            "--mask",
            "mask.png",
            "-n",
            2,
            "--images",
            1,
            "--seed",
            0,
            "-o",
            "x.png",
            "--animate",
            "x.gif",
        )
        assert done.exit_code == 0, done.output
        assert (
            "each pixel given all earlier ones" in done.stderr
            and "18 of 64 pixels kept, 2 completions each" in done.stderr
        )
        frames = film("x.gif")
        assert np.array_equal(frames[-1], pixels("x.png")) and len(frames) == 47
        seen, *others = [frames[-1][2:, 2 + 66 * tile :][:64, :64][4::8, 4::8] for tile in range(4)]
        assert (seen[mask == 0] == 128).all() and all(
            np.array_equal(tile[mask > 0], seen[mask > 0]) for tile in others
        )

    def test_the_picture_has_a_name_of_its_own(self, run):
        assert run("complete", "mask", "-n", 1, "--images", 1).stderr.startswith(
            "mask-completion.png: 1 image of binarized-digits test"
        )

    def test_without_a_certificate_there_is_a_picture_and_no_number(self, run):
        done = run("complete", "leak", "-n", 1, "--images", 1, "-o", "x.png")
        assert (done.exit_code, done.stdout, os.listdir()) == (1, "", ["x.png"])
        assert one_line(done.stderr.splitlines()[1] + "\n", "law broken: no pixel sees itself")

    @pytest.mark.parametrize(
        ("args", "code", "words"),
        [
            (("complete", "mask", "--data", "digits"), 1, ("black and white only", "binarized-mnist")),
            (("complete", "fresh"), 1, ("'fresh' has no published weights",)),
            (("complete", "mask", "--keep", "middle"), 2, ("'--keep'",)),
            (("complete", "mask", "-n", 10**6), 1, ("at most 10,000 images",)),
            (("complete", "mask", "-o", "x.jpg"), 2, ("PNG", "x.png")),
            (("complete", "mask", "--animate", "x.png"), 2, ("GIF", "--animate x.gif")),
            (
                ("complete", "mask", "--animate", "x.gif", "-n", 30),
                1,
                ("an animation shows at most 100 images, not 192",),
            ),
            (("complete", "mask", "--mask", "absent.png"), 2, ("'--mask'", "absent.png")),
        ],
    )
    def test_what_cannot_be_done_is_one_line(self, run, args, code, words):
        done = run(*args)
        assert (done.exit_code, done.stdout) == (code, "")
        assert one_line(done.stderr, *words)
        assert os.listdir() == []

    @pytest.mark.parametrize(
        ("mask", "code", "words"),
        [
            (np.full((8, 8), 255, np.uint8), 1, ("mask.png keeps every pixel: there is nothing to draw",)),
            (np.zeros((8, 8), np.uint8), 1, ("mask.png keeps no pixel", "genzoo sample")),
            (np.full((8, 9), 255, np.uint8), 1, ("mask.png is 8x9, and the images 8x8",)),
            (np.full((8, 8), 100, np.uint8), 1, ("mask.png has 64 pixels that are neither white nor black",)),
            (None, 1, ("mask.png cannot be read: corrupt",)),
        ],
    )
    def test_a_mask_that_does_not_fit_is_one_line(self, run, mask, code, words):
        if mask is None:
            open("mask.png", "w").close()
        else:
            Image.fromarray(mask).save("mask.png")
        done = run("complete", "mask", "--mask", "mask.png")
        assert (done.exit_code, done.stdout) == (code, "")
        assert one_line(done.stderr, *words)
        assert os.listdir() == ["mask.png"]
        assert one_line(
            run("complete", "mask", "--mask", "mask.png", "--keep", "top").stderr,
            "--keep and --mask exclude each other",
        )


class TestContext:
    def test_the_picture_shows_what_the_middle_pixel_sees(self, run):
        done = run("context", "mask", "-o", "x.png")
        assert (done.exit_code, done.stdout) == (0, ""), done.output
        words = "pixel 4,4 (orange) of mask depends on 11 (blue) of 36 earlier pixels, not on 25 (pink)"
        assert done.stderr == f"x.png: {words}\n"
        drawn = pixels("x.png")
        assert drawn.shape == (8 * 61 + 1, 8 * 61 + 1, 3)
        cells = drawn[30::61, 30::61]
        assert tuple(cells[4, 4]) == ITSELF
        assert (
            (cells == UNSEEN).all(2).sum() == 25
            and (cells == LATER).all(2).sum() == 27
            and (cells[5:] == LATER).all()
        )

    def test_a_model_without_weights_shows_its_architecture(self, run):
        done = run("context", "fresh", "--pixel", "2,1")
        assert done.stderr == (
            "fresh-context.png: pixel 2,1 (orange) of fresh depends on 17 (blue) of 17 earlier pixels, "
            "with untrained weights\n"
        )

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
        assert (
            nats.startswith("nll of mask: = ")
            and " nats (n = 187, binarized-digits test, static-binarised)" in nats
        )
        assert bits.startswith("nll of mask: = ") and " bits/dim (n = 187" in bits

    def test_json_has_all_one_must_know(self, run):
        records = json.loads(run("eval", "mask", "-n", 20, "--json").stdout)
        assert [record["unit"] for record in records] == ["nats", "bits/dim"]
        images = open_data("binarized-digits", split="test")
        for record in records:
            facts = {
                "metric": "nll",
                "kind": "exact",
                "n": 20,
                "data": images.name,
                "transform": "static-binarised",
                "split": "test",
            }
            assert {**facts, "image_shape": "1x8x8"}.items() <= record.items() and record["stderr"] > 0

    def test_without_a_certificate_no_number_is_printed(self, run):
        done = run("eval", "leak")
        assert (done.exit_code, done.stdout) == (1, "")
        assert one_line(done.stderr, "law broken: no pixel sees itself", "mask A in the first layer")

    @pytest.mark.usefixtures("impatient")
    def test_progress_is_told_while_certifying_and_measuring(self, run, monkeypatch):
        monkeypatch.setattr("genzoo.evaluation.certificate._ISSUED", {})
        lines = run("eval", "mask").stderr.splitlines()
        assert [
            line.partition(",")[0] for line in lines if "certificate" in line or "likelihood" in line
        ] == [
            *(f"certificate: {law} of 7 laws" for law in range(1, 7)),
            "likelihood: 64 of 187 images",
            "likelihood: 128 of 187 images",
        ]

    def test_several_are_ranked(self, run):
        done = run("eval", "mask", "gate", "mask", "-n", 50)
        assert (done.exit_code, done.stderr) == (0, ""), done.output
        *records, title, first, second = done.stdout.splitlines()
        assert len(records) == 4 and title == (
            "Ranking of nll in nats (exact, images chosen by seed 0, n = 50, binarized-digits test, "
            "static-binarised)"
        )
        values = {line.split()[2].rstrip(":"): float(line.split()[4]) for line in records if "nats" in line}
        best, worst = sorted(values, key=values.get)
        assert first.split()[:3] == ["1.", best, f"{values[best]:.4g}"] and second.split()[:3] == [
            "2.",
            worst,
            f"{values[worst]:.4g}",
        ]
        done = run("eval", "mask", "gate", "-n", 50, "--json")
        assert [record["subject"] for record in json.loads(done.stdout)] == ["mask", "mask", "gate", "gate"]

    def test_each_of_several_must_be_there_before_any_work(self, run, monkeypatch):
        monkeypatch.setattr(
            "genzoo.zoo.load", lambda *args, **options: pytest.fail("a model was loaded first")
        )
        assert one_line(run("eval", "mask", "fresh").stderr, "'fresh' has no published weights")
        assert one_line(run("eval", "mask", "mark").stderr, "no model is called 'mark'; did you mean 'mask'?")
        assert run("eval").exit_code == 2

    def test_grey_levels_are_refused(self, run):
        done = run("eval", "mask", "--data", "digits")
        assert done.exit_code == 1 and one_line(
            done.stderr, "ToyCNN models black and white only", "binarized-mnist"
        )

    def test_training_ends_with_bits_per_dimension_or_says_why_not(self, run):
        done = run("train", "mask", "--steps", 1, "--quiet")
        assert done.exit_code == 0, done.output
        assert [line.split()[-1] for line in done.stdout.splitlines()] == [
            "static-binarised)"
        ] * 2 and ": = " in done.stdout
        done = run("train", "leak", "--steps", 1, "--quiet")
        assert (done.exit_code, done.stdout) == (
            0,
            "",
        ) and "leak is not scored: law broken: no pixel sees itself" in done.stderr
