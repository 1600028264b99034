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
from typing import TypeAlias

import numpy as np

from genzoo.data.arrays import conform
from genzoo.data.cache import Loaded, Room, cached, key_of, place_of
from genzoo.data.collection import Images, skipped_text
from genzoo.data.contents import digest_rows
from genzoo.data.decode import Skip, decode, decoder, faults, fit, open_image, room
from genzoo.data.frames import Task
from genzoo.data.keys import OTHERS, found_parts, labelled, meaning, part_of
from genzoo.data.memory import check_memory, short_of_memory
from genzoo.data.parts import part_of as part_of_rows
from genzoo.data.pool import Progress
from genzoo.data.splits import FIT, SPLITS, check_split, hold_out
from genzoo.data.streamed import header, large_arrays, mapped_member
from genzoo.data.types import Array, Shape
from genzoo.errors import DataError, GenzooError
from genzoo.safe_open import check_regular

Keys: TypeAlias = "Callable[[Mapping[str, Array]], list[str]]"

BINARY_SIDE = 28
PUBLISHED = ("train", "valid", "test")  # the splits that the numbers 0, 1 and 2 stand for
TILES, ROWS, SIDE = 10, 100, 32  # of a mosaic: images across, images down, pixels of an image


def read(path: Path, also: str = "", *, every: bool = False) -> dict[str, Array]:
    """Return the arrays of the .npz file `path` under the keys that mean something here, and under `also`;
    others are not unpacked, except with `every`.

    Raises:
        DataError: not such a file, damaged, larger than the free memory, or with Python objects, which are
            never loaded.
    """
    try:
        check_regular(path)  # a pipe would hang
        with zipfile.ZipFile(path) as archive:
            members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
            known = [
                key
                for key in members
                if every or key in OTHERS or key == also or meaning(key)[1] or len(members) == 1
            ]
            large = large_arrays(archive, {key: members[key] for key in known})
            check_memory(
                sum(_claim(archive, members[key])[1] for key in known if key not in large), str(path)
            )
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files if key in known and key not in large}
        arrays |= {key: mapped_member(path, members[key].filename, shape) for key, shape in large.items()}
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
        shape, _, dtype = header(file)
        size = math.prod(shape) * dtype.itemsize
    if size > member.file_size and not dtype.hasobject:
        raise ValueError(f"{member.filename} claims {size:,} bytes and has {member.file_size:,}")
    return shape, size


def open_npz(
    path: Path,
    shape: Shape | None,
    split: str,
    val_split: float,
    *,
    cache: bool = True,
    progress: Progress | None = None,
    name: str = "",
    keys: Keys | None = None,
    sides: str = "",
) -> Images:
    """Return a split of the images in `path`; `keys` gives the key by which each image is held out, its
    content where None. With `sides`, the name of an array that says the published split of each image (0
    train, 1 valid, 2 test), nothing is held out.

    Raises:
        ArgumentError, DataError: see `read`; also keys of an unknown kind, and offsets that lead nowhere.
    """
    arrays = read(path, sides)
    name = name or path.stem
    with told_with(path):
        if set(SPLITS) <= set(arrays) and all(arrays[part].ndim == 2 for part in SPLITS):
            # these validation images lie apart
            own = "train" if split == FIT else check_split(split, SPLITS, name)
            return conform(_binary(arrays, name, own), shape, cache, progress)
        parts = found_parts(arrays)
        if len(parts) > 1:
            return conform(part_of(arrays, parts, name, split), shape, cache, progress)
        contents = None
        if parts:
            found = part_of(arrays, parts, name, split)
        elif {"jpeg", "offsets"} <= set(arrays):
            place = str(path.resolve()) if cache else None
            found, contents = jpegs(arrays, name, shape, place, progress)
        elif {"webp", "offsets"} <= set(arrays):
            found = _mosaic(arrays, name)
        else:
            hint = "numpy.savez(path, images=..., labels=...) names them"
            raise DataError(f"{path} has no array named 'images', but {_names(path)}", hint)
        if sides:
            return conform(side_part(found, arrays[sides], split), shape, cache, progress)
        together = _groups(arrays, keys)
        held = hold_out(
            found, contents if together is None else together, split, val_split, together=together is not None
        )
        return conform(held, shape, cache, progress)


def side_part(images: Images, sides: Array, split: str) -> Images:
    """Return the images of a published `split`, of which the numbers `sides` (N,) are places in PUBLISHED."""
    if sides.shape != (len(images),):
        raise ValueError(f"the splits of {sides.shape} are not those of {len(images):,} images")
    # these validation images lie apart
    own = "train" if split == FIT else check_split(split, PUBLISHED, images.name)
    rows = np.flatnonzero(sides == PUBLISHED.index(own))
    if not len(rows):
        raise ValueError(f"no image is in the split {own!r}")
    return part_of_rows(images, rows, split=own)


