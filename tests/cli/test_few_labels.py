"""`genzoo few-labels`: what is printed, drawn and refused."""

import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest
import toys
from PIL import Image
from shell import in_process, lay, one_line, publish

from genzoo.evaluation import few_labels
from genzoo.evaluation.classifier import Protocol

TOYS = """
import genzoo
from genzoo import Card, Family, Recipe
genzoo_api = 2
@genzoo.hookimpl
def genzoo_cards():
    digits, binary = (Recipe(data=data, steps=2, batch_size=16) for data in ("digits", "binarized-digits"))
    coder = {"family": Family.AUTOENCODER, "model": "toys:Coder"}
    return [
        Card(name="coder", recipe=digits, **coder),
        Card(name="other", recipe=binary, **coder),
        Card(name="lone", **coder),
        Card(name="fresh", recipe=digits, **coder),
        Card(name="toy-gan", family=Family.IMPLICIT, model="toys:ToyGAN", recipe=digits),
    ]
"""
EXPERIMENT = "toys.toml"
QUICK = ("--labels", "10,20", "--seeds", 2, "-n", 50, "--steps", 3)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Give a folder with the plugin of toys and one with weights of all but "fresh"."""
    packages, published = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("published")
    lay(packages, "label-box", TOYS)
    coder = toys.Coder(toys.ToyConfig()).eval()
    for name, model in {"coder": coder, "other": coder, "lone": coder, "toy-gan": toys.gan()}.items():
        publish(published, name, model, "label-box")
    return packages, published


@pytest.fixture
def run(home, monkeypatch, tmp_path):
    packages, published = home
    with in_process(monkeypatch, tmp_path, packages, "label-box", published) as run:
        yield run


def test_a_table_a_verdict_and_a_figure(run):
    done = run("few-labels", "coder", *QUICK, "-o", "x.png")
    assert done.exit_code == 0, done.output
    header, ten, twenty, *verdicts = done.stdout.splitlines()
    assert header.split("  ")[0] == "LABELS" and all(
        word in header for word in ("RANDOM", "CODER", "CODER, LINEAR PROBE")
    )
    assert ten.startswith("10 ") and twenty.startswith("20 ") and ten.count("±") == 3
    assert [
        line.startswith(("with 20 labels coder ", "with 20 labels a linear probe of coder "))
        for line in verdicts
    ] == [True, True]
    assert one_line(
        "genzoo: " + done.stderr.splitlines()[-1],
        "x.png",
        "50 test images of digits",
        "2 seeds",
        "Adam, 3 steps of 32 images",
    )
    assert np.asarray(Image.open("x.png")).shape[:2] == (640, 1200)


@pytest.mark.parametrize("line", [("few-labels", "coder", *QUICK), ("experiment", EXPERIMENT)])
def test_without_matplotlib_nothing_is_trained(run, monkeypatch, line):
    Path(EXPERIMENT).write_text(
        'title = "t"\ndata = "digits"\nmodel = "toy-gan"\nfigure = "saturation"\nseeds = 1\nbudget = 2\n'
    )
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "matplotlib" else found(name)
    )
    done = run(*line)
    assert done.exit_code == 1 and one_line(done.stderr, "plots need matplotlib", "'genzoo[plots]'")
    assert os.listdir() == [EXPERIMENT]


def test_json_holds_every_seed(run):
    done = run("few-labels", "coder", *QUICK, "--json", "-o", "x.png")
    rows = json.loads(done.stdout)
    assert [(row["start"], row["labels"]) for row in rows] == [
        (s, n) for s in ("random", "encoder", "probe") for n in (10, 20)
    ]
    assert all(len(row["values"]) == 2 and row["n"] == 50 and row["data"] == "digits" for row in rows)


def test_the_same_line_gives_the_same_numbers_and_the_same_figure(run):
    first, second = (run("few-labels", "coder", *QUICK, "-o", f"{name}.png").stdout for name in "ab")
    assert first == second
    assert np.array_equal(Image.open("a.png"), Image.open("b.png"))


def test_several_models_share_one_figure(run):
    done = run("few-labels", "coder", "other", "--data", "digits", *QUICK)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0].count("LINEAR PROBE") == 2 and done.stdout.count("RANDOM") == 1
    assert os.listdir() == ["coder-few-labels.png"]


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("codr",), 1, ("codr", "did you mean 'coder'?")),
        (("coder", "coder"), 1, ("coder is named twice",)),
        (("fresh",), 1, ("'fresh' has no published weights",)),
        (("toy-gan",), 1, ("toy-gan has no encoder", "coder, lone, other")),
        (("coder", "other"), 1, ("different data", "digits, binarized-digits", "--data")),
        (("lone",), 1, ("'lone' names no data set", "--data")),
        (("coder", "--data", "plain.npz"), 1, ("plain has no labels", "digits, mnist")),
        (
            ("coder", "--labels", "5,20"),
            1,
            ("5 labels are fewer than the 10 classes of digits", "at least 10"),
        ),
        (("coder", "--labels", "10,100000"), 1, ("100,000 labels are 10,000 of each class", "at most 1,")),
        (("coder", "--labels", "0,10"), 2, ("'0,10' must read N,N,...",)),
        (("coder", "--labels", "-10"), 2, ("'-10' must read N,N,...",)),
        (("coder", "--labels", ""), 2, ("must read N,N,...",)),
        (("coder", "--labels", "ten"), 2, ("'ten' must read N,N,...",)),
        (("coder", "--seeds", 1), 2, ("'--seeds'",)),
        (("coder", "-n", 0), 2, ("'-n'",)),
        (("coder", "--steps", 0), 2, ("'--steps'",)),
        (("coder", "-o", "x.jpg"), 2, ("PNG", "x.png")),
        (("coder", "--device", "gpu"), 1, ("device 'gpu' cannot be used",)),
        ((), 2, ("NAME...",)),
    ],
)
def test_what_cannot_be_done_is_one_line(run, args, code, words):
    np.savez("plain.npz", images=np.random.default_rng(0).integers(0, 256, (30, 8, 8), dtype=np.uint8))
    done = run("few-labels", *args)
    assert (done.exit_code, done.stdout) == (code, ""), done.output
    assert one_line(done.stderr, *words)
    assert os.listdir() == ["plain.npz"]


def test_the_defaults_are_those_of_the_library(run):
    """The command names them itself, as importing the other modules would bring torch."""
    text = " ".join(run("few-labels", "--help").stdout.split())
    told = (",".join(map(str, few_labels.COUNTS)), few_labels.SEEDS, few_labels.TEST, Protocol().steps)
    assert all(f"[default: {value}" in text for value in told)
