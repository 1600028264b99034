"""The process that reads a foreign checkpoint, and does nothing else (rule R3).

A `.pth` file is a pickle, a program that builds objects. Torch's restricted reader runs only the few steps
that tensors need. Its bugs, if it has any, are those of the process it runs in; so that is this one, which is
confined (see `genzoo.confined.sandbox`) before the reader sees the file, and ends after it.

The bytes of the file come through stdin, and those of one safetensors file go out through stdout: with the
tensors, or without any and with the reason why not. `genzoo.confined.reading` starts this process; nothing
else may import this module.
"""

from __future__ import annotations

import codecs
import io
import json
import os
import re
import sys
import zipfile
from typing import Any

from genzoo.confined import REPLY

SECONDS = 120  # of processor time
MOST = 200_000  # objects that are looked at
DEEPEST = 8  # dictionaries inside each other
LONGEST = 300  # characters of a tensor's name
# what training keeps next to the weights: moments of an optimiser have the shapes of weights
_OTHERS = re.compile(r"optim|sched|callback|hyper_?param|loop|scaler|history", re.IGNORECASE)


class RefusedError(Exception):
    """Why the file cannot be read, in words that end the sentence "FILE …"."""


def child() -> None:
    """Read stdin, answer on stdout, and end; what the process runs."""
    out = os.dup(1)
    os.dup2(2, 1)  # what libraries print is no answer
    blob = sys.stdin.buffer.read()
    from genzoo.confined.sandbox import confine

    _rehearse()
    try:
        confine(4 * len(blob) + (1 << 29), SECONDS)
    except OSError as error:
        _send(out, _refusal(f"cannot be read safely here: {error}"))
    _send(out, answer(blob))


def answer(blob: bytes) -> bytes:
    """Return the tensors of the checkpoint `blob` as a safetensors file, or one that says why not."""
    from safetensors.torch import save

    try:
        found = _tensors(_loaded(blob), 2 * len(blob) + (1 << 22))
        # one tensor may have several names, which safetensors does not allow
        apart = {name: tensor.detach().contiguous().clone() for name, tensor in found.items()}
        return save(apart, metadata={REPLY: json.dumps({"order": list(apart)})})
    except RefusedError as error:
        return _refusal(str(error))
    except MemoryError:
        return _refusal("asks for more memory than such a file may take")
    except Exception as error:  # noqa: BLE001
        return _refusal(_reason(error))


def _loaded(blob: bytes) -> Any:
    import torch

    _check_archive(blob)
    return torch.load(io.BytesIO(blob), map_location="cpu", weights_only=True)


def _check_archive(blob: bytes) -> None:
    """Refuse archives that could unpack to more than they are: torch stores its members as they are."""
    if not blob.startswith(b"PK"):
        return
    try:
        members = zipfile.ZipFile(io.BytesIO(blob)).infolist()
    except Exception as error:
        raise RefusedError(f"is damaged or cut off: {error}") from error
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
            raise RefusedError(
                f"is an archive with compressed members ({member.filename}): torch writes none"
            )
    if sum(member.file_size for member in members) > len(blob):
        raise RefusedError("is an archive that claims to hold more bytes than it has")


def _tensors(found: Any, room: int) -> dict[str, Any]:
    """Return the tensors of nested dictionaries by their path, `state_dict.main.0.weight`.

    Lists are left out, and what belongs to an optimiser.
    """
    import torch

    kept: dict[str, Any] = {}
    waiting: list[tuple[str, Any, int]] = [("", found, 0)]
    seen = 0
    while waiting:
        path, value, depth = waiting.pop()
        seen += 1
        if seen > MOST or depth > DEEPEST or len(path) > LONGEST:
            raise RefusedError("holds more, or longer, names than a state dict has")
        if isinstance(value, torch.Tensor):
            room -= value.numel() * value.element_size()
            _check(path, value, room)
            kept[path] = value
        elif isinstance(value, dict):
            inner = [(f"{path}.{key}" if path else str(key), item, depth + 1) for key, item in value.items()]
            # the last goes in first, so that the first comes out first
            waiting += [row for row in reversed(inner) if not _OTHERS.search(row[0].split(".")[-1])]
    if not isinstance(found, dict):
        raise RefusedError(f"holds a {type(found).__name__}, not a state dict")
    return kept


def _check(path: str, value: Any, room: int) -> None:
    import torch

    plain = type(value) in (torch.Tensor, torch.nn.Parameter)
    if not plain or value.layout != torch.strided or value.is_quantized or value.device.type != "cpu":
        raise RefusedError(f"holds {path or 'a tensor'}, which is not a plain tensor")
    if value.is_complex():
        raise RefusedError(f"holds {path or 'a tensor'} of complex numbers")
    if room < 0:
        raise RefusedError(f"holds {path or 'a tensor'}, which claims more numbers than the file has bytes")


def _reason(error: Exception) -> str:
    """Return why torch refused, in a few words: what code the file names, or that it is damaged."""
    words = str(error)
    named = re.search(r"(?:Unsupported global: )?GLOBAL ([\w.]+)", words) or re.search(
        r"Unsupported (?:class|global) ([\w.]+)", words
    )
    if named:
        return f"names {named[1]}, which is code: it was not run"
    if "TorchScript" in words:
        return "is a TorchScript program, not a state dict"
    if re.search(r"Unsupported operand|Unsupported persistent", words):
        return "holds objects that no state dict has: they were not made"
    if re.search(r"memory|alloc", words):
        return "asks for more memory than such a file may take"
    first = words.strip().splitlines()[0] if words.strip() else type(error).__name__
    return f"is damaged or cut off: {first[:160]}"


def _refusal(reason: str) -> bytes:
    from safetensors.torch import save

    return save({}, metadata={REPLY: json.dumps({"refused": reason})})


def _rehearse() -> None:
    """Go through everything once with harmless bytes: whatever loads modules must do so before files are out
    of reach.
    """
    import torch

    codecs.lookup("cp437")  # of names in archives
    torch.set_num_threads(1)
    for modern in (True, False):
        file = io.BytesIO()
        value = {"a": torch.zeros(2), "b": {"c": torch.nn.Parameter(torch.zeros(2, 2).half())}}
        torch.save(value, file, _use_new_zipfile_serialization=modern)
        answer(file.getvalue())
        answer(file.getvalue()[:-20])
    answer(b"\x80\x02cposix\nsystem\n.")  # names a function, and does not call it
    answer(b"")


def _send(out: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(out, view) :]
    os._exit(0)
