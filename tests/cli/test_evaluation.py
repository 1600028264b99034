"""`genzoo eval` of a model with a bound: -ELBO and IWAE-K, and which K are told."""

import importlib
import json
import sys

import numpy as np
import pytest
import torch
import toys
from click.testing import CliRunner
from conditional_toys import LabelBernoulli, LabelConfig
from shell import Site, in_process, lay, one_line, publish

from genzoo import hub, registry, zoo
from genzoo.cli.program import cli
from genzoo.files import sha256_of
from genzoo.ledger import Row
from genzoo.models import golden
from genzoo.models.weights import encode

COINS = """
import genzoo, toys
genzoo_api = 2
@genzoo.hookimpl
def genzoo_cards():
    return [toys.CARDS["coins"], toys.CARDS["toy-gan"]]
"""


# A family that the core knows nothing of: models that say how many images they have seen.
COUNTER = """
import genzoo
from genzoo import Card, Family

genzoo_api = 2

@genzoo.hookimpl
def genzoo_cards():
    recipe = genzoo.Recipe(data="digits")
    known, unknown = (
        Card(name=name, family=Family.IMPLICIT, model=f"counter_nets:{kind}", recipe=recipe)
        for name, kind in (("abacus", "Abacus"), ("mute", "Mute"))
    )
    return [known, unknown]
"""
NETS = """
from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from genzoo import Family
from genzoo.evaluation import Record, Request
from genzoo.evaluation.measures import measures
from genzoo.models import GenerativeModel


@dataclass(frozen=True, kw_only=True)
class Config:
    image_shape: tuple[int, int, int] = (1, 8, 8)


class Mute(GenerativeModel):
    Config = Config

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.scale = nn.Linear(1, 1)

    @classmethod
    def _place(cls):
        return Family.IMPLICIT

    def _sample(self, draws):
        return draws.uniform(1, 8, 8).float()


class Abacus(Mute):
    pass


@measures.register
def count(model: Abacus, train, test, request: Request, *, subject, progress=None) -> Iterator[Record]:
    about = {"data": test.name, "split": test.split, "subject": subject}
    yield Record(metric="beads", value=len(train) / len(test), n=request.n or len(test), **about)
"""


@pytest.fixture(scope="module")
def hub_folder(tmp_path_factory):
    """Give a hub folder with weights of coins and of a toy GAN."""
    folder = tmp_path_factory.mktemp("hub")
    for name, net in (("coins", toys.Coins(toys.ToyConfig())), ("toy-gan", toys.gan())):
        blob = encode(net.eval(), name, golden.record(net))
        facts = {"licence": "MIT", "data": "digits", "terms": "", "trained": "not at all", "scores": ()}
        row = Row(
            name=name,
            sha256=sha256_of(blob),
            bytes=len(blob),
            sources=(f"folder:{name}.safetensors",),
            plugin="coin-box",
            **facts,
        )
        hub.push(folder, name=name, weights=blob, row=row, card_text=f"# {name}\n")
    return folder


@pytest.fixture
def run(monkeypatch, tmp_path, hub_folder):
    """Give `run(*args)`, which calls the program in this process with a plugin of coins."""
    lay(tmp_path, "coin-box", COINS)
    monkeypatch.syspath_prepend(tmp_path)
    for key, value in (("PLUGINS", "coin-box"), ("ZOO", hub_folder), ("CACHE", tmp_path / "cache")):
        monkeypatch.setenv(f"GENZOO_{key}", str(value))
    # no child process to load the plugin in first: it imports torch
    monkeypatch.setenv("GENZOO_PLUGIN_TIMEOUT", "0")
    registry.installed.cache_clear()
    yield lambda *args: CliRunner().invoke(cli, [str(arg) for arg in args])
    registry.installed.cache_clear()


def told(done):
    assert done.exit_code == 0, done.output
    return [(r["kind"], r["protocol"], r["unit"]) for r in json.loads(done.stdout)]


