"""docs/lecture.md: every row of the lecture is there, and every symbol, file, command and model that it names
exists."""

import importlib
import inspect
import json
import re
import shlex
import shutil
import sys
from pathlib import Path

import click
import numpy as np
import pytest
import torch
from PIL import Image

import genzoo
from genzoo import Family
from genzoo.cli.program import cli
from genzoo.data import open_data, remote
from genzoo.datasets import NAMES
from genzoo.errors import DataError, HubError
from genzoo.homes import EMBEDDED, HOMES, MADE_WITH
from genzoo.ledger import read_rows
from genzoo.names import COMMANDS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docs"))

import diagrams  # noqa: E402
import draw  # noqa: E402
import draw_animals  # noqa: E402

PAGE = ROOT / "docs" / "lecture.md"
ROWS = 27
PARTS = ("Symbol", "File", "Command", "Picture")
# Commands that read images of a data set, by default those of the recipe.
READS_DATA = {
    "train",
    "eval",
    "complete",
    "reconstruct",
    "neighbours",
    "features",
    "few-labels",
    "arithmetic",
}
# Commands that need the published weights of the models they name; the others make do with the card, or with
# fresh weights.
WEIGHTS = {
    "sample",
    "interpolate",
    "traverse",
    "manifold",
    "arithmetic",
    "reconstruct",
    "neighbours",
    "features",
    "complete",
    "translate",
    "eval",
    "few-labels",
    "pull",
    "verify",
}


def rows(text):
    """Return {number: {part: its line}}, with the whole text of the row under ""."""
    found = {}
    for number, body in re.findall(r"^### (\d+) · [^\n]+\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL):
        found[int(number)] = {"": body, **dict(re.findall(r"^- \*\*(\w+)\*\* (.+)$", body, re.MULTILINE))}
    return found


ALL = rows(PAGE.read_text("utf-8"))
EACH = pytest.mark.parametrize("number", sorted(ALL))


def resolve(symbol):
    """Return what a dotted name stands for, and the file where it is written."""
    parts = symbol.split(".")
    for cut in range(len(parts), 0, -1):
        name = ".".join(parts[:cut])
        try:
            found = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if not name.startswith(error.name):
                raise
            continue
        for attribute in parts[cut:]:
            found = getattr(found, attribute)
        return found, Path(inspect.getsourcefile(inspect.unwrap(found))).resolve()
    raise ModuleNotFoundError(symbol)


def codes(line):
    return re.findall(r"`([^`]+)`", line)


def told(words):
    """Hold that a command exists and takes what is written, and return its name and the cards that it
    names."""
    cards = {card.name: card for card in genzoo.cards()}
    with click.Context(cli, info_name="genzoo") as context:
        name, command, rest = cli.resolve_command(context, list(words))
        assert name in COMMANDS
        with click.Context(command, info_name=name, parent=context) as inner:
            command.make_parser(inner).parse_args(list(rest))
        takes = any(isinstance(parameter, click.Argument) for parameter in command.params)
    if name == "experiment":
        assert (ROOT / "genzoo" / "experiments" / f"{words[1]}.toml").is_file(), words[1]
        return name, []
    plain = [word for word in rest if re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", word)]
    named = [cards[word] for word in plain if word in cards]
    assert named or not takes, f"genzoo {' '.join(words)} names no installed model"
    return name, named


def test_every_row_of_the_lecture_is_there_in_order():
    assert list(ALL) == list(range(1, ROWS + 1))


@EACH
def test_a_row_has_every_part(number):
    assert [part for part in PARTS if part not in ALL[number]] == []


@EACH
def test_the_symbols_exist_and_stand_in_the_files(number):
    symbols = codes(ALL[number]["Symbol"])
    files = {(PAGE.parent / target).resolve() for target in re.findall(r"\]\(([^)]+)\)", ALL[number]["File"])}
    assert symbols and files
    assert {resolve(symbol)[1] for symbol in symbols} == files


@EACH
def test_the_commands_exist_and_name_models_that_exist(number):
    commands = codes(ALL[number]["Command"])
    assert commands
    for line in commands:
        program, *words = shlex.split(line)
        assert program == "genzoo"
        name, named = told(words)
        unpublished = [card.name for card in named if not card.has_weights and name in WEIGHTS]
        assert all(
            f"weights of {missing} are not published yet" in ALL[number][""] for missing in unpublished
        ), unpublished


def data_of(words):
    """Return the data sets that a command of genzoo reads, as far as it reads any."""
    name, rest = words[0], words[1:]
    if name == "experiment":
        plan = tomllib.loads((ROOT / "genzoo" / "experiments" / f"{rest[0]}.toml").read_text("utf-8"))
        return {plan["data"]}
    if "--data" in rest:
        return {rest[rest.index("--data") + 1]}
    held_out = name == "translate" and "-n" in rest
    if not held_out and (name not in READS_DATA or (name == "arithmetic" and "--plus-seeds" in rest)):
        return set()
    return {card.recipe.data for card in told(words)[1] if card.recipe}


ALL_DATA = sorted(
    {
        name
        for body in ALL.values()
        for line in codes(body["Command"])
        for name in data_of(shlex.split(line)[1:])
    }
)


def test_the_commands_read_the_data_sets_of_the_lecture():
    """A command that stops being seen as one that reads data would not be tested below."""
    assert {"bedrooms", "binarized-mnist", "cifar10", "digits", "faces", "frey", "mnist"} <= set(ALL_DATA)


@pytest.mark.parametrize("name", ALL_DATA)
def test_the_data_of_a_command_ship_or_can_be_prepared(name, monkeypatch, tmp_path):
    """With no data and no network, one line says what to get, where, and what to type."""

    def no_network(*args, **options):
        raise HubError("no network")

    monkeypatch.delenv("GENZOO_DATA", raising=False)
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path))
    monkeypatch.setattr(remote, "_download", no_network)
    if name in EMBEDDED:
        assert len(open_data(name)) > 0
        return
    made_with = MADE_WITH.get(name, name)
    with pytest.raises(DataError) as caught:
        open_data(name)
    line, home = str(caught.value), HOMES[made_with]
    assert home.command(made_with) in line and home.wanted in line and "\n" not in line
    assert all(place in line for place in home.places)
    assert not home.stand_in or len(open_data(home.stand_in, image_shape=(1, 28, 28))) > 0
    assert set(home.writes) <= set(NAMES[name].files)


