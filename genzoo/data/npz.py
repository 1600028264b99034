"""Image sets in one .npz file, told apart by their keys.

* `images`, maybe `labels` (or `alphabet` and `character`) and `class_names`: (N, H, W) or (N, H, W, C), uint8 or float in [0, 1]. Other
  names that people use are known as well, among them those of Keras (`x_train`, `y_train`, `x_test`, `y_test`) and of MedMNIST
  (`train_images`, `train_labels`, `val_images`, ...), which are splits. An array that is alone holds the images, whatever its name.
  Maybe `blocks`: (N,), equal for images that belong together, such as frames of one film: they are held out together, and standard
  errors count them once.
* `jpeg`, `offsets`: JPEG files end to end, image i is `jpeg[offsets[i]:offsets[i + 1]]`; maybe `attr` (N, K), `attr_names`, `path`.
* `webp`, `offsets`, `labels`: lossless mosaics of ten by a hundred 32x32 images each (CIFAR-10).
* `train`, `valid`, `test`, maybe `<split>_labels`: bits of 28x28 images, packed (N, 98), which are static binarisation.
"""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from genzoo.data.arrays import conform, standard
from genzoo.data.cache import cached, check_memory, key_of, stat_key
from genzoo.data.collection import Images, skipped_text
from genzoo.data.decode import VERSION, Shape, Skip, decode, decoder, fit, open_image
from genzoo.data.labels import read_labels, usable_labels
from genzoo.data.layout import WORDS, check
from genzoo.data.pool import Loaded, Progress, decode_all
from genzoo.data.splits import FIT, SPLITS, check_split, hold_out
from genzoo.errors import ArgumentError, DataError, GenzooError
from genzoo.safe_open import check_regular

Array: TypeAlias = "np.ndarray[Any, Any]"
Keys: TypeAlias = "Callable[[Mapping[str, Array]], list[str]]"

IMAGES = ("images", "image", "imgs", "x", "data", "samples", "arr_0")
LABELS = ("labels", "label", "y", "targets", "target", "classes", "arr_1")
BINARY_SIDE = 28
TILES, ROWS, SIDE = 10, 100, 32  # of a mosaic: images across, images down, pixels of an image


def read(path: Path) -> dict[str, Array]:
    """Return the arrays of the .npz file `path`.

    Raises:
        DataError: not such a file, damaged, larger than the memory, or with Python objects, which are never loaded.
    """
    try:
        check_regular(path)  # a pipe would hang
        with zipfile.ZipFile(path) as archive:
            check_memory(sum(member.file_size for member in archive.infolist()), str(path))
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except (OSError, zipfile.BadZipFile, EOFError, zlib.error, KeyError, RuntimeError) as error:
        raise DataError(f"{path} is not a readable .npz file: {error}", "write it with numpy.savez_compressed(path, images=...)") from error
    except (ValueError, TypeError, SyntaxError, MemoryError, tokenize.TokenError) as error:
        if "pickle" in str(error):
            hint = "save plain arrays: numbers, or texts as labels.astype(str)"
            raise DataError(f"{path} holds Python objects, which are never loaded", hint) from error
        raise DataError(f"{path} holds a damaged array: {error}", "write it again") from error
    for key, array in arrays.items():
        if not isinstance(array, np.ndarray):  # numpy hands out the bytes of what is not an array
            raise DataError(f"{path} holds {key!r}, which is not an array", "write it with numpy.savez_compressed(path, images=...)")
    return arrays


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
    """Return a split of the images in `path`; `keys` gives the key by which each image is held out, its index where None.

    Raises:
        ArgumentError, DataError: see `read`; also keys of an unknown kind, and offsets that lead nowhere.
    """
    arrays = read(path)
    name = name or path.stem
    try:
        if set(SPLITS) <= set(arrays) and all(arrays[part].ndim == 2 for part in SPLITS):
            own = "train" if split == FIT else check_split(split, SPLITS, name)  # these validation images lie apart
            return conform(_binary(arrays, name, own), shape, cache, progress)
        if parts := found_parts(arrays):
            found = _part(arrays, parts, name, split)
            if len(parts) > 1:
                return conform(found, shape, cache, progress)
            found = conform(found, shape, cache, progress)
        elif {"jpeg", "offsets"} <= set(arrays):
            key = key_of("npz", VERSION, stat_key(path), shape) if cache else None
            found = _jpeg(arrays, name, shape, key, progress)
        elif {"webp", "offsets"} <= set(arrays):
            found = conform(_mosaic(arrays, name), shape, cache, progress)
        else:
            names = ", ".join(f"{key} {array.shape}" for key, array in arrays.items()) or "none at all"
            raise DataError(f"{path} has no array named 'images', but {names}", "numpy.savez(path, images=..., labels=...) names them")
        together = keys(arrays) if keys is not None else [str(block) for block in arrays["blocks"]] if "blocks" in arrays else None
        return hold_out(found, together, split, held_out)
    except (KeyError, ValueError, IndexError, TypeError) as error:
        if isinstance(error, GenzooError):
            raise type(error)(f"{path}: {error.message}", error.hint) from error
        raise DataError(f"{path} contradicts itself: {error}", "the keys are described in genzoo.data.npz") from error


