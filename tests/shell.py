"""What tests of the command line share: plugins laid down as pip lays them, and `python -m genzoo` in a
process of its own."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

from click.testing import CliRunner

import genzoo
from genzoo import hub, registry
from genzoo.cli.program import cli
from genzoo.files import sha256_of
from genzoo.ledger import Row
from genzoo.models import golden
from genzoo.models.weights import encode

ROOT = Path(genzoo.__file__).resolve().parent.parent
HOSTILE = "\x1b[31mred\x1b]0;title\x07\x9b2J\n\r\tline two \u202eesrever\u200b"
TOYS = """
import genzoo
from genzoo import Card, Family, Recipe
genzoo_api = 2
RECIPE = Recipe(data="digits", steps=6, batch_size=16, precision="fp32", lr={"all": 2e-3}, betas=(0.5, 0.9))
@genzoo.hookimpl
def genzoo_cards():
    return [
        Card(name="toy-gan", family=Family.IMPLICIT, model="toys:ToyGAN", recipe=RECIPE, summary="A toy"),
        Card(name="coin", family=Family.TRACTABLE, model="toys:Bernoulli",
             recipe=RECIPE.replace(command="genzoo train coin --data digits"), summary="Heads or tails"),
        Card(name="coder", family=Family.AUTOENCODER, model="toys:Coder"),
    ]
"""


def lay(folder, distribution, source):
    """Install a distribution with one module, which is its plugin, as pip would."""
    name = distribution.replace("-", "_")
    (folder / f"{name}.py").write_text(textwrap.dedent(source), encoding="utf-8")
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n", encoding="utf-8"
    )
    (info / "entry_points.txt").write_text(f"[genzoo]\n{distribution} = {name}\n", encoding="utf-8")


def publish(folder, name, model, plugin):
    """Lay the weights of a toy into a hub folder."""
    blob = encode(model, name, golden.record(model))
    row = Row(
        name=name,
        sha256=sha256_of(blob),
        bytes=len(blob),
        sources=(f"folder:{name}.safetensors",),
        plugin=plugin,
    )
    hub.push(folder, name=name, weights=blob, row=row, card_text=f"# {name}\n")


@contextlib.contextmanager
def in_process(monkeypatch, tmp_path, packages, plugin, published):
    """Give `run(*args)`, which calls the program in this process, in an empty folder, with the one plugin in
    `packages`."""
    monkeypatch.syspath_prepend(packages)
    monkeypatch.setenv("GENZOO_PLUGINS", plugin)
    monkeypatch.setenv("GENZOO_ZOO", str(published))
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "cache"))
    # no child process to load the plugin in first: it imports torch
    monkeypatch.setenv("GENZOO_PLUGIN_TIMEOUT", "0")
    monkeypatch.delenv("GENZOO_DEBUG", raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    installed = registry.installed
    installed.cache_clear()
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    yield lambda *args, **options: CliRunner().invoke(cli, [str(arg) for arg in args], **options)
    for number, handler in handlers.items():  # a process that is about to end ignores them: this one goes on
        if handler is not None and signal.getsignal(number) != handler:
            signal.signal(number, handler)
    installed.cache_clear()


class Site:
    """Runs `python -m genzoo` in a process of its own, with chosen packages, in an empty folder."""

    def __init__(self, packages, tmp_path, published):
        self.packages, self.cwd = packages, tmp_path
        clean = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("GENZOO_", "NO_COLOR", "PYTHON"))
        }
        paths = os.pathsep.join(map(str, (packages, ROOT / "tests", ROOT)))
        self.env = {
            **clean,
            "PYTHONPATH": paths,
            "GENZOO_CACHE": str(tmp_path / "cache"),
            "GENZOO_ZOO": str(published),
        }
        self.env["GENZOO_PLUGIN_TIMEOUT"] = "0"

    def start(self, *args, python=("-W", "error", "-m", "genzoo"), env=None, **options):
        """Start the program and return the process."""
        pipes = {
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
            "encoding": "utf-8",
            "cwd": self.cwd,
            **options,
        }
        return subprocess.Popen(
            [sys.executable, *python, *map(str, args)], env={**self.env, **(env or {})}, **pipes
        )

    def __call__(self, *args, **options):
        """Run the program to its end; return the finished process."""
        process = self.start(*args, **options)
        out, err = process.communicate(timeout=300)
        err = without_patience(err)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def without_patience(text):
    """Return `text` without the line that tells which plugin is waited for: here plugins import torch, which
    takes a busy machine long."""
    return "".join(
        row
        for row in text.splitlines(keepends=True)
        if not row.startswith("genzoo: still loading the plugin ")
    )


def one_line(text, *words):
    """Say whether `text` is one printable line for people that holds all `words`."""
    line = text.removesuffix("\n")
    assert line.startswith("genzoo: "), text
    assert line.isprintable(), repr(text)
    for word in words:
        assert word in line, line
    return True