@pytest.mark.skipif(not torch.distributed.is_available() or sys.platform == "win32", reason="needs gloo")
def test_two_processes_print_what_one_does(tmp_path, hub_folder):
    """Real processes under torchrun: the threads of test_sharing.py have neither gloo nor two stdouts."""
    lay(tmp_path, "coin-box", COINS)
    site = Site(tmp_path, tmp_path, hub_folder)
    env = {"GENZOO_PLUGINS": "coin-box", "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    words = ("eval", "toy-gan", "coins", "-n", 40, "--metrics", "kid,swd", "--json")
    alone = site(*words, env=env)
    two = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "genzoo")
    shared = site(*words, env={**env, "GENZOO_CACHE": str(tmp_path / "other")}, python=two)
    assert (alone.returncode, shared.returncode) == (0, 0), alone.stderr + shared.stderr
    assert json.loads(shared.stdout) == json.loads(alone.stdout)
    refused = site("eval", "toy-gan", "--data", tmp_path / "none", env=env, python=two)
    assert refused.returncode and not refused.stdout
    said = [line for line in refused.stderr.splitlines() if line.startswith("genzoo: ")]
    other = "another process of the group failed"
    why, also = sorted(said, key=lambda line: other in line)  # each process writes when it can
    assert str(tmp_path / "none") in why and other in also


def test_the_usual_k_are_told_in_both_units(run):
    found = told(run("eval", "coins", "-n", 3, "--json"))
    assert [kind for kind, _, _ in found] == ["elbo"] * 2 + ["iwae"] * 8
    assert found[2:] == [
        ("iwae", f"K = {k}, images chosen by seed 0", unit)
        for k in (1, 50, 500, 5000)
        for unit in ("nats", "bits/dim")
    ]


def test_json_has_all_one_must_know(run):
    for record in json.loads(run("eval", "coins", "-n", 20, "--k", "2", "--json").stdout):
        facts = {
            "metric": "nll",
            "n": 20,
            "data": "binarized-digits",
            "transform": "static-binarised",
            "split": "test",
            "subject": "coins",
        }
        assert facts.items() <= record.items() and record["stderr"] > 0


@pytest.mark.parametrize("args", [("--k", "9,2"), ("--k", "2", "--k", "9"), ("--k", " 2 , 9 ,2")])
def test_others_are_told_where_asked_for(run, args):
    found = [
        protocol.partition(",")[0]
        for _, protocol, _ in told(run("eval", "coins", "-n", 3, *args, "--json"))[2:]
    ]
    assert found == ["K = 2"] * 2 + ["K = 9"] * 2


def test_the_training_images_can_be_asked_about(run):
    values = {
        split: json.loads(run("eval", "coins", "--k", 1, "--split", split, "--json").stdout)[0]
        for split in ("train", "test")
    }
    assert {record["split"]: record["n"] for record in values.values()} == {"train": 1610, "test": 187}
    assert values["train"]["value"] != values["test"]["value"]


def test_a_split_that_is_not_there_or_makes_no_sense_is_refused(run):
    for args, words in (
        (
            ("toy-gan", "--data", "digits", "--split", "train"),
            ("'toy-gan' are measured against test or validation", "leave split out"),
        ),
        (("coins", "--data", "digits"), ("black and white only", "--binarise threshold or draw")),
        (
            ("coins", "--binarise", "draw"),
            ("binarized-digits is static-binarised already", "leave binarise out"),
        ),
    ):
        done = run("eval", *args)
        assert (done.exit_code, done.stdout) == (1, "") and one_line(done.stderr, *words)


def test_the_validation_images_of_any_set_can_be_asked_about(run):
    for args in (("coins", "--k", 1), ("toy-gan", "--data", "digits", "--metrics", "kid")):
        found = json.loads(run("eval", *args, "--split", "valid", "--json").stdout)
        assert {record["split"] for record in found} == {"valid"} and found[0]["n"] < 187
        assert all("validation=true" in record["note"] for record in found)