@EACH
def test_there_is_a_picture_or_the_row_says_why_not(number):
    body = ALL[number][""]
    assert re.search(r"!\[[^\]]+\]\(images/", body) or re.search(r"\*\*Picture\*\* .*\]\(", body)
    for picture in re.findall(r"!\[[^\]]+\]\((images/[^)]+)\)", body):
        assert (PAGE.parent / picture).is_file(), picture


@EACH
def test_a_picture_of_the_lecture_is_drawn_by_a_command_of_its_row(number):
    for picture in re.findall(r"\(images/lecture/([^)]+)\)", ALL[number][""]):
        assert any(f"-o {picture}" in line for line in codes(ALL[number]["Command"])), picture


class TestWaiting:
    """Pictures of models without published weights have a place that `python docs/draw.py` fills."""

    def test_no_page_waits_for_what_is_there(self):
        for page in draw.pages():
            text = page.read_text("utf-8")
            assert draw.shown_now(text, page, draw.published()) == text, "run python docs/draw.py"

    def test_what_waits_is_drawn_by_a_command_of_its_row(self):
        for body in ALL.values():
            for name, _ in draw.WAITING.findall(body[""]):
                lines = codes(body["Command"])
                if name in draw.CURVES:
                    assert any(draw.CURVES[name][0] in line for line in lines), name
                elif name in draw.TRANSLATED:
                    model, kind = draw.TRANSLATED[name]
                    assert any(f"translate {model} docs/images/{kind}s/" in line for line in lines), name
                else:
                    assert any(f"-o {name}" in line for line in lines), name

    def test_what_a_tutorial_waits_for_is_on_the_page_of_the_lecture(self):
        drawn = {name for _, name in draw.COMMAND.findall(PAGE.read_text("utf-8"))}
        drawn |= {*draw.TRANSLATED, *draw.CURVES}
        for page in draw.pages():
            assert {name for name, _ in draw.WAITING.findall(page.read_text("utf-8"))} <= drawn

    def test_a_picture_replaces_its_place_once_its_model_is_published(self):
        text = (
            "<!-- picture flowers.png: Eight texts -->\n<!-- picture zebras.png: Eight horses -->\n"
            "The weights of text2image-flowers are not published yet.\n"
            "The weights of cyclegan-horse2zebra are not published yet.\n"
        )
        assert draw.shown_now(text, PAGE, set()) == text
        found = draw.shown_now(text, PAGE, {"text2image-flowers"})
        assert found == (
            "![Eight texts](images/lecture/flowers.png)\n<!-- picture zebras.png: Eight horses -->\n"
            "The weights of cyclegan-horse2zebra are not published yet.\n"
        )
        tutorial = draw.DOCS / "tutorials" / "12-translate.md"
        assert "![Eight horses](../images/zebras.png)" in draw.shown_now(
            text, tutorial, {"cyclegan-horse2zebra"}
        )

    @pytest.mark.parametrize(("kind", "rows"), [("horse", 3), ("map", 2)])
    def test_drawings_stand_above_their_translations_and_the_way_back(self, monkeypatch, kind, rows):
        name = "pix2pix-facades" if kind == "map" else "cyclegan-horse2zebra"
        shapes = {"image_shape": (3, 64, 64), "source_shape": (3, 64, 64)}
        model = genzoo.create(name, width=2, **shapes).eval()
        monkeypatch.setattr(genzoo, "load", lambda name: model)
        folder = str(draw.DOCS / "images" / f"{kind}s")
        drawn = open_data(folder, image_shape=(3, 64, 64), val_split=0).float()
        made = model.translate(drawn, seed=0)
        expected = [drawn, made, model.translate(made, "horse", seed=0)] if rows == 3 else [drawn, made]
        whole = genzoo.grid(torch.cat(expected), columns=8)
        assert draw.translations(name, kind).tobytes() == whole.tobytes()

    def test_a_curve_is_drawn_from_the_log_of_a_run(self, tmp_path):
        lines = [json.dumps({"step": step, "generator": 9.0, "M": 1 / step}) for step in range(1, 1001)]
        lines.insert(500, json.dumps({"step": 500, "doctor": "M does not fall", "words": "it did"}))
        (tmp_path / "log.jsonl").write_text("\n".join(lines) + "\n")
        plot = draw.curve(tmp_path, "M")
        (found,) = plot.panels["M"]
        assert found.x[0] == 5.5 and found.x[-1] == 995.5 and len(found.y) == draw.POINTS
        assert found.y[-1] == pytest.approx(sum(1 / step for step in range(991, 1001)) / 10)


