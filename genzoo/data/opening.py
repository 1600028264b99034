"""open_data: the one door to images, whatever form they have."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor

from genzoo.data import idx, npz
from genzoo.data.arrays import conform, standard
from genzoo.data.asked import Asked
from genzoo.data.captions import captions_for, needed
from genzoo.data.collection import Images
from genzoo.data.contents import digest_rows
from genzoo.data.folder import DEFAULT, READERS, open_folder, read_archive, read_folder
from genzoo.data.formats import HEAD, SUFFIXES, foreign, remedy
from genzoo.data.huggingface import open_huggingface
from genzoo.data.local import at_home
from genzoo.data.memory import told
from genzoo.data.named import open_named
from genzoo.data.notes import note, once
from genzoo.data.pairs import OPTION, open_pairs
from genzoo.data.pool import Progress
from genzoo.data.splits import FIT, check_share, check_split, hold_out
from genzoo.data.torch_sets import from_torch, is_torch_set
from genzoo.data.types import Array, Shape
from genzoo.data.unpaired import open_unpaired
from genzoo.datasets import NAMES
from genzoo.errors import ArgumentError, DataError, GenzooError, MemoryShortError, UnknownNameError, suggest
from genzoo.registry import installed

Source: TypeAlias = "str | os.PathLike[str] | Array | Tensor | Images"
Extra: TypeAlias = "Mapping[str, Callable[[str], object]]"

LONGEST = 4096  # pixels: a side that no model here can draw
FORMS = (
    "a folder of images, shards (.tar), Parquet, an .npz with 'images', an idx file, hf:owner/dataset, "
    "pairs:PATH or unpaired:PATH"
)


@told
def open_data(
    spec: Source,
    *,
    image_shape: Sequence[int] | None = None,
    split: str = "train",
    val_split: float = 0.1,
    cache: bool = True,
    progress: Progress | None = None,
    extra: Extra | None = None,
    source_shape: Sequence[int] | None = None,
) -> Images:
    """Return images, of `image_shape` and of one split.

    Args:
        spec: a known name (`genzoo.data.NAMES`, or a plugin's), which wins over a folder of the same name:
            write `./mnist` for the folder; a folder of images; a `.tar` of WebDataset or a `.parquet`, or a
            folder of them (see `genzoo.data.archives`); an `.npz` (see `genzoo.data.npz`); an idx file;
            `hf:owner/dataset[:split][:column]`, or a path in the place of the name; `pairs:PATH` (see
            `genzoo.data.pairs`), `unpaired:PATH` or `unpaired:SPEC,SPEC` (see `genzoo.data.unpaired`);
            `captions:PATH`, a folder that must have captions (see `genzoo.data.caption_files`); an array
            (N, H, W), (N, C, H, W) or (N, H, W, C), float in [0, 1] or uint8; a torch Dataset or DataLoader,
            see `genzoo.data.from_torch`; or Images.
        image_shape: (C, H, W) with C = 1 or 3. The shorter side is resized (Lanczos) and the middle cut out;
            grey is repeated, colours become luminance. None keeps the size of arrays and named sets; folders
            become 3x64x64.
        split: "train", "test", "valid" or "fit". Sets that publish no training and test split are divided by
            a hash of each image's content: equal images lie on one side, see `genzoo.data.splits`. Validation
            images are a part of the training images unless the set keeps its own apart (binarized-mnist);
            "fit" is the training images without them.
        val_split: the share of the test split where there is no official one, 0 to 0.9.
        cache: keep decoded images under GENZOO_CACHE.
        progress: called with (done, total) while decoding; by default a bar on stderr when it takes longer
            than two seconds.
        extra: further names, each a callable that takes the split and returns an array, Images or a path; by
            default those of the plugins.
        source_shape: (C, H, W) of the other half of pairs; by default the size of the images.

    Raises:
        UnknownNameError: neither a name nor a path; names the nearest.
        ArgumentError: a wrong argument, or a split that the set has not.
        DataError: nothing there, or nothing readable.
    """
    shape, share = _check_shape(image_shape), check_share(val_split)
    source = _check_shape(source_shape, "source_shape")
    check_split(split)
    if is_torch_set(spec):
        spec = from_torch(spec)
    if isinstance(spec, Images):
        return conform(_part(spec, split, share), shape, progress=progress, source=source)
    if isinstance(spec, np.ndarray | Tensor):
        given = Images(pixels=standard(spec, "data"), name="array", facts=_facts("an array in memory"))
        return conform(hold_out(given, None, split, share), shape, progress=progress)
    if not isinstance(spec, str | os.PathLike):
        kind = type(spec).__name__
        raise ArgumentError(
            f"data must be a name, a path, an array or Images, not {kind}",
            f"for example 'digits', or {FORMS}",
        )
    asked = Asked(shape=shape, source=source, split=split, share=share, cache=cache, progress=progress)
    return _open_text(spec, asked, extra)


def _open_text(spec: str | os.PathLike[str], asked: Asked, extra: Extra | None = None) -> Images:
    """Return what the text or path `spec` names, as `asked`."""
    shape, split, share, cache, progress = asked.usual
    if isinstance(spec, str) and spec.startswith("hf:"):
        return open_huggingface(spec, shape, split, share, cache, progress)
    if isinstance(spec, str) and (kind := next((word for word in KINDS if spec.startswith(word)), "")):
        return KINDS[kind](spec.removeprefix(kind), asked)
    # Before paths, so that a folder that happens to be called mnist does not change an experiment.
    if isinstance(spec, str) and spec in NAMES:
        found = open_named(spec, shape, split, share, cache, progress)
        return found if asked.source is None else conform(found, shape, cache, progress, asked.source)
    path = Path(spec).expanduser()
    if os.path.exists(path):
        return _open_path(path, shape, split, share, cache, progress)
    return _brought(str(spec), shape, split, share, extra)


def _captioned(spec: str, asked: Asked) -> Images:
    with needed():
        images = _open_text(spec, asked)
    captions_for(images)
    return images


# what stands before the path -> what opens it
KINDS: Mapping[str, Callable[[str, Asked], Images]] = {
    "pairs:": open_pairs,
    "unpaired:": partial(open_unpaired, opened=_open_text),
    "captions:": _captioned,
}


@told
def open_both(
    spec: Source,
    *,
    image_shape: Sequence[int] | None = None,
    val_split: float = 0.1,
    validation: bool = False,
    cache: bool = True,
    progress: Progress | None = None,
    source_shape: Sequence[int] | None = None,
) -> tuple[Images, Images | None]:
    """Return the training and the held-out images of `spec`, None where there are none; see `open_data`. A
    folder is decoded once.

    With `validation` they are the training images less the validation images, and these.

    Raises:
        UnknownNameError, ArgumentError, DataError: as `open_data` for the training images.
    """
    shape, share = _check_shape(image_shape), check_share(val_split)
    # Both splits give the same notes, which are shown once.
    with once():
        if folder := _folder(spec):
            part = partial(read_folder(folder, shape, cache, progress).part, val_split=share)
        else:
            part = partial(
                _part_of,
                spec,
                image_shape=shape,
                val_split=share,
                cache=cache,
                progress=progress,
                source_shape=source_shape,
            )
        learned, judged = (FIT, "valid") if validation else ("train", "test")
        train = part(learned)
        try:
            return train, part(judged) if share or validation else None
        except MemoryShortError:
            raise  # the held-out images are there: a run without scores is not what was asked for
        except (ArgumentError, DataError):
            return train, None


def _part_of(spec: Source, split: str, **options: Any) -> Images:
    return open_data(spec, split=split, **options)


def native_shape(spec: Source) -> Shape:
    """Return the shape (C, H, W) in which `open_data` gives the images of `spec` where none is asked for; a
    folder is not decoded.

    Raises:
        UnknownNameError, ArgumentError, DataError: as `open_data`.
    """
    plain = spec
    if isinstance(spec, str) and (kind := next((word for word in KINDS if spec.startswith(word)), "")):
        plain = spec.removeprefix(kind).rpartition(OPTION)[0] or spec.removeprefix(kind)
    archive = isinstance(plain, str | os.PathLike) and Path(plain).suffix.lower() in READERS
    return DEFAULT if archive or _folder(plain) else open_data(spec, val_split=0).shape


def _folder(spec: Source) -> Path | None:
    """Return the folder of images that `spec` leads to, None where it is another form of data."""
    if not isinstance(spec, str | os.PathLike) or (
        isinstance(spec, str) and (spec.startswith("hf:") or spec in NAMES)
    ):
        return None
    path = Path(spec).expanduser()
    return path if os.path.exists(path) and os.path.isdir(path) and not idx.is_pair(path) else None


def _check_shape(image_shape: object, what: str = "image_shape") -> Shape | None:
    if image_shape is None:
        return None
    sizes = list(image_shape) if isinstance(image_shape, Sequence) else []
    whole = len(sizes) == 3 and all(isinstance(size, int) and not isinstance(size, bool) for size in sizes)
    if not whole or sizes[0] not in (1, 3) or not all(1 <= size <= LONGEST for size in sizes[1:]):
        expected = f"(C, H, W) with C = 1 or 3 and sides of 1 to {LONGEST}"
        raise ArgumentError(f"{what} must be {expected}, not {image_shape!r}", "for example (3, 64, 64)")
    return sizes[0], sizes[1], sizes[2]


def _facts(source: str) -> dict[str, str]:
    return {"source": source, "terms": "those of the images"}


def _part(images: Images, split: str, val_split: float) -> Images:
    if images.split == "all":
        return hold_out(images, None, split, val_split)
    if images.split != split:
        have = f"these images are the {images.split} split of {images.name}, not {split}"
        raise DataError(have, f"open_data(..., split={split!r}) gives it")
    return images


def _open_path(
    path: Path, shape: Shape | None, split: str, val_split: float, cache: bool, progress: Progress | None
) -> Images:
    if os.path.isdir(path):
        return conform(open_folder(path, shape, split, val_split, cache, progress), shape, cache, progress)
    if path.suffix.lower() == ".npz":
        opened = npz.open_npz(path, shape, split, val_split, cache=cache, progress=progress)
        return opened.replace(facts={**opened.facts, **_facts("an .npz file")})
    if path.suffix.lower() in READERS and os.path.isfile(path):
        found = read_archive(path, shape, cache, progress).part(split, val_split)
        return conform(found, shape, cache, progress)
    if path.suffix.lower() in SUFFIXES:
        raise DataError(f"{path} is one image, not a folder of images", "give the folder that holds it")
    _check_form(path)
    if not os.path.isfile(path) or not ("idx" in path.name or path.suffix in (".gz", "")):
        raise DataError(f"{path} is not a form of data that genzoo reads", f"expected {FORMS}")
    found = idx.open_file(path).replace(facts=_facts("an idx file"))
    return conform(hold_out(found, None, split, val_split), shape, cache, progress)


def _check_form(path: Path) -> None:
    """Raise DataError for a file of a known form that is not read, which says what to do with it."""
    if not os.path.isfile(path) or "idx" in path.name:
        return
    with path.open("rb") as file:
        head = file.read(HEAD)
    # An idx file often has no suffix, and its name says nothing then.
    plain = path.suffix == "" or (path.suffix == ".gz" and ".tar" not in path.suffixes)
    kind = foreign("" if plain else path.name, head)
    if kind and not (plain and head[:2] == b"\x1f\x8b"):  # an idx file may be gzipped, whatever its name
        raise DataError(f"{path} is not a form of data that genzoo reads ({kind})", remedy(kind))


def check_there(spec: object) -> None:
    """Raise what `open_data` would raise for a name or a path that leads to no data; nothing is opened or
    fetched, and what only opening can show passes.

    Raises:
        UnknownNameError, DataError: as `open_data`.
    """
    if not isinstance(spec, str | os.PathLike) or str(spec).startswith(("hf:", *KINDS)) or not str(spec):
        return
    if isinstance(spec, str) and spec in NAMES:
        for file in () if NAMES[spec].homes else NAMES[spec].files:
            at_home(spec, file)
    elif not os.path.exists(Path(spec).expanduser()) and str(spec) not in installed().datasets:
        raise _unknown(str(spec), installed().datasets)


def _unknown(name: str, known: Iterable[str]) -> GenzooError:
    # It looks like a path, so a suggestion from the list of names would only mislead.
    if os.sep in name or "/" in name or Path(name).suffix:
        return DataError(
            f"no such file or folder: {name!r}", f"expected {FORMS}, or one of {', '.join(NAMES)}"
        )
    names = [*NAMES, *known]
    return UnknownNameError(
        f"no data set {name!r}{suggest(name, names)}", f"known: {', '.join(names)}; or {FORMS}"
    )


def _brought(name: str, shape: Shape | None, split: str, val_split: float, extra: Extra | None) -> Images:
    """Return a data set that a plugin (or `extra`) brought; what it does wrong is said with its name."""
    known = (
        {name: brought.value for name, brought in installed().datasets.items()} if extra is None else extra
    )
    if name not in known:
        raise _unknown(name, known)
    try:
        # Plugins know train, valid and test; fit is made of train here.
        asked = "train" if split == FIT else split
        given = _given(known[name], name, asked)
        if isinstance(given, Images):
            # Plugins make mistakes here that would spoil every score: test images in the training set.
            given = _apart(given, known[name], name, asked)
            if split == FIT and given.split == "train":
                given = given.replace(split=FIT)  # a set that keeps its validation images apart
            return conform(_part(given, split, val_split), shape)
        if isinstance(given, str | os.PathLike) and os.path.exists(Path(given)):
            return _open_path(Path(given), shape, split, val_split, True, None).replace(name=name)
    except GenzooError as error:
        raise type(error)(f"the data set {name!r}: {error.message}", error.hint) from error
    except Exception as error:  # a plugin's code
        raise DataError(
            f"the data set {name!r} could not be opened: {type(error).__name__}: {error}"
        ) from error
    raise DataError(
        f"the data set {name!r} gave {type(given).__name__}, not an array, Images or the path of "
        "something that is there"
    )


def _given(brought: Callable[[str], object], name: str, split: str) -> object:
    given = brought(split)
    if isinstance(given, np.ndarray | Tensor):
        return Images(pixels=standard(given, "its images"), name=name, split=split)
    return given


def _apart(given: Images, brought: Callable[[str], object], name: str, split: str) -> Images:
    """Return `given`, a split of a plugin's data set, so that none of its training images is among those of
    its other splits.

    A plugin that gives the same images whatever split it is asked for gives the whole, which is then divided
    as any other set.
    """
    if given.split != split:
        return given
    try:
        other = _given(brought, name, "test" if split == "train" else "train")
    except Exception:  # noqa: BLE001 - somebody else's code: it has no other split
        return given
    if not isinstance(other, Images) or other.split == "all":
        return given
    # By content: a plugin may return copies, or the same images in another order.
    own, others = digest_rows(given.pixels), set(digest_rows(other.pixels))
    if set(own) == others:
        return given.replace(split="all")
    apart = [row for row, content in enumerate(own) if content not in others]
    if split != "train" or len(apart) == len(own):
        return given
    note(f"{name}: {len(own) - len(apart):,} training images are test images too, and are left out")
    return given.subset(apart)
