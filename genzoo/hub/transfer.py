"""From a source into one file: never more than was pinned, going on where a killed process stopped, checked
before it counts.

A transfer writes into `<digest>.part`. Only a file whose every byte has been checked is renamed to its final
place, so what has the final name is right, and what is left of an interrupted transfer is known by its name.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from genzoo.deadlines import TRY_AGAIN, Deadlines, TransientError
from genzoo.errors import HubError, StorageError, WeightsError, safe_text
from genzoo.files import CHUNK, open_to_read, open_to_write, put_in_place, sha256_of, storage, tell
from genzoo.ledger import Row

if TYPE_CHECKING:
    from genzoo.http import Answer

TRIES = 5  # of one source, while its faults look as if they would pass
PAUSE = 1.0  # seconds before the second try; each further one waits twice as long
LONGEST_PAUSE = 60.0  # seconds that a server may ask us to wait
_PROGRESS = 1_000_000  # bytes that a try must bring to count as none that failed
_PASSING = (408, 425, 429, 500, 502, 503, 504)  # statuses that may be others in a moment

Progress = Callable[[int, int], object]  # bytes so far, bytes in all


@dataclass
class Stream:
    """Bytes on their way: `read(n)` returns at most n of them, b"" at the end; the first one belongs at
    `offset` of the file.
    """

    read: Callable[[int], bytes]
    offset: int = 0
    where: str = ""  # for messages: the address, without what may be secret in it


# takes the offset that is wanted; may start at 0 instead
Opener = Callable[[int], contextlib.AbstractContextManager[Stream]]


def receive(open_source: Opener, row: Row, part: Path, final: Path, progress: Progress | None) -> None:
    """Bring the bytes of `row` from one source to `final`, by way of `part`; temporary faults are retried and
    reported.

    Raises:
        HubError: the source failed or ended early; `part` is kept, and the next transfer continues from
            there.
        WeightsError: what came is not what the ledger pins; it has been deleted.
        StorageError: the disk is full or not writable, or `part` is not a regular file of our own.
    """
    tries = 1
    while True:
        before = _length(part, row.bytes)
        try:
            return _receive(open_source, row, part, final, progress)
        except TransientError as error:
            # On a bad line each try brings some megabytes and then fails: as long as it gets on, it is worth
            # going on.
            tries = 1 if _length(part, row.bytes) - before >= _PROGRESS else tries + 1
            pause = PAUSE * 2 ** max(tries - 2, 0)
            # Sleeping through an hour-long ban would look like a hang; people decide themselves.
            if error.after is not None and error.after > LONGEST_PAUSE:
                raise HubError(
                    f"{error.message}; it asks to wait for {error.after:,.0f} seconds", "try again then"
                ) from error
            if tries > TRIES:
                raise
            pause = max(pause, error.after or 0.0)
            # Printed before the pause, so that the wait has an explanation.
            tell(f"{row.name}: {error.message}; trying again in {pause:.0f} s ({tries} of {TRIES})")
            time.sleep(pause)


def _receive(open_source: Opener, row: Row, part: Path, final: Path, progress: Progress | None) -> None:
    while True:
        begun = done = _length(part, row.bytes)
        where = ""
        if begun < row.bytes:
            # Before the connection: a full disk should not cost a server a transfer.
            _check_room(part, row.bytes - begun)
            with _so_far(part, row), open_source(begun) as stream:
                begun, where = stream.offset, stream.where
                done = _fill(part, stream, row.bytes, progress)
        # The part is kept (unless it is a web page), and the next call resumes here.
        if done < row.bytes:
            raise _ended_early(part, done, row, where)
        actual = sha256_of(part) if done == row.bytes else ""
        if actual == row.sha256:
            # The digest is of the file as it is on the disk, so bytes of an earlier, killed transfer are
            # covered, too.
            return put_in_place(part, final)
        what = describe(part)
        with storage("remove", part):
            part.unlink()
        if not begun:  # else the earlier part may be at fault: try once more from the start
            raise _wrong(where, what, done, actual, row)


def _wrong(where: str, what: str, done: int, actual: str, row: Row) -> WeightsError:
    if done > row.bytes:
        return WeightsError(
            f"{where} sent {what} of more than {row.bytes} bytes, the size that {row.origin} pins "
            f"(sha256 {row.sha256})"
        )
    told = f"{where} sent {what} of {done} bytes whose sha256 is not the one in {row.origin}"
    return WeightsError(f"{told}: it is {actual}, expected {row.sha256}")


@contextlib.contextmanager
def _so_far(part: Path, row: Row) -> Iterator[None]:
    """Add to a fault of the block how far the transfer had come."""
    try:
        yield
    except WeightsError:
        raise
    except HubError as error:
        done = _length(part, row.bytes)
        told = f"{error.message}, after {done} of {row.bytes} bytes" if done else error.message
        hint = f"{TRY_AGAIN}: what has arrived is kept" if done and error.hint == TRY_AGAIN else error.hint
        if isinstance(error, TransientError):
            raise TransientError(told, hint, error.after) from error
        raise HubError(told, hint) from error


def _check_room(part: Path, missing: int) -> None:
    try:
        usage = shutil.disk_usage(part.parent)
    except OSError:
        return
    if usage.total and missing > usage.free:  # some network disks say that they have no size at all
        need = (
            f"{missing / 1e6:,.1f} MB are to be fetched, and {usage.free / 1e6:,.1f} MB are free in "
            f"{part.parent}"
        )
        raise StorageError(
            f"the disk is too full: {need}",
            "type: genzoo cache prune; or set GENZOO_CACHE to a folder with more space",
        )


def _length(part: Path, size: int) -> int:
    """Return how many bytes of an earlier transfer can be resumed; StorageError if `part` is no regular
    file of our own.
    """
    with storage("write", part):
        try:
            handle = open_to_write(part, create=False)
        except FileNotFoundError:
            return 0
        try:
            found = os.fstat(handle).st_size
        finally:
            os.close(handle)
    return found if found <= size else 0


def _fill(part: Path, stream: Stream, size: int, progress: Progress | None) -> int:
    """Write the stream into `part` and return how many bytes it then holds: at most `size` + 1 (rule R1)."""
    with storage("write", part):
        handle = _open_part(part)
    with os.fdopen(handle, "r+b", buffering=0) as file:
        with storage("write", part):
            # The server may have ignored the range and started at 0: what is beyond must not survive.
            file.truncate(stream.offset)
            file.seek(stream.offset)
        done = stream.offset
        # One byte more than pinned is enough to know that the file is wrong; an endless stream stops here.
        while done <= size and (chunk := stream.read(min(CHUNK, size + 1 - done))):
            with storage("write", part):
                # Unbuffered: after a kill the length of the part is exactly what has arrived.
                _write_all(file.fileno(), chunk)
            done += len(chunk)
            if progress is not None:
                progress(min(done, size), size)
    return done


def _open_part(part: Path) -> int:
    """Open `part`; a new one is created exclusively, so that a file that another process puts there at this
    moment is not written to.
    """
    try:
        return open_to_write(part, create=False)
    except FileNotFoundError:
        return open_to_write(part, new=True)


def _write_all(handle: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        # os.write may write less than it is given: on a nearly full disk, for example.
        rest = rest[os.write(handle, rest) :]


def _ended_early(part: Path, done: int, row: Row, where: str) -> HubError:
    what = describe(part)
    if what in _KINDS.values():  # a page of some proxy, not the first part of weights: of no use later
        with contextlib.suppress(OSError):
            part.unlink()
        return WeightsError(f"{where} sent {what} of {done} bytes instead of {row.bytes} bytes of weights")
    return TransientError(f"ended after {done} of {row.bytes} bytes", "try again: what has arrived is kept")


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
        with contextlib.suppress(OSError), open_to_read(content) as file:
            # Enough for every pattern of _KINDS, also after some blank lines.
            head = file.read(512)
    if not head:
        return "nothing"
    # Eight bytes with the length of the header (below 2^40), then the JSON of the header.
    if re.match(rb"[\s\S]{5}\0\0\0\{", head):
        return "a safetensors file"
    return next(
        (words for pattern, words in _KINDS.items() if re.match(pattern, head, re.IGNORECASE)), "a file"
    )


@contextlib.contextmanager
def open_folder(path: Path, row: Row, offset: int) -> Iterator[Stream]:
    """Open a file of a folder source from `offset` on; HubError if it is missing or of another size."""
    with reading(path):
        if not os.path.lexists(path):
            raise HubError(f"{path} does not exist", "check the folder, or mount it")
        # closed below: what the caller does in between must not be taken for a fault of this file
        file = open_to_read(path)
    with file:
        size = os.fstat(file.fileno()).st_size
        if size != row.bytes:
            raise WeightsError(
                f"{path} is {describe(path)} of {size} bytes, but {row.origin} says {row.bytes}"
            )

        def read(n: int) -> bytes:
            with reading(path):
                return file.read(n)

        file.seek(offset)
        yield Stream(read, offset, str(path))


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
    """Open `url` from `offset` on. A server that ignores the range, or sends another one, is read from the
    start; one that announces another size is refused.
    """
    from genzoo.http import get

    with get(url, token=token, offset=offset, size=row.bytes, deadlines=deadlines) as answer:
        where = _address(url, answer.url)
        if answer.status == 206 and offset and _is_range(answer, offset, row):
            yield Stream(answer.read, offset, where)
            return
        if answer.status == 200:
            _check_announced(answer, row, where)
            yield Stream(answer.read, 0, where)
            return
        if not (offset and answer.status in (206, 416)):  # 416: what is here came from something longer
            raise _refusal(answer, where)
        # The server has no such range: close this answer and ask for the whole file.
        answer.response.close()
    with open_url(url, token, row, 0, deadlines) as stream:
        yield stream


def _address(asked: str, answered: str) -> str:
    """Return for messages what was asked and who answered, without passwords, and without signatures behind a
    question mark.
    """
    first, last = urlsplit(asked), urlsplit(answered)
    told = f"{first.scheme}://{first.netloc.rpartition('@')[2]}{first.path}"
    return told if last.netloc == first.netloc else f"{told} (answered by {last.netloc.rpartition('@')[2]})"


def _is_range(answer: Answer, offset: int, row: Row) -> bool:
    given = answer.headers.get("content-range", "")
    match = re.fullmatch(r"bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15}|\*)", given.strip())
    # Some proxies answer 206 with another range; bytes from elsewhere would spoil the part.
    return match is not None and int(match[1]) == offset and match[3] in ("*", str(row.bytes))


def _check_announced(answer: Answer, row: Row, where: str) -> None:
    # Refused before the body is read; the digest would refuse it anyway, but after gigabytes.
    announced = answer.headers.get("content-length")
    if announced is not None and announced.strip() != str(row.bytes):
        what = describe(answer.read(512))
        raise WeightsError(
            f"{where} announced {what} of {announced} bytes, but {row.origin} says {row.bytes} (sha256 "
            f"{row.sha256})"
        )


def _refusal(answer: Answer, where: str) -> HubError:
    """Say what an error status means; the Hub explains itself in two headers."""
    reason = safe_text(
        answer.headers.get("x-error-message") or answer.headers.get("x-error-code") or answer.response.reason,
        200,
    )
    if answer.status in (401, 403):
        return HubError(
            f"asks for permission (status {answer.status}: {reason})",
            "log in with `hf auth login` or set HF_TOKEN, and accept the terms on the model's page",
        )
    if answer.status in (404, 410):
        return HubError(
            f"has no such file (status {answer.status}: {reason}): {where}", "check the source in zoo.toml"
        )
    told = f"answered with status {answer.status}: {reason}"
    if answer.status in _PASSING:
        return TransientError(told, "try again later", _retry_after(answer.headers.get("retry-after", "")))
    return HubError(told, "try again later")


def _retry_after(text: str) -> float | None:
    """Return how many seconds a header Retry-After asks to wait: it holds seconds or a date."""
    from email.utils import parsedate_to_datetime

    if re.fullmatch(r"[0-9]{1,9}", text.strip()):
        return float(text)
    try:
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
