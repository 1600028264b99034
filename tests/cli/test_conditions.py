"""--condition, of every command that samples, decodes, encodes or completes: what is drawn, what is said, and
what is refused in one line."""

import json
import shlex
import sys
from pathlib import Path

import conditional_toys
import numpy as np
import pytest
import torch
from click.shell_completion import ShellComplete
from conditional_toys import LabelCodes, LabelGAN, LabelPixels
from PIL import Image
from safetensors.numpy import load
from shell import in_process, lay, one_line, publish

from genzoo import Labels
from genzoo.cli.conditions import read_one, read_rows
from genzoo.cli.program import cli
from genzoo.cli.samples import stems
from genzoo.data import open_data
from genzoo.errors import ArgumentError, UnknownNameError
from genzoo.explore.analogies import analogies
from genzoo.explore.blending import blend
from genzoo.explore.completion import completed, keep_mask
from genzoo.explore.context import context, picture
from genzoo.explore.features import features
from genzoo.explore.interpolation import interpolate
from genzoo.explore.latents import reconstruct
from genzoo.explore.traversal import traverse
from genzoo.images import grid, save_image, save_images

BOX = """
import genzoo
from genzoo import Card, Family, Labels, Recipe
NAMES = ("cat", "dog", "horse")
def card(name, family, kind, names=NAMES, **facts):
    recipe = Recipe(data="digits", steps=2, batch_size=16, precision="fp32")
    model = kind if ":" in kind else f"conditional_toys:{kind}"
    condition = Labels(names) if names else None
    return Card(name=name, family=family, model=model, recipe=recipe, condition=condition, **facts)
genzoo_api = 2
@genzoo.hookimpl
def genzoo_cards():
    return [
        card("pets", Family.IMPLICIT, "LabelGAN"),
        card("moved", Family.IMPLICIT, "LabelGAN"),
        card("fresh", Family.IMPLICIT, "LabelGAN"),
        card("many", Family.IMPLICIT, "LabelGAN", tuple(map(str, range(10_000)))),
        card("commas", Family.IMPLICIT, "LabelGAN", ("big, old", "big", "all", "a/b", "a b")),
        card("codes", Family.AUTOENCODER, "LabelCodes", tuple("0123456789"), config={"latent_size": 2}),
        card("pixels", Family.TRACTABLE, "LabelPixels", tuple("0123456789")),
        card("plain", Family.IMPLICIT, "toys:ToyGAN", ()),
    ]
"""


def made(kind, labels, **config):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return conditional_toys.card(kind, condition=Labels(tuple(labels)), config=config).build().eval()


