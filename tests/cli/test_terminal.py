"""What reaches a terminal: every command on hostile names and texts, with both streams on a pseudo-terminal.

One process runs all commands of a site, as torch takes seconds to load; it is `genzoo.cli.main` in all else.
"""

import fcntl
import json
import os
import re
import struct
import subprocess
import sys
import termios
import threading
import unicodedata

import numpy as np
import pytest
import told_toys
import toys
from PIL import Image
from shell import TOYS, Site, lay, publish

from genzoo.cli.program import COMMANDS
from genzoo.errors import _UNSEEN

pytestmark = pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals are Unix")

MARK = "Zq7x"
# Each piece ends with a mark, so that one which passed raw cannot be taken for what click and tqdm write
# themselves.
RAW = [
    f"{sign}{MARK}"
    for sign in (
        "\x1b[31m",
        "\x1b[A",
        "\x1b[2J",
        "\x1b]0;title\x07",
        "\x1bc",
        "\x1b",
        "\r",
        "\n",
        "\x07",
        "\x08",
        "\x9b31m",
        "\x85",
        "\u202e",
        "\u2066",
        "\u200b",
        "\u2028",
        "\ufeff",
        "\U000e0041",
    )
]
HOSTILE = "bad" + "".join(RAW)
SHORT = f"w\x1b[31m{MARK}\r{MARK}\n{MARK}\u202e{MARK}"
# where others print it: a filter of a whole stream must let line breaks pass
LINE = HOSTILE.replace(f"\n{MARK}", "")
BYTES = os.fsdecode(b"\xff\x9b1m" + MARK.encode() + b"\x1b[35m" + MARK.encode())
HUGE = ("\x1b[32m" + MARK) * 1200
OURS = re.compile(r"\r\n|\r|\x1b\[A|\x1b\[(?:0|1|3[1-7])m")

DRIVER = """
import json, sys, time
import genzoo.cli, genzoo.show, genzoo.cli.output
from genzoo.cli.program import cli
genzoo.cli.output.PATIENCE = 0.0
import genzoo.data.pool
genzoo.data.pool.PATIENCE = 0.0
if sys.argv[2] == "net":
    genzoo.show.filter_streams()
for args in json.load(open(sys.argv[1])):
    print("@@", ascii(args)[:150], flush=True)
    code = cli.run(args)
    print("@@ ended with", code, flush=True)
print("@@ all done", flush=True)
"""


def on_terminal(site, *args, python=("-m", "genzoo"), env=None):
    """Run the program with both streams on a pseudo-terminal; return the exit code and all that was
    written."""
    ours, theirs = os.openpty()
    # no bar is drawn on a terminal without columns
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    process = subprocess.Popen(
        [sys.executable, *python, *args],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        cwd=site.cwd,
        env={**site.env, "TERM": "xterm", "COLUMNS": "100", **(env or {})},
    )
    os.close(theirs)
    pieces = []

    def read():
        while True:
            try:
                piece = os.read(ours, 1 << 16)
            except OSError:  # the other side is closed
                return
            if not piece:
                return
            pieces.append(piece)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        process.wait(timeout=280)
    finally:
        process.kill()
        process.wait()
        thread.join()
        os.close(ours)
    return process.returncode, b"".join(pieces).decode("utf-8")  # an error is a byte that was let through


def leaks(text):
    """Return each place where something passed that only a hostile text could have brought."""
    found = [
        repr(text[max(0, text.index(raw) - 80) : text.index(raw) + 30])
        for raw in RAW
        if raw in text.replace("\r\n", "\n")
    ]
    rest = OURS.sub("\n", text)
    for match in re.finditer(r"[^\n\t\x20-\x7e]", rest):
        if match[0] in _UNSEEN or unicodedata.category(match[0]) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"):
            found.append(repr(rest[max(0, match.start() - 80) : match.end() + 30]))
    return found


def quoted(text):
    """Return `text` as a string of TOML, every sign in it written as an escape."""
    return (
        '"'
        + "".join(char if char.isalnum() and char.isascii() else f"\\U{ord(char):08x}" for char in text)
        + '"'
    )


def rows(texts):
    """Return lines of TOML that say `texts`."""
    return "".join(f"{key} = {quoted(value)}\n" for key, value in texts.items())


