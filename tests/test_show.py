"""Lines and bars that cannot be shown cost nothing but themselves."""

import errno
import io
import signal
import subprocess
import sys

import pytest

from genzoo.errors import safe_lines
from genzoo.show import Bar, Filtered, is_terminal, tell, unfiltered


class Terminal(io.StringIO):
    """A terminal whose writes fail as told, and that says how often it was tried."""

    def __init__(self, error=None):
        super().__init__()
        self.error, self.tried = error, 0

    def isatty(self):
        return True

    def write(self, text):
        self.tried += 1
        if self.error is not None:
            raise self.error
        return super().write(text)


ERRORS = [
    BrokenPipeError(errno.EPIPE, "Broken pipe"),
    OSError(errno.EIO, "the terminal has hung up"),
    OSError(errno.ENOSPC, "No space left on device"),
    ValueError("I/O operation on closed file"),
    RuntimeError("reentrant call inside <_io.BufferedWriter>"),
    UnicodeEncodeError("ascii", "…", 0, 1, "ordinal not in range"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_stream_that_fails_is_no_failure(monkeypatch, error):
    stream = Terminal(error)
    monkeypatch.setattr(sys, "stderr", stream)
    tell("words")
    with Bar(10) as bar:
        bar.move_to(3, "loss 1")
        bar.move_to(7)
    assert stream.tried and (bar.n, bar.total) == (7, 10)


@pytest.mark.parametrize("stream", [None, object()])
def test_no_stream_at_all(monkeypatch, capsys, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    tell("words")
    with Bar(10) as bar:
        bar.move_to(10)
    assert not bar.drawn and not is_terminal(stream)
    assert capsys.readouterr().out == "", "stdout is for data"


def test_a_closed_stream(monkeypatch):
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    tell("words")
    with Bar(10) as bar:
        bar.move_to(10)
    assert not is_terminal(stream)


def test_a_bar_that_fails_on_the_way_is_given_up(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    bar = Bar(10, mininterval=0, miniters=1)
    bar.move_to(3, "loss 1")
    assert bar.drawn and "3/10" in stream.getvalue() and "loss 1" in stream.getvalue()
    stream.error = OSError(errno.ENOSPC, "No space left on device")
    bar.move_to(5)
    assert not bar.drawn
    tried = stream.tried
    bar.move_to(9)
    bar.close()
    assert stream.tried == tried


def test_a_line_is_safe(capsys):
    tell("one\x1b[31m\ntwo")
    assert capsys.readouterr().err == "one\ufffd two\n"


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="no such signal here")
def test_a_handler_that_interrupts_a_print_may_tell(monkeypatch):
    """Python forbids a print inside a print of the same stream, and says so by a RuntimeError."""

    class Slow(io.RawIOBase):
        def writable(self):
            return True

        def write(self, data):
            signal.raise_signal(signal.SIGUSR1)
            return len(data)

    before = signal.signal(signal.SIGUSR1, lambda *_: tell("heard"))
    try:
        stream = io.TextIOWrapper(io.BufferedWriter(Slow()), write_through=True)
        monkeypatch.setattr(sys, "stderr", stream)
        tell("words")
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_the_filter_under_a_stream():
    stream = io.StringIO()
    filtered = Filtered(stream)
    assert filtered.write("one\x1b[31m\ttwo\n\x9bthree\r\n") == 21
    filtered.writelines(["\rbar \r\u202e", "\udcff\n"])
    assert stream.getvalue() == "one\ufffd\ttwo\n\ufffdthree\n\rbar  \ufffd\\xff\n"
    assert unfiltered(filtered) is unfiltered(stream) is stream and not filtered.closed


def test_colours_of_ours_stay_where_they_are_wanted():
    text = "\x1b[31mred\x1b[0m \x1b[8mhidden\x1b[30mblack\x1b[1;31m"
    assert safe_lines(text, colours=True) == "\x1b[31mred\x1b[0m \ufffdhidden\ufffdblack\ufffd"
    assert "\x1b" not in safe_lines(text)


def test_what_a_bar_says_is_safe(monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream := Terminal())
    with Bar(10, desc="what\x1b[31m\u202e", mininterval=0, miniters=1) as bar:
        bar.move_to(3, "loss\x1b]0;title\x07")
    assert "what" in stream.getvalue() and "loss" in stream.getvalue()
    assert not {"\x1b", "\u202e", "\x07"} & set(stream.getvalue().replace("\x1b[A", ""))


class TestLibrary:
    """Imported as a library, genzoo logs."""

    @staticmethod
    def run(code):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        return done.stderr

    def test_warnings_reach_stderr_and_information_does_not(self):
        code = "from genzoo.show import tell; tell('3 files skipped'); tell('step 1', level='INFO')"
        assert self.run(code) == "3 files skipped\n"

    def test_an_application_decides(self):
        code = (
            "import logging; logging.basicConfig(level='INFO', format='%(name)s %(levelname)s %(message)s')\n"
            "from genzoo.show import tell; tell('3 files skipped'); tell('step 1 of 9%s', level='INFO')"
        )
        assert self.run(code) == "genzoo WARNING 3 files skipped\ngenzoo INFO step 1 of 9%s\n"

    def test_an_application_may_want_silence(self):
        silence = "import logging; logging.getLogger('genzoo').setLevel('ERROR')\n"
        assert self.run(silence + "from genzoo.show import tell; tell('x')") == ""

    def test_the_program_writes_both(self):
        code = "from genzoo.show import tell, write_messages; write_messages(); "
        assert (
            self.run(code + "tell('3 files skipped'); tell('step 1', level='INFO')")
            == "3 files skipped\nstep 1\n"
        )

    def test_escapes_are_made_safe_in_both(self):
        code = "from genzoo.show import tell; tell('a\\x1b[2Jb')"
        assert "\x1b" not in self.run(code) and self.run(code).startswith("a")

    def test_a_notebook_has_a_bar_without_a_terminal(self, monkeypatch, capsys):
        monkeypatch.setitem(sys.modules, "ipykernel", object())
        with Bar(10, desc="decoding") as bar:
            bar.move_to(10)
            assert bar.drawn
        assert "decoding" in capsys.readouterr().err
