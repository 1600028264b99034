"""The command: what it prints, what it refuses, and that the help needs neither torch nor a server."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request

import genzoo_explorer
import pytest
from click.testing import CliRunner
from genzoo_explorer.app import bind
from genzoo_explorer.command import explore_command

from genzoo.errors import ArgumentError, UnknownNameError


def genzoo(*words, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "genzoo", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_the_plugin_offers_the_command_and_no_model():
    assert list(genzoo_explorer.genzoo_cards()) == []
    assert genzoo_explorer.genzoo_commands() == {"explore": "genzoo_explorer.command:explore_command"}


def test_it_prints_an_address_that_answers_and_ends_with_a_signal():
    process = genzoo("explore", "--no-browser", "--port", "0")
    try:
        address = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
        with urllib.request.urlopen(address, timeout=30) as answer:
            assert b"genzoo explorer" in answer.read()
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors


def test_the_help_imports_neither_torch_nor_a_server():
    code = (
        "import sys; from genzoo_explorer.command import explore_command\n"
        "try: explore_command(['--help'])\nexcept SystemExit: pass\n"
        "sys.exit(' '.join({'torch', 'uvicorn', 'starlette'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "") and "--no-browser" in done.stdout


def started(monkeypatch, *words):
    """Return what the command prints where the server ends at once, and the browser's addresses."""
    from genzoo_explorer import app

    class Ended:
        def __init__(self, application):
            self.application = application

        def run(self, sockets):
            pass

    opened = []
    monkeypatch.setattr(app, "server", Ended)
    monkeypatch.setattr("genzoo_explorer.command._open", opened.append)
    found = CliRunner().invoke(explore_command, list(words))
    return found, opened


def test_a_browser_is_opened_unless_it_is_not_wanted(toys, monkeypatch):
    found, opened = started(monkeypatch, "--port", "0")
    assert opened == [found.output.strip()]
    assert started(monkeypatch, "--port", "0", "--no-browser")[1] == []


def test_another_host_needs_a_token_and_loopback_none(toys, monkeypatch):
    found, _ = started(monkeypatch, "--host", "0.0.0.0", "--port", "0")
    token = re.fullmatch(r"http://0\.0\.0\.0:\d+/\?token=([\w-]{32})\n", found.output)[1]
    assert token not in started(monkeypatch, "--host", "0.0.0.0", "--port", "0")[0].output
    assert "token" not in started(monkeypatch, "--host", "127.0.0.1", "--port", "0")[0].output


def test_an_unknown_name_and_a_place_without_weights_are_refused(toys, monkeypatch, tmp_path):
    found, _ = started(monkeypatch, "toy-wave", "--port", "0")
    assert isinstance(found.exception, UnknownNameError) and "toy-waves" in str(found.exception)
    assert started(monkeypatch, str(tmp_path / "absent"), "--port", "0")[0].exception is not None
    assert started(monkeypatch, "toy-waves", "--port", "0")[0].exit_code == 0


def test_a_port_that_is_taken_is_refused_if_asked_for_and_else_another_is_found(toys, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found, _ = started(monkeypatch, "--port", str(port))
        assert isinstance(found.exception, ArgumentError) and str(port) in str(found.exception)
        with bind("127.0.0.1", port, exact=False) as other:
            assert other.getsockname()[1] != port
        with pytest.raises(OSError, match=os.strerror(98)):
            bind("127.0.0.1", port, exact=True)
