"""What the server refuses, asked by raw sockets as a hostile page or program would."""

import base64
import os

import pytest
from explorer_site import running
from genzoo_explorer import limits
from genzoo_explorer.guard import COOKIE, POLICY, is_loopback
from websockets.exceptions import ConnectionClosed, InvalidStatus

KEY = base64.b64encode(os.urandom(16)).decode()


def shake(site, *lines, path="/socket"):
    """Return the status of an attempt to open a WebSocket with these header lines."""
    upgrade = (
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {KEY}",
    )
    status, *_ = site.raw("\r\n".join([f"GET {path} HTTP/1.1", *lines, *upgrade, "", ""]) + "x").split()[1:2]
    return int(status)


def test_the_page_and_all_its_files_come_with_every_header(site):
    names = list(site.explorer._pages)
    assert {"index.html", "style.css", "main.js", "icon.svg"} <= set(names)
    for path in ["/", *(f"/{name}" for name in names)]:
        status, headers, body = site.get(path)
        assert status == 200 and body
        assert headers["content-security-policy"] == POLICY.lower()
        assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "deny"
        assert headers["referrer-policy"] == "no-referrer"
        assert (
            headers["cross-origin-resource-policy"] == headers["cross-origin-opener-policy"] == "same-origin"
        )
        assert "server" not in headers and "access-control-allow-origin" not in headers


def test_no_page_has_a_script_or_style_within_it_nor_an_address_outside(site):
    for name, (data, _) in site.explorer._pages.items():
        text = data.decode()
        assert "https://" not in text and "http://" not in text.replace("http://www.w3.org/2000/svg", "")
        assert "style=" not in text and "innerHTML" not in text and "eval(" not in text, name
        if name.endswith(".html"):
            assert (
                text.count("<script") == text.count('<script type="module" src=') == 1
                and "<style" not in text
            )


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:{port}",
        "evil.example",
        "127.0.0.1",
        "127.0.0.1:1",
        "localhost.evil.example:{port}",
        "127.0.0.1:{port}@evil.example",
        "127.0.0.2:{port}",
        "[::1]",
        ":{port}",
        "127.0.0.1:{port}.",
    ],
)
def test_another_name_is_refused(site, host):
    """DNS rebinding: the name of another site, pointed at this machine."""
    name = host.format(port=site.port)
    assert site.get("/", host=name)[0] == 421
    assert shake(site, f"Host: {name}", f"Origin: http://{name}") == 403


def test_two_names_or_none_are_refused(site):
    good = f"Host: 127.0.0.1:{site.port}"
    assert site.get("/", good)[0] in (400, 421)
    assert site.raw("GET / HTTP/1.1\r\nConnection: close\r\n\r\n").split()[1] in ("400", "421")


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_the_names_of_this_machine_are_let_in(site, name):
    assert site.get("/", host=f"{name}:{site.port}")[0] == 200


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "https://127.0.0.1:{port}",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "http://localhost:{port}",
        "http://127.0.0.1:{port}.evil.example",
        "file://",
    ],
)
def test_a_page_of_another_origin_is_refused(site, origin):
    line = "Origin: " + origin.format(port=site.port)
    assert site.get("/", line)[0] == 403
    assert shake(site, f"Host: 127.0.0.1:{site.port}", line) == 403


def test_a_socket_needs_its_origin_and_gets_in_with_it(site):
    host, good = f"Host: 127.0.0.1:{site.port}", f"Origin: http://127.0.0.1:{site.port}"
    assert shake(site, host) == 403
    assert shake(site, host, good, good) in (400, 403)
    with site.page() as page:
        assert page.ask("catalogue")["models"]
    with pytest.raises(InvalidStatus):
        site.page(origin="http://evil.example")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_pages_are_only_read(site, method):
    assert site.get("/", method=method)[0] == 405


def test_a_request_has_no_body(site):
    assert site.get("/", "Content-Length: 5")[0] == 413
    assert site.get("/", "Transfer-Encoding: chunked")[0] == 413


def test_a_head_is_bounded(site):
    assert site.get("/", "X: " + "a" * 200_000)[0] in (400, 431)


@pytest.mark.parametrize(
    "path",
    [
        "/../guard.py",
        "/..%2fguard.py",
        "/%2e%2e/guard.py",
        "/etc/passwd",
        "//etc/passwd",
        "/pages/index.html",
        "/index.html/..",
        "/guard.py",
        "/grids/0",
        "/grids/../x",
        "/grids/-1",
        "/grids/" + "9" * 400,
        "/%00",
        "/.",
        "/style.css%00.html",
    ],
)
def test_no_path_leads_to_a_file(site, path):
    assert site.get(path)[0] == 404


def test_a_message_that_is_too_large_ends_the_connection(site):
    with site.page() as page:
        page.wire.send("x" * (limits.MESSAGE + 1))
        with pytest.raises(ConnectionClosed):
            page.receive()


def test_bytes_end_the_connection(site):
    with site.page() as page:
        page.wire.send(b"\0\1")
        with pytest.raises(ConnectionClosed):
            page.receive()


def test_there_are_only_so_many_sockets(site, monkeypatch):
    monkeypatch.setattr(limits, "SOCKETS", site.explorer._sockets + 2)
    with site.page(), site.page():
        with pytest.raises(InvalidStatus):
            site.page()


@pytest.fixture(scope="module")
def guarded(toys):
    with running(token="secret-token", wrong_host="0.0.0.0") as made:
        yield made


def test_without_the_token_nothing_is_answered(guarded):
    for path in (
        "/",
        "/main.js",
        "/?token=",
        "/?token=wrong",
        "/?token=secret-toke",
        "/main.js?token=Secret-token",
    ):
        assert guarded.get(path)[0] == 401
    assert guarded.get("/", f"Cookie: {COOKIE}=wrong")[0] == 401
    assert guarded.get("/", "Cookie: \x01=;;;")[0] in (400, 401)
    host, origin = f"Host: 127.0.0.1:{guarded.port}", f"Origin: {guarded.address}"
    assert shake(guarded, host, origin) == 403
    assert shake(guarded, host, origin, path="/socket?token=secret-token") == 403


def test_the_token_becomes_a_cookie_that_no_other_site_can_send(guarded):
    status, headers, _ = guarded.get("/?token=secret-token")
    assert status == 303 and headers["location"] == "/"
    assert "httponly" in headers["set-cookie"] and "samesite=strict" in headers["set-cookie"]
    cookie = f"Cookie: {COOKIE}=secret-token"
    assert guarded.get("/", cookie)[0] == 200
    with guarded.page(additional_headers={"Cookie": f"{COOKIE}=secret-token"}) as page:
        assert page.ask("catalogue")["models"]
    assert guarded.get("/", cookie, "Origin: http://evil.example")[0] == 403


def test_an_open_server_answers_to_addresses_and_its_own_name_only(guarded):
    cookie = f"Cookie: {COOKIE}=secret-token"
    assert guarded.get("/", cookie, host=f"192.0.2.7:{guarded.port}")[0] == 200
    assert guarded.get("/", cookie, host=f"evil.example:{guarded.port}")[0] == 421


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.0.2.1", False),
        ("evil.example", False),
        ("", False),
    ],
)
def test_loopback_is_known(host, expected):
    assert is_loopback(host) is expected