class TestDiagrams:
    """What `python docs/draw.py` draws without a command of genzoo."""

    def test_each_is_on_the_page(self):
        shown = re.findall(r"\(images/(diagram-[^)]+|generator\.png)\)", PAGE.read_text("utf-8"))
        assert sorted(shown) == sorted(diagrams.DIAGRAMS)

    def test_the_taxonomy_has_each_architecture_once_without_its_data(self):
        families = [family for family in Family if family.value in diagrams.TREE]
        found = [name for family in families for name in diagrams.architectures(family)]
        assert len(found) == len(set(found)) and {"vae", "pixelcnn", "dcgan", "pix2pix"} <= set(found)
        stems = {name for name in found if any(name.startswith(f"{other}-") for other in found)}
        assert stems == {"wgan-gp", "wgan-gp-resnet"}  # not dcgan-mnist beside dcgan

    def test_the_terms_of_the_bound_are_those_of_one_image(self, monkeypatch):
        """By a finer grid around where the image is: the sum holds only if the grid is fine enough."""
        monkeypatch.setattr(diagrams, "REACH", 1.0)
        monkeypatch.setattr(diagrams, "POINTS", 121)
        mean, elbo, gap, log_p = diagrams.Plane().terms
        assert elbo + gap == pytest.approx(log_p, abs=0.01) and 0 < gap < 1 and mean > elbo

    def test_draws_that_count_are_counted(self):
        assert diagrams.effective(torch.zeros(50)) == pytest.approx(50)
        assert diagrams.effective(torch.tensor([0.0, -80.0, -90.0])) == pytest.approx(1)


