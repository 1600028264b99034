"""`genzoo list`, `genzoo info` and `genzoo plugins`."""

import dataclasses
import json
import math

import pytest
from shell import HOSTILE, TOYS, lay, one_line

from genzoo import hookspecs
from genzoo.cli.info import setting_words
from genzoo.cli.listing import leading_score, leading_words
from genzoo.ledger import Row, read_rows
from genzoo.record import Record


class TestList:
    def test_table(self, run):
        done = run("list")
        assert (done.exit_code, done.stderr) == (0, "")
        assert [line.split() for line in done.stdout.splitlines()] == [
            ["NAME", "FAMILY", "TAKES", "PLUGIN", "WEIGHTS", "SCORE"],
            ["coin", "tractable", "-", "toy-box", "-"],
            ["toy-gan", "implicit", "-", "toy-box", "4.34", "kB", "kid[toy]", "0.0123", "±", "0.001"],
            ["coder", "autoencoder", "-", "toy-box", "-"],
        ]

    def test_json(self, run):
        rows = json.loads(run("list", "--json").stdout)
        assert [(row["name"], row["family"], row["plugin"], row["weights"]) for row in rows] == [
            ("coin", "tractable", "toy-box", False),
            ("toy-gan", "implicit", "toy-box", True),
            ("coder", "autoencoder", "toy-box", False),
        ]
        assert rows[1]["score"]["value"] == 0.0123 and rows[0]["score"] is None

    def test_tree(self, run):
        assert run("list", "--tree").stdout.splitlines() == [
            "Generative models",
            "├─ Explicit density",
            "│  ├─ Tractable: p(x) exactly",
            "│  │  └─ coin",
            "│  └─ Approximate: a bound on p(x)",
            "│     └─ (none installed)",
            "└─ Implicit density: samples only",
            "   └─ toy-gan  (4.34 kB, kid[toy] 0.0123 ± 0.001)",
            "Autoencoders: codes, no density",
            "└─ coder",
        ]

    def test_family(self, run):
        assert [row["name"] for row in json.loads(run("list", "--json", "--family", "implicit").stdout)] == [
            "toy-gan"
        ]
        done = run("list", "--family", "approximate")
        assert done.exit_code == 0
        assert "no installed model is of the family approximate" in done.stderr

    def test_nothing_installed(self, run, monkeypatch):
        monkeypatch.setenv("GENZOO_PLUGINS", "")
        done = run("list")
        assert (done.exit_code, done.stdout) == (0, "NAME  FAMILY  TAKES  PLUGIN  WEIGHTS  SCORE\n")
        how = "pip install -r requirements.txt in a checkout of genzoo"  # as docs/installing.md says
        assert done.stderr == f"no models are installed; for the bedrooms: {how}\n"
        done = run("list", "--json")
        assert (done.exit_code, json.loads(done.stdout)) == (0, [])

    def test_a_broken_ledger_is_one_line(self, run, monkeypatch, tmp_path):
        (tmp_path / "zoo.toml").write_text("[toy-gan]\nsha256 = 3\n")
        monkeypatch.setenv("GENZOO_ZOO", str(tmp_path))
        done = run("list", "--json")
        assert done.exit_code == 0 and len(json.loads(done.stdout)) == 3
        assert done.stderr.count("\n") == 1 and "zoo.toml:1: [toy-gan]" in done.stderr

    @pytest.mark.parametrize("columns", [40, 60, 80])
    @pytest.mark.parametrize("args", [("list",), ("list", "--tree")])
    def test_on_a_terminal_no_word_is_broken(self, run, monkeypatch, args, columns):
        whole = set(run(*args).stdout.split())
        monkeypatch.setattr("genzoo.cli.output._is_terminal", lambda stream: True)
        monkeypatch.setenv("COLUMNS", str(columns))
        lines = run(*args).stdout.splitlines()
        assert max(map(len, lines)) <= columns
        words = {word for line in lines for word in line.split()}
        assert words <= whole | {"(4.34", "kB)"} and {"coin", "toy-gan", "coder"} <= words
        if args == ("list",) and columns >= 60:
            assert "kid[toy] 0.0123 ± 0.001" in "\n".join(lines)

    def test_of_several_bounds_on_one_likelihood_the_tightest_leads(self):
        def scored(*scores):
            return Row(
                name="x",
                plugin="p",
                sha256="0" * 64,
                bytes=1,
                sources=("package:p/x.safetensors",),
                scores=scores,
            )

        about = {"metric": "nll", "unit": "nats", "n": 9, "subject": "x"}
        elbo = Record(value=90.1, kind="elbo", protocol="16 draws", **about)
        loose, tight = (
            Record(value=v, kind="iwae", stderr=0.2, protocol=f"K = {k}, of a density", **about)
            for v, k in ((84.6, 50), (83.4, 5000))
        )
        # of other images: no rival
        fewer = Record(**{**about, "n": 3}, value=80.0, kind="iwae", protocol="K = 1")
        bits = Record(**{**about, "unit": "bits/dim"}, value=0.1, kind="iwae")
        assert leading_words(scored(elbo, bits, loose, tight, fewer)) == "nll ≤ 83.4 ± 0.2 nats, K = 5000"
        assert leading_words(scored(elbo, bits)) == "nll ≤ 90.1 nats"
        whole = dataclasses.replace(elbo, condition="test labels")
        easy = dataclasses.replace(tight, value=20.0, condition="label 1")
        assert leading_words(scored(whole, easy)) == "nll given test labels ≤ 90.1 nats"
        kid = Record(metric="kid", features="gist-v1@0123456789ab", value=0.5)
        assert leading_words(scored(kid, Record(metric="fid", value=0.1))) == "kid[gist-v1] 0.5"
        colour = [
            dataclasses.replace(elbo, unit=unit, value=v)
            for unit, v in (("nats", 6999.0), ("bits/dim", 3.29))
        ]
        assert leading_words(scored(*colour)) == "nll ≤ 3.29 bits/dim"
        assert leading_score(None) is None and leading_words(scored()) == ""