PETS = made(LabelGAN, conditional_toys.NAMES)
CODES = made(LabelCodes, "0123456789", latent_size=2)
PIXELS = made(LabelPixels, "0123456789")
MODELS = {
    "pets": PETS,
    "moved": made(LabelGAN, ("house", "boat")),  # trained on other data than its card says
    "many": made(LabelGAN, map(str, range(10_000))),
    "commas": made(LabelGAN, ("big, old", "big", "all", "a/b", "a b")),
    "codes": CODES,
    "pixels": PIXELS,
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Give a folder with a plugin of models that take labels, and one with their weights."""
    packages, hub_folder = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("published")
    lay(packages, "kinds-box", BOX)
    for name, model in MODELS.items():
        publish(hub_folder, name, model, "kinds-box")
    return packages, hub_folder


@pytest.fixture
def run(home, monkeypatch, tmp_path):
    packages, hub_folder = home
    with in_process(monkeypatch, tmp_path, packages, "kinds-box", hub_folder) as run:
        yield run


def pixels(path):
    return np.asarray(Image.open(path))


def drawn(images, columns=None, **options):
    return np.asarray(grid(images, columns, **options))


class TestSample:
    @pytest.mark.parametrize("word", ["dog", "DOG", " Dog ", "1"])
    def test_one_label(self, run, word):
        done = run("sample", "pets", "-n", 4, "--condition", word, "--seed", 3, "-o", "x.png")
        assert (done.exit_code, done.stderr) == (0, "x.png: 4 images of pets, label dog, seed 3\n")
        assert np.array_equal(pixels("x.png"), drawn(PETS.sample(4, 3, condition="dog")))

    def test_all_in_rows_that_differ_in_the_label_alone(self, run):
        done = run("sample", "pets", "-n", 5, "--condition", "all", "--seed", 3)
        assert done.stderr == "pets.png: 15 images of pets, rows: cat, dog, horse, seed 3\n"
        rows = torch.cat([PETS.sample(5, 3, condition=label) for label in range(3)])
        assert np.array_equal(pixels("pets.png"), drawn(rows, 5))

    def test_several_in_the_order_that_was_typed_each_once(self, run):
        done = run("sample", "pets", "-n", 2, "--condition", "horse, cat,2", "--seed", 3)
        assert done.stderr == "pets.png: 4 images of pets, rows: horse, cat, seed 3\n"
        rows = torch.cat([PETS.sample(2, 3, condition=label) for label in ("horse", "cat")])
        assert np.array_equal(pixels("pets.png"), drawn(rows, 2))

    def test_files_are_named_after_their_labels(self, run, tmp_path):
        done = run("sample", "pets", "-n", 2, "--condition", "dog,cat", "--seed", 3, "-o", "out/")
        assert done.stderr == "out/: 4 images of pets, rows: dog, cat, seed 3\n"
        found = {path.name for path in (tmp_path / "here" / "out").iterdir()}
        assert found == {f"sample-{label}-{i:06}.png" for label in ("dog", "cat") for i in range(2)}
        save_image(PETS.sample(2, 3, condition="cat")[1], "one.png")
        assert np.array_equal(pixels("out/sample-cat-000001.png"), pixels("one.png"))

    def test_stems_are_names_of_files_and_different(self):
        assert stems(("Dining room", "a.b")) == {"Dining room": "dining-room", "a.b": "a.b"}
        assert stems(("a/b", "a b", "猫", "..")) == {"a/b": "0-a-b", "a b": "1-a-b", "猫": "2-猫", "..": "3"}
        long = stems(("x" * 200, "x" * 199 + "y"))
        assert len(set(long.values())) == 2 and max(map(len, long.values())) < 60

    def test_the_drawing_of_several(self, run):
        done = run(
            "sample",
            "pixels",
            "-n",
            3,
            "--condition",
            "7,1",
            "--seed",
            3,
            "--animate",
            "x.gif",
            "-o",
            "x.png",
        )
        assert done.exit_code == 0, done.output
        assert done.stderr.splitlines() == [
            "x.gif: 65 frames of 6 images of pixels being drawn, rows: 7, 1, seed 3",
            "x.png: 6 images of pixels, rows: 7, 1, seed 3",
        ]
        rows = torch.cat([PIXELS.sample(3, 3, condition=label) for label in ("7", "1")])
        assert np.array_equal(pixels("x.png"), drawn(rows, 3))

    def test_labels_with_commas(self, run):
        done = run("sample", "commas", "-n", 2, "--condition", "big, old,big", "--seed", 3)
        assert done.stderr == "commas.png: 4 images of commas, rows: big, old, big, seed 3\n"
        # a label that is called so comes first
        assert "label all, seed" in run("sample", "commas", "--condition", "all").stderr

    def test_weights_may_have_other_labels_than_the_card(self, run):
        done = run("sample", "moved", "-n", 2, "--condition", "boat", "--seed", 3, "-o", "x.png")
        assert done.stderr == "x.png: 2 images of moved, label boat, seed 3\n"
        assert "rows: house, boat," in run("sample", "moved", "-n", 2, "--condition", "all").stderr
        one_line(
            run("sample", "moved", "--condition", "cat").stderr, "there is no label 'cat'", "house, boat"
        )
        one_line(run("sample", "moved").stderr, "it takes 2 labels: house, boat", "--condition house")

    def test_a_row_has_the_length_n(self, run):
        done = run("sample", "pets", "--condition", "all", "--columns", 3)
        assert done.exit_code == 2 and one_line(done.stderr, "leave out --columns")


REFUSED = {
    "none": (
        (),
        "needs a condition: it takes 3 labels: cat, dog, horse — --condition cat, or --condition all",
    ),
    "near": (("--condition", "hors"), "there is no label 'hors'; did you mean 'horse'?"),
    "one of several": (("--condition", "cat,hors"), "did you mean 'horse'?"),
    "too high": (("--condition", "3"), "label 3 does not exist: they run from 0 to 2"),
    "negative": (("--condition", "-1"), "there is no label '-1'"),
    "fraction": (("--condition", "7.5"), "there is no label '7.5'"),
    "nan": (("--condition", "nan"), "there is no label 'nan'"),
    "empty": (("--condition", ""), "--condition is empty — this model takes 3 labels"),
    "blank": (("--condition", "  "), "--condition is empty"),
    "an empty one": (("--condition", "cat,"), "--condition names an empty label"),
    "a picture": (("--condition", "photo.png"), "must be a label, not the file photo.png"),
    "a folder": (("--condition", "/"), "must be a label, not the file /"),
    "hostile": (("--condition", "\x1b[31mred"), "there is no label"),
    "ten thousand": (("--condition", ",".join(["cat", *map(str, range(10_000))])), "label 3 does not exist"),
}


class TestRefused:
    @pytest.mark.parametrize("case", REFUSED)
    def test_before_torch_is_asked(self, run, case, monkeypatch):
        args, said = REFUSED[case]
        monkeypatch.setattr("genzoo.zoo.load", lambda *args, **kw: pytest.fail("the model was loaded"))
        done = run("sample", "pets", *args)
        assert done.exit_code == 1 and one_line(done.stderr, said) and len(done.stderr) < 400

    def test_a_long_list_of_labels_stays_short(self, run):
        for args in ((), ("--condition", "x"), ("--condition", "10000"), ("--condition", "all")):
            done = run("sample", "many", *args)
            assert done.exit_code == 1 and one_line(done.stderr) and len(done.stderr) < 400

    def test_a_condition_for_an_ordinary_model(self, run):
        done = run("sample", "plain", "--condition", "cat")
        said = "plain takes no condition — leave --condition out; these do: pixels, "
        assert done.exit_code == 1 and one_line(done.stderr, said) and "pets" in done.stderr

    @pytest.mark.parametrize(
        "command", ["interpolate", "traverse", "manifold", "arithmetic", "neighbours", "context", "complete"]
    )
    def test_by_every_command(self, run, command):
        name = "pixels" if command in ("context", "complete") else "pets"
        args = ("--plus-seeds", "1,2,3") if command == "arithmetic" else ()
        done = run(command, name, *args, "--condition", "zebra")
        assert done.exit_code == 1 and one_line(done.stderr, "there is no label 'zebra'")
        if command != "complete":
            done = run(command, name, *args)
            assert done.exit_code == 1 and one_line(done.stderr, "needs a condition")
            assert "--condition all" not in done.stderr
            several = run(command, name, *args, "--condition", "all")
            assert one_line(several.stderr, "--condition takes one label here, not")

    def test_torch_is_not_loaded_for_it(self, home, tmp_path):
        import subprocess

        words = "import sys; from genzoo.cli.program import cli; code = cli.run(sys.argv[1:]); "
        words += "sys.exit(99 if 'torch' in sys.modules else code)"
        environment = {
            **__import__("os").environ,
            "PYTHONPATH": str(home[0]),
            "GENZOO_PLUGINS": "kinds-box",
            "GENZOO_ZOO": str(home[1]),
            "GENZOO_CACHE": str(tmp_path),
            "GENZOO_PLUGIN_TIMEOUT": "0",
        }
        for args, said in (
            (("sample", "pets", "--condition", "hors"), "did you mean 'horse'"),
            (("sample", "moved"), "2 labels: house, boat"),
            (("info", "moved"), ""),
        ):
            done = subprocess.run(
                [sys.executable, "-c", words, *args], env=environment, capture_output=True, text=True
            )
            assert done.returncode == (0 if args[0] == "info" else 1) and said in done.stderr, done.stderr


class TestReading:
    @pytest.mark.parametrize(
        ("text", "rows"),
        [
            ("a, b", ("a, b",)),
            ("a, b,a", ("a, b", "a")),
            ("a,a, b , 2", ("a", "a, b", "c")),
            ("ALL", ("a, b", "a", "c")),
        ],
    )
    def test_rows(self, text, rows):
        assert read_rows(Labels(("a, b", "a", "c")), text) == rows

    def test_a_number_is_a_label_by_that_name_first(self):
        assert read_one(Labels(("1", "0")), "1") == "1"

    @pytest.mark.parametrize("text", ["a,c", "all"])
    def test_one(self, text):
        with pytest.raises(ArgumentError, match="takes one label here"), cli.make_context("genzoo", ["list"]):
            read_one(Labels(("a", "c")), text)
        with pytest.raises(UnknownNameError):
            read_one(Labels(("a", "c")), "a,d")


class TestExplorers:
    def test_interpolate(self, run):
        done = run("interpolate", "pets", "--condition", "dog", "-n", 2, "--steps", 3, "--seed", 1)
        assert done.stderr == (
            "pets-interpolation.png: 2 walks of 3 steps through the latent space of pets, label dog, seed 1\n"
        )
        walks = interpolate(PETS, 2, 3, 1, condition="dog")
        assert np.array_equal(pixels("pets-interpolation.png"), drawn(walks.flatten(0, 1), 3))

    def test_interpolate_from_one_label_to_another(self, run):
        done = run("interpolate", "pets", "--condition", "cat", "--to", "horse", "-n", 2, "--seed", 1)
        assert done.stderr == (
            "pets-interpolation.png: 2 walks of 9 steps of pets from cat to horse, the same z in a row, "
            "seed 1\n"
        )
        walks = blend(PETS, PETS.sample_latents(2, 1), "cat", "horse")
        assert np.array_equal(pixels("pets-interpolation.png"), drawn(walks.flatten(0, 1), 9))
        done = run("interpolate", "pets", "--condition", "cat", "--to", "hors")
        assert done.exit_code == 1 and one_line(done.stderr, "did you mean 'horse'")

    def test_interpolate_between_images(self, run):
        save_image(CODES.decode(torch.zeros(1, 2), "7")[0], "a.png")
        args = ("interpolate", "codes", "--from", "a.png", "--to", "a.png", "--steps", 3)
        done = run(*args, "--condition", "7")
        assert done.exit_code == 0 and "from a.png to a.png, label 7" in done.stderr, done.output
        done = run("interpolate", "codes", "--from", "a.png", "--to", "b.png", "--condition", "7")
        assert done.exit_code == 2 and one_line(done.stderr, "'b.png' does not exist")

    def test_traverse(self, run):
        done = run("traverse", "pets", "--condition", "dog", "--dimension", 1, "--seed", 1, "-o", "x.png")
        assert done.stderr.endswith("starting from 1 point of the prior, seed 1, label dog\n")
        images = traverse(PETS, [1], z=PETS.sample_latents(1, 1), condition="dog")
        assert np.array_equal(pixels("x.png"), drawn(images.flatten(0, 1), 9))

    def test_arithmetic(self, run):
        args = ("arithmetic", "pets", "--plus-seeds", "1,2,3", "--seed", 1)
        assert ", label dog, with noise" in run(*args, "--condition", "dog", "-o", "dog.png").stderr
        run(*args, "--condition", "cat", "-o", "cat.png")
        assert not np.array_equal(pixels("dog.png"), pixels("cat.png"))

    def test_neighbours(self, run):
        done = run("neighbours", "pets", "--condition", "dog", "-n", 2, "--seed", 1, "--nearest", 1)
        assert ": 2 samples of pets, label dog, seed 1, beside" in done.stderr, done.output

    def test_context(self, run):
        done = run("context", "pixels", "--condition", 7, "-o", "x.png")
        assert done.exit_code == 0 and done.stderr.endswith("(pink), label 7\n")
        seen = context(PIXELS, condition=7)
        tiles = picture(seen, (4, 4))
        assert np.array_equal(pixels("x.png"), drawn(tiles, 8, padding=1, upscale=60))

    def test_info_of_the_net(self, run):
        for name in ("pets", "codes", "pixels"):
            done = run("info", name, "--net", "--json")
            layers = json.loads(done.stdout)["net"]["layers"]
            assert name == "pixels" or all(layer["output"] for layer in layers), layers


class TestImagesWithLabels:
    """Commands that show images give a model the labels of these, unless one is typed for all."""

    def test_reconstruct(self, run):
        done = run("reconstruct", "codes", "-n", 6, "--seed", 1, "--json")
        own = json.loads(done.stdout)[0]["value"]
        test = open_data("digits", image_shape=(1, 8, 8), split="test")
        from genzoo.evaluation.inputs import subset

        shown = test.subset(subset(len(test), 6, 1, "shown"))
        x = shown.float()
        expected = (reconstruct(CODES, x, shown.labels) - x).square().mean()
        assert own == pytest.approx(float(expected), rel=1e-5)
        done = run("reconstruct", "codes", "-n", 6, "--seed", 1, "--json", "--condition", "7")
        expected = (reconstruct(CODES, x, "7") - x).square().mean()
        assert json.loads(done.stdout)[0]["value"] == pytest.approx(float(expected), rel=1e-5)
        assert done.stderr.endswith("by codes, seed 1, label 7\n")

    def test_analogies(self, run):
        done = run("reconstruct", "codes", "-n", 3, "--seed", 1, "--analogies", "-o", "x.png")
        assert ", each beside its code decoded with 10 labels by codes, seed 1\n" in done.stderr
        from genzoo.evaluation.inputs import subset

        test = open_data("digits", image_shape=(1, 8, 8), split="test")
        shown = test.subset(subset(len(test), 3, 1, "shown"))
        rows = analogies(CODES, shown.float(), shown.labels)
        assert np.array_equal(pixels("x.png"), drawn(rows.flatten(0, 1), 11))
        done = run("reconstruct", "plain", "--analogies")
        assert done.exit_code == 1 and one_line(done.stderr, "plain takes no label")

    def test_complete(self, run):
        args = ("complete", "pixels", "--data", "binarized-digits", "-n", 2, "--images", 3, "--seed", 1)
        done = run(*args, "-o", "x.png")
        assert done.exit_code == 0, done.output
        from genzoo.evaluation.inputs import subset

        test = open_data("binarized-digits", image_shape=(1, 8, 8), split="test")
        shown = test.subset(subset(len(test), 3, 1, "shown"))
        mask = keep_mask("top", 8, 8)
        one = run(*args, "--condition", "7", "-o", "y.png")
        assert "each by pixels, label 7, seed 1" in one.stderr
        for labels, path in ((shown.labels, "x.png"), ("7", "y.png")):
            images = completed(PIXELS, shown.float(), mask, 2, 1, condition=labels)
            assert np.array_equal(pixels(path), drawn(images.flatten(0, 1), 4))

    def test_features(self, run):
        done = run("features", "codes", "-n", 5, "-o", "x.safetensors")
        assert done.exit_code == 0, done.output
        found = load(Path("x.safetensors").read_bytes())
        train = open_data("digits", image_shape=(1, 8, 8))
        from genzoo.cli.features import _some

        side = _some(train, 5)
        expected = features(CODES, side, condition=side.labels).numpy()
        assert np.array_equal(found["features"][:5], expected)
        run("features", "codes", "-n", 5, "-o", "y.safetensors", "--condition", "7")
        other = load(Path("y.safetensors").read_bytes())["features"]
        assert not np.array_equal(other[:5], expected)

    def test_a_probe_is_not_given_what_it_is_to_find(self, run):
        done = run("features", "codes", "-n", 50, "--probe")
        assert done.exit_code == 1 and one_line(done.stderr, "would read it back")
        assert run("features", "codes", "-n", 50, "--probe", "--condition", "7").exit_code == 0
        done = run("few-labels", "codes")
        assert done.exit_code == 1 and one_line(done.stderr, "is given the label of an image")

    def test_data_without_labels(self, run, tmp_path):
        np.savez("plain.npz", images=np.random.default_rng(0).integers(0, 255, (40, 8, 8), dtype=np.uint8))
        done = run("reconstruct", "codes", "--data", "plain.npz")
        assert done.exit_code == 1
        assert one_line(done.stderr, "has no labels", "--condition 0 gives all images one")

    def test_data_with_labels_that_the_model_does_not_know(self, run, tmp_path):
        images = np.random.default_rng(0).integers(0, 255, (40, 8, 8), dtype=np.uint8)
        np.savez("odd.npz", images=images, labels=np.array(["cat", "dog"] * 20))
        done = run("reconstruct", "codes", "--data", "odd.npz")
        assert done.exit_code == 1 and one_line(done.stderr, "'cat'")


class TestKnown:
    def test_list(self, run):
        lines = {line.split()[0]: line for line in run("list").stdout.splitlines()}
        assert "implicit       3 labels  " in lines["pets"] or "3 labels" in lines["pets"]
        assert "10000 labels" in lines["many"] and "labels" not in lines["plain"]
        rows = {row["name"]: row for row in json.loads(run("list", "--json").stdout)}
        assert rows["pets"]["condition"] == {"kind": "labels", "labels": ["cat", "dog", "horse"]}
        assert rows["plain"]["condition"] is None
        assert "pets  (3 labels, " in run("list", "--tree").stdout

    @pytest.mark.parametrize("columns", [40, 60, 80])
    def test_list_on_a_terminal(self, run, monkeypatch, columns):
        monkeypatch.setattr("genzoo.cli.output._is_terminal", lambda stream: True)
        monkeypatch.setenv("COLUMNS", str(columns))
        lines = run("list").stdout.splitlines()
        assert max(map(len, lines)) <= columns and (columns < 80 or "3 labels" in "".join(lines))

    def test_info(self, run):
        assert "\nCondition  3 labels: cat, dog, horse\n" in run("info", "pets").stdout
        assert "\nCondition  2 labels: house, boat\n" in run("info", "moved").stdout
        assert json.loads(run("info", "moved", "--json").stdout)["condition"]["labels"] == ["house", "boat"]
        assert "Condition" not in run("info", "plain").stdout
        assert "10000 labels: 0, 1, 2, 3, 4, 5, 6, 7, … (all: --json)" in run("info", "many").stdout

    @pytest.mark.parametrize(
        ("typed", "offered"),
        [
            ("sample pets --condition ''", ["cat", "dog", "horse", "all"]),
            ("sample pets --condition D", ["dog"]),
            ("sample pets --condition cat,h", ["cat,horse"]),
            ("traverse pets --condition ''", ["cat", "dog", "horse"]),
            ("sample plain --condition ''", []),
            ("sample nothing --condition ''", []),
            ("sample --condition ''", []),
        ],
    )
    def test_a_shell_completes_labels(self, run, typed, offered):
        run("list")  # the plugin is there
        *args, incomplete = shlex.split(typed)
        found = ShellComplete(cli, {}, "genzoo", "_GENZOO_COMPLETE").get_completions(args, incomplete)
        assert [item.value for item in found] == offered

    def test_pull_says_what_to_type(self, run):
        done = run("pull", "moved")
        said = "moved takes 2 labels: house, boat: genzoo sample moved --condition house\n"
        assert done.stderr == said and done.stdout.startswith("moved: /")
        assert run("pull", "codes").stderr.endswith(": --condition 0\n")

    def test_a_run_on_a_folder_of_ones_own(self, run, tmp_path, monkeypatch):
        digits = open_data("digits")
        for number, name in ((0, "ring"), (1, "the line")):
            save_images(digits.of_class(number).float(range(12)), tmp_path / "here" / "shapes" / name)
        args = ("train", "pets", "--data", "shapes", "--set", "image_size=8", "--set", "channels=1")
        done = run(*args, "--steps", 2)
        assert done.exit_code == 0, done.output
        assert "labels: ring, the line (from shapes)" in done.stderr
        monkeypatch.setenv("GENZOO_ZOO", "runs/pets")
        assert ", rows: ring, the line, seed" in run("sample", "pets", "--condition", "all").stderr
        assert "\nCondition  2 labels: ring, the line\n" in run("info", "pets").stdout
        done = run(*args, "--set", "labels=ring,circle")
        assert done.exit_code == 1 and one_line(done.stderr.splitlines()[-1], "the line")

    def test_the_card_of_published_weights_says_it(self, run, tmp_path):
        assert run("push", "moved", "out").exit_code == 0
        (text,) = [path.read_text("utf-8") for path in (tmp_path / "here" / "out").glob("*.md")]
        assert "- **Condition:** 2 labels: house, boat\n" in text
        assert 'genzoo.load("path/to/this/folder#moved", sha256="' in text
        assert 'model.sample(16, seed=0, condition="house")\n' in text
        assert "unconditional" not in text and '"condition:labels"' in text
        run("push", "codes", "codes")
        (text,) = [path.read_text("utf-8") for path in (tmp_path / "here" / "codes").glob("*.md")]
        assert 'model.encode(images, condition="0")' in text
