"""`genzoo translate`: a picture, a folder, both directions, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from shell import in_process, lay, one_line, publish
from told_toys import Cycle, Paired, card
from toys import gan

from genzoo.data import open_data
from genzoo.evaluation.held_out import held_out
from genzoo.explore.figure import stacked
from genzoo.explore.translating import read, translated
from genzoo.images import save_image, save_picture

BOX = """
import genzoo
from genzoo import Card, Family, Picture, Recipe
genzoo_api = 2
@genzoo.hookimpl
def genzoo_cards():
    facts = {"family": Family.IMPLICIT, "summary": "A toy", "recipe": Recipe(data="digits", steps=1)}
    maps = Picture((3, 8, 8), ("map", "photo"))
    horses = Picture((1, 8, 8), ("horse", "zebra"), both_ways=True, noisy=False)
    return [
        Card(name="t-maps", model="told_toys:Paired", condition=maps, **facts),
        Card(name="t-horses", model="told_toys:Cycle", condition=horses, **facts),
        Card(name="t-untrained", model="told_toys:Cycle", condition=horses, **facts),
        Card(name="t-gan", model="toys:ToyGAN", **facts),
    ]
"""
NOISE = np.random.default_rng(0).integers(0, 256, (11, 9, 3), dtype=np.uint8)


def made(kind):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return card(kind).build().eval()


MODELS = {"t-maps": made(Paired), "t-horses": made(Cycle), "t-gan": gan()}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    packages, hub_folder = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("published")
    lay(packages, "translate-box", BOX)
    for name, model in MODELS.items():
        publish(hub_folder, name, model, "translate-box")
    return packages, hub_folder


@pytest.fixture
def run(home, monkeypatch, tmp_path):
    """Give `run(*args)`, in a folder with a picture and a folder of three."""
    packages, hub_folder = home
    with in_process(monkeypatch, tmp_path, packages, "translate-box", hub_folder) as run:
        Image.fromarray(NOISE).save("map.png")
        Path("maps/in").mkdir(parents=True)
        for number, name in enumerate(("a.png", "b.bmp", "in/c.png")):
            Image.fromarray(NOISE[number:]).save(f"maps/{name}")
        yield run


def drawn(name, path, to, seed=0):
    """The pixels of a translation as they are saved, (H, W) or (H, W, C)."""
    image = translated(MODELS[name], read(MODELS[name], Path(path), to), to, seed)
    return np.asarray(Image.open(save_image(image, "expected.png")))


def pixels(path):
    return np.asarray(Image.open(path))


class TestPictures:
    def test_one_picture_keeps_its_size(self, run):
        done = run("translate", "t-maps", "map.png", "-o", "photo.png", "--seed", 3)
        assert (done.exit_code, done.stdout) == (0, "")
        assert done.stderr == "photo.png: 1 picture to photo by t-maps, seed 3\n"
        assert pixels("photo.png").shape == (11, 9)
        assert np.array_equal(pixels("photo.png"), drawn("t-maps", "map.png", "photo", 3))

    def test_the_seed_is_drawn_and_printed_and_only_where_it_matters(self, run):
        done = run("translate", "t-maps", "map.png")
        seed = int(done.stderr.removesuffix("\n").rpartition("seed ")[2])
        assert np.array_equal(pixels("t-maps-translation.png"), drawn("t-maps", "map.png", "photo", seed))
        assert run("translate", "t-horses", "map.png").stderr == (
            "t-horses-translation.png: 1 picture to zebra by t-horses\n"
        )

    def test_a_second_one_does_not_replace_the_first(self, run):
        for _ in range(2):
            assert run("translate", "t-horses", "map.png").exit_code == 0
        assert os.path.exists("t-horses-translation.png") and os.path.exists("t-horses-translation-2.png")

    def test_into_a_folder_it_keeps_its_name(self, run):
        assert run("translate", "t-horses", "maps/b.bmp", "-o", "out/").exit_code == 0
        assert np.array_equal(pixels("out/b.png"), drawn("t-horses", "maps/b.bmp", "zebra"))

    def test_fit_resizes_to_the_size_of_training(self, run):
        assert run("translate", "t-maps", "map.png", "--fit", "-o", "x.png").exit_code == 0
        assert pixels("x.png").shape == (10, 8)


class TestDirections:
    def test_both_are_known_in_any_case(self, run):
        for typed, to in (("horse", "horse"), ("ZEBRA", "zebra")):
            done = run("translate", "t-horses", "map.png", "--to", typed, "-o", f"{to}.png")
            assert f"1 picture to {to} by" in done.stderr
            assert np.array_equal(pixels(f"{to}.png"), drawn("t-horses", "map.png", to))
        assert not np.array_equal(pixels("horse.png"), pixels("zebra.png"))

    def test_an_unknown_domain_gets_the_nearest(self, run):
        done = run("translate", "t-horses", "map.png", "--to", "zebar")
        assert done.exit_code == 1
        near = "there is no domain 'zebar'; did you mean 'zebra'?"
        one_line(done.stderr, f"{near} — it translates horse ↔ zebra: --to horse or --to zebra")

    def test_the_other_direction_of_one_is_refused(self, run):
        done = run("translate", "t-maps", "map.png", "--to", "map")
        one_line(done.stderr, "it knows one direction — it translates map → photo: --to photo")
        one_line(run("translate", "t-maps", "map.png", "--cycle").stderr, "map → photo: there is no way back")

    def test_the_cycle_is_shown_side_by_side_with_its_error(self, run):
        done = run("translate", "t-horses", "map.png", "--cycle", "-o", "x.png")
        there = drawn("t-horses", "map.png", "zebra")
        save_image(torch.from_numpy(there.copy())[None], "there.png")
        assert pixels("x.png").shape == (11, 3 * 9 + 2 * 8, 3)
        assert np.array_equal(pixels("x.png")[:, 17:26, 0], there)
        before = read(MODELS["t-horses"], Path("map.png"), "zebra")
        back = translated(MODELS["t-horses"], translated(MODELS["t-horses"], before, "zebra"), "horse")
        error = float((back - before).abs().mean())
        assert done.stderr.endswith(f"mean error of the round trip {error:.3f}\n")


class TestFolders:
    def test_names_are_kept(self, run):
        done = run("translate", "t-horses", "maps", "-o", "out")
        assert done.stderr == "out: 3 pictures to zebra by t-horses\n"
        found = {str(path.relative_to("out")) for path in Path("out").rglob("*.png")}
        assert found == {"a.png", "b.png", os.path.join("in", "c.png")}
        assert np.array_equal(pixels("out/in/c.png"), drawn("t-horses", "maps/in/c.png", "zebra"))

    def test_one_that_is_broken_is_named_and_the_others_are_translated(self, run):
        Path("maps/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        done = run("translate", "t-horses", "maps", "-o", "out")
        assert done.exit_code == 1
        lines = done.stderr.splitlines()
        assert lines[0] == "maps/broken.png cannot be translated: corrupt"
        assert lines[1] == "out: 3 pictures to zebra by t-horses"
        one_line(lines[2], "1 picture of 4 could not be translated")

    def test_a_second_run_leaves_the_results_of_the_first_alone(self, run):
        for count in (3, 3):
            done = run("translate", "t-horses", "maps", "-o", "maps/out")
            assert f"{count} pictures" in done.stderr
        assert not Path("maps/out/out").exists()

    def test_without_a_name_it_goes_to_a_new_folder(self, run):
        assert run("translate", "t-horses", "maps").exit_code == 0
        assert run("translate", "t-horses", "maps").exit_code == 0
        assert Path("t-horses-translations/a.png").exists() and Path("t-horses-translations-2/a.png").exists()


class TestHeldOut:
    @pytest.fixture
    def sets(self, run):
        """A set of pairs and one of two sides, of 40 pictures each."""
        rng = np.random.default_rng(0)
        maps, photos = (
            rng.integers(0, 256, (40, count, 8, 8), dtype=np.uint8).transpose(0, 2, 3, 1) for count in (3, 3)
        )
        np.savez("pairs.npz", A=maps, B=photos)
        np.savez("sides.npz", A=maps, B=photos)
        return run

    def test_pairs_are_shown_above_translations_and_targets(self, sets):
        done = sets("translate", "t-maps", "--data", "pairs:pairs.npz", "-n", 2, "-o", "x.png", "--seed", 1)
        assert done.exit_code == 0, done.stderr
        words = (
            "held-out pictures of pairs above the translation to photo by t-maps, above the target, seed 1"
        )
        assert done.stderr == f"x.png: 2 {words}\n"
        test = open_data("pairs:pairs.npz", image_shape=(1, 8, 8), source_shape=(3, 8, 8), split="test")
        found = held_out(MODELS["t-maps"], test, 2, seed=1)
        save_picture(stacked(found.rows, 10), "expected.png")
        assert np.array_equal(pixels("x.png"), pixels("expected.png"))

    def test_sides_are_shown_with_the_way_back(self, sets):
        done = sets(
            "translate", "t-horses", "--data", "unpaired:sides.npz", "--to", "horse", "--cycle", "--seed", 2
        )
        words = "of sides above the translation to horse by t-horses and the way back, seed 2\n"
        assert done.stderr.startswith("t-horses-translation.png: 8 held-out pictures ")
        assert done.stderr.endswith(words)
        test = open_data("unpaired:sides.npz", image_shape=(1, 8, 8), split="test")
        found = held_out(MODELS["t-horses"], test, 8, "horse", 2, cycle=True)
        save_picture(stacked(found.rows, 10), "expected.png")
        assert np.array_equal(pixels("t-horses-translation.png"), pixels("expected.png"))

    @pytest.mark.parametrize(
        ("args", "code", "words"),
        [
            (("map.png", "-n", 2), 2, "-n chooses held-out pictures of a data set, and IN names a file"),
            (("map.png", "--data", "digits"), 2, "--data chooses held-out pictures"),
            (("--fit",), 2, "those of a data set have the size of the model"),
            (("--data", "digits"), 1, "digits has single images, but this model takes a picture"),
            (("--cycle",), 1, "map → photo: there is no way back"),
            (("-o", "x.jpg"), 2, "written as PNG"),
            (("-n", 100_000), 1, "a picture shows at most"),
        ],
    )
    def test_what_does_not_fit_is_refused_in_one_line(self, sets, args, code, words):
        done = sets("translate", "t-maps", *args)
        assert done.exit_code == code
        one_line(done.stderr.splitlines()[-1], words)


class TestRefusals:
    @pytest.mark.parametrize(
        ("args", "code", "words"),
        [
            (("t-gan", "map.png"), 1, ("t-gan does not translate pictures", "t-horses, t-maps, t-untrained")),
            (("t-map", "map.png"), 1, ("t-map", "did you mean 't-maps'")),
            (("t-untrained", "map.png"), 1, ("no published weights", "genzoo train t-untrained")),
            (("t-maps", "missing.png"), 1, ("cannot read missing.png: no such file",)),
            (("t-maps", ""), 2, ("IN is empty: name a picture or a folder",)),
            (("t-maps", "map.png", "-o", "x.jpg"), 2, ("written as PNG", "x.png")),
            (("t-maps", "maps", "-o", "x.png"), 2, ("maps is a folder", "-o x/")),
            (("t-maps", "maps", "-o", "maps"), 1, ("written over the pictures of maps",)),
            (("t-maps", "map.png", "-o", "map.png"), 1, ("written over map.png",)),
            (("t-maps", "map.png", "-o", "."), 1, ("written over map.png",)),
            (("t-maps", "notes.txt"), 1, ("notes.txt cannot be translated: not an image",)),
            (("t-maps", "empty"), 1, ("holds no",)),
        ],
    )
    def test_in_one_line_before_any_work(self, run, args, code, words):
        Path("notes.txt").write_text("no picture")
        Path("empty").mkdir()
        before = pixels("map.png")
        done = run("translate", *args)
        assert done.exit_code == code
        one_line(done.stderr.splitlines()[-1], *words)
        assert np.array_equal(pixels("map.png"), before)

    def test_without_a_translator_it_says_what_to_install(self, run, monkeypatch):
        from genzoo import zoo

        monkeypatch.setattr(zoo, "cards", list)
        how = "no installed model does: pip install -r requirements.txt in a checkout of genzoo"
        one_line(run("translate", "t-gan", "map.png").stderr, how)

    def test_where_a_condition_is_missing_the_command_for_ones_own_pictures_comes_first(self, run):
        done = run("sample", "t-maps", "-n", 1)
        one_line(
            done.stderr, "— genzoo translate t-maps picture.png; here: --condition drawn:0, or --condition"
        )
        assert "→ photo, 3×8×8: genzoo translate t-maps picture.png\n" in run("pull", "t-maps").stderr
