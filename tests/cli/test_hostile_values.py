"""Every option of every command with values that nobody should type: one line and exit code 1 or 2, or the
work done; never more.

A seeded choice of the cases runs in the suite; FUZZ=N in the environment runs N times as many, FUZZ=all runs
all, which takes long.
"""

import os
import random
import signal
import socket
import zlib

import click
import numpy as np
import pixel_toys
import pytest
import told_toys
import toys
from PIL import Image
from safetensors.torch import save_file
from shell import TOYS, in_process, lay, one_line, publish

from genzoo.cli.program import cli
from genzoo.names import COMMANDS

pytestmark = pytest.mark.skipif(os.name == "nt", reason="FIFOs, sockets and devices")

SECONDS = 20  # that a case may take
BASE = {
    "list": [],
    "info": ["toy-gan"],
    "sample": ["toy-gan", "-n", "1"],
    "interpolate": ["toy-gan", "-n", "1"],
    "traverse": ["toy-gan", "-n", "2"],
    "manifold": ["flat", "-n", "2"],
    "arithmetic": ["coder", "--plus", "0", "--data", "images.npz"],
    "reconstruct": ["coder", "--data", "images.npz", "-n", "1"],
    "neighbours": ["toy-gan", "--data", "images.npz", "-n", "1"],
    "features": ["coder", "--data", "images.npz", "-n", "4"],
    "complete": ["mask", "--data", "binarized-digits", "-n", "1", "--images", "1"],
    "context": ["mask"],
    "translate": ["pix", "one.png"],
    "train": ["toy-gan", "--data", "images.npz", "--steps", "1"],
    "hacks": [],
    "experiment": ["cells.toml", "--quiet"],
    "eval": ["coin", "--data", "binarized-digits", "-n", "2"],
    "few-labels": ["coder", "--data", "images.npz", "--labels", "2", "--seeds", "2", "--steps", "1"],
    "pull": ["toy-gan"],
    "verify": ["toy-gan"],
    "push": ["toy-gan", "hub"],
    "import": ["net.safetensors", "--as", "toy-gan"],
    "export": ["toy-gan", "--format", "torch", "-o", "net.pt2"],
    "data": [],
    "cache": [],
    "plugins": [],
    "new-plugin": ["mine", "--family", "implicit"],
    "completion": ["bash"],
}
CARDS = """
        Card(name="flat", family=Family.IMPLICIT, model="toys:ToyGAN", config={"latent_size": 2},
             recipe=RECIPE),
        Card(name="mask", family=Family.TRACTABLE, model="pixel_toys:ToyCNN", recipe=RECIPE),
        Card(name="pix", family=Family.IMPLICIT, model="told_toys:Paired",
             condition=genzoo.Picture((3, 8, 8), ("map", "photo"))),
"""
CELLS = """
title = "T"
model = "toy-gan"
data = "digits"
budget = 2
n = 6
metrics = ["swd"]
seeds = 1
[rows."A"]
width = 2
[columns."B"]
width = 3
"""
WORDS = [
    "",
    " ",
    "\t",
    "\n",
    "-",
    "--",
    "-1",
    "0",
    "-0",
    "1.5",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "9" * 30,
    "9" * 5000,
    "٤",
    "²",
    "1_0",
    "0x10",
    "1e3",
    "true",
    "None",
    "{}",
    "[" * 3000,
    "(" * 200 + ")" * 200,
    "a=b",
    "=",
    "=1",
    "steps=nan",
    "batch_size=-1",
    "batch_size=" + "9" * 30,
    "lr=0",
    "rate.=1",
    "width=0",
    "image_size=0",
    "image_size=99999",
    "channels=-1",
    "seed=" + "9" * 40,
    "a.b.c=1",
    "precision=x",
    "augment=,",
    "\udcff",
    "\ud800",
    "\U0001f642",
    "%s%n",
    "{0}",
    "$(x)",
    "x" * 300,
    "x" * 10_000,
    "\x1b[31mred\n",
    "nul\0byte",
    ",",
    "1,,2",
    ":",
    "3:",
    "1:2:3",
    "cpu:99",
    "cuda",
    "cuda:-1",
    "cuda:9",
    "meta",
    "mps",
    "hf:",
    "hf:a",
    "hf:a/b/c/d",
    "hf:../../nowhere",
    "folder:",
    "folder:\\\\host\\share",
    "https://",
    "https://127.0.0.1:1/x",
    "digits",
    "binarized-digits",
    "gist",
    "coder",
    "nobody",
]
PATHS = [
    ".",
    "..",
    "/",
    "~",
    "~nobody/x",
    "/dev/null",
    "/dev/full",
    "/dev/zero",
    "/dev/stdin",
    "pipe",
    "socket",
    "folder",
    "folder/",
    "loop",
    "dangling",
    "locked",
    "locked/x.png",
    "empty.png",
    "text.png",
    "text.npz",
    "images.npz",
    "images.npz/x",
    "deep/" * 50 + "x",
    "x/" * 3000,
    "x" * 255,
    "x" * 256 + ".png",
    "folder/" + "x" * 300 + ".npz",
    "pipe/x",
    "missing/x.png",
    "x.png",
    "x.gif",
    "x.npz",
    "x.exe",
    "one.png",
    "cells.toml",
    "nested.toml",
    "text.toml",
]


