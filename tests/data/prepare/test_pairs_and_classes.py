"""Facades with their maps, horses and zebras, flowers with their labels: made in the published order and
layout, from pictures of any name; what does not match is refused with counts."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from genzoo.data import open_data
from genzoo.data.prepare import oxford, photographs, prepare, side_by_side
from genzoo.data.prepare.photographs import FLOWERS, HORSES
from genzoo.data.prepare.prints import known, print_of
from genzoo.data.prepare.side_by_side import PALETTE, PHOTOGRAPHS, coarse
from genzoo.errors import DataError

COUNT = 6


def scene(seed, side=256):
    """Return a picture of soft blobs that differs from seed to seed."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)


def classes(seed):
    """Return the classes (128, 128) of a map of 8x8 patches."""
    patches = np.random.default_rng(100 + seed).integers(0, 12, (8, 8), np.uint8)
    return np.kron(patches, np.ones((16, 16), np.uint8))


def encoded(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def files(arrays, key, offsets="offsets"):
    data = arrays[key].tobytes()
    return [data[a:b] for a, b in itertools.pairwise(arrays[offsets])]


@pytest.fixture
def pinned(tmp_path, monkeypatch):
    """Give a function that pins arrays of known.npz; GENZOO_DATA is tmp_path/out."""
    monkeypatch.setenv("GENZOO_DATA", str(tmp_path / "out"))

    def pin(**arrays):
        for module in (photographs, oxford, side_by_side):
            monkeypatch.setattr(module, "known", arrays.__getitem__)

    return pin


def beside(seed, drawn=None, turned=False):
    """Return photograph and map as one picture of 512x256."""
    colours = Image.fromarray(PALETTE[classes(seed if drawn is None else drawn)])
    both = Image.new("RGB", (512, 256))
    both.paste(scene(seed), (256 if turned else 0, 0))
    large = np.roll(np.asarray(colours.resize((256, 256), Image.Resampling.NEAREST)), (3, 3), (0, 1))
    both.paste(Image.fromarray(large), (0 if turned else 256, 0))  # edges within the blocks of JPEG
    return both


@pytest.fixture
def pairs(tmp_path, pinned):
    """Write six pairs among others and pin them in reverse, the last two for tests; return the folder."""
    folder = tmp_path / "got"
    for part in ("train", "val"):
        (folder / part).mkdir(parents=True)
    for seed in range(COUNT + 3):
        beside(seed).save(folder / ("val" if seed % 2 else "train") / f"{seed}.jpg", quality=90)
    scene(0).save(folder / "train" / "half.jpg")  # the photograph alone is no pair
    rows = list(reversed(range(COUNT)))
    pinned(
        facades=np.array([print_of(PHOTOGRAPHS.small(scene(seed))) for seed in rows]),
        facades_maps=np.array([coarse(classes(seed)) for seed in rows]),
        facades_test=np.array([0, 0, 0, 0, 1, 1], np.uint8),
    )
    return folder


def test_the_colours_of_the_facades_are_those_of_the_known_file():
    """Their order is that of the labels; another would be another data set."""
    assert PALETTE.tobytes().hex() == (
        "0000dc0032ff0080ff00d0ff23ffdc73ff8cc0ff40fff000ffa000ff5200f00a00ac0000"
    )


def test_facades_have_their_map_and_the_published_order(pairs, tmp_path):
    (made,), remarks = prepare("facades", [str(pairs)], tmp_path / "out")
    assert made.name == "facades_128.npz" and "6 maps" in remarks[1]
    with np.load(made) as arrays:
        kinds = {key: (arrays[key].dtype.name, arrays[key].ndim) for key in arrays.files}
        assert list(kinds.items()) == [
            ("photo", ("uint8", 1)),
            ("photo_offsets", ("int64", 1)),
            ("map", ("uint8", 1)),
            ("map_offsets", ("int64", 1)),
            ("test", ("uint8", 1)),
            ("palette", ("uint8", 2)),
        ]
        photos, maps = files(arrays, "photo", "photo_offsets"), files(arrays, "map", "map_offsets")
    for seed, photo, drawn in zip(reversed(range(COUNT)), photos, maps, strict=True):
        exact = np.asarray(PHOTOGRAPHS.small(scene(seed)), np.int16)
        assert np.abs(np.asarray(Image.open(io.BytesIO(photo)), np.int16) - exact).mean() < 6
        image = Image.open(io.BytesIO(drawn))
        assert image.mode == "P" and (np.asarray(image) == classes(seed)).mean() > 0.7
        right = np.asarray(Image.open(next(pairs.rglob(f"{seed}.jpg"))), np.int32)[:, 256:]  # (256, 256, 3)
        means = np.floor(right.reshape(128, 2, 128, 2, 3).mean((1, 3)) + 0.5)  # (128, 128, 3)
        nearest = ((means[:, :, None] - PALETTE.astype(float)) ** 2).sum(-1).argmin(-1)
        assert (np.asarray(image) == nearest).mean() > 0.995
    train, test = open_data("facades", val_split=0), open_data("facades", split="test")
    assert (len(train), len(test)) == (4, 2)
    assert set(map(tuple, test.source[0].reshape(3, -1).T.tolist())) <= set(map(tuple, PALETTE.tolist()))


def test_a_photograph_beside_another_map_is_refused(pairs, tmp_path):
    for seed in (0, 3):
        beside(seed, drawn=9).save(next(pairs.rglob(f"{seed}.jpg")), quality=90)
    with pytest.raises(DataError, match=r"2 of 6 photographs have another map .*expected the folders train"):
        prepare("facades", [str(pairs)], tmp_path / "out")
    for seed in range(COUNT):
        beside(seed, turned=True).save(next(pairs.rglob(f"{seed}.jpg")), quality=90)
    # the one picture that is half as wide is not even a candidate
    with pytest.raises(DataError, match=r"0 of 6 photographs were found among the 9 images given"):
        prepare("facades", [str(pairs)], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_facades_may_come_as_a_data_set(pairs, tmp_path):
    every = np.stack([np.asarray(beside(seed)) for seed in range(COUNT)])
    np.savez(tmp_path / "all.npz", images=every)
    prepare("facades", [str(tmp_path / "all.npz")], tmp_path / "out")
    assert len(open_data("facades", val_split=0)) == 4


@pytest.fixture
def domains(tmp_path, pinned):
    """Write two horses and four zebras, the first of each for tests; return the folder."""
    places = ["testA", "testB", "trainA", "trainB", "trainB", "trainB"]
    for seed, place in enumerate(places):
        (tmp_path / "got" / place).mkdir(parents=True, exist_ok=True)
        scene(seed).save(tmp_path / "got" / place / f"n{seed}.jpg", quality=95)
    pinned(
        horse2zebra=np.array([print_of(HORSES.small(scene(seed))) for seed in range(COUNT)]),
        horse2zebra_domain=np.array([0, 1, 0, 1, 1, 1], np.uint8),
        horse2zebra_test=np.array([1, 1, 0, 0, 0, 0], np.uint8),
    )
    return tmp_path / "got"


def test_horses_and_zebras_have_their_domain_and_split(domains, tmp_path):
    (made,), _ = prepare("horse2zebra", [str(domains)], tmp_path / "out")
    with np.load(made) as arrays:
        assert arrays.files == ["jpeg", "offsets", "domain", "test", "path"]
        assert arrays["path"].tolist()[1:3] == [b"testB/n1.jpg", b"trainA/n2.jpg"]
        small = HORSES.small(Image.open(domains / "testB" / "n1.jpg").convert("RGB"))
        first = Image.open(io.BytesIO(encoded(small, quality=95, subsampling=0)))
        assert files(arrays, "jpeg")[1] == encoded(first, quality=88, subsampling=0, optimize=True)
    assert len(open_data("horse2zebra", val_split=0)) == 1
    for split, labels in {"train": [0, 1, 1, 1], "test": [0, 1]}.items():
        assert open_data("horses-zebras", split=split, val_split=0).labels.tolist() == labels


def test_a_zebra_that_is_missing_is_counted(domains, tmp_path):
    (domains / "trainB" / "n4.jpg").unlink()
    with pytest.raises(DataError, match=r"horse2zebra: 5 of 6 photographs were found among the 5 images"):
        prepare("horse2zebra", [str(domains)], tmp_path / "out")
    assert not (tmp_path / "out").exists()


LABELS = np.array([76, 76, 0, 1, 101, 3], np.uint8)
SPLIT = np.array([2, 0, 1, 2, 2, 0], np.uint8)


@pytest.fixture
def garden(tmp_path, pinned):
    """Write six flowers, three at 64x64 and three larger, in two folders; return the folder."""
    small = [FLOWERS.small(scene(seed)) for seed in range(COUNT)]
    for seed, image in enumerate(small):
        folder = tmp_path / "got" / ("a" if seed % 2 else "b")
        folder.mkdir(parents=True, exist_ok=True)
        name = f"image_{seed + 1:05}.jpg"
        (image if seed < 3 else scene(seed, 300)).save(folder / name, quality=75)
    pinned(
        flowers102=np.array([print_of(image) for image in small]),
        flowers102_labels=LABELS,
        flowers102_split=SPLIT,
    )
    return tmp_path / "got"


def test_flowers_have_the_labels_and_the_split_of_their_picture(garden, tmp_path):
    (garden / "a" / "image_00002.jpg").rename(garden / "b" / "zinnia.jpg")
    (made,), remarks = prepare("flowers102", [str(garden)], tmp_path / "out")
    assert "no imagelabels.mat or setid.mat to compare" in remarks[1]
    with np.load(made) as arrays:
        assert arrays.files == ["jpeg", "offsets", "labels", "split", "image_id"]
        kinds = [arrays[key].dtype for key in ("offsets", "labels", "split", "image_id")]
        assert kinds == [np.int64, np.uint8, np.uint8, np.int32]
        assert arrays["image_id"].tolist() == [1, 2, 3, 4, 5, 6]
        kept = files(arrays, "jpeg")
    assert kept[1] == (garden / "b" / "zinnia.jpg").read_bytes()  # of this size already: not encoded again
    larger = Image.open(garden / "a" / "image_00004.jpg").convert("RGB")
    assert kept[3] == encoded(FLOWERS.small(larger), quality=75, subsampling="4:2:0")
    found = open_data("flowers102", split="valid")
    assert found.labels.tolist() == [0] and np.abs(found.pixels[0] - pixels(scene(2))).mean() < 6


def pixels(image):
    return np.asarray(FLOWERS.small(image), np.int16).transpose(2, 0, 1)


def test_equal_flowers_are_told_apart_by_their_file(garden, tmp_path, pinned):
    again = encoded(Image.open(garden / "b" / "image_00001.jpg").convert("RGB"), quality=96)
    (garden / "a" / "image_00002.jpg").write_bytes(again)  # in the folder that comes first
    small = [FLOWERS.small(scene(0)), FLOWERS.small(scene(0)), FLOWERS.small(scene(2))]
    prints = np.array([print_of(image) for image in small])
    pinned(flowers102=prints, flowers102_labels=LABELS[:3], flowers102_split=SPLIT[:3])
    (made,), _ = prepare("flowers102", [str(garden)], tmp_path / "out")
    with np.load(made) as arrays:
        assert files(arrays, "jpeg")[1] == again


def numbers(labels=LABELS, split=SPLIT):
    arrays = {key: np.flatnonzero(split == place) + 1 for place, key in enumerate(oxford.SPLITS)}
    return {"labels": labels.astype(float) + 1}, {key: array[::-1] for key, array in arrays.items()}


def test_the_files_of_labels_and_split_must_agree(garden, tmp_path):
    labels, split = numbers()
    savemat(garden / "imagelabels.mat", labels)
    savemat(garden / "setid.mat", split, do_compression=True)
    _, remarks = prepare("flowers102", [str(garden)], tmp_path / "out")
    assert remarks[1] == "labels and split as published, imagelabels.mat and setid.mat agree"
    for changed in (
        {**split, "trnid": split["tstid"], "tstid": split["trnid"]},  # some swap the two
        {"trnid": split["trnid"]},
    ):
        savemat(garden / "setid.mat", changed)
        with pytest.raises(DataError, match=r"the \d numbers '\w+' of .*setid.mat are not the \d published"):
            prepare("flowers102", [str(garden)], tmp_path / "other")
    (garden / "setid.mat").unlink()
    savemat(garden / "imagelabels.mat", numbers(labels=LABELS[::-1])[0])
    with pytest.raises(DataError, match=r"the 6 numbers 'labels' of .*imagelabels.mat are not the 6"):
        prepare("flowers102", [str(garden)], tmp_path / "other")
    (garden / "imagelabels.mat").write_bytes(b"\x80\x04cos\nsystem\n")
    with pytest.raises(DataError, match="is not a MATLAB 5 file"):
        prepare("flowers102", [str(garden)], tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_what_is_known_of_the_sets_has_the_published_counts():
    assert np.bincount(known("facades_test")).tolist() == [400, 106]
    assert known("facades_maps").shape == (506, 8, 8) and known("facades_maps").max() == 11
    domain, test = known("horse2zebra_domain"), known("horse2zebra_test")
    assert [int(((domain == d) & (test == t)).sum()) for d in (0, 1) for t in (0, 1)] == [
        1067,
        120,
        1334,
        140,
    ]
    assert np.bincount(known("flowers102_split")).tolist() == [1020, 1020, 6149]
    per_class = [np.bincount(known("flowers102_labels")[known("flowers102_split") == s]) for s in (0, 1)]
    assert all(counts.tolist() == [10] * 102 for counts in per_class)
