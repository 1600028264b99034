"""Faults of servers and of the way to them: each must end in one line, and never in a file that counts."""

import os
import re
import socket
import subprocess
import sys
import time

import pytest

from genzoo.errors import HubError, StorageError
from genzoo.http import check_url, get
from genzoo.hub import Deadlines, pull, pull_bytes, transfer


def refused(row, words, **options):
    """Pull, expect a refusal in one line with `words`, and nothing in the final place."""
    with pytest.raises(HubError, match=words) as caught:
        pull(row, **options)
    assert "\n" not in str(caught.value)
    assert row.name in str(caught.value)
    return caught.value


def test_a_file_arrives_and_is_kept(hub, row, cache, weights):
    path = pull(row)
    assert path == cache / f"{row.sha256}.safetensors"
    assert path.read_bytes() == weights
    assert pull(row) == path and pull_bytes(row) == weights
    assert len(hub.gets()) == 1
    assert sorted(p.suffix for p in cache.iterdir()) == [".lock", ".safetensors"]


def test_progress_is_told(hub, row, weights):
    seen = []
    pull(row, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(weights), len(weights)) and seen == sorted(seen)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("flip", "sha256"),
        ("html", "an HTML page"),
        ("html-close", "an HTML page"),
        ("half", "ended after 150000 of 300000 bytes"),
        ("oversize", "more than 300000 bytes"),
        ("wrong-length", "announced .* of 300001 bytes"),
        ("loop", "redirected more than 3 times"),
        ("gated", "asks for permission .*restricted"),
        ("broken", "status 503"),
        ("not-http", "BadStatusLine"),
    ],
)
def test_what_is_not_the_pinned_file_never_counts(hub, row, cache, fault, words):
    hub.fault = fault
    refused(row, words)
    assert not list(cache.glob("*.safetensors"))


def test_a_missing_file_is_named_without_its_escapes(hub, rows):
    error = refused(rows("hf:owner/repo@" + "b" * 40 + ":x.safetensors"), "has no such file")
    assert "\x1b" not in str(error)


def test_permission_says_what_to_do(hub, row):
    hub.fault = "gated"
    assert "HF_TOKEN" in refused(row, "permission").hint


def test_no_more_than_one_byte_too_many_is_read(hub, row):
    hub.fault = "oversize"
    refused(row, "more than")
    assert hub.sent < 15_000_000  # the kernel's buffers take a few MB, never the whole 20


@pytest.mark.parametrize(
    ("fault", "words"), [("stall", "silent"), ("drip", "bytes a second"), ("drip-headers", "bytes a second")]
)
def test_slow_servers_are_left(hub, row, hasty, fault, words):
    hub.fault = fault
    started = time.monotonic()
    refused(row, words, deadlines=hasty)
    assert time.monotonic() - started < 1.5


def test_the_whole_has_a_deadline_too(hub, row):
    hub.delay = 0.05
    hasty = Deadlines(stall=1, window=10, slowest=0, total=0.3, pace=1e9)
    started = time.monotonic()
    refused(row, "took too long", deadlines=hasty)
    assert time.monotonic() - started < 1


def test_a_port_where_nobody_listens(row, monkeypatch):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{probe.getsockname()[1]}")
        refused(row, "ConnectionRefusedError")


def test_chunked_bodies_work(hub, row, weights):
    hub.fault = "chunked"
    assert pull_bytes(row) == weights


def test_what_was_cut_off_is_gone_on_with(hub, row, cache, weights, monkeypatch):
    hub.fault = "half"
    with monkeypatch.context() as patch:
        patch.setattr(transfer, "TRIES", 1)
        refused(row, "ended after")
    hub.fault = ""
    assert pull(row).read_bytes() == weights
    assert [request.headers.get("range") for request in hub.gets()] == [None, "bytes=150000-"]
    assert not list(cache.glob("*.part"))


def test_a_server_that_ignores_the_range_is_read_from_the_start(hub, row, weights):
    hub.fault = "half"
    refused(row, "ended after")
    hub.fault = "no-range"
    assert pull(row).read_bytes() == weights


@pytest.mark.parametrize("fault", ["bad-range", "wrong-total", "no-content-range"])
def test_a_range_that_was_not_asked_for_is_read_from_the_start(hub, row, cache, weights, fault):
    cache.mkdir(parents=True)
    (cache / f"{row.sha256}.part").write_bytes(weights[:100])
    hub.fault = fault
    assert pull(row).read_bytes() == weights
    assert [request.headers.get("range") for request in hub.gets()] == ["bytes=100-", None]


def test_a_poisoned_beginning_is_thrown_away(hub, row, cache, weights):
    cache.mkdir(parents=True)
    (cache / f"{row.sha256}.part").write_bytes(b"x" * 1000)
    assert pull(row).read_bytes() == weights
    assert [request.headers.get("range") for request in hub.gets()] == ["bytes=1000-", None]


