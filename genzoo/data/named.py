"""The data sets that genzoo knows by name: where their files lie, where they come from, and what may be done
with them.

They are looked for under `GENZOO_DATA` first; those with a stable public home are then fetched from it.
`digits` is embedded: the test part of "Optical Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak;
UCI Machine Learning Repository, 1998, CC BY 4.0) as scikit-learn ships it (BSD), 1,797 scans of 8x8 counts in
0..16. The file was made once, by

    digits = sklearn.datasets.load_digits()
    images, labels = np.rint(digits.images * 255 / 16).astype(np.uint8), digits.target.astype(np.uint8)
    np.savez_compressed("digits.npz", images=images, labels=labels)
"""

from __future__ import annotations

import io
import os
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np

from genzoo.data import idx, npz
from genzoo.data.arrays import conform
from genzoo.data.binary import binarised
from genzoo.data.cache import Loaded, cached, kept_frames, key_of, place_of
from genzoo.data.collection import Images
from genzoo.data.contents import digest_arrays
from genzoo.data.pool import Progress
from genzoo.data.remote import File, fetch
from genzoo.data.splits import FIT, check_split, hold_out, last_of, range_keys
from genzoo.data.types import Array, Shape
from genzoo.errors import DataError

CIFAR_VALID = 5000  # the last of the training images
CIFAR_TEST = 1000  # images that are lossless everywhere; see the note of cifar10
FRAMES = 25  # of a film that stay together: neighbours are nearly equal


def _place(arrays: Mapping[str, Array]) -> list[str]:
    return range_keys(len(arrays["images"]) if "images" in arrays else len(arrays["offsets"]) - 1)


@dataclass(frozen=True, kw_only=True)
class Named:
    """A data set with a name: its files under GENZOO_DATA, its public home, its facts."""

    files: tuple[str, ...]
    source: str
    terms: str
    note: str = ""
    homes: Mapping[str, File] = field(default_factory=dict)
    keys: npz.Keys = _place  # where there is no official split
    classes: tuple[str, ...] = ()

    @property
    def facts(self) -> dict[str, str]:
        """Return source, terms and note, one line each."""
        facts = {"source": self.source, "terms": self.terms, "note": self.note}
        return {key: text for key, text in facts.items() if text}


def _person(arrays: Mapping[str, Array]) -> list[str]:
    return [str(path).split("/")[0] for path in arrays["path"]]


def _block(arrays: Mapping[str, Array]) -> list[str]:
    return [f"block {frame // FRAMES}" for frame in range(len(arrays["images"]))]


def _idx_homes(folders: tuple[str, ...], sizes: tuple[int, ...], digests: tuple[str, ...]) -> dict[str, File]:
    names = [f"{file}.gz" for file in idx.FILES]
    return {
        name: File(name, size, sha256, tuple(f"{folder}/{name}" for folder in folders))
        for name, size, sha256 in zip(names, sizes, digests, strict=True)
    }


