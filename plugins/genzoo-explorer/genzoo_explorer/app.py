"""The server: pages, sample grids of a run, and the WebSocket."""

from __future__ import annotations

import asyncio
import importlib.resources
import socket
from collections.abc import Mapping
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from genzoo.errors import GenzooError
from genzoo.runs import grids, read_grid
from genzoo_explorer import limits
from genzoo_explorer.guard import Guard
from genzoo_explorer.shelf import Shelf
from genzoo_explorer.sockets import Client
from genzoo_explorer.worker import Job, Worker

KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def pages() -> Mapping[str, tuple[bytes, str]]:
    """Return the files of the page by their names, with their types: read once, so that no request leads to a
    file.
    """
    folder = importlib.resources.files("genzoo_explorer") / "pages"
    found = {}
    for file in folder.iterdir():
        kind = KINDS.get("." + file.name.rpartition(".")[2])
        if kind is not None:
            found[file.name] = (file.read_bytes(), kind)
    return found


class Explorer:
    """The server's parts: the models, the thread that draws, and the application."""

    def __init__(self, target: str = "", *, host: str, port: int, token: str = "") -> None:
        self.shelf, self.worker = Shelf(target), Worker()
        self._pages = pages()
        self._sockets = 0
        app = Starlette(
            routes=[
                Route("/", self._page),
                Route("/grids/{step:int}", self._grid),
                Route("/{name}", self._page),
                WebSocketRoute("/socket", self._socket),
            ]
        )
        self.app: ASGIApp = Guard(app, host=host, port=port, token=token)

    def warm(self) -> None:
        """Load torch in the thread that draws, while the page is being opened."""

        def work(job: Job) -> None:
            import torch  # noqa: F401

        self.worker.put(Job(self, work, lambda facts, values: None))

    async def _page(self, request: Request) -> Response:
        found = self._pages.get(request.path_params.get("name", "index.html"))
        if found is None:
            return PlainTextResponse("there is no such page\n", 404)
        return Response(found[0], media_type=found[1])

    async def _grid(self, request: Request) -> Response:
        """Answer with the samples of the run at a step that it has, a number: no path comes from a client."""
        run, step = self.shelf.run, request.path_params["step"]
        try:
            known = run and step in await asyncio.to_thread(grids, run)
            data = await asyncio.to_thread(read_grid, run, step) if known else b""
        except GenzooError:
            data = b""
        return Response(data, media_type="image/png") if data else PlainTextResponse("no such grid\n", 404)

    async def _socket(self, connection: WebSocket) -> None:
        if self._sockets >= limits.SOCKETS:
            await connection.close(1013)
            return
        self._sockets += 1
        try:
            await connection.accept()
            await Client(connection, self.shelf, self.worker).serve()
        finally:
            self._sockets -= 1


def bind(host: str, port: int, *, exact: bool) -> socket.socket:
    """Return a socket that listens at `host`; at a free port if `port` is taken and need not be `exact`.

    Raises:
        OSError: it cannot.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host, port))
    except OSError:
        if exact:
            opened.close()
            raise
        opened.bind((host, 0))
    opened.listen(limits.CONNECTIONS)  # so that an address that was printed answers, if late
    return opened


def server(app: Any) -> uvicorn.Server:
    """Return a server of `app` with bounded connections and messages, which says nothing of itself."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http="h11",
            ws="websockets-sansio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            limit_concurrency=limits.CONNECTIONS,
            ws_max_size=limits.MESSAGE,
            ws_per_message_deflate=False,
            h11_max_incomplete_event_size=16_384,
            timeout_keep_alive=10,
            timeout_graceful_shutdown=1,
        )
    )