@pytest.mark.parametrize("length", [300_000, 400_000])
def test_a_full_but_wrong_beginning_is_thrown_away(hub, row, cache, weights, length):
    cache.mkdir(parents=True)
    (cache / f"{row.sha256}.part").write_bytes(b"x" * length)
    assert pull(row).read_bytes() == weights


def test_a_longer_beginning_than_the_server_has(hub, row, cache):
    cache.mkdir(parents=True)
    (cache / f"{row.sha256}.part").write_bytes(b"x" * 250_000)
    hub.files[next(iter(hub.files))] = b"short"
    refused(row, "of 5 bytes")


def test_the_token_goes_to_its_own_origin_only(hub, other, row, weights):
    hub.fault, hub.redirect = "away", other.url
    assert pull_bytes(row) == weights
    assert hub.gets()[0].headers["authorization"] == "Bearer hf_secret"
    assert "authorization" not in other.gets()[0].headers


def test_a_host_redirected_to_cannot_send_us_back_with_the_token(hub, other, row, weights):
    hub.fault, hub.redirect = "away", other.url
    other.fault, other.redirect = "away", hub.url
    refused(row, "redirected more than 3 times")
    assert ["authorization" in request.headers for request in hub.gets()] == [True, False]


def test_the_token_stays_within_one_origin(hub, row, weights):
    hub.fault = "once"
    assert pull_bytes(row) == weights
    assert (
        all(request.headers["authorization"] == "Bearer hf_secret" for request in hub.gets())
        and len(hub.gets()) == 2
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "ftp://127.0.0.1",
        "file:///etc/passwd",
        "http://127.0.0.1.example.com",
        "https://",
        "http://[::1",
    ],
)
def test_only_https_is_asked(rows, monkeypatch, row, url):
    with pytest.raises(HubError):
        check_url(url)
    monkeypatch.setenv("HF_ENDPOINT", url)
    refused(row, "refused: only https|is not a URL")


@pytest.mark.parametrize("url", ["http://example.com/x", "file:///etc/passwd", "//example.com:99999/x"])
def test_a_redirect_out_of_bounds_is_refused(hub, row, url):
    hub.fault, hub.redirect = "away", url
    refused(row, "refused: only https|is not a URL")


def test_a_far_server_cannot_send_us_to_this_machine():
    with pytest.raises(HubError, match="only https"):
        check_url("http://127.0.0.1/", local=False)
    assert check_url("https://[::1]/").hostname == "::1"


def test_connections_are_closed(hub, row):
    pull(row)
    with get(
        f"{hub.url}/owner/repo/resolve/x/none", token=None, offset=0, size=1, deadlines=Deadlines()
    ) as answer:
        assert answer.status == 404 and answer.read(10) == b"Entry not "
    # an open socket would be a ResourceWarning, and warnings are errors here


PULL = """
import sys
from pathlib import Path
from genzoo.hub import pull
from genzoo.ledger import read_rows
print(pull(read_rows(Path(sys.argv[1]))["dcgan-bedrooms"]))
"""


def start_pull(tmp_path, row):
    from genzoo.ledger import add_row

    add_row(tmp_path / "zoo.toml", row)
    return subprocess.Popen(
        [sys.executable, "-c", PULL, str(tmp_path / "zoo.toml")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_pull_leaves_nothing_half_written_and_goes_on(hub, row, cache, tmp_path, weights):
    hub.delay = 0.02
    with start_pull(tmp_path, row) as child:
        part = cache / f"{row.sha256}.part"
        deadline = time.monotonic() + 20
        while not (part.exists() and part.stat().st_size > 20_000) and time.monotonic() < deadline:
            time.sleep(0.01)
        child.kill()
        child.communicate()
    assert not list(cache.glob("*.safetensors"))
    begun, hub.delay = part.stat().st_size, 0
    assert 20_000 < begun < len(weights)
    assert pull(row).read_bytes() == weights
    assert hub.gets()[-1].headers["range"] == f"bytes={begun}-"


def test_several_processes_fetch_once(hub, row, tmp_path, weights):
    hub.delay = 0.02
    children = [start_pull(tmp_path, row) for _ in range(4)]
    results = [child.communicate(timeout=60) for child in children]
    assert {child.returncode for child in children} == {0}, results
    assert len({out for out, _ in results}) == 1
    assert len(hub.gets()) == 1


def test_a_full_disk_is_one_line_and_leaves_nothing(hub, row, cache, monkeypatch, weights):
    def full(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(StorageError, match=r"cannot write .*\.part: the disk is full"):
            pull(row)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="the disk is full"):
            pull(row)
    assert not list(cache.glob("*.safetensors"))
    assert pull(row).read_bytes() == weights


def test_the_file_is_flushed_before_it_gets_its_name(hub, row, monkeypatch):
    calls = []
    real_fsync, real_replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("fsync"), real_fsync(fd))[1])
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("replace"), real_replace(a, b))[1])
    pull(row)
    assert (
        re.fullmatch("(fsync )+replace fsync", " ".join(calls)) if os.name != "nt" else calls[-1] == "replace"
    )
