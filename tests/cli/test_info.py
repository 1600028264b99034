"""What `genzoo info` shows of the scores and of the net."""

import json
import subprocess
import sys

import pytest
import toys
from shell import HOSTILE

from genzoo.cli.net import layers_of
from genzoo.cli.scores import say_scores
from genzoo.record import Record


def record(**changes):
    about = {
        "metric": "kid",
        "value": 0.02,
        "n": 1439,
        "data": "bedrooms",
        "subject": "it",
        "protocol": "seed 0",
    }
    return Record(**{**about, **changes})


def table(capsys, *scores):
    """Return the lines of the table, split into cells, and the lines below it."""
    say_scores(scores)
    title, _, below = capsys.readouterr().out.removeprefix("\nScores\n").partition("\n\n")
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in title.splitlines()], below


class TestScores:
    def test_the_floor_stands_beside_the_model(self, capsys):
        gist = {"features": "gist@0123456789ab", "stderr": 0.006}
        rows, _ = table(
            capsys,
            record(**gist),
            record(metric="swd", unit="1e-3", value=17.4),
            record(metric="swd", unit="1e-3", value=15.2, subject="train"),
            record(**gist, subject="train", value=-0.004),
        )
        assert rows == [
            ["METRIC", "MODEL", "REAL IMAGES", "SPLIT", "N"],
            ["kid[gist]", "0.02 ± 0.006", "-0.004 ± 0.006", "test", "1,439"],
            ["swd (× 1e-3)", "17.4", "15.2", "test", "1,439"],
        ]

    def test_a_control_is_named(self, capsys):
        rows, below = table(
            capsys,
            record(protocol="each next to its target"),
            record(subject="mean target", protocol="each next to its target"),
            record(metric="l1"),
        )
        assert [row[0] for row in rows[1:]] == ["kid", "kid of mean target", "l1"]
        assert "kid, kid of mean target: each next to its target" in " ".join(below.split())

    def test_what_was_given_stands_behind_the_metric(self, capsys):
        bound = {"metric": "nll", "kind": "iwae", "unit": "nats", "protocol": "K = 50, drawn"}
        rows, _ = table(
            capsys,
            *(
                record(condition=condition, subject=subject)
                for condition in ("test labels", "label 7")
                for subject in ("it", "train")
            ),
            record(**bound, condition="test labels"),
        )
        assert [row[0] for row in rows[1:]] == [
            "kid given test labels",
            "kid given label 7",
            "nll IWAE K = 50 given test labels (nats)",
        ]

    @pytest.mark.parametrize(
        "other",
        [
            {"split": "validation"},
            {"condition": "label 7"},
            {"protocol": "seed 1"},
            {"data": "faces"},
            {"metric": "fid"},
            {"n": 7},
        ],
    )
    def test_a_floor_of_another_measurement_has_a_row_of_its_own(self, capsys, other):
        rows, below = table(capsys, record(), record(subject="train", value=0.01, **other))
        assert [row[1] for row in rows[1:]] == ["0.02", "0.01"]
        if "protocol" in other:
            assert below.splitlines()[1:] == ["  kid: seed 0", "  kid of real images: seed 1"]

    def test_a_floor_alone_stands_below_its_heading(self, capsys):
        say_scores([record(subject="train", value=0.01), record(metric="fid")])
        _, _, header, model, floor, *_ = capsys.readouterr().out.splitlines()
        assert model.index("0.02") == header.index("MODEL")
        assert floor.index("0.01") == header.index("REAL IMAGES")

    def test_without_a_floor_there_is_no_column_for_it(self, capsys):
        about = {"metric": "nll", "unit": "nats", "stderr": 0.2}
        rows, below = table(
            capsys,
            record(**about, kind="elbo", value=90.1, protocol="KL exact"),
            record(**about, kind="iwae", value=83.4, protocol="K = 50, a density"),
            record(**about, kind="iwae", value=82.4, protocol="K = 500, a density"),
        )
        assert rows == [
            ["METRIC", "MODEL", "SPLIT", "N"],
            ["nll ELBO (nats)", "≤ 90.1 ± 0.2", "test", "1,439"],
            ["nll IWAE K = 50 (nats)", "≤ 83.4 ± 0.2", "test", "1,439"],
            ["nll IWAE K = 500 (nats)", "≤ 82.4 ± 0.2", "test", "1,439"],
        ]
        assert below.splitlines() == [
            "  all: measured on bedrooms test, 8-bit",
            "  nll ELBO: KL exact",
            "  nll IWAE K = 50, nll IWAE K = 500: a density",
        ]

    def test_what_all_share_is_said_once(self, capsys):
        _, below = table(
            capsys,
            record(protocol="all pairs; seed 0", blocks=12, note="few images"),
            record(metric="fid", protocol="seed 0", blocks=12),
            record(metric="is", protocol="seed 0", blocks=12),
        )
        assert below.splitlines() == [
            "  all: measured on bedrooms test, 8-bit; n in 12 blocks; seed 0",
            "  kid: all pairs; few images",
        ]

    def test_a_ledger_may_say_little(self, capsys):
        rows, below = table(capsys, Record(metric="kid", value=1.0))
        assert rows == [["METRIC", "MODEL", "SPLIT", "N"], ["kid", "1", "test"]] and below == ""

    def test_hostile_scores_are_made_harmless(self, capsys):
        texts = dict.fromkeys(("metric", "unit", "data", "split", "protocol", "note", "features"), HOSTILE)
        say_scores([record(**texts, subject=subject) for subject in (HOSTILE, "train")])
        assert all(line.isprintable() for line in capsys.readouterr().out.splitlines())

    def test_it_fits_80_columns(self, run, monkeypatch):
        whole = run("info", "toy-gan", "--net").stdout
        monkeypatch.setattr("genzoo.cli.output._is_terminal", lambda stream: True)
        monkeypatch.setenv("COLUMNS", "80")
        shown = run("info", "toy-gan", "--net").stdout
        assert max(map(len, shown.splitlines())) <= 80
        assert shown.split() == whole.split()


