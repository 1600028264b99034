"""Classifiers at the command line: listed beside the taxonomy, trained, measured, measured with, and asked
for what they have not."""

import json

import class_toys
import pytest
import toys
from click.testing import CliRunner
from shell import lay, one_line

import genzoo
from genzoo import hub, registry
from genzoo.cli.program import cli
from genzoo.data import open_data
from genzoo.evaluation.gist import FEATURES
from genzoo.evaluation.neighbours import nearest_images
from genzoo.files import sha256_of
from genzoo.ledger import Row
from genzoo.models import golden
from genzoo.models.weights import encode

BOX = """
import class_toys, genzoo, toys
genzoo_api = 2
@genzoo.hookimpl
def genzoo_cards():
    return [class_toys.CARD, toys.CARDS["toy-gan"], toys.CARDS["coins"]]
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Give a hub folder with weights of a classifier, of a toy GAN and of coins."""
    folder = tmp_path_factory.mktemp("hub")
    class_toys.publish(folder, class_toys.net(), plugin="net-box")
    for name, model in (("toy-gan", toys.gan()), ("coins", toys.Coins(toys.ToyConfig()))):
        blob = encode(model.eval(), name, golden.record(model))
        row = Row(
            name=name,
            sha256=sha256_of(blob),
            bytes=len(blob),
            sources=(f"folder:{name}.safetensors",),
            plugin="net-box",
        )
        hub.push(folder, name=name, weights=blob, row=row, card_text=f"# {name}\n")
    return folder


@pytest.fixture
def run(monkeypatch, tmp_path, published):
    """Give `run(*args)`, which calls the program in this process with a plugin that has a classifier."""
    lay(tmp_path, "net-box", BOX)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    for key, value in (
        ("PLUGINS", "net-box"),
        ("PLUGIN_TIMEOUT", 0),
        ("ZOO", published),
        ("CACHE", tmp_path / "cache"),
    ):
        monkeypatch.setenv(f"GENZOO_{key}", str(value))
    registry.installed.cache_clear()
    yield lambda *args: CliRunner().invoke(cli, [str(arg) for arg in args])
    registry.installed.cache_clear()


def names(done):
    assert (done.exit_code, done.stderr) == (0, "")
    return [row["name"] for row in json.loads(done.stdout)]


class TestListing:
    def test_the_list_is_of_models_and_the_door_agrees(self, run):
        assert names(run("list", "--json")) == names(run("list", "--tree", "--json")) == ["coins", "toy-gan"]
        assert [card.name for card in genzoo.cards()] == ["coins", "toy-gan"]
        assert "digit-net" not in run("list").stdout
        assert names(run("list", "--json", "--family", "classifier")) == ["digit-net"]

    def test_the_tree_shows_it_beside_the_taxonomy(self, run):
        lines = run("list", "--tree").stdout.splitlines()
        at = lines.index("Classifiers: features to measure with, no models of images")
        assert lines[at + 1].startswith("└─ digit-net  (") and at > lines.index(
            "Autoencoders: codes, no density"
        )

    def test_it_is_known_by_its_name(self, run):
        assert genzoo.info("digit-net").has_weights and genzoo.load("digit-net").classes == 10
        assert "classifier: features to measure with, no model of images" in run("info", "digit-net").stdout
        assert run("pull", "--all").exit_code == 0
        done = run("verify", "--all", "--json")
        assert {row["name"] for row in json.loads(done.stdout) if row["ok"]} == {
            "digit-net",
            "toy-gan",
            "coins",
        }