def test_grey_images_are_made_black_and_white_where_asked(run):
    for way, words in (("threshold", "white from 128 on"), ("draw", "one draw of seed 0")):
        assert (
            f"n = 187, digits test, binarised, {words})"
            in run("eval", "coins", "--data", "digits", "--k", 1, "--binarise", way).stdout
        )


def test_lines_say_that_they_are_bounds(run):
    lines = run("eval", "coins", "-n", 3, "--k", 5).stdout.splitlines()
    assert len(lines) == 4 and all(line.startswith("nll of coins: ≤ ") for line in lines)
    assert "(ELBO, images chosen by seed 0, n = 3" in lines[0] and "bits/dim (IWAE" in lines[3]
    assert "nats (IWAE, K = 5, images chosen by seed 0, n = 3" in lines[2]


@pytest.mark.parametrize("k", ["0", "-1", "1,0", "", "50,", "1.5", "many", "٣", "9" * 30])
def test_a_wrong_k_is_wrong_usage(run, monkeypatch, k):
    monkeypatch.setattr(zoo, "load", lambda *args, **more: pytest.fail("the model was loaded first"))
    done = run("eval", "coins", "--k", k)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "must be a whole number of at least 1, for example --k 1,50,5000" in " ".join(done.stderr.split())


def test_k_for_a_model_without_a_bound_says_what_has_one(run):
    done = run("eval", "toy-gan", "--data", "digits", "--k", 5)
    assert (done.exit_code, done.stdout) == (1, "")
    assert one_line(done.stderr, "'toy-gan' has no importance-weighted bound", "leave --k out")


def test_what_cannot_be_compared_is_not_ranked_together(run):
    done = run("eval", "coins", "toy-gan", "-n", 20)
    assert done.exit_code == 0 and "Ranking" not in done.stdout
    words = (
        "coins and toy-gan are not ranked together: metric differs, 'nll' and 'kid': they measure "
        "different things"
    )
    assert done.stderr.splitlines()[-1] == words


def test_one_that_fails_does_not_stop_the_others(run):
    done = run("eval", "toy-gan", "coins", "--split", "train", "-n", 20, "--json")
    assert done.exit_code == 1
    assert {record["subject"] for record in json.loads(done.stdout)} == {"coins"}
    assert done.stderr.count("\n") == 1 and done.stderr.startswith(
        "genzoo: samples of 'toy-gan' are measured against test"
    )


def test_k_is_checked_for_all_models_before_one_is_measured(run, monkeypatch):
    monkeypatch.setattr(zoo, "load", lambda *args, **more: pytest.fail("the model was loaded first"))
    done = run("eval", "coins", "toy-gan", "--k", 5, "-n", 20)
    assert (done.exit_code, done.stdout) == (1, "")
    assert one_line(done.stderr, "genzoo: 'toy-gan' has no importance-weighted bound", "leave --k out")


class TestAnotherFamily:
    """What a stranger's class is measured by stands beside the class, and the core stays untouched."""

    @pytest.fixture
    def count(self, monkeypatch, tmp_path):
        lay(tmp_path, "counter-box", COUNTER)
        (tmp_path / "counter_nets.py").write_text(NETS, "utf-8")
        monkeypatch.syspath_prepend(tmp_path)
        nets = importlib.import_module("counter_nets")
        for name, kind in (("abacus", nets.Abacus), ("mute", nets.Mute)):
            publish(tmp_path / "hub", name, kind(nets.Config()).eval(), "counter-box")
        with in_process(monkeypatch, tmp_path, tmp_path, "counter-box", tmp_path / "hub") as run:
            yield run
        sys.modules.pop("counter_nets")

    def test_is_measured_as_it_says_and_the_core_is_asked_for_its_samples_only_by_name(self, count):
        done = count("eval", "abacus", "-n", 9, "--json")
        assert done.exit_code == 0, done.stderr
        (record,) = json.loads(done.stdout)
        facts = {"metric": "beads", "n": 9, "data": "digits", "split": "test", "subject": "abacus"}
        assert facts.items() <= record.items() and record["value"] == 1610 / 187
        done = count("eval", "abacus", "mute", "--metrics", "swd", "-n", 9, "--json")
        assert {(r["subject"], r["metric"]) for r in json.loads(done.stdout)} == {
            (subject, metric) for subject in ("abacus", "mute", "train") for metric in ("swd", "swd-8")
        }

    def test_that_registered_nothing_is_told_in_one_line_what_to_do(self, count):
        done = count("eval", "mute")
        assert (done.exit_code, done.stdout) == (1, "")
        words = ("Mute has no measures", "genzoo.evaluation.measures.register, next to the class")
        assert one_line(done.stderr, *words)


