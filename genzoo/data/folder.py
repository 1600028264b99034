"""A folder of images, of any nesting and any make."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from genzoo.data import idx
from genzoo.data.cache import Decoded, Loaded, cached, key_of, note, place_of
from genzoo.data.collection import Images, skipped_text
from genzoo.data.contents import digest_files
from genzoo.data.decode import FORMATS, Shape, Skip, decode
from genzoo.data.pool import Progress, decode_all
from genzoo.data.splits import check_split, fractions, held_out_mask, nothing_held_out
from genzoo.errors import DataError

DEFAULT: Shape = (3, 64, 64)
FACTS = {"source": "a folder of images", "terms": "those of the images"}


def open_folder(
    folder: Path, shape: Shape | None, split: str, held_out: float, cache: bool = True, progress: Progress | None = None
) -> Images:
    """Return the images of `folder` as `shape`, 3x64x64 where None is given.

    They are kept in the order of the hashes of their contents: the held-out ones come first, so that both parts are views of one
    array, and a new file or another name moves none of the others to the other part.

    Raises:
        ArgumentError: a split other than train and test.
        DataError: no file, none that is an image, or no test images.
    """
    if idx.is_pair(folder):
        return idx.open_pair(folder, folder.name, split)
    check_split(split, ("train", "test"), folder.name)
    files = sorted(_files(folder))
    if not files:
        raise DataError(f"the folder {folder} holds no files", f"put images there: {', '.join(FORMATS)}, in folders of any depth")
    contents = digest_files([folder / path for path, _ in files], folder.name)
    places = fractions(content or path for content, (path, _) in zip(contents, files, strict=True))
    inwards = np.argsort(places, kind="stable")
    files, contents, places = [files[i] for i in inwards], [contents[i] for i in inwards], places[inwards]
    decoded = _decode(folder, files, contents, shape or DEFAULT, cache, progress)
    test = int(held_out_mask(places[list(decoded.rows)], held_out).sum())
    if split == "test" and test == 0:
        raise nothing_held_out(f"the folder {folder}", held_out, len(decoded.rows))
    pixels = decoded.pixels[:test] if split == "test" else decoded.pixels[test:]
    return Images(pixels=pixels, name=folder.resolve().name, split=split, facts=FACTS, skipped=decoded.skipped)


def _decode(
    folder: Path, files: list[tuple[str, os.stat_result]], contents: list[str], shape: Shape, cache: bool, progress: Progress | None
) -> Decoded:
    def load(row: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        if not stat.S_ISREG(files[row][1].st_mode):
            raise Skip("not a file")  # a pipe would never answer
        return decode(folder / files[row][0], shape)

    def make() -> Loaded:
        frames, rows, skipped = decode_all(len(files), load, shape, folder.name, progress)
        if not rows:
            raise DataError(f"the folder {folder} holds no readable image; {skipped_text(skipped)}", f"formats: {', '.join(FORMATS)}")
        if skipped:
            first = files[min(set(range(len(files))) - set(rows))][0]
            note(f"{folder}: {skipped_text(skipped)} (one of them: {first})")
        return frames, rows, skipped

    def unchanged() -> bool:
        return all(_state(folder / path) == _state(status) for path, status in files)

    sources = tuple((path, content) for (path, _), content in zip(files, contents, strict=True))
    key = key_of("folder", shape, sources) if cache else None
    return cached(key, make, folder.name, place_of("folder", str(folder.resolve()), shape), unchanged)


def _state(file: Path | os.stat_result) -> tuple[int, ...]:
    """Return what shows that a file was changed while it was read; it cannot show that one was not changed since another day."""
    try:
        status = file.stat() if isinstance(file, Path) else file
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield relative path (with /) and status of every file that is not hidden; links are followed, but no folder twice."""
    seen = set()
    todo = [""]
    while todo:
        inside = todo.pop()
        try:
            here = os.stat(folder / inside)
            if (here.st_dev, here.st_ino) in seen:
                continue
            seen.add((here.st_dev, here.st_ino))
            entries = sorted(os.scandir(folder / inside), key=lambda entry: entry.name)
        except OSError as error:
            if not inside:
                raise DataError(f"the folder {folder} cannot be read: {error.strerror}", "check its permissions") from error
            note(f"{folder / inside} cannot be read: {error.strerror}")
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = f"{inside}/{entry.name}" if inside else entry.name
            try:
                status = entry.stat()
            except OSError:
                continue  # a link to nowhere
            if stat.S_ISDIR(status.st_mode):
                todo.append(path)
            else:
                yield path, status