PIX = """
        Card(name="pix", family=Family.IMPLICIT, model="told_toys:Paired",
             condition=genzoo.Picture((3, 8, 8), ("map", "photo"))),
"""
LOUD = """
@genzoo.hookimpl
def genzoo_commands():
    return {"shout": "shouting:shout", "fall": "falling:fall"}
"""
SHOUTING = f"""
import logging, sys, warnings, click
@click.command(help={HOSTILE!r})
def shout():
    from tqdm import tqdm
    warnings.warn({HOSTILE!r})
    logging.getLogger().error("%s", {LINE!r})
    sys.stderr.write({LINE!r})
    sys.stdout.writelines([{LINE!r}])
    click.echo({LINE!r})
    bar = tqdm(range(3), desc={LINE!r})
    for _ in bar:
        bar.set_postfix_str({LINE!r})
    raise RuntimeError({HOSTILE!r})
"""
SICK = f"""
import genzoo
genzoo_api = 2
@genzoo.hookimpl
def genzoo_cards():
    return [genzoo.Card(name={HOSTILE!r}, family=genzoo.Family.IMPLICIT, model={HOSTILE!r})]
"""


@pytest.fixture(scope="module")
def hostile_site(tmp_path_factory):
    """Give a site where everything that may carry a text carries a hostile one."""
    root = tmp_path_factory.mktemp("terminal")
    packages, here, books = root / "site", root / "here", root / "books"
    for folder in (packages, here, books):
        folder.mkdir()
    lay(
        packages,
        "toy-box",
        TOYS.replace('"A toy"', repr(HOSTILE))
        .replace('"Heads or tails"', f"{HUGE!r}, paper={HOSTILE!r}")
        .replace("    ]\n", PIX + "    ]\n")
        + LOUD,
    )
    lay(packages, "ill", f"raise RuntimeError({HOSTILE!r})")
    lay(packages, "sick", SICK)
    (packages / "shouting.py").write_text(SHOUTING)
    (packages / "falling.py").write_text(f"raise ImportError({HOSTILE!r})")
    publish(books, "coin", toys.Bernoulli(toys.ToyConfig()), HOSTILE)
    publish(books, "toy-gan", toys.gan(), "toy-box")
    publish(books, "pix", told_toys.card(told_toys.Paired).build().eval(), "toy-box")
    publish(books, "coder", toys.Coder(toys.ToyConfig()), "toy-box")
    book = (books / "zoo.toml").read_text("utf-8")
    assert "[coin]\n" in book
    facts = rows({"licence": HOSTILE, "terms": HOSTILE, "trained": HUGE, "data": HOSTILE})
    score = '[[coin.scores]]\nmetric = "kid"\nvalue = 0.5\n' + rows(
        dict.fromkeys(("subject", "data", "transform", "protocol"), SHORT)
    )
    more = f"[{quoted(HOSTILE)}]\nx = 1\n[thing]\nsha256 = {quoted(HOSTILE)}\n[other]\n{quoted(SHORT)} = 1\n"
    (books / "zoo.toml").write_text(book.replace("[coin]\n", f"[coin]\n{facts}", 1) + score + more, "utf-8")
    site = Site(packages, root, books)
    site.cwd = here
    site.env["GENZOO_PLUGINS"] = f"toy-box,ill,sick,{SHORT}"
    fill(here)
    return site


