"""From a source into one file: never more than was pinned, going on where a killed process stopped, checked before it counts.

A transfer writes into `<digest>.part`. Only a file whose every byte has been checked is renamed to its final place, so what has the
final name is right, and what is left of an interrupted transfer is known by its name.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from genzoo.errors import HubError, StorageError, WeightsError, safe_text
from genzoo.files import CHUNK, put_in_place, sha256_of, storage
from genzoo.hub.deadlines import Deadlines
from genzoo.ledger import Row

if TYPE_CHECKING:
    from genzoo.hub.http import Answer

Progress = Callable[[int, int], object]  # bytes so far, bytes in all


@dataclass
class Stream:
    """Bytes on their way: `read(n)` returns at most n of them, b"" at the end; the first one belongs at `offset` of the file."""

    read: Callable[[int], bytes]
    offset: int = 0


Opener = Callable[[int], contextlib.AbstractContextManager[Stream]]  # takes the offset that is wanted; may start at 0 instead


def receive(open_source: Opener, row: Row, part: Path, final: Path, progress: Progress | None) -> None:
    """Bring the bytes of `row` from one source to `final`, by way of `part`.

    Raises:
        HubError: the source failed or ended early; `part` is kept, and the next transfer goes on from there.
        WeightsError: what came is not what the ledger pins; it has been deleted.
        StorageError: the disk is full or not writable.
    """
    while True:
        begun = _length(part, row.bytes)
        done = begun
        if begun < row.bytes:
            with open_source(begun) as stream:
                begun = stream.offset
                done = _fill(part, stream, row.bytes, progress)
        if done < row.bytes:
            raise _ended_early(part, done, row)
        if done == row.bytes and sha256_of(part) == row.sha256:
            return put_in_place(part, final)
        what = describe(part)
        with storage("remove", part):
            part.unlink()
        if not begun:  # else the fault may lie in the part that was here before: once more, from the start
            raise WeightsError(f"sent {what} of {_size(done, row)} whose sha256 is not the one in {row.origin}")


def _size(done: int, row: Row) -> str:
    return f"more than {row.bytes} bytes" if done > row.bytes else f"{done} bytes"


def _length(part: Path, size: int) -> int:
    with contextlib.suppress(OSError):
        found = part.stat().st_size
        return found if found <= size else 0
    return 0


def _fill(part: Path, stream: Stream, size: int, progress: Progress | None) -> int:
    """Write the stream into `part` and return how many bytes it then holds: at most `size` + 1 (rule R1)."""
    with storage("write", part):
        handle = os.open(part, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    with os.fdopen(handle, "r+b", buffering=0) as file:
        with storage("write", part):
            file.truncate(stream.offset)
            file.seek(stream.offset)
        done = stream.offset
        while done <= size and (chunk := stream.read(min(CHUNK, size + 1 - done))):
            with storage("write", part):
                _write_all(file.fileno(), chunk)
            done += len(chunk)
            if progress is not None:
                progress(min(done, size), size)
    return done


def _write_all(handle: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _ended_early(part: Path, done: int, row: Row) -> HubError:
    what = describe(part)
    if what in _KINDS.values():  # a page of some proxy, not the first part of weights: of no use later
        with contextlib.suppress(OSError):
            part.unlink()
        return WeightsError(f"sent {what} of {done} bytes instead of {row.bytes} bytes of weights")
    return HubError(f"ended after {done} of {row.bytes} bytes", "try again: what has arrived is kept")


_KINDS = {
    rb"\s*<(!doctype html|html|head|body)": "an HTML page",
    rb"\s*<\?xml": "an XML text",
    rb"version https://git-lfs": "a Git LFS pointer",
    rb"\s*[{\[]": "a JSON text",
    rb"PK\x03\x04": "a zip archive",
    rb"\x1f\x8b": "a gzip archive",
    rb"\x80[\x02-\x05]": "a Python pickle",
}


def describe(content: Path | bytes) -> str:
    """Say in a few words what bytes look like that are not the expected weights."""
    head = content if isinstance(content, bytes) else b""
    if isinstance(content, Path):
        with contextlib.suppress(OSError), open(content, "rb") as file:
            head = file.read(512)
    if not head:
        return "nothing"
    if re.match(rb"[\s\S]{5}\0\0\0\{", head):
        return "a safetensors file"
    return next((words for pattern, words in _KINDS.items() if re.match(pattern, head, re.IGNORECASE)), "a file")


@contextlib.contextmanager
def open_folder(path: Path, row: Row, offset: int) -> Iterator[Stream]:
    """Open a file of a folder source from `offset` on; HubError if it is missing or of another size."""
    with reading(path):
        if not path.is_file():
            raise HubError(f"{path} does not exist", "check the folder, or mount it")
        size = path.stat().st_size
        file = open(path, "rb")  # noqa: SIM115  closed below; what the caller does in between must not be taken for a fault of this file
    with file:
        if size != row.bytes:
            raise WeightsError(f"{path} is {describe(path)} of {size} bytes, but {row.origin} says {row.bytes}")

        def read(n: int) -> bytes:
            with reading(path):
                return file.read(n)

        file.seek(offset)
        yield Stream(read, offset)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what goes wrong while a source is read into a HubError, so that the next source gets its turn."""
    try:
        with storage("read", path):
            yield
    except StorageError as error:
        raise HubError(error.message, error.hint) from error


@contextlib.contextmanager
def open_url(url: str, token: str | None, row: Row, offset: int, deadlines: Deadlines) -> Iterator[Stream]:
    """Open `url` from `offset` on. A server that ignores the range starts at 0; one that announces another size is refused."""
    from genzoo.hub.http import get

    with get(url, token=token, offset=offset, size=row.bytes, deadlines=deadlines) as answer:
        if answer.status == 416 and offset:  # nothing there beyond `offset`: what is here came from something longer
            answer.response.close()
        elif answer.status == 206 and offset:
            _check_range(answer, offset, row)
            yield Stream(answer.read, offset)
            return
        elif answer.status == 200:
            _check_announced(answer, row)
            yield Stream(answer.read)
            return
        else:
            raise _refusal(answer)
    with open_url(url, token, row, 0, deadlines) as stream:
        yield stream


def _check_range(answer: Answer, offset: int, row: Row) -> None:
    given = answer.headers.get("content-range", "")
    match = re.fullmatch(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)", given.strip())
    if not match or int(match[1]) != offset or match[3] not in ("*", str(row.bytes)):
        raise HubError(f"answered the range from byte {offset} with {given!r}")


def _check_announced(answer: Answer, row: Row) -> None:
    announced = answer.headers.get("content-length")
    if announced is not None and announced.strip() != str(row.bytes):
        what = describe(answer.read(512))
        raise WeightsError(f"announced {what} of {announced} bytes, but {row.origin} says {row.bytes}")


def _refusal(answer: Answer) -> HubError:
    """Say what an error status means; the Hub explains itself in two headers."""
    reason = safe_text(answer.headers.get("x-error-message") or answer.headers.get("x-error-code") or answer.response.reason, 200)
    if answer.status in (401, 403):
        return HubError(
            f"asks for permission (status {answer.status}: {reason})",
            "log in with `hf auth login` or set HF_TOKEN, and accept the terms on the model's page",
        )
    if answer.status in (404, 410):
        return HubError(f"has no such file (status {answer.status}: {reason})", "check the source in zoo.toml")
    return HubError(f"answered with status {answer.status}: {reason}", "try again later")