class TestInfo:
    def test_everything_is_there(self, run, published):
        done = run("info", "toy-gan")
        assert (done.exit_code, done.stderr) == (0, "")
        row = read_rows(published / "zoo.toml")["toy-gan"]
        for fact in (
            row.sha256,
            row.licence,
            row.data,
            row.terms,
            row.trained,
            f"{row.bytes:,} bytes",
            "measured on digits test, 8-bit; features toy@0123456789ab; all pairs",
            "toys:ToyGAN",
        ):
            assert fact in done.stdout
        for key in ("data", "steps", "batch_size", "lr", "betas", "seed", "precision"):
            assert f"\n  {key} " in done.stdout

    def test_json(self, run, published):
        facts = json.loads(run("info", "toy-gan", "--json").stdout)
        row = read_rows(published / "zoo.toml")["toy-gan"]
        assert (facts["sha256"], facts["bytes"], facts["licence"], facts["terms"]) == (
            row.sha256,
            row.bytes,
            row.licence,
            row.terms,
        )
        assert facts["recipe"]["lr"] == {"all": 0.002} and facts["recipe"]["betas"] == [0.5, 0.9]
        assert facts["scores"][0]["protocol"] == "all pairs"
        assert facts["weights"] is True

    def test_a_model_without_weights_or_recipe(self, run):
        assert "none are published; genzoo train coin trains your own" in run("info", "coin").stdout
        assert "none are published\n" in run("info", "coder").stdout
        facts = json.loads(run("info", "coder", "--json").stdout)
        assert (facts["weights"], facts["sha256"], facts["recipe"], facts["scores"]) == (
            False,
            None,
            None,
            [],
        )

    def test_settings_are_written_as_they_are_typed(self):
        assert setting_words(True) == "true"
        assert setting_words((0.5, 0.9)) == "0.5, 0.9"
        assert setting_words({"generator": 1e-4}) == "generator=0.0001"


