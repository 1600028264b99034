"""`hf:owner/dataset[:split][:column]`: a data set of the Hugging Face Hub, read with its library `datasets` (extra `[data]`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genzoo.data import npz
from genzoo.data.cache import cached, key_of
from genzoo.data.collection import Images, skipped_text
from genzoo.data.decode import VERSION, Shape, Skip, decode, decoder
from genzoo.data.depth import asked_bits
from genzoo.data.labels import usable_labels
from genzoo.data.notes import note
from genzoo.data.pool import Loaded, Progress, decode_all
from genzoo.data.splits import hold_out
from genzoo.data.survey import survey
from genzoo.errors import DataError, suggest

FORM = "hf:owner/dataset, hf:owner/dataset:split or hf:owner/dataset:split:column"


def open_huggingface(
    spec: str, shape: Shape | None, split: str, held_out: float, cache: bool = True, progress: Progress | None = None
) -> Images:
    """Return a split of the data set that `spec` names.

    A split in `spec` is taken as the whole set, and a share of it is held out. Without one, the set's own split of the name that is
    asked for is used, or where it has none, its training split is divided.

    Raises:
        DataError: `datasets` is not installed, the set, split or column cannot be had, or no image is readable.
    """
    repo, _, rest = spec.removeprefix("hf:").partition(":")
    part, _, column = rest.partition(":")
    if repo.count("/") != 1 or not all(repo.split("/")):
        raise DataError(f"{spec!r} does not name a data set of the Hugging Face Hub", f"write {FORM}")
    table, taken = _table(repo, part, split)
    images = _images(table, f"hf:{repo}:{taken}", column, shape, cache, progress)
    return images.replace(split=split) if not part and taken == split else hold_out(images, None, split, held_out)


def _library() -> Any:
    try:
        import datasets
    except Exception as error:  # also a broken installation of something it needs
        raise DataError(f"hf: data sets need the library 'datasets' ({error})", "pip install 'genzoo[data]'") from error
    return datasets


def _table(repo: str, part: str, split: str) -> tuple[Any, str]:
    """Return the table and the name of its split."""
    library = _library()
    try:
        names = list(library.get_dataset_split_names(repo))
        wanted = part or next((name for name in (split, "train") if name in names), names[0])
        if wanted not in names:
            raise DataError(f"{repo} has no split {wanted!r}{suggest(wanted, names)}", f"there are {', '.join(names)}")
        return library.load_dataset(repo, split=wanted), wanted
    except DataError:
        raise
    except Exception as error:  # a library of many libraries: whatever it raises, the reason is one line
        raise DataError(f"{repo} could not be fetched: {type(error).__name__}: {error}", "check the name and the network") from error


def _images(table: Any, spec: str, column: str, shape: Shape | None, cache: bool, progress: Progress | None) -> Images:
    library = _library()
    pictures = [name for name, feature in table.features.items() if isinstance(feature, library.Image)]
    if not pictures or (column and column not in pictures):
        named = f"{column!r} of images" if column else "of images"
        raise DataError(f"{spec} has no column {named}", f"columns: {', '.join(table.features)}")
    chosen = column or pictures[0]
    cells = table.cast_column(chosen, library.Image(decode=False))[chosen]  # we decode ourselves, with our list of formats
    if not len(cells):
        raise DataError(f"{spec} holds no images")
    target = shape or npz.native(_content(cells[0]), spec)

    def make() -> Loaded:
        seen = survey(len(cells), lambda row: _content(cells[row]), every_page=False)
        frames, rows, skipped = decode_all(len(cells), lambda row: decode(_content(cells[row]), target, seen.scale), target, spec, progress)
        if not rows:
            raise DataError(f"{spec} holds no readable image; {skipped_text(skipped)}")
        if skipped:
            note(f"{spec}: {skipped_text(skipped)}")
        for line in seen.notes:
            note(f"{spec}: {line}")
        return frames, rows, skipped

    fingerprint = getattr(table, "_fingerprint", None)
    key = key_of("hf", VERSION, spec, chosen, str(fingerprint), target, asked_bits()) if cache and fingerprint else None
    decoded = cached(key, make)
    labels, names = _labels(table, decoded.rows, spec)
    facts = {"source": f"https://huggingface.co/datasets/{spec.removeprefix('hf:').split(':')[0]}", "terms": "see the page of the data set"}
    facts["decoder"] = decoder()
    return Images(pixels=decoded.pixels, name=spec, labels=labels, class_names=names, facts=facts, skipped=decoded.skipped)


def _labels(table: Any, rows: Sequence[int], spec: str) -> tuple[Any, tuple[str, ...]]:
    """Return the labels of `rows` and the names of the classes, (None, ()) where the set has none that can be used."""
    column = next((name for name in ("label", "labels") if name in table.features), None)
    if column is None:
        return None, ()
    values = table[column]
    labels, names, _ = usable_labels(values, len(values), f"the column {column!r} of {spec}")
    if labels is None:
        return None, ()
    return labels[list(rows)], names or tuple(getattr(table.features[column], "names", None) or ())


def _content(cell: Mapping[str, Any] | None) -> bytes:
    if cell is None:
        raise Skip("absent")
    if cell.get("bytes"):
        return bytes(cell["bytes"])
    try:
        return Path(cell["path"]).read_bytes()
    except (OSError, TypeError) as error:
        raise Skip("unreadable") from error