class Slow(BaseException):
    """A case took too long."""


def params():
    """Return (command, parameter) for everything that takes a value."""
    for name in COMMANDS:
        for param in cli.get_command(click.Context(cli), name).params:
            if not getattr(param, "is_flag", False) or getattr(param, "flag_value", None) == "always":
                yield name, param


def cases(name, param):
    """Return the calls of `name` with each hostile value for `param`, in a seeded order."""
    tried = random.Random(zlib.crc32(f"{name} {param.name}".encode())).sample(
        WORDS + PATHS, len(WORDS + PATHS)
    )
    for value in tried:
        if isinstance(param, click.Argument):
            base = list(BASE[name])
            place = [
                p.name
                for p in cli.get_command(click.Context(cli), name).params
                if isinstance(p, click.Argument)
            ].index(param.name)
            base[place : place + 1] = [value]
            yield base
        else:
            yield [
                *BASE[name],
                f"{param.opts[-1]}={value}"
                if param.opts[-1].startswith("--")
                else f"{param.opts[-1]}{value}",
            ]


def legitimate(args):
    """Say whether a call asks for nothing but very much work, which it may."""
    if args[0] == "translate" and args[2] in ("/", ".."):  # all pictures of the machine
        return True
    return any(
        arg in ("--data=/", "--data=..", "--steps=" + "9" * 30, "--budget=" + "9" * 30) for arg in args
    )


def lay_files(here):
    """Lay what the values name."""
    (here / "folder").mkdir()
    (here / "locked").mkdir(mode=0)
    os.mkfifo(here / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
    os.symlink("loop", here / "loop")
    os.symlink("nowhere", here / "dangling")
    (here / "empty.png").touch()
    (here / "cells.toml").write_text(CELLS)
    (here / "nested.toml").write_text("x = " + "[" * 5000)
    for name in ("text.png", "text.npz", "text.toml"):
        (here / name).write_text("no such thing")
    Image.new("L", (8, 8)).save(here / "one.png")
    save_file(toys.gan().state_dict(), here / "net.safetensors")
    pixels = np.random.default_rng(0).integers(0, 256, (24, 8, 8), np.uint8)
    np.savez(here / "images.npz", images=pixels, labels=np.arange(24) % 2)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Give a folder with a plugin of toys, and one with weights for all of them."""
    packages, shelf = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("shelf")
    lay(packages, "fuzz-box", TOYS.replace("    ]\n", CARDS + "    ]\n"))
    mask = pixel_toys.ToyCNN(pixel_toys.ToyCNN.Config()).eval()
    models = {"toy-gan": toys.gan(), "flat": toys.gan(latent_size=2), "mask": mask}
    models["pix"] = told_toys.card(told_toys.Paired).build().eval()
    models |= {"coin": toys.Bernoulli(toys.ToyConfig()), "coder": toys.Coder(toys.ToyConfig())}
    for name, model in models.items():
        publish(shelf, name, model, "fuzz-box")
    return packages, shelf


@pytest.fixture
def run(home, monkeypatch, tmp_path):
    """Give `run(*args)`, in a folder with the files that the values name, offline."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with in_process(monkeypatch, tmp_path, home[0], "fuzz-box", home[1]) as run:
        lay_files(tmp_path / "here")
        assert run("pull", "--all").exit_code == 0
        yield run


def ring(*_):
    raise Slow


def verdict(done):
    """Return what is wrong with a finished call, or nothing."""
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        return f"raised {done.exception!r}"
    if "internal error" in done.stderr or "Traceback" in done.stderr or done.exit_code not in (0, 1, 2):
        return f"{done.exit_code}: {done.stderr[-500:]}"
    told = [line for line in done.stderr.splitlines() if line.startswith("genzoo: ")]
    if done.exit_code and (
        len(told) != 1 or not done.stderr.endswith(told[0] + "\n") or not one_line(told[0])
    ):
        return f"{done.exit_code}, not one line at the end: {done.stderr[-800:]!r}"
    return ""


def test_no_command_is_missing():
    assert list(BASE) == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_hostile_values(run, name):
    wish = os.environ.get("FUZZ", "1")
    most = 10**6 if wish == "all" else 3 * int(wish)
    assert (done := run(name, *BASE[name])).exit_code == 0, done.stderr
    wrong = []
    before = signal.signal(signal.SIGALRM, ring)
    try:
        for _, param in (pair for pair in params() if pair[0] == name):
            for args in list(cases(name, param))[:most]:
                if legitimate([name, *args]):
                    continue
                signal.alarm(SECONDS)
                try:
                    found = verdict(run(name, *args))
                except Slow:
                    found = f"took more than {SECONDS} s"
                finally:
                    signal.alarm(0)
                if found:
                    print(name, [arg[:80] for arg in args], found, flush=True)  # long runs may be stopped
                    wrong.append(f"{name} {[arg[:80] for arg in args]}: {found}")
    finally:
        signal.signal(signal.SIGALRM, before)
    assert not wrong, "\n".join(wrong)