def _groups(arrays: Mapping[str, Array], keys: Keys | None) -> list[str] | None:
    """Return what each image belongs to, or None: images of one group are held out together."""
    if keys is not None:
        return keys(arrays)
    return [str(block) for block in arrays["blocks"]] if "blocks" in arrays else None


@contextlib.contextmanager
def told_with(path: Path) -> Iterator[None]:
    """Name `path` in the errors of the block, and make a DataError of arrays that contradict each other."""
    try:
        yield
    except GenzooError as error:
        if not isinstance(error, (KeyError, ValueError, IndexError, TypeError)):
            raise
        raise type(error)(f"{path}: {error.message}", error.hint) from error
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise DataError(
            f"{path} contradicts itself: {error}", "the keys are described in genzoo.data.npz"
        ) from error


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


def _binary(arrays: Mapping[str, Array], name: str, split: str) -> Images:
    if arrays[split].shape[1:] != (BINARY_SIDE**2 // 8,):
        raise ValueError(
            f"{split!r} must be packed bits (N, {BINARY_SIDE**2 // 8}), not {arrays[split].shape}"
        )
    # a byte each, and once more as pixels
    check_memory(16 * arrays[split].size, f"what is packed in {split!r} of {name}")
    bits = np.unpackbits(arrays[split], axis=1)
    pixels = (bits * np.uint8(255)).reshape(-1, 1, BINARY_SIDE, BINARY_SIDE)  # (N, 1, 28, 28)
    images = Images(pixels=pixels, name=name, split=split, transform="static-binarised")
    return labelled(images, arrays, f"{split}_labels")


class Slices:
    """The files stored end to end in `arrays[of]`, each taken out as bytes when it is asked for.

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


def jpegs(
    arrays: Mapping[str, Array], name: str, shape: Shape | None, place: str | None, progress: Progress | None
) -> tuple[Images, list[str]]:
    """Return the decoded images and the sha256 of the file of each; they are kept for `place` unless that is
    None.
    """
    pixels, contents = decoded(Slices(arrays, "jpeg"), name, shape, place, progress)
    attributes = None
    if "attr" in arrays and "attr_names" in arrays:
        attributes = {
            str(n): arrays["attr"][:, i].astype(np.float32) for i, n in enumerate(arrays["attr_names"])
        }
    images = Images(pixels=pixels, name=name, attributes=attributes, facts={"decoder": decoder()})
    return labelled(images, arrays, "labels"), contents


def decoded(
    files: Slices, name: str, shape: Shape | None, place: str | None, progress: Progress | None
) -> tuple[Array, list[str]]:
    """Return the images in `files` as (N, C, H, W) uint8 of `shape`, by default that of the first, and the
    sha256 of each file; they are kept for `place` unless that is None.

    Raises:
        DataError: one of them cannot be read.
    """
    contents = digest_rows(files)
    target = shape or native(files[0], name)

    def make(room: Room) -> Loaded:
        loaded = room(
            Task(
                count=len(files),
                load=lambda row: decode(files[row], target),
                shape=target,
                what=name,
                progress=progress,
            )
        )
        if loaded.skipped:  # labels and attributes go by row: here nothing may be left out
            raise DataError(f"{name} is damaged; {skipped_text(loaded.skipped)}", "fetch it again")
        return loaded

    key = None if place is None else key_of("npz", tuple(contents), target)
    return cached(key, make, name, place_of("npz", place, target)).pixels, contents


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
    files = Slices(arrays, "webp")
    # a mosaic of one colour has 200 bytes
    check_memory(2 * len(files) * math.prod(whole), "what the mosaics hold")
    parts = [_tiles(file, whole) for file in files]
    return np.concatenate(parts)


def _tiles(file: bytes, whole: Shape) -> Array:
    """Return the images of one mosaic of the shape `whole`, (1000, 3, 32, 32)."""
    try:
        with faults(), open_image(file) as image, room(image):
            if image.size != (TILES * SIDE, ROWS * SIDE):
                raise DataError(
                    f"a mosaic must be {TILES * SIDE}x{ROWS * SIDE} pixels, not {image.width}x{image.height}"
                )
            pixels = fit(image, whole).reshape(3, ROWS, SIDE, TILES, SIDE)
    except Skip as error:
        raise DataError("a mosaic cannot be read", "fetch the file again") from error
    tiles: Array = pixels.transpose(1, 3, 0, 2, 4).reshape(ROWS * TILES, 3, SIDE, SIDE)
    return tiles


def _mosaic(arrays: Mapping[str, Array], name: str) -> Images:
    pixels = mosaics(arrays)
    # CIFAR-10 has labels of more images than are in the mosaics
    cut = {key: array[: len(pixels)] if key == "labels" else array for key, array in arrays.items()}
    return labelled(Images(pixels=pixels, name=name), cut, "labels")