class TestConditions:
    """A model that takes labels is given those of the images, or the one of --condition."""

    PLUGIN = """
    import conditional_toys, genzoo
    genzoo_api = 2
    @genzoo.hookimpl
    def genzoo_cards():
        return [conditional_toys.card(conditional_toys.LabelBernoulli, "pets")]
    """

    @pytest.fixture
    def pets(self, monkeypatch, tmp_path):
        torch.manual_seed(0)
        model = LabelBernoulli(LabelConfig()).eval()
        publish(tmp_path / "hub", "pets", model, "pet-box")
        publish(tmp_path / "hub", "coins", toys.Coins(toys.ToyConfig()).eval(), "coin-box")
        lay(tmp_path, "pet-box", self.PLUGIN)
        lay(tmp_path, "coin-box", COINS)
        numbers = np.arange(300) % 3
        pixels = np.random.default_rng(0).integers(0, 256, (300, 8, 8), dtype=np.uint8)
        np.savez(tmp_path / "pets.npz", images=pixels, labels=numbers, class_names=("horse", "cat", "dog"))
        np.savez(tmp_path / "bare.npz", images=pixels)
        about = ("--data", tmp_path / "pets.npz", "--binarise", "threshold")
        with in_process(monkeypatch, tmp_path, tmp_path, "pet-box,coin-box", tmp_path / "hub") as run:
            yield lambda *args: run("eval", "pets", *about, *args)

    def test_the_labels_of_the_images_are_given(self, pets):
        done = pets("--json")
        assert done.exit_code == 0, done.output
        found = {record["metric"]: record["condition"] for record in json.loads(done.stdout)}
        # Bayes' rule finds the labels, so it is given none
        assert found == {"nll": "test labels", "accuracy": "", "cross-entropy": ""}
        assert pets().stdout.startswith("nll given test labels of pets: = ")

    def test_one_label_or_each(self, pets):
        dog, every = (
            [
                record
                for record in json.loads(pets("--json", "--condition", word).stdout)
                if record["metric"] == "nll"
            ]
            for word in ("Dog", "all")
        )
        assert {record["condition"] for record in dog} == {"label dog"}
        assert [record["condition"] for record in every[::2]] == [
            "test labels",
            "label cat",
            "label dog",
            "label horse",
        ]
        assert every[4:6] == dog and every[0]["n"] == sum(record["n"] for record in every[2::2])

    def test_what_does_not_fit_is_told_in_one_line(self, pets, tmp_path):
        for args, words in (
            (("--condition", "hors"), ("no label 'hors'; did you mean 'horse'",)),
            (("--condition", "3"), ("label 3 does not exist",)),
            (("--data", tmp_path / "bare.npz"), ("has no labels, but this model takes 3 labels: cat, dog",)),
        ):
            done = pets(*args)
            assert (done.exit_code, done.stdout) == (1, "") and one_line(done.stderr, *words)

    def test_a_model_without_a_condition_refuses_one_and_is_not_ranked_with_it(self, pets):
        done = pets("coins", "--condition", "dog", "-n", 5)
        assert done.exit_code == 1 and "genzoo: coins: Coins takes no condition" in done.stderr
        done = pets("coins", "-n", 20, "--k", 1)
        assert "Coins takes no condition" not in done.stderr