def found_parts(arrays: Mapping[str, Array]) -> dict[str, tuple[str, str]]:
    """Return split -> the keys of its images and of its labels ("" for none); a set that is not split has the one split "all".

    Raises:
        ArgumentError: two arrays that may each be the images, or the labels.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for key in arrays:
        words = key.lower().split("_")
        splits = [WORDS[word] for word in words if word in WORDS]
        what = "_".join(word for word in words if word not in WORDS)
        kind = "labels" if what in LABELS else "images" if what in IMAGES or (splits and not what) else ""
        if kind and len(splits) < 2:
            found.setdefault((splits[0] if splits else "all", kind), []).append(key)
    if "images" in arrays:  # the name that decides
        found[("all", "images")] = ["images"]
    for (_, kind), names in found.items():
        if len(names) > 1:
            raise ArgumentError(f"{' and '.join(names)} may each be the {kind}", f"keep one of them, under the name {kind!r}")
    keys = {place: names[0] for place, names in found.items()}
    if "images" in arrays:
        return {"all": ("images", keys.get(("all", "labels"), ""))}
    parts = {split: (key, keys.get((split, "labels"), "")) for (split, kind), key in keys.items() if kind == "images"}
    named = {split: part for split, part in parts.items() if split != "all"}
    if "train" in named and len(named) > 1:
        return named
    if len(parts) == 1:
        return {"all": next(iter(parts.values()))}
    if len(arrays) == 1 and not parts:
        key, array = next(iter(arrays.items()))
        return {"all": (key, "")} if array.ndim in (3, 4) else {}
    return {}


def _part(arrays: Mapping[str, Array], parts: Mapping[str, tuple[str, str]], name: str, split: str) -> Images:
    """Return the images of a split, of all where the set is not split; classes are those of the whole file."""
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


def _labels(arrays: Mapping[str, Array], parts: Mapping[str, tuple[str, str]], chosen: str) -> tuple[Array | None, tuple[str, ...], str]:
    """Return the labels of the split `chosen` and the names of the classes, or None, () and why the labels cannot be used."""
    if {"alphabet", "character"} <= set(arrays) and chosen == "all":  # Omniglot: a class is a character of an alphabet
        pairs = zip(arrays["alphabet"], arrays["character"], strict=True)
        return *read_labels([f"{alphabet}/{character}" for alphabet, character in pairs], len(arrays["alphabet"])), ""
    if not parts[chosen][1]:
        return None, (), ""
    known = {split: part for split, part in parts.items() if part[1]}
    for images, labels in known.values():
        if arrays[labels].shape[:1] != arrays[images].shape[:1]:
            counts = f"{len(np.atleast_1d(arrays[labels])):,} for {len(arrays[images]):,} images"
            raise ArgumentError(f"{labels} must have one entry per image: {counts}", "pass as many labels as images")
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
        raise ValueError(f"{split!r} must be packed bits (N, {BINARY_SIDE**2 // 8}), not {arrays[split].shape}")
    bits = np.unpackbits(arrays[split], axis=1)
    pixels = (bits * np.uint8(255)).reshape(-1, 1, BINARY_SIDE, BINARY_SIDE)  # (N, 1, 28, 28)
    return Images(pixels=pixels, name=name, split=split, transform="static-binarised", labels=arrays.get(f"{split}_labels"))


def slices(arrays: Mapping[str, Array], of: str, offsets: str = "offsets") -> list[bytes]:
    """Return the files that lie end to end in `arrays[of]`.

    Raises:
        DataError: offsets that do not rise within the array.
    """
    data, bounds = arrays[of].tobytes(), arrays[offsets].astype(np.int64).ravel()
    if len(bounds) < 2 or bounds[0] < 0 or bounds[-1] > len(data) or (np.diff(bounds) < 0).any():
        raise DataError(f"{offsets!r} do not lead through {of!r}, which has {len(data):,} bytes")
    return [data[start:stop] for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)]


def _jpeg(arrays: Mapping[str, Array], name: str, shape: Shape | None, key: str | None, progress: Progress | None) -> Images:
    files = slices(arrays, "jpeg")
    target = shape or native(files[0], name)

    def make() -> Loaded:
        frames, rows, skipped = decode_all(len(files), lambda row: decode(files[row], target), target, name, progress)
        if skipped:  # labels and attributes go by row: here nothing may be left out
            raise DataError(f"{name} is damaged; {skipped_text(skipped)}", "fetch it again")
        return frames, rows, skipped

    attributes = None
    if "attr" in arrays and "attr_names" in arrays:
        attributes = {str(n): arrays["attr"][:, i].astype(np.float32) for i, n in enumerate(arrays["attr_names"])}
    facts = {"decoder": decoder()}
    return Images(pixels=cached(key, make).pixels, name=name, labels=arrays.get("labels"), attributes=attributes, facts=facts)


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
    parts = []
    for file in slices(arrays, "webp"):
        try:
            with open_image(file) as image:
                if image.size != (TILES * SIDE, ROWS * SIDE):
                    raise DataError(f"a mosaic must be {TILES * SIDE}x{ROWS * SIDE} pixels, not {image.width}x{image.height}")
                pixels = fit(image, whole).reshape(3, ROWS, SIDE, TILES, SIDE)
        except (Skip, OSError) as error:
            raise DataError("a mosaic cannot be read", "fetch the file again") from error
        parts.append(pixels.transpose(1, 3, 0, 2, 4).reshape(ROWS * TILES, 3, SIDE, SIDE))  # (1000, 3, 32, 32)
    return np.concatenate(parts)


def _mosaic(arrays: Mapping[str, Array], name: str) -> Images:
    pixels = mosaics(arrays)
    labels = arrays.get("labels")
    return Images(pixels=pixels, name=name, labels=None if labels is None else labels[: len(pixels)])