def fill(here):
    """Lay data and files with hostile names and texts."""
    for which in (SHORT, BYTES):
        for number in range(6):
            folder = here / f"images{which}" / f"{number % 2}{which}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8), 40 * number).save(folder / f"{number}{which}.png")
        (folder / f"broken{which}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + HOSTILE.encode())
        (here / f"empty{which}").mkdir()
        (here / f"file{which}.toml").write_text(f"title = {quoted(HOSTILE)}\n{quoted(HOSTILE)} = 1\n")
        (here / f"file{which}.png").write_text(HOSTILE)
    np.savez(here / "keys.npz", **{SHORT: np.zeros((4, 8, 8), np.uint8)})
    np.savez(here / "labels.npz", images=np.zeros((4, 8, 8), np.uint8), labels=np.array([SHORT] * 4))
    run = here / f"run{SHORT}"
    run.mkdir()
    (run / "log.jsonl").write_text(json.dumps({"step": HOSTILE}) + f"\n{HOSTILE}\n")
    head = json.dumps({"__metadata__": {"a": SHORT}}).encode().ljust(200)
    (run / "checkpoint.safetensors").write_bytes((200).to_bytes(8, "little") + head)
    (run / "zoo.toml").write_text(f"[{quoted(HOSTILE)}]\n")


def images(which=SHORT):
    """Return the arguments that name hostile data."""
    return ["--data", f"images{which}"]


CASES = {
    "list": [[], ["--json"], ["--tree"], ["--family", HOSTILE]],
    "info": [["coin"], ["coin", "--json"], ["toy-gan"], [HOSTILE], [BYTES], [HUGE], ["--debug", HOSTILE]],
    "sample": [
        ["toy-gan", "-n", "2", "-o", f"out{SHORT}.png"],
        ["coin", "-n", "2", "-o", f"none{SHORT}/x.png"],
        ["coin", "-n", HOSTILE],
        ["coin", "--device", HOSTILE],
        ["coin", "-o", BYTES],
        ["coin", "-n", "2", "-o", BYTES + ".png"],
    ],
    "interpolate": [
        ["toy-gan", "-n", "2", "-o", f"walk{SHORT}.png"],
        ["coder", "--from", f"file{SHORT}.png", "--to", f"file{BYTES}.png"],
    ],
    "traverse": [
        ["toy-gan", "-o", f"tr{SHORT}.png"],
        ["toy-gan", "--dimension", HOSTILE],
        ["coder", "--from", f"file{BYTES}.png"],
    ],
    "manifold": [["toy-gan", "-o", f"m{SHORT}.png"], [HOSTILE]],
    "arithmetic": [
        ["coder", "--plus", SHORT, *images()],
        ["toy-gan", "--plus-seeds", HOSTILE],
        ["coder", "--plus", BYTES, *images(BYTES)],
    ],
    "reconstruct": [
        ["coder", *images(), "-n", "2", "-o", f"r{SHORT}.png"],
        ["coder", "--data", "keys.npz"],
        ["coder", "--data", HOSTILE],
    ],
    "neighbours": [
        ["toy-gan", *images(), "-n", "2", "-o", f"n{SHORT}.png"],
        ["toy-gan", "--features", HOSTILE, "--space", "feature", *images()],
    ],
    "features": [
        ["coder", *images(), "-o", f"f{SHORT}.npz"],
        ["coder", *images(), "--probe", "-o", f"f{SHORT}.npz"],
        ["coder", "-o", BYTES],
    ],
    "complete": [
        ["coin", *images(), "-o", f"c{SHORT}.png"],
        ["coin", "--mask", f"file{SHORT}.png", *images()],
        ["coin", "--keep", HOSTILE],
    ],
    "context": [["coin", "-o", f"x{SHORT}.png"], ["coin", "--pixel", HOSTILE]],
    "translate": [
        ["pix", f"images{SHORT}", "-o", f"translated{SHORT}"],
        ["pix", f"images{BYTES}", "-o", f"translated{BYTES}"],
        ["pix", f"file{SHORT}.png", "--to", HOSTILE],
        ["pix", f"file{BYTES}.png"],
        ["toy-gan", HOSTILE, "-o", BYTES],
    ],
    "train": [
        ["toy-gan", *images(), "--steps", "2", "--out", f"new{SHORT}"],
        ["toy-gan", *images(BYTES), "--steps", "2", "--out", f"new{BYTES}"],
        ["toy-gan", "--out", f"run{SHORT}", "--resume", *images()],
        ["toy-gan", *images(), "--out", f"new{SHORT}", "--resume", "--steps", "3"],
        ["coin", "--data", "labels.npz", "--steps", "2", "--out", f"other{SHORT}"],
        ["coin", "--data", f"hf:{SHORT}"],
        ["coin", "--set", HOSTILE],
        ["coin", "--set", f"steps={HOSTILE}"],
        ["coin", "--data", f"empty{BYTES}"],
        ["coin", "--data", HUGE],
        ["coin", "--set", f"augment={SHORT}"],
        ["coin", "--licence", SHORT, "--steps", "2", *images(), "--out", f"lic{SHORT}"],
    ],
    "hacks": [[], ["toy-gan"], [HOSTILE]],
    "experiment": [
        [f"file{SHORT}.toml"],
        [f"file{BYTES}.toml"],
        [HOSTILE],
        ["saturation", *images(), "--set", HOSTILE],
    ],
    "eval": [
        ["coin", *images(), "-n", "2"],
        ["toy-gan", *images(), "--metrics", HOSTILE],
        ["coin", HOSTILE],
        ["coin", "--data", f"empty{SHORT}"],
    ],
    "few-labels": [
        ["coder", *images(), "--labels", HOSTILE],
        ["coder", "-o", f"few{SHORT}.png", "--labels", "2", *images()],
    ],
    "pull": [["coin"], [HOSTILE], ["toy-gan", SHORT]],
    "verify": [["coin"], [HOSTILE], ["--all"]],
    "push": [
        ["coin", f"hub{SHORT}"],
        ["coin", f"hub{BYTES}", "--licence", SHORT],
        ["coin", f"hf:{SHORT}"],
        ["toy-gan", "x", "--run", f"run{SHORT}"],
    ],
    "import": [
        [f"run{SHORT}/checkpoint.safetensors", "--as", "toy-gan", "--out", f"im{SHORT}"],
        [f"file{BYTES}.png", "--as", "coder"],
        ["keys.npz", "--as", HOSTILE],
        [HOSTILE, "--as", "coder", "--key", HOSTILE],
    ],
    "export": [
        ["toy-gan", "--format", "torch", "-o", f"none{SHORT}/x.pt2"],
        ["toy-gan", "--part", HOSTILE],
        [HOSTILE],
    ],
    "data": [[], ["--json"], ["prepare", HOSTILE], ["prepare", "frey", "--from", HOSTILE], [HOSTILE]],
    "cache": [[], ["size"], ["verify"], ["repair", "--dry-run"], ["prune", "--dry-run", "--all"], [HOSTILE]],
    "plugins": [[], ["--json"]],
    "new-plugin": [
        [HOSTILE, "--family", "implicit"],
        ["my-own", "--family", "implicit", "--author", HOSTILE, "-o", f"plug{SHORT}"],
        ["my-own", "--family", HOSTILE],
        ["my-own", "--family", "implicit", "-o", f"none{BYTES}/x"],
    ],
    "completion": [["bash"], [HOSTILE]],
}
MORE = [["--help"], [HOSTILE], ["--" + HOSTILE], ["fall"], []]
FOREIGN = [["shout"], ["--debug", "shout"], ["shout", "--help"]]


def test_no_command_is_missing():
    assert list(CASES) == list(COMMANDS)


@pytest.mark.parametrize("net", ["net", "bare"])
def test_nothing_hostile_passes(hostile_site, tmp_path, net):
    """With the filter under the streams, and without it: each way out of our own must make its texts safe by
    itself."""
    cases = (
        [[name, *args] for name, every in CASES.items() for args in every]
        + MORE
        + (FOREIGN if net == "net" else [])
    )
    file = tmp_path / "cases.json"
    file.write_text(json.dumps(cases))
    code, text = on_terminal(
        hostile_site, str(file), net, python=("-c", DRIVER), env={"GENZOO_CACHE": str(tmp_path / f"c{SHORT}")}
    )
    assert "@@ all done" in text and code == 0, text[-2000:]
    assert MARK in text and not (found := leaks(text)), "\n".join(found[:20])
    assert "internal error" not in text.replace("internal error: RuntimeError: bad", "")
    assert len(re.findall(r"@@ ended with 0", text)) > 30


ENVIRONMENT = (
    "GENZOO_ZOO",
    "GENZOO_PLUGINS",
    "GENZOO_PLUGIN_TIMEOUT",
    "GENZOO_LOCK_TIMEOUT",
    "GENZOO_DATA",
    "GENZOO_CACHE",
    "GENZOO_BIT_DEPTH",
    "HF_ENDPOINT",
    "HTTPS_PROXY",
    "SHELL",
    "HOME",
    "WORLD_SIZE",
    "MASTER_ADDR",
)


@pytest.mark.parametrize("variable", ENVIRONMENT)
def test_the_environment(hostile_site, tmp_path, variable):
    args = {"SHELL": ["completion"], "GENZOO_DATA": ["info", "coin"]}.get(variable, ["pull", "toy-gan"])
    given = {"GENZOO_CACHE": str(tmp_path / "cache"), variable: HOSTILE}
    code, text = on_terminal(hostile_site, *args, env=given)
    assert not (found := leaks(text)), found
    assert "internal error" not in text and "Traceback" not in text
    assert code in (0, 1, 2)
