"""Files of many images, written as the images come: .tar of PNGs, as WebDataset reads it, and .npz, as
`genzoo eval --data` and numpy read it. Both state what they hold.
"""

from __future__ import annotations

import contextlib
import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from genzoo.safe_open import check_regular

if TYPE_CHECKING:
    from torch import Tensor

_STATED = "genzoo."  # what the keys of a .tar start with
_TOLD = "told"  # the array of a .npz that states what it holds: lines key=value
_LONGEST = 1 << 20  # bytes of such an array


def write_tar(file: BinaryIO, named: Iterable[tuple[str, bytes]], told: Mapping[str, str]) -> None:
    """Write files of `named` (name, content) into an open .tar, with `told` in its header; equal files give
    equal bytes.
    """
    stated = {f"{_STATED}{key}": value for key, value in told.items()}
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT, pax_headers=stated) as archive:
        for name, data in named:
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o644
            archive.addfile(member, io.BytesIO(data))


def write_npz(file: BinaryIO, batches: Iterable[Tensor], count: int, told: Mapping[str, str]) -> None:
    """Write `count` images, uint8 (N, C, H, W), into an open .npz as `images`, (N, H, W, C) or (N, H, W) if
    grey, a batch at a time.
    """
    import numpy as np

    lines = np.array([f"{key}={value}" for key, value in told.items()] or [""])
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        with archive.open(_entry(_TOLD), "w") as member:
            np.lib.format.write_array(member, lines, allow_pickle=False)
        with archive.open(_entry("images"), "w", force_zip64=True) as member:
            for pixels in _headed(batches, count):
                member.write(pixels)


def _headed(batches: Iterable[Tensor], count: int) -> Iterator[bytes]:
    """Yield the bytes of one array of `count` images: its header, then batch by batch."""
    import numpy as np

    shape: tuple[int, ...] = ()
    for images in batches:
        pixels = images.permute(0, 2, 3, 1).contiguous().numpy()  # (N, H, W, C)
        pixels = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
        if not shape:
            shape, head = (count, *pixels.shape[1:]), io.BytesIO()
            facts = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(head, facts)
            yield head.getvalue()
        yield pixels.tobytes()


def _entry(name: str) -> zipfile.ZipInfo:
    """Return a member of a fixed date, so that equal images give equal bytes."""
    return zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))


def packed(path: Path) -> dict[str, str] | None:
    """Return what the file at `path` states that it holds, None if it states nothing or is damaged."""
    faults = (OSError, tarfile.TarError, zipfile.BadZipFile, zlib.error, ValueError, KeyError, EOFError)
    with contextlib.suppress(*faults, RuntimeError):
        check_regular(path)
        return _of_npz(path) if path.suffix == ".npz" else _of_tar(path)
    return None


def _of_tar(path: Path) -> dict[str, str]:
    with tarfile.open(path, "r:") as archive:
        stated = archive.pax_headers
    return {key.removeprefix(_STATED): text for key, text in stated.items() if key.startswith(_STATED)}


def _of_npz(path: Path) -> dict[str, str]:
    import numpy as np

    with zipfile.ZipFile(path) as archive, archive.open(f"{_TOLD}.npy") as member:
        lines = np.lib.format.read_array(io.BytesIO(member.read(_LONGEST)), allow_pickle=False)
    return dict(str(line).split("=", 1) for line in lines)
