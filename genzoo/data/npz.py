"""Image sets in one .npz file, told apart by their keys.

* `images`, maybe `labels` (or `alphabet` and `character`) and `class_names`: (N, H, W) or (N, H, W, C), uint8
  or float in [0, 1]. Other names that people use are known as well, among them those of Keras (`x_train`,
  `y_train`, `x_test`, `y_test`) and of MedMNIST (`train_images`, `train_labels`, `val_images`, ...), which
  are splits. An array that is alone holds the images, whatever its name. Maybe `blocks`: (N,), equal for
  images that belong together, such as frames of one film: they are held out together, and standard errors
  count them once.
* `jpeg`, `offsets`: JPEG files end to end, image i is `jpeg[offsets[i]:offsets[i + 1]]`; maybe `attr` (N, K),
  `attr_names`, `path`.
* `webp`, `offsets`, `labels`: lossless mosaics of ten by a hundred 32x32 images each (CIFAR-10).
* `train`, `valid`, `test`, maybe `<split>_labels`: bits of 28x28 images, packed (N, 98), which are static
  binarisation.
"""

from __future__ import annotations

import contextlib
import math
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from genzoo.data.arrays import conform, standard
from genzoo.data.cache import Loaded, cached, key_of, place_of
from genzoo.data.collection import Images, skipped_text
from genzoo.data.contents import digest_rows
from genzoo.data.decode import Shape, Skip, decode, decoder, faults, fit, open_image, room
from genzoo.data.labels import read_labels, usable_labels
from genzoo.data.layout import WORDS, check
from genzoo.data.memory import check_memory, short_of_memory
from genzoo.data.pool import Progress, decode_all
from genzoo.data.splits import FIT, SPLITS, check_split, hold_out
from genzoo.errors import ArgumentError, DataError, GenzooError
from genzoo.safe_open import check_regular

Array: TypeAlias = "np.ndarray[Any, Any]"
Keys: TypeAlias = "Callable[[Mapping[str, Array]], list[str]]"

IMAGES = ("images", "image", "imgs", "x", "data", "samples", "arr_0")
LABELS = ("labels", "label", "y", "targets", "target", "classes", "arr_1")
OTHERS = {
    "blocks",
    "alphabet",
    "character",
    "jpeg",
    "webp",
    "offsets",
    "attr",
    "attr_names",
    "path",
    "class_names",
}
HEAD = 1 << 16  # bytes of an array's header, at most
BINARY_SIDE = 28
TILES, ROWS, SIDE = 10, 100, 32  # of a mosaic: images across, images down, pixels of an image


def read(path: Path) -> dict[str, Array]:
    """Return the arrays of the .npz file `path` under the keys that mean something here; others are not
    unpacked.

    Raises:
        DataError: not such a file, damaged, larger than the free memory, or with Python objects, which are
            never loaded.
    """
    try:
        check_regular(path)  # a pipe would hang
        with zipfile.ZipFile(path) as archive:
            members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
            known = [key for key in members if key in OTHERS or _meaning(key)[1] or len(members) == 1]
            check_memory(sum(_claim(archive, members[key])[1] for key in known), str(path))
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files if key in known}
    except (OSError, zipfile.BadZipFile, EOFError, zlib.error, KeyError, RuntimeError) as error:
        raise DataError(
            f"{path} is not a readable .npz file: {error}",
            "write it with numpy.savez_compressed(path, images=...)",
        ) from error
    except (ValueError, TypeError, SyntaxError, tokenize.TokenError) as error:
        if "pickle" in str(error) or "Object arrays" in str(error):
            hint = "save plain arrays: numbers, or texts as labels.astype(str)"
            raise DataError(f"{path} holds Python objects, which are never loaded", hint) from error
        raise DataError(f"{path} holds a damaged array: {error}", "write it again") from error
    except MemoryError as error:
        raise short_of_memory(f"there is not enough memory to read {path}") from error
    for key, array in arrays.items():
        if not isinstance(array, np.ndarray):  # numpy hands out the bytes of what is not an array
            raise DataError(
                f"{path} holds {key!r}, which is not an array",
                "write it with numpy.savez_compressed(path, images=...)",
            )
    return arrays


