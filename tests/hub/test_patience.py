"""Servers that fail for a moment, that are slow, or that cannot be reached but through a proxy; disks with no
room."""

import email.utils
import os
import shutil
import socket
import threading
import time
from collections import namedtuple
from contextlib import suppress

import pytest

from genzoo.deadlines import PATIENT, Deadlines
from genzoo.errors import HubError, StorageError, WeightsError
from genzoo.http import proxy_for
from genzoo.hub import pull, pull_bytes, transfer

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    """Forget the proxies of the machine that runs the tests."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class TestPassingFaults:
    @pytest.mark.parametrize("fault", ["broken", "busy", "hang-up"])
    def test_what_passes_is_tried_again_and_told(self, hub, row, weights, capsys, fault):
        hub.fault, hub.times, hub.retry_after = fault, 2, "0"
        assert pull_bytes(row) == weights
        told = capsys.readouterr().err.splitlines()
        assert len(told) == 2 == len(hub.gets()) - 1
        assert all(line.startswith("genzoo: dcgan-bedrooms: ") and "trying again in" in line for line in told)
        assert "(2 of 5)" in told[0] and "(3 of 5)" in told[1]

    def test_a_reset_goes_on_where_it_was(self, hub, row, weights, monkeypatch, capsys):
        # each try brings more than that, so none counts as failed
        monkeypatch.setattr(transfer, "_PROGRESS", 1000)
        hub.fault = "reset"
        assert pull_bytes(row) == weights
        starts = [int((request.headers.get("range") or "bytes=0-")[6:-1]) for request in hub.gets()]
        assert len(starts) >= 6 and starts == sorted(set(starts)) and starts[0] == 0
        assert "after" in capsys.readouterr().err

    def test_what_does_not_pass_ends(self, hub, row, capsys):
        hub.fault = "broken"
        with pytest.raises(HubError, match="status 503"):
            pull(row)
        assert len(hub.gets()) == transfer.TRIES == len(capsys.readouterr().err.splitlines()) + 1

    def test_the_pauses_grow(self, hub, row, monkeypatch):
        slept = []
        monkeypatch.setattr(transfer, "PAUSE", 1.0)
        monkeypatch.setattr(transfer.time, "sleep", slept.append)
        hub.fault = "broken"
        with pytest.raises(HubError):
            pull(row)
        assert [s for s in slept if s >= 1] == [1, 2, 4, 8]

    @pytest.mark.parametrize(
        "form", [str, lambda seconds: email.utils.formatdate(time.time() + seconds, usegmt=True)]
    )
    def test_the_wait_that_a_server_asks_for(self, hub, row, weights, monkeypatch, form):
        slept = []
        monkeypatch.setattr(transfer.time, "sleep", slept.append)
        hub.fault, hub.times, hub.retry_after = "busy", 1, form(20)
        assert pull_bytes(row) == weights
        assert 18 <= max(slept) <= 20

    @pytest.mark.parametrize("asked", ["3600", "999999999"])
    def test_a_wait_that_is_too_long_is_not_waited_for(self, hub, row, asked):
        hub.fault, hub.retry_after = "busy", asked
        with pytest.raises(
            HubError, match=rf"status 429: .*it asks to wait for {int(asked):,} seconds — try again then"
        ):
            pull(row)
        assert len(hub.gets()) == 1

    @pytest.mark.parametrize("asked", ["", "soon", "-5", "\u0663", "Mon, 99 Foo 2026", "1" * 5000])
    def test_a_wait_that_cannot_be_read(self, hub, row, weights, asked):
        assert transfer._retry_after(asked) is None

    @pytest.mark.parametrize("fault", ["gated", "flip", "html"])
    def test_what_does_not_pass_by_itself_is_asked_once(self, hub, row, fault):
        hub.fault = fault
        with pytest.raises(HubError):
            pull(row)
        assert len(hub.gets()) == 1


class TestSlowServers:
    def test_the_limits_that_people_get(self):
        assert PATIENT.connect + max(PATIENT.stall, PATIENT.window) <= 15

    @pytest.mark.parametrize("fault", ["stall", "drip", "drip-headers"])
    def test_none_takes_longer_than_the_window(self, hub, row, fault):
        limits = Deadlines(stall=1.0, window=1.0, slowest=1000)
        hub.fault = fault
        begun = time.monotonic()
        with pytest.raises(HubError, match=r"silent|bytes a second"):
            pull(row, deadlines=limits)
        assert time.monotonic() - begun < 1.8
        assert len(hub.gets()) == 1  # it is given up, not tried again

    def test_how_far_it_got_is_told_and_gone_on_with(self, hub, row, weights, hasty):
        hub.fault = "stall"
        with pytest.raises(
            HubError, match=r"is silent, after 1000 of 300000 bytes — try again: what has arrived is kept"
        ):
            pull(row, deadlines=hasty)
        hub.fault = ""
        assert pull_bytes(row) == weights
        assert hub.gets()[-1].headers["range"] == "bytes=1000-"

    def test_seldom_bytes_are_slow_too(self, hub, row):
        """Some bytes now and then, each within the limit of silence: the window ends between two of them."""
        hub.fault = "stall"  # 1000 bytes, and nothing for 1.5 seconds
        begun = time.monotonic()
        with pytest.raises(HubError, match="sent less than 10000 bytes a second, after 1000 of 300000 bytes"):
            pull(row, deadlines=Deadlines(stall=5, window=0.3, slowest=10_000))
        assert time.monotonic() - begun < 1

    def test_a_fast_server_that_pauses_is_not_slow(self, hub, row, weights):
        hub.delay = 0.05  # 200 kB a second, in bursts
        assert pull_bytes(row, deadlines=Deadlines(stall=1, window=0.2, slowest=50_000)) == weights


class TestRefusals:
    def test_address_and_both_digests_are_told(self, hub, row):
        hub.fault = "flip"
        with pytest.raises(HubError) as caught:
            pull(row)
        import hashlib

        sent = hub.files[next(iter(hub.files))]
        actual = hashlib.sha256(bytes([sent[0] ^ 1]) + sent[1:]).hexdigest()
        words = str(caught.value)
        assert (
            hub.gets()[0].path in words
            and hub.url in words
            and actual in words
            and f"expected {row.sha256}" in words
        )

    def test_who_answered_after_a_redirect_is_told(self, hub, other, row):
        hub.fault, hub.redirect, other.fault = "away", other.url, "flip"
        with pytest.raises(HubError, match=rf"{hub.url}/owner.* \(answered by {other.url[7:]}\) sent"):
            pull(row)

    def test_passwords_and_signatures_are_not_told(self):
        assert (
            transfer._address("https://u:p@a.org/x?y=z", "https://b.org/s?sig=1")
            == "https://a.org/x (answered by b.org)"
        )

    @pytest.mark.parametrize("fault", ["oversize", "wrong-length"])
    def test_a_wrong_size_tells_the_pinned_one(self, hub, row, fault):
        hub.fault = fault
        with pytest.raises(HubError, match=rf"{hub.url}/owner/repo/.*300000.*{row.sha256}"):
            pull(row)


class TestDamagedCache:
    @pytest.mark.parametrize("damage", [b"", b"short", bytes(300_000), bytes(300_001)])
    def test_offline_it_is_said_to_be_damaged_and_stays(self, hub, row, damage):
        path = pull(row)
        path.write_bytes(damage)
        with pytest.raises(
            HubError, match=rf"the cached file .*{row.sha256}.safetensors is damaged: .*offline mode is on"
        ):
            pull(row, offline=True)
        assert path.read_bytes() == damage

    def test_online_it_is_said_and_fetched_anew(self, hub, row, weights, capsys):
        path = pull(row)
        path.write_bytes(bytes(300_000))
        assert pull_bytes(row) == weights and path.read_bytes() == weights
        told = capsys.readouterr().err
        assert told.count("\n") == 1 and "is damaged" in told and "downloaded again" in told

    def test_a_good_file_is_kept_whatever_size_a_row_says(self, hub, row, weights):
        path = pull(row)
        with pytest.raises(
            HubError,
            match=r"zoo.toml says 299999 bytes of .*, but the weights with its sha256 are 300000 bytes",
        ):
            pull(row.replace(bytes=299_999))
        assert path.read_bytes() == weights


class TestRoom:
    def test_room_is_looked_at_first(self, hub, row, monkeypatch):
        Usage = namedtuple("Usage", "total used free")
        monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 10**9 - 100_000, 100_000))
        with pytest.raises(
            StorageError, match=r"0\.3 MB are to be fetched, and 0\.1 MB are free in .*genzoo cache prune"
        ):
            pull(row)
        assert hub.log == []

    def test_only_what_is_missing_needs_room(self, hub, row, weights, cache, monkeypatch):
        Usage = namedtuple("Usage", "total used free")
        cache.mkdir(parents=True)
        (cache / f"{row.sha256}.part").write_bytes(weights[:250_000])
        monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 10**9 - 100_000, 100_000))
        assert pull_bytes(row) == weights

    @pytest.mark.parametrize("answer", [(0, 0, 0), None])
    def test_a_disk_that_does_not_know_its_size(self, hub, row, weights, monkeypatch, answer):
        Usage = namedtuple("Usage", "total used free")

        def usage(path):
            if answer is None:
                raise OSError(38, "not implemented")
            return Usage(*answer)

        monkeypatch.setattr(shutil, "disk_usage", usage)
        assert pull_bytes(row) == weights


@pytest.fixture
def proxy():
    """Give a proxy that notes what it is sent and answers 403: (address, what it was sent)."""
    seen = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            with suppress(OSError):
                while True:
                    end, _ = server.accept()
                    with end:
                        seen.append(end.recv(65536))
                        end.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}", seen
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


class TestProxies:
    @pytest.mark.parametrize("form", ["http://{}", "{}", "http://ada:s%40crt@{}"])
    def test_a_proxy_is_asked_to_connect_and_sees_no_token(self, proxy, row, monkeypatch, form):
        address, seen = proxy
        monkeypatch.setenv("HF_ENDPOINT", "https://hub.invalid")
        monkeypatch.setenv("https_proxy", form.format(address))
        with pytest.raises(HubError, match="403 Forbidden"):
            pull(row)
        assert seen[0].startswith(b"CONNECT hub.invalid:443 HTTP/1.") and b"hf_secret" not in seen[0]
        assert (b"Proxy-Authorization: Basic YWRhOnNAY3J0" in seen[0]) is ("ada" in form)

    @pytest.mark.parametrize("scheme", ["https", "socks5", "socks5h", "ftp"])
    def test_a_proxy_that_wants_another_language_is_refused_and_not_spoken_to(
        self, proxy, row, monkeypatch, scheme
    ):
        address, seen = proxy
        monkeypatch.setenv("HF_ENDPOINT", "https://hub.invalid")
        monkeypatch.setenv("https_proxy", f"{scheme}://ada:secret@{address}")
        words = rf"the proxy {scheme}://127\.0\.0\.1 is not supported — set HTTPS_PROXY to an http:// proxy"
        with pytest.raises(HubError, match=words) as caught:
            pull(row)
        assert seen == [] and "secret" not in str(caught.value)

    @pytest.mark.parametrize(
        "address", ["http://", "http://:80", "http://[::1", "http://a:port", "http://a:99999"]
    )
    def test_an_address_that_cannot_be_read(self, monkeypatch, address):
        monkeypatch.setenv("https_proxy", address)
        with pytest.raises(HubError, match="the address of the proxy cannot be read"):
            proxy_for("hub.invalid")

    def test_exceptions_and_no_proxy(self, monkeypatch):
        assert proxy_for("hub.invalid") is None
        monkeypatch.setenv("https_proxy", "https://proxy.invalid")
        monkeypatch.setenv("no_proxy", "hub.invalid")
        assert proxy_for("hub.invalid") is None

    def test_this_machine_is_asked_directly(self, hub, row, weights, monkeypatch):
        for name in PROXIES[:3]:
            monkeypatch.setenv(name, "http://proxy.invalid:1")
        assert pull_bytes(row) == weights


def test_damage_is_a_weights_error_without_the_hub(hub, row):
    from genzoo.hub import verify_digest

    path = pull(row)
    path.write_bytes(os.urandom(300_000))
    with pytest.raises(WeightsError, match=row.sha256):
        verify_digest(row)
