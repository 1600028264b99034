"""One GET that can neither hang nor be led astray (rule R11), for weights and for data.

https only, loopback excepted; at most three redirects; the token goes to the origin it belongs to and to no
other; every single read from the socket, headers included, stands under four deadlines. The usual clients
give a deadline for each read alone, so a server that sends one byte now and then holds them for ever.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import io
import ipaddress
import math
import socket
import ssl
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from genzoo.deadlines import TRY_AGAIN, Deadlines, TransientError
from genzoo.errors import HubError

MAX_REDIRECTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)
# the server hung up
_DROPPED = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError, http.client.IncompleteRead)
_CHECK_ADDRESS = "check the address, and HF_ENDPOINT if it is set"
_URL_SIGNS = "!#$%&'()*+,/:;=?@[]~"


@dataclass
class Answer:
    """What a server sent back; `read` returns up to n bytes of the body as they come, and b"" at its end."""

    status: int
    url: str
    headers: http.client.HTTPMessage
    response: http.client.HTTPResponse

    def read(self, n: int) -> bytes:
        """Return the next bytes of the body, at most `n`; HubError says why none come any more."""
        with _spoken(self.url):
            return self.response.read1(n)


class _Clock:
    """Counts what arrives and raises HubError when a deadline has passed."""

    def __init__(self, deadlines: Deadlines, size: int) -> None:
        self._limits = deadlines
        self._end = time.monotonic() + deadlines.total + size / deadlines.pace
        self.restart()

    def restart(self) -> None:
        """Measure the speed from now on: a connection has been made."""
        self._mark, self._count = time.monotonic(), 0

    def left(self, since: float = math.inf) -> float:
        """Return how many seconds a wait that began at `since` may go on before the deadlines must be looked
        at again.
        """
        now = time.monotonic()
        if now >= self._end:
            raise HubError("took too long as a whole", TRY_AGAIN)
        return max(min(self._end, since + self._limits.stall, self._mark + self._limits.window) - now, 1e-3)

    def silent(self, since: float) -> None:
        """Take note that nothing has arrived since `since`; TimeoutError if that is too long."""
        self.left()
        if time.monotonic() - since >= self._limits.stall:
            raise TimeoutError
        self.note(0)

    def note(self, count: int) -> None:
        """Take note that `count` bytes have arrived."""
        self._count += count
        now = time.monotonic()
        if now - self._mark < self._limits.window:
            return
        if self._count < self._limits.slowest * self._limits.window:
            raise HubError(f"sent less than {self._limits.slowest:.0f} bytes a second", TRY_AGAIN)
        self._mark, self._count = now, 0


class _TimedReader(io.RawIOBase):
    """The receiving side of a socket, read by the clock."""

    def __init__(self, sock: socket.socket, clock: _Clock) -> None:
        self._sock, self._clock = sock, clock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        since = time.monotonic()
        while True:
            self._sock.settimeout(self._clock.left(since))
            try:
                count = self._sock.recv_into(buffer)
            except TimeoutError:
                self._clock.silent(since)
                continue
            self._clock.note(count)
            return count


class _TimedSocket:
    """The part of a socket's interface that `http.client` needs after the request has been sent."""

    def __init__(self, sock: socket.socket, clock: _Clock) -> None:
        self._reader = _TimedReader(sock, clock)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._reader)

    def close(self) -> None:
        """Do nothing: `get` owns the real socket."""


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine itself."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_url(url: str, local: bool = True) -> SplitResult:
    """Return the parts of a URL that may be asked: https, or http to this very machine where `local` allows
    it; else HubError.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise HubError(f"{url!r} is not a URL: {error}") from error
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and local and is_loopback(host))):
        raise HubError(f"{url!r} refused: only https is allowed", _CHECK_ADDRESS)
    return parts


def _origin(parts: SplitResult) -> tuple[str, str | None, int]:
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


@contextlib.contextmanager
def get(url: str, *, token: str | None, offset: int, size: int, deadlines: Deadlines) -> Iterator[Answer]:
    """GET `url` from byte `offset` on, following redirects; the connection is closed when the block ends.

    Args:
        url: https, or http to this machine.
        token: sent to the origin of `url` alone.
        offset: bytes that are already here; the server may ignore it and answer with status 200.
        size: bytes expected as a whole, for the deadline.
        deadlines: see `Deadlines`.

    Raises:
        HubError: no connection, a deadline passed, a redirect that is not allowed, or an answer that is not
            HTTP.
    """
    clock = _Clock(deadlines, size)
    first = parts = check_url(url)
    for _ in range(MAX_REDIRECTS + 1):
        if _origin(parts) != _origin(first):
            token = None  # for good: a host that was redirected to must not send us back with it either
        with contextlib.ExitStack() as stack:
            answer = _ask(stack, parts, _headers(token, offset), clock, deadlines)
            if answer.status not in _REDIRECTS:
                yield answer
                return
        url = urljoin(url, answer.headers.get("location", ""))
        parts = check_url(url, local=is_loopback(first.hostname or ""))
    raise HubError(f"redirected more than {MAX_REDIRECTS} times", _CHECK_ADDRESS)


def _headers(token: str | None, offset: int) -> dict[str, str]:
    headers = {"User-Agent": "genzoo", "Accept-Encoding": "identity", "Connection": "close"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if offset:
        headers["Range"] = f"bytes={offset}-"
    return headers


def _ask(
    stack: contextlib.ExitStack,
    parts: SplitResult,
    headers: dict[str, str],
    clock: _Clock,
    deadlines: Deadlines,
) -> Answer:
    url = parts.geturl()
    with _spoken(url):
        connection = _connection(parts, min(deadlines.connect, clock.left()))
        stack.callback(connection.close)
        connection.connect()
        clock.restart()
        sock = connection.sock
        stack.callback(sock.close)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", quote(target, safe=_URL_SIGNS), headers=headers)
        connection.sock = _TimedSocket(sock, clock)
        response = connection.getresponse()
        stack.callback(response.close)
    return Answer(response.status, url, response.headers, response)


def _connection(parts: SplitResult, timeout: float) -> http.client.HTTPConnection:
    """Return a connection that is not open yet, through the proxy of the environment if there is one."""
    _, host, port = _origin(parts)
    if parts.scheme == "http":  # this very machine: `check_url` lets no other pass
        return http.client.HTTPConnection(host or "", port, timeout=timeout)
    context = ssl.create_default_context()
    via = proxy_for(host or "")
    if via is None:
        return http.client.HTTPSConnection(host or "", port, timeout=timeout, context=context)
    connection = http.client.HTTPSConnection(
        via.hostname or "", via.port or 3128, timeout=timeout, context=context
    )
    login = base64.b64encode(f"{unquote(via.username or '')}:{unquote(via.password or '')}".encode()).decode()
    connection.set_tunnel(host or "", port, {"Proxy-Authorization": f"Basic {login}"} if via.username else {})
    return connection


def proxy_for(host: str) -> SplitResult | None:
    """Return the parts of the URL of the proxy by which the environment routes `host` over https,
    or None.

    Raises:
        HubError: the proxy needs TLS itself (https://) or SOCKS. Spoken to in clear, it would see its
            password on the wire.
    """
    proxy = "" if urllib.request.proxy_bypass(host) else urllib.request.getproxies().get("https", "")
    if not proxy:
        return None
    try:
        via = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        usable, _ = bool(via.hostname), via.port
    except ValueError:
        usable = False
    if not usable:
        raise HubError("the address of the proxy cannot be read", "set HTTPS_PROXY to http://HOST:PORT")
    if via.scheme != "http":
        raise HubError(
            f"the proxy {via.scheme}://{via.hostname} is not supported",
            "set HTTPS_PROXY to an http:// proxy, or NO_PROXY",
        )
    return via


@contextlib.contextmanager
def _spoken(url: str) -> Iterator[None]:
    """Turn what goes wrong on the wire into a HubError that names the host."""
    host = urlsplit(url).netloc.rpartition("@")[2]
    try:
        yield
    except TimeoutError as error:
        raise HubError(f"{host} is silent", TRY_AGAIN) from error
    except (*_DROPPED, ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
        raise TransientError(f"{host}: {type(error).__name__}: {error}", TRY_AGAIN) from error
    except ssl.SSLError as error:
        raise HubError(
            f"{host}: no secure connection: {error.reason or error}",
            "check the clock and the certificates of this machine",
        ) from error
    except socket.gaierror as error:
        raise HubError(f"no network: cannot resolve {host}", "check the network") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise HubError(f"{host}: {type(error).__name__}: {error}", "check the network") from error
