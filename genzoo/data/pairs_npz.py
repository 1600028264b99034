"""Two sides in one .npz file: pairs, or two domains; see `genzoo.data.pairs` and `genzoo.data.unpaired`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genzoo.data import npz
from genzoo.data.arrays import conform, standard
from genzoo.data.asked import Asked
from genzoo.data.collection import Images
from genzoo.data.contents import digest_rows
from genzoo.data.layout import check
from genzoo.data.sides import Names, names_of, side_of
from genzoo.data.splits import hold_out, pair_key
from genzoo.data.types import Array, Shape
from genzoo.errors import ArgumentError, DataError, suggest

OFFSETS = "_offsets"
FACTS = {"source": "an .npz file", "terms": "those of the images"}


@dataclass(frozen=True)
class Side:
    """One side: pixels, the content of each image, its published split (a place in `npz.PUBLISHED`) or None,
    and height and width as they are in the file.
    """

    pixels: Array
    contents: list[str]
    splits: Array | None
    size: tuple[int, int]


def open_npz_pairs(path: Path, source: str, asked: Asked, name: str = "") -> Images:
    """Return a split of the pairs in the .npz file `path`, of which the array `source` is what images are
    made from; "" for A or source.

    Raises:
        DataError: not readable, or no two arrays of pairs.
        ArgumentError: no array of that name.
    """
    arrays, names = _opened(path, source)
    with npz.told_with(path):
        own, image = (
            _side(arrays, side, path, asked, shape)
            for side, shape in zip(names, (asked.source or asked.shape, asked.shape), strict=True)
        )
        _check_pairs(path, names, own, image)
        keys = [pair_key(*both) for both in zip(own.contents, image.contents, strict=True)]
        images = Images(pixels=image.pixels, source=own.pixels, name=name or path.stem, facts=FACTS)
        part = published(images, keys, image.splits, asked)
    return conform(part, asked.shape, asked.cache, asked.progress, asked.source)


def open_npz_sides(path: Path, asked: Asked, name: str = "") -> tuple[Images, Images, Names]:
    """Return a split of both domains in the .npz file `path`, and their names; see `open_npz_pairs`."""
    arrays, names = _opened(path, "", three=True)
    with npz.told_with(path):
        if names == (DOMAIN, DOMAIN):
            return *_by_domain(arrays, path, asked, name or path.stem), ("0", "1")
        parts = []
        for side in names:
            found = _side(arrays, side, path, asked, asked.shape)
            images = Images(pixels=found.pixels, name=name or path.stem, facts=FACTS)
            part = published(images, found.contents, found.splits, asked)
            parts.append(conform(part, asked.shape, asked.cache, asked.progress))
    return parts[0], parts[1], names


DOMAIN = "domain"  # the array that says of each image whether it is of the first (0) or the second (1)


def _by_domain(arrays: Mapping[str, Array], path: Path, asked: Asked, name: str) -> tuple[Images, Images]:
    key = next((key for key in ("images", "jpeg") if key in arrays), None)
    if key is None:
        raise DataError(f"{path} has {DOMAIN!r} but no 'images'", "numpy.savez(path, images=..., domain=...)")
    offsets = "offsets" if key == "jpeg" else ""
    pixels, contents, _ = _pixels(arrays, key, offsets, path, asked, asked.shape)
    domain, flags = arrays[DOMAIN], _flags(arrays, len(pixels))
    if domain.shape != (len(pixels),) or not set(np.unique(domain).tolist()) == {0, 1}:
        raise DataError(f"{path}: {DOMAIN!r} must be 0 or 1 for each image, and each must occur")
    parts = []
    for side in (0, 1):
        rows = np.flatnonzero(domain == side)
        images = Images(pixels=pixels[rows], name=name, facts=FACTS)
        keys = [contents[row] for row in rows]
        part = published(images, keys, None if flags is None else flags[rows], asked)
        parts.append(conform(part, asked.shape, asked.cache, asked.progress))
    return parts[0], parts[1]


def published(images: Images, keys: list[str], splits: Array | None, asked: Asked) -> Images:
    """Return a split of `images` as `splits` publish it, or held out by `keys` where that is None.

    Validation images that are not published are a part of the training images.
    """
    if splits is None:
        return hold_out(images, keys, asked.split, asked.share)
    known = dict.fromkeys(npz.PUBLISHED[number] for number in np.unique(splits).tolist())
    own = check(asked.split, known, images.name)
    rows = np.flatnonzero(splits == npz.PUBLISHED.index(own if own in known else "train"))
    part = images.subset(rows, split=asked.split)
    return part if own in known else hold_out(part, [keys[row] for row in rows], own, 0.0)


def _opened(path: Path, source: str, three: bool = False) -> tuple[Mapping[str, Array], Names]:
    arrays = npz.read(path, every=True)
    if three and DOMAIN in arrays:
        return arrays, (DOMAIN, DOMAIN)
    sides = {key for key, array in arrays.items() if key + OFFSETS in arrays or array.ndim in (3, 4)}
    known = names_of(sides)
    if known and (not source or source.lower() in map(str.lower, known)):
        return arrays, known[::-1] if source.lower() == known[1].lower() else known
    listed = sorted(sides)
    if source and source not in sides:
        raise ArgumentError(
            f"{path} has no array of images {source!r}{suggest(source, listed)}",
            f"arrays of images: {', '.join(listed) or 'none'}",
        )
    if len(sides) != 2:
        raise DataError(
            f"{path} must have two arrays of images, not {len(sides)}: {', '.join(listed) or 'none'}",
            "numpy.savez(path, A=..., B=...)",
        )
    if not source and not three:
        raise DataError(
            f"{path} has {listed[0]} and {listed[1]}, and it is unclear which is the source",
            f"write pairs:{path}?source={listed[0]}, or ?source={listed[1]}",
        )
    return arrays, (source or listed[0], next(key for key in listed if key != (source or listed[0])))


def _side(arrays: Mapping[str, Array], name: str, path: Path, asked: Asked, shape: Shape | None) -> Side:
    found = [(key, told[1]) for key in arrays if (told := side_of(key, (name,))) and arrays[key].ndim]
    if not found:
        raise DataError(f"{path} has no array {name!r}", "numpy.savez(path, A=..., B=...)")
    parts, contents, splits = [], list[str](), []
    for key, split in sorted(found):
        offsets = key + OFFSETS if key + OFFSETS in arrays else ""
        pixels, digests, size = _pixels(arrays, key, offsets, path, asked, shape)
        parts.append(pixels)
        contents += digests
        splits.append(np.full(len(pixels), npz.PUBLISHED.index(split) if split else -1))
    numbers = np.concatenate(splits)
    if len(found) > 1 and (numbers >= 0).all() and (numbers == 0).any():
        return Side(np.concatenate(parts), contents, numbers, size)
    if len(found) > 1:
        raise ArgumentError(f"{' and '.join(key for key, _ in found)} may each be {name}", "keep one of them")
    return Side(parts[0], contents, _flags(arrays, len(parts[0])), size)


def _flags(arrays: Mapping[str, Array], count: int) -> Array | None:
    """Return the published split of each image, from the array "split" or "test", or None."""
    for key, factor in (("split", 1), ("test", npz.PUBLISHED.index("test"))):
        if key in arrays and arrays[key].ndim == 1:
            flags = arrays[key].astype(np.int64) * factor
            if flags.shape != (count,) or not set(np.unique(flags).tolist()) <= {0, 1, 2}:
                raise ArgumentError(
                    f"{key!r} must have one number per image: 0 for train, {2 // factor} for test"
                )
            return flags
    return None


def _pixels(
    arrays: Mapping[str, Array], key: str, offsets: str, path: Path, asked: Asked, shape: Shape | None
) -> tuple[Array, list[str], tuple[int, int]]:
    if not offsets:
        pixels = standard(arrays[key], key, last=True)
        return pixels, digest_rows(pixels), (pixels.shape[2], pixels.shape[3])
    files = npz.Slices(arrays, key, offsets)
    place = f"{path.resolve()}:{key}" if asked.cache else None
    _, height, width = npz.native(files[0], path.stem)
    return *npz.decoded(files, path.stem, shape, place, asked.progress), (height, width)


def _check_pairs(path: Path, names: Names, source: Side, image: Side) -> None:
    counts = len(source.pixels), len(image.pixels)
    if counts[0] != counts[1]:
        more = max(counts) - min(counts)
        raise DataError(
            f"{path}: {more:,} images have no partner: {names[0]} has {counts[0]:,} and {names[1]} "
            f"{counts[1]:,}",
            "both must have one image per pair",
        )
    if source.size != image.size:
        one, other = (f"{height}x{width}" for height, width in (source.size, image.size))
        raise DataError(
            f"{path}: the sides are of different size: {names[0]} of {one}, {names[1]} of {other}",
            "resize one of the two: they must show the same place",
        )
