"""A small Hub-compatible server on loopback, with faults to order, and rows to pull from it."""

import base64
import hashlib
import json
import random
import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from genzoo.hub import Deadlines
from genzoo.ledger import Row

REPO, REVISION, FILE = "owner/repo", "a" * 40, "dcgan-bedrooms.safetensors"
TOKEN = "hf_secret"
WEIGHTS = random.Random(0).randbytes(300_000)
HTML = b"<!DOCTYPE html><html><body>Please log in to the network</body></html>"


@dataclass
class Request:
    """One request as the server saw it."""

    method: str
    path: str
    headers: dict
    port: int = 0


@dataclass
class HubServer:
    """Repositories in memory. `fault` names what goes wrong with downloads; `delay` slows them, in seconds
    per 10 kB."""

    files: dict = field(default_factory=dict)  # (repo, revision, path) -> bytes
    log: list = field(default_factory=list)
    sent: int = 0  # bytes of bodies so far
    fault: str = ""
    delay: float = 0.0
    redirect: str = ""
    times: int = 10**9  # how often `fault` happens
    retry_after: str = ""
    uploads: dict = field(default_factory=dict)  # sha256 -> bytes
    heads: dict = field(default_factory=dict)  # repo -> the commit that main points to
    branches: dict = field(default_factory=dict)  # (repo, revision) -> the commit, if not that of main
    garbled: str = ""  # what is told in place of a commit
    private: dict = field(default_factory=dict)  # repo -> whether it is
    # what happens just before a commit is taken, one for each
    before_commit: list = field(default_factory=list)
    lock: Any = field(default_factory=threading.Lock)
    url: str = ""

    def gets(self, name: str = FILE) -> list:
        """Return the GET requests for a file."""
        return [request for request in self.log if request.method == "GET" and request.path.endswith(name)]

    def tree(self, repo: str, revision: str = "main") -> dict:
        """Return the files of a revision."""
        return {path: data for (r, rev, path), data in self.files.items() if (r, rev) == (repo, revision)}

    def commit(self, repo: str, changes: dict) -> str:
        """Store a commit on top of main and return its id; None in `changes` removes a file."""
        now = {path: data for path, data in (self.tree(repo) | changes).items() if data is not None}
        revision = hashlib.sha1(repr((self.heads.get(repo), sorted(now.items()))).encode()).hexdigest()
        for path in self.tree(repo):
            del self.files[repo, "main", path]
        for path, data in now.items():
            self.files[repo, "main", path] = self.files[repo, revision, path] = data
        self.heads[repo] = revision
        return revision

    def create(self, repo: str, private: bool = False) -> None:
        """Make a repository with the first commit that the Hub puts into it."""
        self.private[repo] = private
        self.commit(repo, {".gitattributes": b""})


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: HubServer

    def log_message(self, *args):
        pass

    def note(self):
        self.hub.log.append(
            Request(
                self.command,
                self.path,
                {k.lower(): v for k, v in self.headers.items()},
                self.server.server_port,
            )
        )

    def reply(self, body=b"", status=200, **headers):
        self.send_response(status)
        for key, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(key.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def reply_json(self, value):
        self.reply(json.dumps(value).encode(), Content_Type="application/json")

    def do_GET(self):
        self.note()
        with suppress(ConnectionError):  # pullers hang up when they have seen enough
            self.download()

    do_HEAD = do_GET

    def download(self):
        path = unquote(urlsplit(self.path).path)
        if path == "/api/agent-harnesses":
            return self.reply_json({"standardEnvVars": [], "harnesses": {}})
        if path.startswith("/api/models/"):
            return self.tell_model(path.removeprefix("/api/models/"))
        repo, _, rest = path[1:].partition("/resolve/")
        revision, _, name = rest.partition("/")
        body = self.hub.files.get((repo, revision, name))
        fault = getattr(self, f"fault_{self.hub.fault.replace('-', '_')}", None) if self.hub.fault else None
        if fault is not None and name.endswith(".safetensors") and self.hub.times > 0:
            self.hub.times -= 1
            return fault(body)
        if body is None:
            return self.reply(
                b"Entry not found",
                404,
                X_Error_Code="EntryNotFound",
                X_Error_Message="Entry \x1b[31mnot found",
            )
        start = 0
        if (wanted := self.headers.get("Range")) and self.hub.fault != "no-range":
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        common = {"X_Repo_Commit": revision, "ETag": f'"{hashlib.sha256(body).hexdigest()}"'}
        if start >= len(body) > 0:
            return self.reply(b"", 416, **common)
        self.send_response(206 if start else 200)
        if start:
            common["Content_Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        for key, value in {**common, "Content_Length": len(body) - start}.items():
            self.send_header(key.replace("_", "-"), str(value))
        self.end_headers()
        return self.pour(body[start:]) if self.command == "GET" else None

    def tell_model(self, path):
        repo, _, revision = path.partition("/revision/")
        if revision and repo in self.hub.heads and not self.hub.private[repo]:
            known = self.hub.branches.get((repo, revision)) or self.hub.heads[repo]
            return self.reply_json({"id": repo, "sha": self.hub.garbled or known})
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.reply(b"", 401, X_Error_Message="Invalid username or password.")
        if repo not in self.hub.heads:
            return self.reply(b"", 404, X_Error_Code="RepoNotFound", X_Error_Message="Repository not found")
        files = [{"rfilename": path} for path in self.hub.tree(repo)]
        facts = {"private": self.hub.private[repo], "siblings": files, "tags": []}
        return self.reply_json({"id": repo, "sha": self.hub.heads[repo], **facts})

    def pour(self, body):
        for at in range(0, len(body), 10_000):
            self.wfile.write(body[at : at + 10_000])
            self.hub.sent += len(body[at : at + 10_000])
            if self.hub.delay:
                time.sleep(self.hub.delay)

    def fault_flip(self, body):
        self.reply(bytes([body[0] ^ 1]) + body[1:])

    def fault_html(self, body):
        self.reply(HTML, Content_Type="text/html")

    def fault_html_close(self, body):
        self.begin_open_end()
        self.wfile.write(HTML)

    def begin_open_end(self):
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

    def fault_half(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2])
        self.close_connection = True

    def fault_oversize(self, body):
        self.begin_open_end()
        self.pour(body)
        for _ in range(2000):  # 20 MB more than was promised
            self.pour(bytes(10_000))

    def fault_wrong_length(self, body):
        self.reply(body + b"x")

    def fault_stall(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:1000])
        time.sleep(1.5)

    def fault_drip(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.drip(body)

    def fault_drip_headers(self, body):
        self.drip(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 60_000)

    def drip(self, data):
        for byte in data[:120]:
            self.wfile.write(bytes([byte]))
            time.sleep(0.05)

    def fault_chunked(self, body):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for at in range(0, len(body), 50_000):
            piece = body[at : at + 50_000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def fault_loop(self, body):
        self.reply(b"", 302, Location=self.path)

    def fault_away(self, body):
        self.reply(b"", 307, Location=self.hub.redirect + self.path)

    def fault_once(self, body):
        self.hub.fault = ""
        self.reply(b"", 302, Location=self.path)

    def fault_gated(self, body):
        self.reply(
            b"", 403, X_Error_Code="GatedRepo", X_Error_Message="Access to model owner/repo is restricted"
        )

    def fault_broken(self, body):
        self.reply(b"", 503, **({"Retry_After": self.hub.retry_after} if self.hub.retry_after else {}))

    def fault_busy(self, body):
        self.reply(b"", 429, Retry_After=self.hub.retry_after)

    def fault_reset(self, body):
        """Send some and reset the connection, as a firewall does."""
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start : start + 50_000])
        self.wfile.flush()
        time.sleep(0.05)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def fault_hang_up(self, body):
        self.close_connection = True

    def fault_bad_range(self, body):
        if not self.headers.get("Range"):
            return self.reply(body)
        return self.reply(body[5:], 206, Content_Range=f"bytes 5-{len(body) - 1}/{len(body)}")

    def fault_wrong_total(self, body):
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if not start:
            return self.reply(body)
        return self.reply(body[start:], 206, Content_Range=f"bytes {start}-{len(body) - 1}/{len(body) + 1}")

    def fault_no_content_range(self, body):
        return self.reply(body[100:], 206) if self.headers.get("Range") else self.reply(body)

    def fault_not_http(self, body):
        self.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n")
        self.close_connection = True

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_POST(self):
        self.note()
        data = self.body()
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.reply(b"", 401, X_Error_Message="Invalid username or password.")
        if self.path == "/api/repos/create":
            named = json.loads(data)
            repo = f"{named['organization']}/{named['name']}"
            if repo in self.hub.heads:
                return self.reply(
                    json.dumps({"url": f"{self.hub.url}/{repo}"}).encode(),
                    409,
                    X_Error_Message="You already created it",
                )
            self.hub.create(repo, bool(named.get("private")) or named.get("visibility") == "private")
            return self.reply_json({"url": f"{self.hub.url}/{repo}"})
        if self.path == "/api/validate-yaml":
            return self.reply_json({"errors": [], "warnings": []})
        if "/preupload/" in self.path:
            modes = [
                {"path": f["path"], "uploadMode": "lfs" if f["path"].endswith(".safetensors") else "regular"}
                for f in json.loads(data)["files"]
            ]
            return self.reply_json({"files": [{**mode, "shouldIgnore": False} for mode in modes]})
        if self.path.endswith("/info/lfs/objects/batch"):
            objects = [
                {**o, "actions": {"upload": {"href": f"{self.hub.url}/lfs/{o['oid']}"}}}
                for o in json.loads(data)["objects"]
            ]
            return self.reply_json({"transfer": "basic", "objects": objects})
        return self.receive_commit(data)

    def receive_commit(self, data):
        repo = self.path.removeprefix("/api/models/").partition("/commit/")[0]
        if self.hub.before_commit:
            self.hub.before_commit.pop(0)()
        with self.hub.lock:
            changes = {}
            for line in map(json.loads, data.splitlines()):
                value = line["value"]
                if (
                    line["key"] == "header"
                    and value.get("parentCommit", self.hub.heads[repo]) != self.hub.heads[repo]
                ):
                    return self.reply(
                        b"", 412, X_Error_Message="A commit has happened since. Please refresh and try again."
                    )
                if line["key"] == "file":
                    changes[value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    changes[value["path"]] = self.hub.uploads[value["oid"]]
                elif line["key"] == "deletedFile":
                    assert value["path"] in self.hub.tree(repo), "the Hub refuses to delete what is not there"
                    changes[value["path"]] = None
            revision = self.hub.commit(repo, changes)
        return self.reply_json(
            {"commitUrl": f"{self.hub.url}/{repo}/commit/{revision}", "commitOid": revision}
        )

    def do_PUT(self):
        self.note()
        data = self.body()
        self.hub.uploads[hashlib.sha256(data).hexdigest()] = data
        self.reply()


def start(hub):
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"hub": hub}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    return server


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A running server that HF_ENDPOINT points to; it holds WEIGHTS."""
    hub = HubServer({(REPO, REVISION, FILE): WEIGHTS})
    server = start(hub)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    yield hub
    server.shutdown()
    server.server_close()


@pytest.fixture
def other(monkeypatch):
    """A second server: another origin."""
    hub = HubServer({(REPO, REVISION, FILE): WEIGHTS})
    server = start(hub)
    yield hub
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def quiet(monkeypatch, tmp_path):
    """No settings, caches or tokens of the person who runs the tests."""
    from huggingface_hub import constants

    from genzoo.hub import transfer

    monkeypatch.setattr(transfer, "PAUSE", 0.01)
    for name in ("HF_HUB_OFFLINE", "GENZOO_ZOO", "HF_ENDPOINT", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    # younger than 0.34
    monkeypatch.setattr(constants, "AGENT_HARNESSES_PATH", str(tmp_path / "harnesses.json"), raising=False)


@pytest.fixture
def hasty():
    """Deadlines that make a test of a slow server quick."""
    return Deadlines(connect=2, stall=0.3, window=0.4, slowest=1000, total=5, pace=1e6)


@pytest.fixture
def cache(tmp_path):
    """Where weights are kept."""
    return tmp_path / "cache" / "weights"


@pytest.fixture
def row(tmp_path):
    """The row of WEIGHTS, with one source on the server."""
    return make_row(tmp_path / "zoo.toml", f"hf:{REPO}@{REVISION}:{FILE}")


def make_row(origin: Path, *sources: str, data: bytes = WEIGHTS) -> Row:
    """Return a row that pins `data`."""
    digest = hashlib.sha256(data).hexdigest()
    return Row(name="dcgan-bedrooms", sha256=digest, bytes=len(data), sources=sources, origin=origin)


@pytest.fixture
def rows(tmp_path):
    """A maker of rows: `rows(*sources)`."""
    return lambda *sources, data=WEIGHTS: make_row(tmp_path / "zoo.toml", *sources, data=data)


@pytest.fixture
def weights():
    """The bytes that the row pins."""
    return WEIGHTS
