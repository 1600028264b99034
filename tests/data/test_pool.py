"""The bar that shows how far the decoding is: no name of a stranger reaches the terminal as it is, and it
ends no run."""

import io
import os
import struct
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from tqdm import tqdm

from genzoo.data import open_data, pool

HOSTILE = "evil\x1b[2J\x1b]0;owned\x07\u202e\u200b\r\n\x9b31m"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def sit(monkeypatch):
    """Give a function that puts a terminal in the place of stderr and takes all patience away; pytest undoes
    it before a test begins."""

    def sit(patience=0):  # of 0 seconds: the bar is shown as soon as it is made
        found = Terminal()
        monkeypatch.setattr(sys, "stderr", found)
        monkeypatch.setattr(pool, "PATIENCE", patience)
        tqdm._instances.clear()  # a bar that another test has left would move this one down
        return found

    return sit


def control(text):
    """Return the control characters in `text` that a bar has no need of."""
    return set(text) & {chr(code) for code in (*range(32), *range(0x7F, 0xA0), 0x202E, 0x200B)} - {"\r", "\n"}


def test_hostile_names_do_not_reach_the_terminal_through_a_bar(tmp_path, make, sit):
    terminal = sit()
    folder = tmp_path / HOSTILE.replace("/", "")
    folder.mkdir()
    for i in range(200):
        (folder / f"{i}{HOSTILE}.png").write_bytes(make.encoded(make.photo(seed=i)))
    np.savez(
        tmp_path / f"{HOSTILE}.npz",
        images=np.random.default_rng(0).integers(0, 256, (200, 8, 8), dtype=np.uint8),
    )
    open_data(folder, image_shape=(3, 8, 8))
    said = terminal.getvalue()
    assert "reading evil" in said and "decoding evil" in said
    open_data(tmp_path / f"{HOSTILE}.npz", image_shape=(3, 16, 16))
    said = terminal.getvalue()
    assert said.count("decoding evil") > said.count("reading evil") and not control(said)


def test_names_on_a_real_terminal(tmp_path, make):
    fcntl, pty, termios = (pytest.importorskip(name) for name in ("fcntl", "pty", "termios"))
    folder = tmp_path / HOSTILE
    folder.mkdir()
    for i in range(200):
        (folder / f"{i}.png").write_bytes(make.encoded(make.photo(seed=i)))
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 200, 0, 0))  # a new one has no columns
    script = """
        import sys
        from genzoo.data import open_data, pool
        pool.PATIENCE = 0
        open_data(sys.argv[1], image_shape=(3, 8, 8))
    """
    done = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script), str(folder)], stderr=theirs)
    os.close(theirs)
    said = b""
    try:
        while block := os.read(ours, 4096):
            said += block
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert done.wait(60) == 0
    assert b"decoding evil" in said and not control(said.decode("utf-8", "replace"))


@pytest.mark.parametrize(
    "error", [BrokenPipeError(), OSError(5, "Input/output error"), ValueError("I/O operation on closed file")]
)
def test_a_terminal_that_has_gone_ends_nothing(photos, sit, monkeypatch, error):
    terminal = sit(1e-9)

    def gone(text):
        raise error

    monkeypatch.setattr(terminal, "write", gone)
    assert len(open_data(photos, image_shape=(3, 8, 8))) > 30


def test_a_long_name_is_cut(sit):
    terminal = sit()
    with pool.showing(3, "x" * 1000) as show:
        show(3, 3)
    assert "x" * 99 in terminal.getvalue() and "x" * 100 not in terminal.getvalue()


def test_without_a_terminal_a_line_is_said_every_fifteen_seconds(monkeypatch, capsys):
    """Rank 0 of a job on a cluster decodes for an hour: its log shows that it goes on."""
    clock = [100.0]
    monkeypatch.setattr(pool.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(pool, "tell", lambda text, level: print(text))
    with pool.showing(1000, "decoding photos") as show:
        for done in range(100, 1001, 100):
            clock[0] += 6
            show(done, 1000)
    assert capsys.readouterr().out.splitlines() == [
        "genzoo: decoding photos: 300 of 1,000 images, about 63 s left",
        "genzoo: decoding photos: 600 of 1,000 images, about 29 s left",
        "genzoo: decoding photos: 900 of 1,000 images, about 7 s left",
    ]


def test_who_asks_for_progress_gets_no_lines(monkeypatch, capsys):
    monkeypatch.setattr(pool, "EVERY", 0.0)
    seen = []
    pool.in_parallel(100, lambda row: None, "work", lambda done, total: seen.append(done))
    assert seen[-1] == 100 and not capsys.readouterr().err


@pytest.mark.parametrize(("seconds", "words"), [(7.4, "7 s"), (600, "10 min"), (9000, "2.5 h")])
def test_times_in_words(seconds, words):
    assert pool._words(seconds) == words
