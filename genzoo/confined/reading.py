"""Foreign checkpoints as tensors: what is not safetensors is read by a confined process (rule R3).

Nothing here unpickles. The parent reads the file once, hands its bytes to `genzoo.confined.child`, and takes
back the bytes of a safetensors file, at most twice as many, within a deadline.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from genzoo.confined import REPLY
from genzoo.errors import WeightsError, safe_text
from genzoo.files import open_to_read, read_capped, sha256_of, storage
from genzoo.ledger.rows import LARGEST
from genzoo.models.foreign import natural

TIMEOUT = 180.0  # seconds in which the child must answer, its start included
_ARCHIVE, _PICKLE = b"PK\x03\x04", b"\x80"  # how files of torch.save begin, new and old
_CHILD = "from genzoo.confined.child import child; child()"
# All that the child gets of the environment: no token, no path of a cache.
_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "LANG", "LC_ALL")


@dataclass(frozen=True)
class Checkpoint:
    """A file and its tensors.

    Attributes:
        path: the file.
        sha256: of its bytes.
        bytes: how many they are.
        tensors: float32 (and whole numbers) on the CPU, finite, by name in the order of the file.
    """

    path: Path
    sha256: str
    bytes: int
    tensors: Mapping[str, Tensor]


def read_checkpoint(path: Path | str, timeout: float = TIMEOUT) -> Checkpoint:
    """Read the state dict in `path`: safetensors, or what torch.save wrote.

    Raises:
        StorageError: it cannot be read.
        WeightsError: it is too large, no checkpoint, damaged, without tensors, not finite, or names code.
    """
    blob = _read(Path(path))
    if blob.startswith((_ARCHIVE, _PICKLE)):
        found = _read_apart(blob, path, timeout)
    elif blob[8:9] == b"{":
        found = _parsed(blob, path)
        found = {name: found[name] for name in sorted(found, key=natural)}
    else:
        raise WeightsError(
            f"{path} is no checkpoint: it begins like neither torch.save nor safetensors",
            "give the .pth, .pt, .ckpt or .safetensors file itself",
        )
    if not found:
        raise WeightsError(f"{path} holds no tensors", "save the weights: torch.save(net.state_dict(), FILE)")
    tensors = {name: _plain(name, value, path) for name, value in found.items()}
    return Checkpoint(Path(path), sha256_of(blob), len(blob), tensors)


def _read(path: Path) -> bytes:
    with storage("read", path):
        with open_to_read(path) as file:
            size = os.fstat(file.fileno()).st_size
    if size > LARGEST:  # before a byte is read
        raise WeightsError(
            f"{path} has {size:,} bytes, and at most {LARGEST:,} are read",
            "save the weights alone: torch.save(net.state_dict(), FILE)",
        )
    return read_capped(path, LARGEST)


def _plain(name: str, value: Tensor, path: Path | str) -> Tensor:
    if not value.is_floating_point():
        return value
    value = value.to(torch.float32)
    if not torch.isfinite(value).all():
        raise WeightsError(
            f"{path}: {safe_text(name, 100)} holds NaN or infinite values", "take an earlier checkpoint"
        )
    return value


def _parsed(blob: bytes, path: Path | str) -> dict[str, Tensor]:
    try:
        return load(blob)
    except (SafetensorError, ValueError, KeyError) as error:
        raise WeightsError(
            f"{path} is damaged or cut off: {safe_text(error, 200)}", "copy it again"
        ) from error


def _read_apart(blob: bytes, path: Path | str, timeout: float) -> dict[str, Tensor]:
    reply = _ask_child(blob, path, timeout)
    told = _told(reply)
    if "refused" in told:
        raise WeightsError(
            f"{path} {safe_text(told['refused'], 400)}",
            "a file with tensors alone can be read: torch.save(net.state_dict(), FILE)",
        )
    found = _parsed(reply, path)
    order = [name for name in told.get("order", ()) if isinstance(name, str) and name in found]
    return {name: found[name] for name in dict.fromkeys([*order, *found])}


def _told(reply: bytes) -> dict[str, Any]:
    """Return what the child says of the file in the header of its answer; nothing where it says nothing."""
    with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
        size = int.from_bytes(reply[:8], "little")
        found = json.loads(json.loads(reply[8 : 8 + size])["__metadata__"][REPLY])
        if isinstance(found, dict):
            return found
    return {}


def _ask_child(blob: bytes, path: Path | str, timeout: float) -> bytes:
    """Let a confined process read `blob`, and return its answer.

    Raises:
        WeightsError: it ended without an answer, gave one that is too long, or took longer than `timeout`.
    """
    most = 2 * len(blob) + (1 << 24)
    environment = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    environment |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    # plugins of torch are code that nobody asked for here
    environment |= {"TORCH_DEVICE_BACKEND_AUTOLOAD": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    pipes |= {"stderr": subprocess.DEVNULL, "start_new_session": os.name == "posix"}
    command = [sys.executable, "-W", "ignore", "-c", _CHILD]
    answer: list[bytes] = []
    with subprocess.Popen(command, env=environment, **pipes) as process:
        threads = [
            threading.Thread(target=_give, args=(process.stdin, blob), daemon=True),
            threading.Thread(target=_take, args=(process.stdout, most, answer), daemon=True),
        ]
        try:
            for thread in threads:
                thread.start()
            threads[1].join(timeout)
            slow = threads[1].is_alive()
        finally:
            process.kill()
            for thread in threads:
                thread.join()
    if slow:
        raise WeightsError(
            f"{path} could not be read within {timeout:g} s", "save the weights alone, and try again"
        )
    if not answer or not answer[0] or len(answer[0]) > most:
        raise WeightsError(
            f"{path} cannot be read: the process that reads it ended with code {process.returncode}",
            "it is damaged, or asks for more memory than such a file may take",
        )
    return answer[0]


def _give(pipe: Any, blob: bytes) -> None:
    # a child that has ended reads no more
    with contextlib.suppress(OSError), pipe:
        pipe.write(blob)


def _take(pipe: Any, most: int, answer: list[bytes]) -> None:
    with contextlib.suppress(OSError):
        answer.append(pipe.read(most + 1))
