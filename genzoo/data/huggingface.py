"""`hf:owner/dataset[:split][:column]`: a data set of the Hugging Face Hub, read with its library `datasets`
(extra `[data]`).
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genzoo.data import npz
from genzoo.data.asked import Asked
from genzoo.data.cache import Loaded, Room, cached, key_of, place_of
from genzoo.data.caption_files import text_column
from genzoo.data.captions import Captions, read_captions, unused
from genzoo.data.collection import Images, skipped_text
from genzoo.data.decode import Skip, decode, decoder
from genzoo.data.depth import asked_bits
from genzoo.data.folder import archived, open_folder, read_archive
from genzoo.data.frames import Task
from genzoo.data.labels import NONE, usable_labels
from genzoo.data.listing import list_files
from genzoo.data.notes import note
from genzoo.data.pool import Progress, in_parallel
from genzoo.data.splits import FIT, hold_out, published
from genzoo.data.survey import survey
from genzoo.data.types import Array, Shape
from genzoo.errors import ArgumentError, DataError, suggest

FORM = "hf:owner/dataset, hf:owner/dataset:split or hf:owner/dataset:split:column"
# version of `datasets`: those before it run a data set's own scripts where a setting of the environment
# allows it
OLDEST = 4
LOCAL = ("/", "./", "../", "~")  # how a path on this machine begins


def open_huggingface(
    spec: str,
    shape: Shape | None,
    split: str,
    val_split: float,
    cache: bool = True,
    progress: Progress | None = None,
) -> Images:
    """Return a split of the data set that `spec` names.

    A split in `spec` is taken as the whole set, and a share of it is held out. Without one, the set's own
    training and test splits are used where it has both, and its training split is divided where it has not.

    Raises:
        DataError: `datasets` is not installed, the set, split or column cannot be had, or no image is
            readable.
    """
    repo, _, rest = spec.removeprefix("hf:").partition(":")
    part, _, column = rest.partition(":")
    if repo.startswith(LOCAL) or os.path.exists(repo):
        return _local(
            Path(repo).expanduser(),
            part,
            column,
            Asked(shape=shape, split=split, share=val_split, cache=cache, progress=progress),
        )
    if repo.count("/") != 1 or not all(repo.split("/")):
        raise DataError(f"{spec!r} does not name a data set of the Hugging Face Hub", f"write {FORM}")
    table, taken, whole, tested = _table(repo, part, split)
    images, contents = _images(table, f"hf:{repo}:{taken}", column, shape, cache, progress)
    # where test images lie apart, only validation images are taken from the training split
    share = 0.0 if tested else val_split
    return images.replace(split=split) if whole else hold_out(images, contents, split, share)


def _local(path: Path, part: str, column: str, asked: Asked) -> Images:
    """Return a split of a data set that lies on this machine: a folder of Parquet, of shards or of images."""
    if not os.path.exists(path):
        raise DataError(f"no such file or folder: {str(path)!r}", f"write hf:PATH, or {FORM}")
    if os.path.isdir(path) and archived(list_files(path)) is None:
        if part:
            raise DataError(
                f"{path} holds no Parquet files, of which {part!r} may be a split", "leave it out"
            )
        return open_folder(path, asked.shape, asked.split, asked.share, asked.cache, asked.progress)
    whole = read_archive(path, asked.shape, asked.cache, asked.progress, whole=part, column=column)
    return whole.part(asked.split, asked.share)


def _library() -> Any:
    try:
        import datasets
    except Exception as error:  # also a broken installation of something it needs
        raise DataError(
            f"hf: data sets need the library 'datasets' ({error})", "pip install 'genzoo[data]'"
        ) from error
    version = str(getattr(datasets, "__version__", "of unknown version"))
    number = version.partition(".")[0]
    if not (number.isascii() and number.isdigit() and int(number) >= OLDEST):
        raise DataError(
            f"the library 'datasets' {version} may run the scripts of a data set",
            f"pip install 'datasets>={OLDEST}'",
        )
    return datasets


def _table(repo: str, part: str, split: str) -> tuple[Any, str, bool, bool]:
    """Return the table, its split, whether that is the wanted split as it was published, and whether the set
    has a test split.
    """
    library = _library()
    try:
        names = list(library.get_dataset_split_names(repo))
        # then all of train may be learned from
        kept_apart = split == FIT and published(names, "valid") is not None
        own = None if part else published(names, "train" if kept_apart else split)
        wanted = part or own or next((name for name in names if name == "train"), names[0])
        if wanted not in names:
            raise DataError(
                f"{repo} has no split {wanted!r}{suggest(wanted, names)}", f"there are {', '.join(names)}"
            )
        return (
            library.load_dataset(repo, split=wanted),
            wanted,
            own is not None,
            not part and {"train", "test"} <= set(names),
        )
    except DataError:
        raise
    except Exception as error:  # a library of many libraries: whatever it raises, the reason is one line
        raise DataError(
            f"{repo} could not be fetched: {type(error).__name__}: {error}", "check the name and the network"
        ) from error


def _images(
    table: Any, spec: str, column: str, shape: Shape | None, cache: bool, progress: Progress | None
) -> tuple[Images, list[str]]:
    """Return the images of a table, and the sha256 of each as it was given."""
    chosen = _column(table, spec, column)
    # we decode ourselves, with our list of formats
    cells = table.cast_column(chosen, _library().Image(decode=False))[chosen]
    if not len(cells):
        raise DataError(f"{spec} holds no images")
    home = _home(spec)
    contents = _digests(cells, home, spec)
    target = shape or npz.native(_first(cells, home, spec), spec)
    make = functools.partial(_decoded, cells, home, spec, target, progress)
    key = key_of("hf", target, tuple(contents), asked_bits()) if cache else None
    decoded = cached(key, make, spec, place_of("hf", spec, chosen, target))
    labels, names, why = _labels(table, decoded.rows, spec)
    captions, untold = _captions(table, decoded.rows, spec)
    facts = {
        "source": f"https://huggingface.co/datasets/{spec.removeprefix('hf:').split(':')[0]}",
        "terms": "see the page of the data set",
    }
    reasons = {"labels": why, "captions": untold}
    facts |= {"decoder": decoder(), **{key: text for key, text in reasons.items() if text}}
    images = Images(
        pixels=decoded.pixels,
        name=spec,
        labels=labels,
        captions=captions,
        class_names=names,
        facts=facts,
        skipped=decoded.skipped,
    )
    return images, [contents[row] for row in decoded.rows.tolist()]


def _column(table: Any, spec: str, column: str) -> str:
    """Return `column`, or the first column of images; DataError if there is none."""
    kind = _library().Image
    pictures = [name for name, feature in table.features.items() if isinstance(feature, kind)]
    if not pictures or (column and column not in pictures):
        named = f"{column!r} of images" if column else "of images"
        raise DataError(f"{spec} has no column {named}", f"columns: {', '.join(table.features)}")
    return column or pictures[0]


def _digests(cells: Any, home: Path | None, spec: str) -> list[str]:
    """Return the sha256 of each image as it was given, "" where there is none."""
    contents = [""] * len(cells)

    def read(row: int) -> None:
        with contextlib.suppress(Skip):
            contents[row] = hashlib.sha256(_content(cells[row], home)).hexdigest()

    in_parallel(len(cells), read, f"reading {spec}")
    return contents


def _decoded(
    cells: Any, home: Path | None, spec: str, target: Shape, progress: Progress | None, room: Room
) -> Loaded:
    """Decode all images; DataError if none can be read."""
    seen = survey(len(cells), lambda row: _content(cells[row], home), spec, every_page=False)

    def load(row: int) -> Any:
        return decode(_content(cells[row], home), target, seen.scale)

    loaded = room(Task(count=len(cells), load=load, shape=target, what=spec, progress=progress))
    if not len(loaded.rows):
        raise DataError(f"{spec} holds no readable image; {skipped_text(loaded.skipped)}")
    if loaded.skipped:
        note(f"{spec}: {skipped_text(loaded.skipped)}")
    for line in seen.notes:
        note(f"{spec}: {line}")
    return loaded


def _labels(table: Any, rows: Array, spec: str) -> tuple[Any, tuple[str, ...], str]:
    """Return the labels of `rows` and the names of the classes; or None, () and why the set has none that can
    be used, "" where it has no such column.
    """
    named = [name for name, feature in table.features.items() if getattr(feature, "names", None)]
    column = next((name for name in ("label", "labels") if name in table.features), None)
    if column is None and len(named) > 1:
        return None, (), f"{NONE}which of the columns {', '.join(named)} is meant is not known"
    if column is None and not named:
        return None, (), ""
    column = column or named[0]
    values = table[column]
    labels, names, why = usable_labels(values, len(values), f"the column {column!r} of {spec}")
    if labels is None:
        return None, (), why
    return labels[rows], names or tuple(getattr(table.features[column], "names", None) or ()), ""


def _captions(table: Any, rows: Array, spec: str) -> tuple[Captions | None, str]:
    """Return the captions of `rows`, or None and why the column of that name cannot be used, "" without
    one.
    """
    column = text_column(table.features)
    if column is None:
        return None, ""
    cells = table[column]
    try:
        return read_captions([cells[row] for row in rows.tolist()], len(rows)), ""
    except ArgumentError as error:
        return None, unused(spec, f"the column {column!r}: {error}")


def _first(cells: Any, home: Path | None, spec: str) -> bytes:
    try:
        return _content(cells[0], home)
    except Skip as skip:
        raise DataError(f"the first image of {spec} is {skip}", "give an image_shape") from skip


def _home(spec: str) -> Path | None:
    """Return the folder into which the Hub's own library has fetched the files of this data set."""
    try:
        from huggingface_hub.constants import HF_HUB_CACHE

        return Path(
            HF_HUB_CACHE, "datasets--" + spec.removeprefix("hf:").split(":")[0].replace("/", "--")
        ).resolve()
    except (ImportError, OSError, RuntimeError):
        return None


def _content(cell: Mapping[str, Any] | None, home: Path | None) -> bytes:
    """Return the bytes of the image in `cell`; a path is followed only into `home`, for data may name any
    file of this machine.

    Raises:
        Skip: there are none.
    """
    if cell is None:
        raise Skip("absent")
    if cell.get("bytes"):
        return bytes(cell["bytes"])
    try:
        path = Path(cell["path"]).resolve()
        if home is None or home not in path.parents or not os.path.isfile(path):
            raise Skip("outside of the data set")
        return path.read_bytes()
    except (OSError, TypeError, ValueError, RuntimeError) as error:
        raise Skip("unreadable") from error
