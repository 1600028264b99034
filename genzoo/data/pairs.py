"""`pairs:PATH[?source=NAME]`: pairs of pictures, one made from the other (Isola et al. 2017, pix2pix).

* A folder of pictures side by side, as pix2pix has them: the left half is the source, the right half the
  image. `?source=right` turns them round.
* A folder with the folders `A/` and `B/` (or `source/` and `target/`), in which the two files of a pair have
  the same name; formats may differ. A is the source; `?source=B` turns them round, and `?source=maps` chooses
  any other folder, beside which there must be one other.
* An `.npz` with two arrays of images, called A and B, source and target, or anything with `?source=NAME`; or
  with encoded files end to end, `NAME` and `NAME_offsets` each. Maybe `split` (0 train, 1 valid, 2 test) or
  `test` (0 or 1), one number per pair, or one array per split, `train_A`, `test_A`, ...

What is held out is decided by the content of both halves, so that no split parts a pair, and both directions
have the same test images. A pair of which one half cannot be read is left out and counted.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from genzoo.data.asked import Asked
from genzoo.data.cache import Decoded
from genzoo.data.collection import Images, skipped_text
from genzoo.data.decode import Skip, upright_size
from genzoo.data.folder import DEFAULT, digest_listing, read_folder
from genzoo.data.layout import check, is_image
from genzoo.data.listing import Files, Listing, list_files
from genzoo.data.notes import once
from genzoo.data.pairs_npz import open_npz_pairs
from genzoo.data.pool import in_parallel
from genzoo.data.sides import Names, folders_of, listed, names_of, stem, two_listings
from genzoo.data.source import Folder
from genzoo.data.splits import pair_key
from genzoo.data.types import Array
from genzoo.errors import ArgumentError, DataError, suggest

HALVES = ("left", "right")
OPTION = "?source="
FORMS = "a folder of pictures side by side, a folder with A/ and B/, or an .npz with two arrays"


def parsed(spec: str) -> tuple[Path, str]:
    """Return the path and the source that `spec`, without its "pairs:", names; "" where it names none."""
    path, mark, source = spec.rpartition(OPTION)
    if not mark:
        path, source = spec, ""
    if "?" in Path(path).name and not os.path.exists(Path(path).expanduser()):
        raise ArgumentError(
            f"pairs: knows no option {path.partition('?')[2]!r}", f"write pairs:PATH{OPTION}right, or of B"
        )
    if not path:
        raise DataError("pairs: names no path", f"write pairs:PATH, {FORMS}")
    return Path(path).expanduser(), source


def open_pairs(spec: str, asked: Asked) -> Images:
    """Return a split of the pairs that `spec` (without "pairs:") names: images, and `source` beside them.

    Raises:
        DataError: nothing there; an image without partner, partners of different size, or a picture of odd
            width.
        ArgumentError: a source that there is not, or a split that there is not.
    """
    path, source = parsed(spec)
    if os.path.isdir(path):
        listing = list_files(path)
        names = None if source in HALVES else _names(path, listing, source)
        check(asked.split, listing.layout.splits if names is None else {}, path.name)
        if names is None:
            pairs = _side_by_side(path, listing, asked, source or HALVES[0])
        else:
            pairs = _two_folders(path, listing, asked, names)
        return pairs.part(asked.split, asked.share)
    if os.path.isfile(path) and path.suffix.lower() == ".npz":
        return open_npz_pairs(path, source, asked)
    if not os.path.exists(path):
        raise DataError(f"no such file or folder: {str(path)!r}", f"write pairs:PATH, {FORMS}")
    raise DataError(f"{path} is not a form of pairs that genzoo reads", f"expected {FORMS}")


@dataclass(frozen=True)
class Pairs:
    """Both sides of a folder of pairs, decoded, row by row."""

    images: Folder
    source: Folder

    def part(self, split: str, share: float) -> Images:
        """Return the pairs of a split; see `genzoo.data.source.Folder.part`."""
        with once():  # of both sides the same is said
            images = self.images.part(split, share)
            source = self.source.part(split, share)
        facts = {**images.facts, "source": "a folder of pairs of images"}
        return images.replace(source=source.pixels, facts=facts)


def _names(path: Path, listing: Listing, source: str) -> Names | None:
    """Return the names of the folders of source and image, None for pictures side by side."""
    folders = folders_of(listing)
    known = names_of(folders)
    if known and (not source or source.lower() in map(str.lower, known)):
        return known[::-1] if source and source.lower() == known[1].lower() else known
    parents: dict[str, set[str]] = {}
    for file, _ in listing.files:
        parts = listing.layout.inner(file)
        if is_image(file) and len(parts) > 1:
            parents.setdefault(parts[0], set()).add(stem("/".join(parts[1:])))
    if source:
        others = sorted(set(parents) - {source})
        if source in parents and len(others) == 1:
            return source, others[0]
        found = ", ".join(sorted(parents)) or "none"
        raise ArgumentError(
            f"{path} has no two folders of which one is {source!r}{suggest(source, sorted(parents))}",
            f"folders: {found}; or {OPTION}left for pictures side by side",
        )
    if len(parents) == 2 and len(set.intersection(*parents.values())) > 0:
        first, second = sorted(parents)
        raise DataError(
            f"{path} has {first}/ and {second}/ with equal file names, and it is unclear which is the source",
            f"write pairs:{path}{OPTION}{first}, or {OPTION}{second}",
        )
    return None


def _side_by_side(path: Path, listing: Listing, asked: Asked, source: str) -> Pairs:
    other = HALVES[1 - HALVES.index(source)]
    views = (replace(listing, half=half, side=half) for half in (other, source))
    with once():
        images, sources = (
            read_folder(path, shape, asked.cache, asked.progress, view)
            for view, shape in zip(views, _shapes(asked), strict=True)
        )
    return Pairs(images, sources)


def _two_folders(path: Path, listing: Listing, asked: Asked, names: Names) -> Pairs:
    source, images = _partners(path, *two_listings(path, listing, names))
    check(asked.split, images.layout.splits, path.name)
    _check_sizes(path, source, images)
    digests = zip(*(digest_listing(path, side, asked.cache) for side in (source, images)), strict=True)
    keys = [pair_key(*both) for both in digests]
    with once():
        folders = [
            read_folder(path, shape, asked.cache, asked.progress, view, keys=keys)
            for view, shape in zip((images, source), _shapes(asked), strict=True)
        ]
    return _joined(path, *folders)


def _shapes(asked: Asked) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    shape = asked.shape or DEFAULT
    return shape, asked.source or shape


def _partners(path: Path, source: Listing, images: Listing) -> tuple[Listing, Listing]:
    """Return both sides with the two files of a pair at one place, under the name of the image."""
    sides = []
    for listing in (source, images):
        stems = [stem(name) for name, _ in listing.files]
        twice = sorted(name for name, count in Counter(stems).items() if count > 1)
        if twice:
            raise DataError(
                f"{path}: {listing.side} has several files of the name {listed(twice)}", "keep one of each"
            )
        sides.append(dict(zip(stems, range(len(stems)), strict=True)))
    for own, others, side, other in (
        (sides[0], sides[1], source.side, images.side),
        (sides[1], sides[0], images.side, source.side),
    ):
        if lone := sorted(set(own) - set(others)):
            raise DataError(
                f"{path}: {len(lone):,} of {len(own):,} images of {side} have no partner in {other}: "
                f"{listed(lone)}",
                "give both files of a pair one name, or remove those without partner",
            )
    order = sorted(sides[1])
    names = [images.files[sides[1][name]][0] for name in order]
    return _reordered(source, [sides[0][name] for name in order], names), _reordered(
        images, [sides[1][name] for name in order], names
    )


def _reordered(side: Listing, places: Sequence[int], names: Sequence[str]) -> Listing:
    files = Files.of(names, side.files.states[list(places)])
    return replace(side, files=files, paths=[side.path(place) for place in places])


def _check_sizes(path: Path, source: Listing, images: Listing) -> None:
    """Raise DataError unless the two pictures of each pair are of one size; unreadable ones do not count."""
    sizes: list[list[tuple[int, int] | None]] = [[None, None] for _ in images.files]

    def work(row: int) -> None:
        for place, side in enumerate((source, images)):
            try:
                sizes[row][place] = upright_size(path / side.path(row))
            except Skip:
                continue

    in_parallel(len(sizes), work, f"looking into {path.name}")
    wrong = [row for row, (one, other) in enumerate(sizes) if one and other and one != other]
    if wrong:
        one, other = (f"{size[0]}x{size[1]}" for size in sizes[wrong[0]] if size)
        raise DataError(
            f"{path}: {len(wrong):,} of {len(sizes):,} pairs have sides of different size, such as "
            f"{listed([source.path(wrong[0])])} of {one} and {listed([images.path(wrong[0])])} of {other}",
            "resize one of the two: they must show the same place",
        )


def _joined(path: Path, images: Folder, source: Folder) -> Pairs:
    """Return the pairs of which both halves could be read."""
    if np.array_equal(images.decoded.rows, source.decoded.rows):
        return Pairs(images, source)
    both = np.intersect1d(images.decoded.rows, source.decoded.rows)
    skipped = dict(Counter(images.decoded.skipped) + Counter(source.decoded.skipped))
    if not len(both):
        raise DataError(f"{path} holds no pair with two readable images; {skipped_text(skipped)}")
    return Pairs(*(_kept(side, both, skipped) for side in (images, source)))


def _kept(side: Folder, both: Array, skipped: dict[str, int]) -> Folder:
    places = np.flatnonzero(np.isin(side.decoded.rows, both))
    columns = {name: column[places] for name, column in side.decoded.columns.items()}
    own = side.decoded
    return replace(side, decoded=Decoded(own.pixels[places], own.rows[places], skipped, columns, own.about))
