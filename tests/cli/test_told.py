"""Models that take pictures or texts at the command line: list, info, sample, and what is refused."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from shell import in_process, lay, one_line, publish
from told_toys import PAIRED, SENTENCES, TEXT, Paired, TextGAN, card

from genzoo.cli.conditions import read_one, read_rows
from genzoo.errors import ArgumentError, UnknownNameError
from genzoo.images import grid

BOX = """
import genzoo
from genzoo import Card, Family, Picture, Recipe, Text
genzoo_api = 2
@genzoo.hookimpl
def genzoo_cards():
    words = ("a", "blue", "daisy", "red", "rose", "yellow")
    text = Text(words, 4, ("a red rose", "a blue daisy", "yellow rose"))
    facts = {"family": Family.IMPLICIT, "summary": "A toy", "recipe": Recipe(data="digits", steps=1)}
    maps = Picture((3, 8, 8), ("map", "photo"))
    return [
        Card(name="told-flowers", model="told_toys:TextGAN", condition=text, **facts),
        Card(name="told-maps", model="told_toys:Paired", condition=maps, **facts),
    ]
"""


def made(kind):
    torch.manual_seed(0)
    return card(kind).build().eval()


MODELS = {"told-flowers": made(TextGAN), "told-maps": made(Paired)}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Give a folder with a plugin of two models, and one with their weights."""
    packages, hub_folder = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("published")
    lay(packages, "told-box", BOX)
    for name, model in MODELS.items():
        publish(hub_folder, name, model, "told-box")
    return packages, hub_folder


@pytest.fixture
def run(home, monkeypatch, tmp_path):
    packages, hub_folder = home
    with in_process(monkeypatch, tmp_path, packages, "told-box", hub_folder) as run:
        yield run


def test_a_text_is_drawn_and_called_a_text(run):
    done = run("sample", "told-flowers", "-n", 4, "--condition", "A red rose", "--seed", 3, "-o", "x.png")
    assert done.exit_code == 0, done.stderr
    assert done.stderr == 'x.png: 4 images of told-flowers, text "A red rose", seed 3\n'
    expected = grid(MODELS["told-flowers"].sample(4, 3, condition="a red rose"))
    assert np.array_equal(np.asarray(Image.open("x.png")), np.asarray(expected))


def test_all_draws_a_row_for_each_sentence(run):
    done = run("sample", "told-flowers", "-n", 2, "--condition", "all", "--seed", 3, "-o", "out/")
    assert done.stderr == f"out/: 6 images of told-flowers, rows: {', '.join(SENTENCES)}, seed 3\n"
    with Image.open("out/sample-a-red-rose-000001.png") as picture:
        assert picture.size == (8, 8)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--condition", "a rde rose"), "unknown word 'rde' (did you mean 'red' or 'rose'?)"),
        (("--condition", ""), "there is no word in an empty text"),
        (("--condition", "!!!"), "there is no word in '!!!'"),
        (("--condition", "роза"), "unknown word 'роза'"),
        (
            ("--condition", "a " * 10_000),
            "a text of 10,000 words is too long — this model takes a text of up to 4 words, of 6 known: ",
        ),
        (
            ("--condition", "a" * 200_000),
            "200,000 characters is too long — this model takes a text of up to 4 words, of 6 known: ",
        ),
        ((), "told-flowers needs a condition: it takes a text of up to 4 words"),
    ],
)
def test_a_wrong_text_is_refused_before_any_work_with_one_to_type(run, words, said):
    done = run("sample", "told-flowers", *words)
    assert done.exit_code != 0
    one_line(done.stderr, said)
    assert done.stderr.endswith(" --condition 'a red rose', or --condition all\n")
    done = run("neighbours", "told-flowers", *words)
    assert done.stderr.endswith(" --condition 'a red rose'\n")


def test_a_drawn_picture_can_be_translated(run):
    done = run("sample", "told-maps", "-n", 2, "--condition", "drawn:1", "--seed", 3, "-o", "x.png")
    assert done.stderr == "x.png: 2 images of told-maps, map drawn:1, seed 3\n"
    expected = grid(MODELS["told-maps"].sample(2, 3, condition="drawn:1"))
    assert np.array_equal(np.asarray(Image.open("x.png")), np.asarray(expected))
    for typed, own in (("my map.png", "'my map.png'"), ("drawn", "map.png")):
        done = run("sample", "told-maps", "--condition", typed)
        words = "--condition takes no file here"
        one_line(done.stderr, words, f"— genzoo translate told-maps {own} translates your own")


def test_a_walk_between_texts_is_refused_in_the_words_of_the_command_line(run):
    done = run("interpolate", "told-flowers", "--condition", "a red rose", "--to", "yellow rose")
    assert done.exit_code == 1
    one_line(
        done.stderr,
        "told-flowers takes no labels to walk between: it takes a text of up to 4 words — leave --to out",
    )
    assert run("interpolate", "told-flowers", "--condition", "a red rose", "-n", 1).exit_code == 0


def test_list_and_info_say_what_is_taken(run):
    table = run("list").stdout
    assert "a text of up to 4 words" in table and "map → photo" in table
    found = {entry["name"]: entry["condition"] for entry in json.loads(run("list", "--json").stdout)}
    assert found == {"told-flowers": TEXT.as_dict(), "told-maps": PAIRED.as_dict()}
    assert TEXT.words in run("info", "told-flowers").stdout.replace("\n" + " " * 11, " ")
    assert json.loads(run("info", "told-maps", "--json").stdout)["condition"] == PAIRED.as_dict()


def test_reading():
    assert read_one(TEXT, "A rose") == "A rose" and read_rows(TEXT, "ALL") == SENTENCES
    assert read_rows(PAIRED, "all")[:2] == ("drawn:0", "drawn:1")
    with pytest.raises(UnknownNameError):
        read_rows(TEXT, "tulip")
    with pytest.raises(ArgumentError, match=r"genzoo translate NAME x\.png"):
        read_one(PAIRED, "x.png")