class TestMeasuring:
    def test_it_is_measured_by_its_labels(self, run):
        records = json.loads(run("eval", "digit-net", "--json").stdout)
        assert [(r["metric"], r["unit"], r["kind"], r["data"]) for r in records] == [
            ("accuracy", "1", "classification", "digits"),
            ("cross-entropy", "nats", "classification", "digits"),
        ]

    def test_samples_are_measured_in_the_net_of_their_data(self, run):
        label = f"fid[digit-net@{genzoo.zoo.row('digit-net').sha256[:12]}]"
        done = run("eval", "toy-gan", "--metrics", "fid", "-n", 20)
        assert [line.split(":")[0] for line in done.stdout.splitlines()] == [
            f"{label} of toy-gan",
            f"{label} of train",
        ]
        assert all("n = 20 against 20, digits test" in line for line in done.stdout.splitlines())

    def test_or_in_another_space(self, run):
        done = run(
            "eval",
            "toy-gan",
            "--features",
            "gist",
            "--metrics",
            "kid,copying",
            "--metrics",
            "fid",
            "-n",
            20,
            "--json",
        )
        records = json.loads(done.stdout)
        assert [r["metric"] for r in records if r["subject"] == "toy-gan"] == ["kid", "fid", "copying"]
        assert {r["features"].partition("@")[0] for r in records} == {"gist-v1", ""}

    def test_models_of_every_family_are_ranked_by_their_samples(self, run):
        done = run(
            "eval",
            "toy-gan",
            "coins",
            "--data",
            "digits",
            "--features",
            "digit-net",
            "--metrics",
            "two-sample",
            "-n",
            20,
        )
        assert done.exit_code == 0 and "Ranking of two-sample[digit-net@" in done.stdout

    @pytest.mark.parametrize(
        ("args", "words"),
        [
            (("--features", "toy-gan"), "'toy-gan' is not a classifier"),
            (("--features", "digit-nett"), "did you mean 'digit-net'"),
            (("--metrics", "fdi"), "unknown metric 'fdi'; did you mean 'fid'"),
            (("--metrics", "parzen-2014"), "parzen-2014 takes 10,000 samples"),
        ],
    )
    def test_what_cannot_be_is_one_line(self, run, args, words):
        done = run("eval", "toy-gan", "-n", 20, *args)
        assert (done.exit_code, done.stdout) == (1, "") and one_line(done.stderr, words)

    def test_a_classifier_has_no_samples_to_measure(self, run):
        done = run("eval", "digit-net", "--metrics", "fid")
        assert done.exit_code == 1 and one_line(done.stderr, "'digit-net' generates no samples")


class TestTheRest:
    @pytest.mark.parametrize("command", ["sample", "complete", "context", "neighbours", "interpolate"])
    def test_samples_of_it_are_refused_before_it_is_loaded(self, run, monkeypatch, command):
        monkeypatch.setattr(
            genzoo.zoo, "load", lambda *args, **more: pytest.fail("the model was loaded first")
        )
        done = run(command, "digit-net")
        assert done.exit_code == 1 and one_line(
            done.stderr, "digit-net is a classifier: it cannot generate images"
        )

    def test_neighbours_are_looked_for_in_its_features(self, run):
        args = ("neighbours", "toy-gan", "--data", "digits", "-n", 2, "--nearest", 1, "--seed", 6)
        (entry, _) = json.loads(run(*args, "--space", "feature", "--features", "digit-net", "--json").stdout)
        assert entry["space"].startswith("digit-net@")
        net, train = class_toys.net().eval(), open_data("digits", split="train")
        found = nearest_images(
            toys.gan().sample(2, seed=6), train, space=lambda images: net.features(images).double()
        )
        assert entry["neighbours"][0]["index"] == int(found.indices[0, 0])
        assert entry["neighbours"][0]["distance"] == pytest.approx(float(found.distances[0, 0]), rel=1e-4)
        (gist, _) = json.loads(run(*args, "--space", "feature", "--features", "gist", "--json").stdout)
        assert gist["space"] == FEATURES
        done = run(*args, "--features", "digit-net")
        assert done.exit_code == 2 and "--features needs --space feature" in " ".join(done.stderr.split())

    def test_its_features_are_written(self, run, tmp_path):
        done = run("features", "digit-net", "-o", tmp_path / "found.npz")
        assert done.exit_code == 0, done.stderr

    def test_it_is_trained_and_pushed_with_its_scores(self, run, tmp_path):
        done = run("train", "digit-net", "--out", tmp_path / "run")
        assert done.exit_code == 0 and "accuracy of digit-net" in done.stdout + done.stderr
        assert run("push", "digit-net", tmp_path / "zoo", "--run", tmp_path / "run").exit_code == 0
        text = next((tmp_path / "zoo").glob("digit-net-*.md")).read_text("utf-8")
        assert "model.features(images)" in text and "image-feature-extraction" in text
        assert "| accuracy |" in text and "classification" in text

    def test_data_without_labels_are_refused(self, run):
        done = run("train", "digit-net", "--data", "binarized-digits", "--set", "classes=3", "--out", "run")
        assert done.exit_code == 1 and one_line(
            done.stderr.splitlines()[-1], "labels of binarized-digits run from 0 to 9"
        )


def test_a_label_that_no_classifier_has_is_told_in_one_line(run):
    done = run("eval", "toy-gan", "--reads-as", "seven", "-n", 20)
    assert (done.exit_code, done.stdout) == (1, "")
    assert one_line(done.stderr, "no published classifier for 1x8x8 images has a class 'seven'")
