"""A server, and a client that speaks to it as a page does."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time

from genzoo_explorer.app import Explorer, bind, server
from websockets.sync.client import connect


class Site:
    """A running explorer."""

    def __init__(self, explorer, port, token):
        self.explorer, self.port, self.token = explorer, port, token
        self.address = f"http://127.0.0.1:{port}"
        self.worker, self.shelf = explorer.worker, explorer.shelf

    def raw(self, text):
        """Return what the server answers to these bytes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as wire:
            wire.sendall(text.encode("latin-1"))
            answer = b""
            with contextlib.suppress(ConnectionError):
                while piece := wire.recv(65536):
                    answer += piece
            return answer.decode("latin-1")

    def get(self, path, *more, host=None, method="GET"):
        """Return (status, headers, body) of a request with these further header lines."""
        lines = [
            f"{method} {path} HTTP/1.1",
            f"Host: {host or f'127.0.0.1:{self.port}'}",
            "Connection: close",
        ]
        head, _, body = self.raw("\r\n".join([*lines, *more, "", ""])).partition("\r\n\r\n")
        first, *rest = head.split("\r\n")
        named = dict(line.lower().split(": ", 1) for line in rest)
        return int(first.split()[1]), named, body

    def page(self, **options):
        return Page(self, **options)


class Page:
    """A WebSocket with requests and answers."""

    def __init__(self, site, **options):
        options = {"origin": site.address, "max_size": 2**26, "compression": None, **options}
        self._open = contextlib.ExitStack()
        self.wire = self._open.enter_context(connect(f"ws://127.0.0.1:{site.port}/socket", **options))
        self.next = 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._open.close()

    def send(self, do, **values):
        self.next += 1
        self.wire.send(json.dumps({"id": self.next, "do": do, **values}))
        return self.next

    def receive(self, timeout=30):
        data = self.wire.recv(timeout)
        size = struct.unpack("<I", data[:4])[0]
        return json.loads(data[4 : 4 + size]) | {"bytes": data[4 + size :]}

    def all(self, do, **values):
        """Return every answer to a request, the last of which ends it."""
        number, found = self.send(do, **values), []
        while not found or not {"done", "error"} & set(found[-1]):
            answer = self.receive()
            if answer["id"] == number:
                found.append(answer)
        return found

    def ask(self, do, **values):
        """Return the first answer to a request that succeeds."""
        first, *_ = answers = self.all(do, **values)
        assert "error" not in answers[-1], answers[-1]
        return first

    def error(self, do, **values):
        """Return the error of a request that fails."""
        return self.all(do, **values)[-1]["error"]


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


@contextlib.contextmanager
def running(target="", host="127.0.0.1", token="", wrong_host=""):
    """Run an explorer in a thread; `wrong_host` is the address that it believes to listen at."""
    with bind(host, 0, exact=True) as listening:
        port = listening.getsockname()[1]
        explorer = Explorer(target, host=wrong_host or host, port=port, token=token)
        made = server(explorer.app)
        thread = threading.Thread(target=made.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        until(lambda: made.started)
        yield Site(explorer, port, token)
        made.should_exit = True
        thread.join(20)
        explorer.worker.close()
