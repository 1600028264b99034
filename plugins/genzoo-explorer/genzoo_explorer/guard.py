"""What every request passes before a page or a model sees it: the address it was sent to, the page it came
from, the token, the size; and the headers of every answer.

The address: a page of another site whose name was pointed at 127.0.0.1 (DNS rebinding) sends its own name as
`Host`. The origin: a page of another site may open a WebSocket to 127.0.0.1, and its browser sends that
site's `Origin`.
"""

from __future__ import annotations

import hmac
import http.cookies
import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
HEADERS = (
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), microphone=(), geolocation=()"),
    ("Cache-Control", "no-cache"),
)
COOKIE = "genzoo-token"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
ANYWHERE = ("0.0.0.0", "::", "")


class Guard:
    """Lets through what was sent to this server, by a page of this server, with its token if it has one."""

    def __init__(self, app: ASGIApp, *, host: str, port: int, token: str = "") -> None:
        self._app, self._port, self._token = app, port, token
        self._anywhere = host in ANYWHERE
        self._names = {name.lower() for name in (*LOOPBACK, *_names_of(host))}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that is refused, or pass it on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refused = self._answer(scope)
        if refused is None:
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":  # a server answers it with 403, before it is a WebSocket
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
        else:
            await refused(scope, receive, _with_headers(send))

    def _answer(self, scope: Scope) -> Response | None:
        """Return the answer to a request that goes no further, or None."""
        headers = Headers(scope=scope)
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or not self._is_here(hosts[0]):
            return _refusal("this server does not have that name", 421)
        if not self._may_come_from(origins, hosts[0], needed=scope["type"] == "websocket"):
            return _refusal("a page of another site may not ask this server", 403)
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):
            return _refusal("pages are read with GET", 405)
        if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
            return _refusal("a request has no body here", 413)
        return self._token_answer(scope, headers) if self._token else None

    def _is_here(self, host: str) -> bool:
        """Return whether `host`, NAME:PORT, is this server."""
        name, _, port = host.lower().rpartition(":")
        if port != str(self._port):
            return False
        return name in self._names or (self._anywhere and _is_address(name))

    def _may_come_from(self, origins: list[str], host: str, needed: bool) -> bool:
        """Return whether the page that asks is one of this server: its origin is the address it asks."""
        if not origins:
            return not needed
        return len(origins) == 1 and origins[0].lower() == f"http://{host.lower()}"

    def _token_answer(self, scope: Scope, headers: Headers) -> Response | None:
        """Return the answer to a request without the token. One that has it in the address gets it as a
        cookie instead, so that it does not stay in the browser's history.
        """
        given = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=8).get("token", [""])[0]
        if scope["type"] == "http" and _same(given, self._token):
            answer = RedirectResponse("/", 303)
            answer.set_cookie(COOKIE, self._token, httponly=True, samesite="strict")
            return answer
        if _same(_cookie(headers.get("cookie", "")), self._token):
            return None
        return _refusal(
            "this server wants its token: open the whole address that genzoo explore printed", 401
        )


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            more = [(name.lower().encode(), value.encode()) for name, value in HEADERS]
            message = {**message, "headers": [*message.get("headers", ()), *more]}
        await send(message)

    return sending


def _refusal(words: str, status: int) -> Response:
    return PlainTextResponse(f"genzoo explore: {words}\n", status)


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _cookie(text: str) -> str:
    found: http.cookies.SimpleCookie = http.cookies.SimpleCookie()
    try:
        found.load(text)
    except http.cookies.CookieError:
        return ""
    return found[COOKIE].value if COOKIE in found else ""


def _names_of(host: str) -> Iterable[str]:
    """Return the names under which a server that listens at `host` may be asked for, as a browser writes
    them.
    """
    if host in ANYWHERE:
        return (socket.gethostname(), socket.getfqdn())
    return (f"[{host}]" if ":" in host else host,)


def _is_address(name: str) -> bool:
    """Return whether `name` is an IP address: no name, so nobody can have pointed it here."""
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Return whether nothing but this machine reaches a server that listens at `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