class TestNet:
    def test_table(self, run):
        net = toys.gan()
        total = sum(parameter.numel() for parameter in net.parameters())
        done = run("info", "toy-gan", "--net")
        assert (done.exit_code, done.stderr) == (0, "")
        title, header, *rows = done.stdout.partition("\nNet: ")[2].partition("\n\n")[0].splitlines()
        assert title == f"{total:,} parameters"
        assert header.split() == ["LAYER", "KIND", "OUTPUT", "PARAMETERS"]
        assert sum(int(row.split()[-1].replace(",", "")) for row in rows) == total
        assert rows[0].split()[0] == next(name for name, _ in net.named_parameters()).rpartition(".")[0]

    def test_json_has_it_under_the_same_switch(self, run):
        net = json.loads(run("info", "toy-gan", "--net", "--json").stdout)["net"]
        assert net["parameters"] == sum(layer["parameters"] for layer in net["layers"]) > 0
        assert set(net["layers"][0]) == {"name", "kind", "output", "parameters"}
        assert "net" not in json.loads(run("info", "toy-gan", "--json").stdout)
        assert "\nNet" not in run("info", "toy-gan").stdout

    @pytest.mark.parametrize("name", ["toy-gan", "coin", "coder"])
    def test_every_family(self, run, name):
        layers = json.loads(run("info", name, "--net", "--json").stdout)["net"]["layers"]
        assert layers

    def test_shared_weights_count_once_and_shapes_are_those_of_one_image(self):
        from torch import nn

        net = toys.gan()
        before = layers_of(net)
        _, height, width = net.image_shape
        assert before[0].name == "generator.0"
        assert before[0].output == (net.config.width, height // 2, width // 2)
        assert all(layer.output for layer in before)
        net.generator.twin = nn.Linear(1, 1)
        net.generator.twin.weight = next(net.generator.parameters())
        after = {layer.name: layer for layer in layers_of(net)}
        assert after.pop("generator.twin").parameters == 1
        assert sum(layer.parameters for layer in after.values()) == sum(layer.parameters for layer in before)

    def test_a_model_that_fails_has_no_shapes(self, monkeypatch):
        net = toys.gan()
        monkeypatch.setattr(type(net), "_sample", lambda self, draws: 1 / 0)
        layers = layers_of(net)
        assert layers and not any(layer.output for layer in layers)
        assert not any(module._forward_hooks for module in net.modules())

    def test_without_the_switch_torch_stays_out(self, site):
        code = (
            "import sys; from genzoo.cli.program import cli\n"
            "print(cli.run(['info', 'toy-gan']), 'torch' in sys.modules)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], env=site.env, capture_output=True, text=True, check=False
        )
        assert done.stdout.splitlines()[-1] == "0 False", done.stdout + done.stderr