@pytest.mark.parametrize(
    "symbol", ["genzoo.losses.minimax.valeu", "genzoo.losses.minmax", "genzoo_dcgan.DCGAN"]
)
def test_a_symbol_that_is_not_there_is_seen(symbol):
    with pytest.raises((AttributeError, ModuleNotFoundError)):
        resolve(symbol)


@pytest.mark.parametrize(
    "line", ["smaple dcgan", "sample dcgna", "train dcgan --stepz 3", "experiment saturatoin"]
)
def test_a_command_that_is_not_there_is_seen(line):
    with pytest.raises((AssertionError, click.UsageError, click.NoSuchOption)):
        told(line.split())


@pytest.mark.skipif(not (ROOT / ".ci" / "publish.py").exists(), reason="not part of the distribution")
class TestPublishing:
    """`.ci/publish.py` takes a finished run into the repository."""

    @pytest.fixture
    def publishing(self, monkeypatch):
        monkeypatch.syspath_prepend(str(ROOT / ".ci"))
        return importlib.import_module("publish")

    def test_a_run_becomes_weights_a_row_and_a_licence(self, tmp_path, publishing):
        plugin, card = "genzoo-began", genzoo.info("began")
        root = tmp_path / "root"
        (root / "plugins" / plugin / "genzoo_began").mkdir(parents=True)
        shutil.copyfile(
            ROOT / "plugins" / plugin / "pyproject.toml", root / "plugins" / plugin / "pyproject.toml"
        )
        done = genzoo.train(
            "began",
            steps=1,
            settings={"image_size": "8x8", "channels": 1, "width": 4},
            out=tmp_path / "run",
            quiet=True,
        )
        row = publishing.publish(tmp_path / "run", root)
        kept = root / "plugins" / plugin / "genzoo_began" / "weights" / "began.safetensors"
        assert kept.read_bytes() == done.weights.read_bytes()
        assert read_rows(root / "zoo.toml")["began"].replace(origin=row.origin) == row
        assert row.sources == ("package:genzoo_began/weights/began.safetensors",) and row.scores
        assert row.sha256 == done.sha256 and row.licence == publishing.LICENCE and card.name == row.name
        project = tomllib.loads((root / "plugins" / plugin / "pyproject.toml").read_text("utf-8"))["project"]
        assert project["license"] == "MIT AND LicenseRef-genzoo-weights"
        assert project["license-files"] == ["LICENSE", "genzoo_began/weights/*.NOTICE.txt"]
        (root / "docs" / "images").mkdir(parents=True)
        publishing.draw_curves(tmp_path / "run", "began-faces", root)
        with Image.open(root / "docs" / "images" / "began-m.png") as picture:
            assert picture.width > 500


def test_the_drawn_animals_are_those_of_the_script():
    """No photograph of a data set is among them."""
    for kind in ("horses", "zebras"):
        folder = draw.DOCS / "images" / kind
        assert {path.name for path in folder.iterdir()} == {f"{i}.png" for i in range(1, 9)}
        for number in (0, 5):
            drawn = draw_animals.animal(number, kind == "zebras").astype(int)
            with Image.open(folder / f"{number + 1}.png") as picture:
                kept = np.asarray(picture).astype(int)
            assert np.abs(drawn - kept).mean() < 1  # filters may differ from one Pillow to another
