"""The WebSocket of a page: requests in, answers out, both bounded.

A request is a JSON object with `id` and `do`; `{"cancel": id}` takes one back. An answer is four bytes that
say how long its JSON is (little endian), the JSON, and the bytes of pictures.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import struct
import time
from collections.abc import Mapping
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from genzoo.errors import ArgumentError, GenzooError
from genzoo.runs import LogReader, News, grids, is_finished
from genzoo_explorer import limits
from genzoo_explorer.desk import work_of
from genzoo_explorer.shelf import Shelf
from genzoo_explorer.worker import Job, Worker, words_of

LOOK = 1.0  # seconds between two looks at a run


class Client:
    """One page."""

    def __init__(self, socket: WebSocket, shelf: Shelf, worker: Worker) -> None:
        self._socket, self._shelf, self._worker = socket, shelf, worker
        self._loop = asyncio.get_running_loop()
        self._out: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._unread = 0
        self._jobs: dict[int, Job] = {}
        self._tokens, self._refilled = float(limits.BURST), time.monotonic()
        self._following: asyncio.Task[None] | None = None

    async def serve(self) -> None:
        """Answer until the page leaves; then cancel what it asked for."""
        sender = asyncio.create_task(self._send())
        try:
            while not sender.done():
                await self._take(await self._socket.receive_text())
        except (WebSocketDisconnect, RuntimeError, KeyError):  # it left; or sent bytes, which no page does
            pass
        finally:
            self._worker.leave(self)
            for task in (sender, self._following):
                await _ended(task)
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await self._socket.close(1008)

    async def _take(self, text: str) -> None:
        await self._wait_for_turn()
        ask: Any = None
        try:
            ask = json.loads(text, parse_constant=_refuse)
            self._start(ask)
        except (GenzooError, ValueError, RecursionError) as error:
            words = words_of(error) if isinstance(error, GenzooError) else "a request is a JSON object"
            number = ask.get("id") if isinstance(ask, dict) else None
            self._answer(number if isinstance(number, int) else None, {"error": words}, b"")

    async def _wait_for_turn(self) -> None:
        """Hold up a page that asks too often: what it sends is not read meanwhile."""
        now = time.monotonic()
        gained = (now - self._refilled) * limits.PER_SECOND
        self._tokens, self._refilled = min(float(limits.BURST), self._tokens + gained) - 1, now
        if self._tokens < 0:
            await asyncio.sleep(-self._tokens / limits.PER_SECOND)

    def _start(self, ask: Any) -> None:
        if not isinstance(ask, dict):
            raise ArgumentError("a request is a JSON object")
        if isinstance(gone := ask.get("cancel"), int):
            if gone in self._jobs:
                self._jobs[gone].cancelled = True
                self._jobs.pop(gone)
            return
        number, name = ask.get("id"), ask.get("do")
        if not isinstance(number, int) or not isinstance(name, str) or number in self._jobs:
            raise ArgumentError("a request has an id of its own and says what to do")
        if name == "catalogue":
            self._answer(number, self._catalogue(), b"")
        elif name == "follow":
            self._follow(number)
        else:
            self._queue(number, name, ask)

    def _catalogue(self) -> dict[str, Any]:
        shelf = self._shelf
        return {"models": shelf.catalogue(), "first": shelf.first, "run": bool(shelf.run), "done": True}

    def _queue(self, number: int, name: str, ask: Mapping[str, Any]) -> None:
        if len(self._jobs) >= limits.WAITING:
            raise ArgumentError(f"more than {limits.WAITING} requests wait", "wait for an answer")

        def reply(facts: dict[str, Any], values: bytes) -> None:
            with contextlib.suppress(RuntimeError):  # the server has ended meanwhile
                self._loop.call_soon_threadsafe(self._answer, number, facts, values)

        self._jobs[number] = Job(self, work_of(self._shelf, name, ask), reply)
        self._worker.put(self._jobs[number])

    def _answer(self, number: int | None, facts: dict[str, Any], values: bytes) -> None:
        if number is not None and ("done" in facts or "error" in facts):
            self._jobs.pop(number, None)
        head = json.dumps({"id": number, **finite(facts)}, allow_nan=False).encode()
        message = struct.pack("<I", len(head)) + head + values
        self._unread += len(message)
        # a page that reads nothing must not fill the memory
        self._out.put_nowait(message if self._unread <= limits.UNREAD else None)

    async def _send(self) -> None:
        while (message := await self._out.get()) is not None:
            await self._socket.send_bytes(message)
            self._unread -= len(message)
        await self._socket.close(1013)

    def _follow(self, number: int) -> None:
        if not self._shelf.run:
            raise ArgumentError("this server follows no run", "start it with genzoo explore runs/NAME")
        if self._following is None:
            self._following = asyncio.create_task(self._look(number))

    async def _look(self, number: int) -> None:
        """Send what is new in the run, once a second, and without a pause while there is more to read."""
        folder, reader, before = self._shelf.run, LogReader(self._shelf.run), None
        while True:
            if self._unread > limits.UNREAD // 4:
                await asyncio.sleep(LOOK)
                continue
            try:
                news = await asyncio.to_thread(reader.read)
                state = (await asyncio.to_thread(grids, folder), is_finished(folder))
            except GenzooError as error:
                self._answer(number, {"problem": words_of(error)}, b"")
                await asyncio.sleep(5 * LOOK)
                continue
            if news.rounds or news.findings or news.restarted or state != before:
                self._answer(number, {**columns(news), "grids": state[0], "finished": state[1]}, b"")
                before = state
            await asyncio.sleep(0 if news.rounds else LOOK)


async def _ended(task: asyncio.Task[None] | None) -> None:
    """Cancel a task and wait for its end, whatever that is."""
    if task is not None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
            await task


def columns(news: News) -> dict[str, Any]:
    """Return news of a run for JSON: the steps, and a column for each curve, None where a step has none."""
    names = list(dict.fromkeys(name for one in news.rounds for name in one.values))
    return {
        "steps": [one.step for one in news.rounds],
        "curves": {name: [one.values.get(name) for one in news.rounds] for name in names},
        "findings": [one._asdict() for one in news.findings],
        "restarted": news.restarted,
    }


def finite(value: Any) -> Any:
    """Return `value` with None for each number that JSON does not have: NaN and infinity."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(one) for one in value]
    return value


def _refuse(constant: str) -> None:
    raise ValueError(constant)