def _claim(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[tuple[int, ...], int]:
    """Return the shape of the array in `member`, and how many bytes it says it has: numpy makes room for them
    before it reads any.

    Raises:
        ValueError: more than there are in the file.
    """
    with archive.open(member) as file:
        if file.read(6) != b"\x93NUMPY":
            return (), member.file_size
        old = file.read(2) == b"\x01\x00"
        length = int.from_bytes(file.read(2 if old else 4), "little")
        if length > HEAD:
            raise ValueError(f"{member.filename} has a header of {length:,} bytes")
        file.seek(8)  # behind the magic string and the version
        shape, _, dtype = (
            np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
        )(file)
        size = math.prod(shape) * dtype.itemsize
    if size > member.file_size and not dtype.hasobject:
        raise ValueError(f"{member.filename} claims {size:,} bytes and has {member.file_size:,}")
    return shape, size


def open_npz(
    path: Path,
    shape: Shape | None,
    split: str,
    held_out: float,
    cache: bool = True,
    progress: Progress | None = None,
    name: str = "",
    keys: Keys | None = None,
) -> Images:
    """Return a split of the images in `path`; `keys` gives the key by which each image is held out, its
    content where None.

    Raises:
        ArgumentError, DataError: see `read`; also keys of an unknown kind, and offsets that lead nowhere.
    """
    arrays = read(path)
    name = name or path.stem
    try:
        if set(SPLITS) <= set(arrays) and all(arrays[part].ndim == 2 for part in SPLITS):
            # these validation images lie apart
            own = "train" if split == FIT else check_split(split, SPLITS, name)
            return conform(_binary(arrays, name, own), shape, cache, progress)
        contents = None
        if parts := found_parts(arrays):
            found = _part(arrays, parts, name, split)
            if len(parts) > 1:
                return conform(found, shape, cache, progress)
        elif {"jpeg", "offsets"} <= set(arrays):
            files = Slices(arrays, "jpeg")
            contents = digest_rows(files)
            found = _jpeg(
                arrays,
                files,
                name,
                shape,
                (tuple(contents), str(path.resolve())) if cache else None,
                progress,
            )
        elif {"webp", "offsets"} <= set(arrays):
            found = _mosaic(arrays, name)
        else:
            hint = "numpy.savez(path, images=..., labels=...) names them"
            raise DataError(f"{path} has no array named 'images', but {_names(path)}", hint)
        together = (
            keys(arrays)
            if keys is not None
            else [str(block) for block in arrays["blocks"]]
            if "blocks" in arrays
            else None
        )
        part = hold_out(
            found, contents if together is None else together, split, held_out, together=together is not None
        )
        return conform(part, shape, cache, progress)
    except (KeyError, ValueError, IndexError, TypeError) as error:
        if isinstance(error, GenzooError):
            raise type(error)(f"{path}: {error.message}", error.hint) from error
        raise DataError(
            f"{path} contradicts itself: {error}", "the keys are described in genzoo.data.npz"
        ) from error


def found_parts(arrays: Mapping[str, Array]) -> dict[str, tuple[str, str]]:
    """Return split -> the keys of its images and of its labels ("" for none); a set that is not split has the
    one split "all".

    Raises:
        ArgumentError: two arrays that may each be the images, or the labels.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for key in arrays:
        split, kind = _meaning(key)
        if kind:
            found.setdefault((split, kind), []).append(key)
    if "images" in arrays:  # the name that decides
        found[("all", "images")] = ["images"]
    for (_, kind), names in found.items():
        if len(names) > 1:
            raise ArgumentError(
                f"{' and '.join(names)} may each be the {kind}", f"keep one of them, under the name {kind!r}"
            )
    keys = {place: names[0] for place, names in found.items()}
    if "images" in arrays:
        return {"all": ("images", keys.get(("all", "labels"), ""))}
    parts = {
        split: (key, keys.get((split, "labels"), ""))
        for (split, kind), key in keys.items()
        if kind == "images"
    }
    named = {split: part for split, part in parts.items() if split != "all"}
    if "train" in named and len(named) > 1:
        return named
    if len(parts) == 1:
        return {"all": next(iter(parts.values()))}
    if len(arrays) == 1 and not keys:
        key, array = next(iter(arrays.items()))
        return {"all": (key, "")} if array.ndim in (3, 4) else {}
    return {}


def _meaning(key: str) -> tuple[str, str]:
    """Return the split ("all" for none) and the kind of what people keep under `key`: "images", "labels", or
    "" for neither.
    """
    words = key.lower().split("_")
    splits = [WORDS[word] for word in words if word in WORDS]
    what = "_".join(word for word in words if word not in WORDS)
    kind = "labels" if what in LABELS else "images" if what in IMAGES or (splits and not what) else ""
    return splits[0] if splits else "all", kind if len(splits) < 2 else ""


def _names(path: Path) -> str:
    """Return what the arrays of an .npz are called, with their shapes; they are not unpacked for that."""
    with zipfile.ZipFile(path) as archive:
        return ", ".join(_words(archive, member) for member in archive.infolist()) or "none at all"


def _words(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> str:
    name = member.filename.removesuffix(".npy")
    with contextlib.suppress(
        OSError,
        zipfile.BadZipFile,
        EOFError,
        zlib.error,
        RuntimeError,
        ValueError,
        SyntaxError,
        tokenize.TokenError,
    ):
        return f"{name} {_claim(archive, member)[0]}"
    return name


def _part(arrays: Mapping[str, Array], parts: Mapping[str, tuple[str, str]], name: str, split: str) -> Images:
    """Return the images of a split, of all where the set is not split; classes are those of the whole
    file.
    """
    chosen = check(split, parts, name) if len(parts) > 1 else next(iter(parts))
    key = parts[chosen][0]
    labels, names, why = _labels(arrays, parts, chosen)
    return Images(
        pixels=standard(arrays[key], key, last=True),
        name=name,
        split=chosen,
        labels=labels,
        class_names=names,
        facts={"labels": why} if why else {},
    )


def _labels(
    arrays: Mapping[str, Array], parts: Mapping[str, tuple[str, str]], chosen: str
) -> tuple[Array | None, tuple[str, ...], str]:
    """Return the labels of the split `chosen` and the names of the classes, or None, () and why the labels
    cannot be used.
    """
    # Omniglot: a class is a character of an alphabet
    if {"alphabet", "character"} <= set(arrays) and chosen == "all":
        pairs = zip(arrays["alphabet"], arrays["character"], strict=True)
        return *read_labels(
            [f"{alphabet}/{character}" for alphabet, character in pairs], len(arrays["alphabet"])
        ), ""
    if not parts[chosen][1]:
        return None, (), ""
    known = {split: part for split, part in parts.items() if part[1]}
    for images, labels in known.values():
        if arrays[labels].shape[:1] != arrays[images].shape[:1]:
            counts = f"{len(np.atleast_1d(arrays[labels])):,} for {len(arrays[images]):,} images"
            raise ArgumentError(
                f"{labels} must have one entry per image: {counts}", "pass as many labels as images"
            )
    whole = [arrays[labels] for _, labels in known.values()]
    found, names, why = usable_labels(np.concatenate(whole), sum(map(len, whole)), repr(parts[chosen][1]))
    if found is None:
        return None, (), why
    start = sum(len(arrays[known[split][1]]) for split in list(known)[: list(known).index(chosen)])
    given = arrays.get("class_names")
    if given is not None and not names:
        names = tuple(str(text) for text in given.ravel().tolist())
    return found[start : start + len(arrays[known[chosen][1]])], names, ""


def _binary(arrays: Mapping[str, Array], name: str, split: str) -> Images:
    if arrays[split].shape[1:] != (BINARY_SIDE**2 // 8,):
        raise ValueError(
            f"{split!r} must be packed bits (N, {BINARY_SIDE**2 // 8}), not {arrays[split].shape}"
        )
    # a byte each, and once more as pixels
    check_memory(16 * arrays[split].size, f"what is packed in {split!r} of {name}")
    bits = np.unpackbits(arrays[split], axis=1)
    pixels = (bits * np.uint8(255)).reshape(-1, 1, BINARY_SIDE, BINARY_SIDE)  # (N, 1, 28, 28)
    return Images(
        pixels=pixels,
        name=name,
        split=split,
        transform="static-binarised",
        labels=arrays.get(f"{split}_labels"),
    )


class Slices:
    """The files that lie end to end in `arrays[of]`, each taken out as bytes when it is asked for.

    Raises:
        DataError: offsets that do not rise within the array.
    """

    def __init__(self, arrays: Mapping[str, Array], of: str, offsets: str = "offsets") -> None:
        self._data = np.ascontiguousarray(arrays[of]).reshape(-1).data.cast("B")
        self._bounds = bounds = arrays[offsets].astype(np.int64).ravel()
        size = len(self._data)
        if len(bounds) < 2 or bounds[0] < 0 or bounds[-1] > size or (np.diff(bounds) < 0).any():
            raise DataError(f"{offsets!r} do not lead through {of!r}, which has {size:,} bytes")

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def __getitem__(self, row: int) -> bytes:
        """Return file number `row`, or raise IndexError after the last."""
        if not 0 <= row < len(self):
            raise IndexError(row)
        return bytes(self._data[self._bounds[row] : self._bounds[row + 1]])

    def __iter__(self) -> Iterator[bytes]:
        return (self[row] for row in range(len(self)))


def _jpeg(
    arrays: Mapping[str, Array],
    files: Slices,
    name: str,
    shape: Shape | None,
    known: tuple[object, str] | None,
    progress: Progress | None,
) -> Images:
    """Return the decoded `files`; `known` is their content and their place, where they are kept."""
    target = shape or native(files[0], name)

    def make() -> Loaded:
        frames, rows, skipped = decode_all(
            len(files), lambda row: decode(files[row], target), target, name, progress
        )
        if skipped:  # labels and attributes go by row: here nothing may be left out
            raise DataError(f"{name} is damaged; {skipped_text(skipped)}", "fetch it again")
        return frames, rows, skipped

    attributes = None
    if "attr" in arrays and "attr_names" in arrays:
        attributes = {
            str(n): arrays["attr"][:, i].astype(np.float32) for i, n in enumerate(arrays["attr_names"])
        }
    content, place = known or (None, "")
    pixels = cached(
        key_of("npz", content, target) if known else None, make, name, place_of("npz", place, target)
    ).pixels
    facts = {"decoder": decoder()}
    return Images(pixels=pixels, name=name, labels=arrays.get("labels"), attributes=attributes, facts=facts)


def native(file: bytes, name: str) -> Shape:
    """Return the shape of the image in `file`: its own size, 3 channels, or 1 when it is grey.

    Raises:
        DataError: it is not readable.
    """
    try:
        with open_image(file) as image:
            return (1 if image.mode in ("L", "1", "I;16") else 3), image.height, image.width
    except Skip as skip:
        raise DataError(f"the first image of {name} is {skip}", "give an image_shape") from skip


def mosaics(arrays: Mapping[str, Array]) -> Array:
    """Return the images (N, 3, 32, 32) of the lossless mosaics in `arrays`, in order.

    Raises:
        DataError: a mosaic that is not readable, or of another size.
    """
    whole = (3, ROWS * SIDE, TILES * SIDE)
    files, parts = Slices(arrays, "webp"), []
    # a mosaic of one colour has 200 bytes
    check_memory(2 * len(files) * math.prod(whole), "what the mosaics hold")
    for file in files:
        try:
            with faults(), open_image(file) as image, room(image):
                if image.size != (TILES * SIDE, ROWS * SIDE):
                    raise DataError(
                        f"a mosaic must be {TILES * SIDE}x{ROWS * SIDE} pixels, not "
                        f"{image.width}x{image.height}"
                    )
                pixels = fit(image, whole).reshape(3, ROWS, SIDE, TILES, SIDE)
        except Skip as error:
            raise DataError("a mosaic cannot be read", "fetch the file again") from error
        # (1000, 3, 32, 32)
        parts.append(pixels.transpose(1, 3, 0, 2, 4).reshape(ROWS * TILES, 3, SIDE, SIDE))
    return np.concatenate(parts)


def _mosaic(arrays: Mapping[str, Array], name: str) -> Images:
    pixels = mosaics(arrays)
    labels = arrays.get("labels")
    return Images(pixels=pixels, name=name, labels=None if labels is None else labels[: len(pixels)])
