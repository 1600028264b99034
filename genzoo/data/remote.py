"""Fetching the few public data sets that genzoo knows: size and sha256 are pinned here, before a byte is
asked for (rule R1).

https only, and plain http from this machine alone; at most three redirects; one deadline for each wait and
one for the whole.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import IO

from genzoo.data.notes import note
from genzoo.datasets import File
from genzoo.errors import DataError, StorageError
from genzoo.files import atomic_write, cache_dir, make_folder, read_capped, sha256_of, storage

STALL = 20.0  # seconds without a byte
SLOWEST = 50_000  # bytes a second, below which the whole takes too long
BLOCK = 1 << 16
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = 3

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        _check_address(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(file: File, name: str) -> bytes:
    """Return the bytes of `file` of the data set `name`: from the cache, else from the first home that has
    them.

    Raises:
        DataError: no home gave the file whose size and sha256 are pinned.
    """
    kept = cache_dir() / "data" / name / file.name
    with contextlib.suppress(StorageError):  # not fetched yet
        data = read_capped(kept, file.size)
        if not _wrong(file, data):
            return data
    reasons = []
    for home in file.homes:
        try:
            data = _download(home, file)
        except (
            OSError,
            http.client.HTTPException,
            ValueError,
        ) as error:  # URLError and timeouts are OSErrors
            reasons.append(f"{urllib.parse.urlsplit(home).hostname}: {error}")
            continue
        wrong = _wrong(file, data)
        if not wrong:
            _keep(kept, data)
            return data
        reasons.append(f"{urllib.parse.urlsplit(home).hostname}: {wrong}")
    raise DataError(
        f"{name}: {file.name} could not be fetched ({'; '.join(reasons)})",
        f"put it into the folder {name}/ under GENZOO_DATA",
    )


def _download(address: str, file: File) -> bytes:
    _check_address(address)
    _check_proxy(address)
    note(f"fetching {address} ({file.size / 1e6:.1f} MB)")
    end = time.monotonic() + STALL + file.size / SLOWEST
    parts = []
    left = file.size + 1
    with urllib.request.build_opener(_Redirects).open(address, timeout=STALL) as answer:
        while left > 0 and (block := answer.read1(min(BLOCK, left))):
            parts.append(block)
            left -= len(block)
            if time.monotonic() > end:
                raise TimeoutError(f"slower than {SLOWEST // 1000} kB/s")
    return b"".join(parts)


def _check_address(address: str) -> None:
    parts = urllib.parse.urlsplit(address)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise urllib.error.URLError(f"{address} is not https")


def _check_proxy(address: str) -> None:
    """Refuse a proxy that wants TLS or SOCKS: urllib would speak to it in clear, its password included."""
    proxy = urllib.request.getproxies().get(urllib.parse.urlsplit(address).scheme, "")
    scheme = urllib.parse.urlsplit(proxy if "://" in proxy else f"http://{proxy}").scheme
    if (
        proxy
        and scheme != "http"
        and not urllib.request.proxy_bypass(urllib.parse.urlsplit(address).hostname or "")
    ):
        raise urllib.error.URLError(
            f"a proxy of the kind {scheme}:// is not supported; set HTTPS_PROXY to an http:// proxy"
        )


def _wrong(file: File, data: bytes) -> str:
    if len(data) != file.size:
        return (
            f"{len(data):,} bytes and more"
            if len(data) > file.size
            else f"{len(data):,} bytes, not {file.size:,}"
        )
    return "" if sha256_of(data) == file.sha256 else "another sha256 than the pinned one"


def _keep(path: Path, data: bytes) -> None:
    try:
        make_folder(path.parent)
        with storage("write", path):
            if os.path.islink(path):
                path.unlink()  # what it leads to is none of ours
        atomic_write(path, data)
    except StorageError as error:
        note(f"{path.name} is not kept: {error.message}; set GENZOO_CACHE to a folder that can be written")