_MNIST = _idx_homes(
    ("https://ossci-datasets.s3.amazonaws.com/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist"),
    (9_912_422, 28_881, 1_648_877, 4_542),
    (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
)
_FASHION = _idx_homes(
    ("https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",),
    (26_421_880, 29_515, 4_422_102, 5_148),
    (
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
)
_CIFAR = File(
    "cifar-10-binary.tar.gz",
    170_052_171,
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
)

_NUMERALS = tuple("0123456789")
_GARMENTS = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_OBJECTS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

NAMES: Mapping[str, Named] = MappingProxyType(
    {
        "digits": Named(
            files=(),
            source=(
                "Optical Recognition of Handwritten Digits (Alpaydin and Kaynak, UCI 1998), the 1,797 "
                "scans of scikit-learn"
            ),
            terms="CC BY 4.0 (UCI); scikit-learn's copy: BSD",
            classes=_NUMERALS,
        ),
        "mnist": Named(
            files=tuple(f"mnist/{name}" for name in _MNIST),
            source="MNIST handwritten digits (LeCun, Cortes, Burges)",
            terms="no licence stated by the authors; free to use in research",
            homes=_MNIST,
            classes=_NUMERALS,
        ),
        "fashion-mnist": Named(
            files=tuple(f"fashion-mnist/{name}" for name in _FASHION),
            source="Fashion-MNIST (Xiao, Rasul, Vollgraf 2017)",
            terms="MIT License, Zalando SE",
            homes=_FASHION,
            classes=_GARMENTS,
        ),
        "binarized-mnist": Named(
            files=("binarized_mnist.npz",),
            source="MNIST, binarised once (Larochelle and Murray 2011; Salakhutdinov and Murray 2008)",
            terms="MNIST: no licence stated by the authors; this copy: MIT License (Yin, Zhou 2018)",
            note="the official split of 50,000, 10,000 and 10,000; the test images are sorted by class",
        ),
        "dynamic-binarized-mnist": Named(
            files=tuple(f"mnist/{name}" for name in _MNIST),
            source=(
                "MNIST, binarised dynamically: each pixel is white with the probability that its grey "
                "level says"
            ),
            terms="no licence stated by the authors; free to use in research",
            note="test: one draw with a fixed seed; training draws anew for every batch",
            homes=_MNIST,
            classes=_NUMERALS,
        ),
        "binarized-digits": Named(
            files=(),
            source="Optical Recognition of Handwritten Digits (see digits), binarised once with a fixed seed",
            terms="CC BY 4.0 (UCI); scikit-learn's copy: BSD",
            classes=_NUMERALS,
        ),
        "cifar10": Named(
            files=(*(f"cifar10_train_{i}.npz" for i in range(1, 6)), "cifar10_test.npz"),
            source="CIFAR-10 (Krizhevsky 2009)",
            terms="no licence stated; cite the technical report",
            note=(
                "test: the first 1,000 of the official 10,000 images, the part of which lossless pixels "
                "are at hand everywhere"
            ),
            homes={_CIFAR.name: _CIFAR},
            classes=_OBJECTS,
        ),
        "bedrooms": Named(
            files=("bedrooms_96.npz",),
            source=(
                "4,379 bedroom photographs from Places365 and the Houses data set (Ahmed and Moustafa 2016)"
            ),
            terms="research use; the copyright of the images belongs to their owners; do not publish them",
        ),
        "faces": Named(
            files=("faces_lfw_64.npz",),
            source="Labeled Faces in the Wild, deep-funnelled (Huang et al. 2007, 2012)",
            terms="research use; news photographs of public figures; do not publish them",
            note="attributes are predictions of a classifier, not human labels; nobody is in both splits",
            keys=_person,
        ),
        "frey": Named(
            files=("frey_faces.npz",),
            source="Frey faces (Roweis and Frey)",
            terms="no terms stated",
            note=f"frames of a film: held out in blocks of {FRAMES}",
            keys=_block,
        ),
        "omniglot": Named(
            files=("omniglot_small_28.npz",),
            source="a part of Omniglot (Lake, Salakhutdinov, Tenenbaum 2015) at 28x28",
            terms="MIT License, Brenden Lake",
            note="not the 28x28 set of Burda et al. 2015: likelihoods are not comparable with theirs",
        ),
    }
)


def open_named(
    name: str,
    shape: Shape | None,
    split: str,
    held_out: float,
    cache: bool = True,
    progress: Progress | None = None,
) -> Images:
    """Return a split of the data set `name`, one of NAMES.

    Raises:
        ArgumentError: a split that the set has not.
        DataError: its files are neither under GENZOO_DATA nor to be fetched.
    """
    known = NAMES[name]
    if name == "dynamic-binarized-mnist":
        images = _dynamic(open_named("mnist", _grey(shape, name), split, held_out, cache, progress), split)
    elif name == "binarized-digits":
        images = conform(_digits(split, held_out), shape, cache, progress)
    elif name in ("mnist", "fashion-mnist"):
        images = conform(_idx_set(name, split), shape, cache, progress)
    elif name == "cifar10":
        images = conform(_cifar(split, cache), shape, cache, progress)
    else:
        path = Path(__file__).with_name("digits.npz") if name == "digits" else _local(known.files[0])
        if path is None:
            raise _homeless(name)
        images = npz.open_npz(
            path, shape, split, held_out, cache=cache, progress=progress, name=name, keys=known.keys
        )
    classes = () if images.labels is None else known.classes or images.class_names
    return images.replace(name=name, facts={**images.facts, **known.facts}, class_names=classes)


def _digits(split: str, held_out: float) -> Images:
    every = binarised(open_named("digits", None, "train", 0).replace(split="all"), "digits")
    return hold_out(
        every.replace(name="binarized-digits", transform="static-binarised"),
        range_keys(len(every)),
        split,
        held_out,
    )


def _grey(shape: Shape | None, name: str) -> Shape | None:
    if shape is not None and shape[0] != 1:
        raise DataError(
            f"{name} is drawn anew from grey levels and has one channel, not {shape[0]}",
            "use 'binarized-mnist' for three",
        )
    return shape


def _dynamic(images: Images, split: str) -> Images:
    training = split in ("train", FIT)
    drawn = binarised(images, f"mnist/{'train' if training else split}").replace(
        transform="dynamic-binarised"
    )
    return drawn.replace(grey=images.pixels) if training else drawn


def _local(file: str) -> Path | None:
    """Return the path of `file` under GENZOO_DATA, if it is there."""
    root = os.environ.get("GENZOO_DATA")
    path = Path(root).expanduser() / file if root else None
    return path if path is not None and os.path.isfile(path) else None


def _homeless(name: str) -> DataError:
    root = os.environ.get("GENZOO_DATA")
    where = f"GENZOO_DATA={root} has no {NAMES[name].files[0]}" if root else "GENZOO_DATA is not set"
    return DataError(
        f"the data set {name!r} has no public home to fetch it from, and {where}",
        f"set GENZOO_DATA to the folder that holds {NAMES[name].files[0]}, or give a folder of images",
    )


def _idx_set(name: str, split: str) -> Images:
    part = idx.PARTS[check_split(split, tuple(idx.PARTS), name)]
    root = os.environ.get("GENZOO_DATA")
    arrays = []
    for file in (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"):
        path = idx.find(Path(root).expanduser() / name, file) if root else None
        arrays.append(
            idx.read(path) if path else idx.parse(fetch(NAMES[name].homes[f"{file}.gz"], name), f"{file}.gz")
        )
    pixels, labels = arrays
    return idx.images_of(pixels, labels, name, split)


def _cifar(split: str, cache: bool) -> Images:
    check_split(split, name="cifar10")
    if split in ("valid", FIT):
        return last_of(_cifar("train", cache), split, CIFAR_VALID)
    names = NAMES["cifar10"].files[:5] if split == "train" else NAMES["cifar10"].files[5:]
    paths = [path for path in map(_local, names) if path is not None]
    if len(paths) < len(names):
        pixels, labels = _cifar_archive(fetch(_CIFAR, "cifar10"), split)
        return Images(pixels=pixels, name="cifar10", split=split, labels=labels)
    files = [npz.read(path) for path in paths]

    def make() -> Loaded:
        return kept_frames(np.concatenate([npz.mosaics(arrays) for arrays in files]))

    try:
        contents = [digest_arrays(arrays["webp"], arrays["offsets"]) for arrays in files] if cache else []
        pixels = cached(
            key_of("cifar10", *contents) if cache else None, make, "cifar10", place_of("cifar10", split)
        ).pixels
        labels = np.concatenate([arrays["labels"] for arrays in files])[: len(pixels)]
    except KeyError as error:
        raise DataError(
            f"cifar10: the key {error} is missing in {paths[0].parent}", "fetch the files again"
        ) from error
    return Images(pixels=pixels, name="cifar10", split=split, labels=labels)


def _cifar_archive(data: bytes, split: str) -> tuple[Array, Array]:
    """Read the binary version: 10,000 records of a label and 3x32x32 bytes in every file. The Python version
    is pickle.
    """
    files = [f"data_batch_{i}.bin" for i in range(1, 6)] if split == "train" else ["test_batch.bin"]
    size = 3 * npz.SIDE**2
    records = []
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
            for file in files:
                member = archive.extractfile(f"cifar-10-batches-bin/{file}")
                content = b"" if member is None else member.read(10_000 * (size + 1))
                records.append(np.frombuffer(content, np.uint8).reshape(10_000, size + 1))
    except (tarfile.TarError, KeyError, ValueError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"cifar10: the archive is damaged: {error}") from error
    rows = np.concatenate(records)[: None if split == "train" else CIFAR_TEST]
    return np.ascontiguousarray(rows[:, 1:]).reshape(-1, 3, npz.SIDE, npz.SIDE), np.array(rows[:, 0])