@pytest.fixture
def hostile(own_site, published):
    """A plugin whose every text is hostile, with values that JSON does not know."""
    texts = (
        f"summary={HOSTILE!r}, paper={HOSTILE!r}, "
        f"config={{{HOSTILE!r}: {HOSTILE!r}, 'odd': {{1, 2}}, 'nan': float('nan')}}"
    )
    source = TOYS.replace('summary="A toy"', texts).replace('data="digits"', f"data={HOSTILE!r}")
    lay(own_site.packages, "toy-box", source)
    lay(own_site.packages, "ill", f"raise ValueError({HOSTILE!r})")
    folder = own_site.cwd / "ledger"
    folder.mkdir()
    toml = (published / "zoo.toml").read_text(encoding="utf-8")
    (folder / "zoo.toml").write_text(
        toml.replace("research use", "\\u001b[31m\\u202e\\u0007"), encoding="utf-8"
    )
    own_site.env["GENZOO_ZOO"] = str(folder)
    return own_site


@pytest.mark.parametrize(
    "args",
    [
        ("list",),
        ("list", "--tree"),
        ("info", "toy-gan"),
        ("plugins",),
        ("list", "--json"),
        ("info", "toy-gan", "--json"),
        ("plugins", "--json"),
        ("train", "toy-gan", "--set", "nothing=1"),
        ("--help",),
    ],
)
def test_hostile_texts_never_reach_a_terminal(hostile, args):
    done = hostile(*args)
    assert done.returncode == ("train" in args)
    assert "internal error" not in done.stderr
    for line in (done.stdout + done.stderr).splitlines():
        assert line.isprintable(), repr(line)


def test_json_keeps_what_a_plugin_says(hostile):
    facts = json.loads(hostile("info", "toy-gan", "--json").stdout)
    assert facts["summary"] == HOSTILE and facts["config"][HOSTILE] == HOSTILE
    assert facts["config"]["nan"] == "nan" and facts["config"]["odd"] == "{1, 2}"
    assert math.isfinite(facts["bytes"])


class TestPlugins:
    def test_table(self, own_site):
        lay(own_site.packages, "toy-box", TOYS)
        lay(own_site.packages, "ill", "genzoo_api = 2\nraise ValueError('boom')")
        own_site.env["GENZOO_PLUGINS"] = "toy-box,ill,absent"
        lay(own_site.packages, "unwanted", TOYS)
        done = own_site("plugins")
        assert done.returncode == 0
        rows = {line.split()[0]: line for line in done.stdout.splitlines()[1:]}
        assert "loaded" in rows["toy-box"] and "toy-gan, coin, coder" in rows["toy-box"]
        assert "broken" in rows["ill"] and "ValueError: boom" in rows["ill"]
        assert "left out by GENZOO_PLUGINS" in rows["unwanted"]
        assert "broken" in rows["absent"]

    def test_what_the_author_of_an_older_plugin_must_change(self, own_site):
        lay(own_site.packages, "older", TOYS.replace("genzoo_api = 2", "genzoo_api = 1"))
        own_site.env["GENZOO_PLUGINS"] = "older"
        done = own_site("plugins")
        assert done.returncode == 0
        title, *lines = done.stdout.partition("\nolder: ")[2].splitlines()
        assert title == "to move to plugin interface 2, its author must change:"
        assert lines == [f"  - {line}" for line in hookspecs.CHANGES[2]]
        (row,) = (row for row in json.loads(own_site("plugins", "--json").stdout) if row["plugin"] == "older")
        assert row["changes"] == list(hookspecs.CHANGES[2])
        done = own_site("list")
        refusal, _ = done.stderr.splitlines()
        assert one_line(refusal, "needs 2 or later", "genzoo plugins")

    def test_none(self, own_site):
        done = own_site("plugins", env={"GENZOO_PLUGINS": ""})
        assert done.returncode == 0
        done = own_site("plugins", "--json", env={"GENZOO_PLUGINS": ""})
        assert all(row["state"] == "left out" for row in json.loads(done.stdout))
