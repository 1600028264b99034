"""One rule of holding out for data of every kind: no image that a model is tested on is among those it was
trained on."""

import sys
import types

import numpy as np
import pytest
import torch

from genzoo.data import Images, open_data
from genzoo.data.splits import published
from genzoo.errors import ArgumentError, DataError

SHAPE = (3, 16, 20)
COUNT = 40
COPIES = [3, 3, 3, 7, 11]  # of the images with these numbers there is one more


class Feature:
    def __init__(self, decode=True):
        self.decode = decode


class Table:
    def __init__(self, files):
        self.cells, self.features = [{"bytes": file, "path": None} for file in files], {"photo": Feature()}

    def cast_column(self, name, kind):
        return self

    def __getitem__(self, name):
        return self.cells


class Given:
    """Forty different images and five copies, in the form that each kind of data has."""

    def __init__(self, folder, make, monkeypatch):
        self.folder, self.make, self.monkeypatch = folder, make, monkeypatch
        self.photos = np.stack([make.photo(seed=seed) for seed in [*range(COUNT), *COPIES]])  # (N, H, W, C)
        self.grey = self.photos[..., 0]

    def files(self):
        """A folder of files, the copies under other names and in other folders."""
        for i, photo in enumerate(self.photos):
            path = self.folder / "photos" / f"part {i % 4}" / f"{i * 7919 % 1000}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.make.encoded(photo))
        return self.folder / "photos"

    def npz(self):
        np.savez(self.folder / "a.npz", images=self.photos)
        return self.folder / "a.npz"

    def floats(self):
        np.savez(self.folder / "f.npz", images=self.grey / 255)
        return self.folder / "f.npz"

    def jpegs(self):
        np.savez(
            self.folder / "j.npz",
            **self.make.end_to_end([self.make.encoded(p, "JPEG", quality=95) for p in self.photos], "jpeg"),
        )
        return self.folder / "j.npz"

    def mosaics(self):
        images = np.random.default_rng(0).integers(0, 2, (1000, 32, 32, 3), dtype=np.uint8)
        images[500:520] = images[:20]
        np.savez(
            self.folder / "w.npz",
            **self.make.end_to_end([self.make.mosaic(images)], "webp"),
            labels=np.arange(1000),
        )
        return self.folder / "w.npz"

    def idx(self):
        (self.folder / "x-idx3-ubyte").write_bytes(self.make.idx(self.grey))
        return self.folder / "x-idx3-ubyte"

    def hub(self, **splits):
        tables = {
            name: Table([self.make.encoded(self.photos[i]) for i in rows]) for name, rows in splits.items()
        }
        library = types.SimpleNamespace(
            get_dataset_split_names=lambda repo: list(tables),
            load_dataset=lambda repo, split: tables[split],
            Image=Feature,
            __version__="4.1",
        )
        self.monkeypatch.setitem(sys.modules, "datasets", library)
        return "hf:me/photos"


WHOLE = range(COUNT + len(COPIES))
KINDS = {
    "folder": Given.files,
    "npz": Given.npz,
    "npz of floats": Given.floats,
    "npz of JPEGs": Given.jpegs,
    "npz of mosaics": Given.mosaics,
    "idx": Given.idx,
    "array": lambda given: given.photos,
    "floats": lambda given: given.photos / 255,
    "tensor": lambda given: torch.from_numpy(given.grey),
    "Images": lambda given: Images(pixels=given.grey[:, None]),
    "Images drawn from grey": lambda given: Images(
        pixels=given.grey[:, None] // 128 * 255, grey=given.grey[:, None]
    ),
    "hf, train only": lambda given: given.hub(train=WHOLE),
    "hf, of another name": lambda given: given.hub(full=WHOLE),
    "hf, test only": lambda given: given.hub(test=WHOLE),
    "hf, validation only": lambda given: given.hub(validation=WHOLE),
    "hf, train and validation": lambda given: given.hub(train=[*range(30), 5, 6], validation=range(30, 40)),
    "hf, train and test": lambda given: given.hub(train=range(30), test=range(30, 40)),
    "hf, one split named": lambda given: given.hub(train=WHOLE, test=range(5)) + ":train",
}
PLUGINS = {
    "blind to the split": lambda given: lambda split: given.photos,
    "blind, as Images": lambda given: lambda split: Images(pixels=given.grey[:, None], split=split),
    "the whole": lambda given: lambda split: Images(pixels=given.grey[:, None]),
    "with both splits": lambda given: (
        lambda split: given.photos[:30] if split == "train" else given.photos[30:40]
    ),
    "with splits that overlap": lambda given: (
        lambda split: given.photos[:30] if split == "train" else given.photos[20:]
    ),
    "with a training split alone": lambda given: {"train": given.photos}.__getitem__,
    "a path": lambda given: lambda split: given.npz(),
}


@pytest.fixture
def given(tmp_path, make, monkeypatch):
    """Give the images in every form."""
    return Given(tmp_path, make, monkeypatch)


def parts(spec, **options):
    """Return the sets of training, fit (training without validation), validation and test images; a split
    that is refused is empty."""
    found = []
    for split in ("train", "fit", "valid", "test"):
        try:
            images = open_data(spec, split=split, val_split=0.3, **options)
        except (ArgumentError, DataError) as error:
            assert split != "train", error
            found.append(set())
        else:
            pixels = images.pixels if images.grey is None else images.grey
            found.append({image.tobytes() for image in pixels})
    return found


def assert_apart(train, fit, valid, test):
    """Hold that no image that is learned from is judged by: tests are apart from all, validation from what
    `validation=true` trains on."""
    assert train and not train & test and not fit & test and not valid & test and not fit & valid
    # validation is a part of training, or a set of its own
    assert not valid or valid | fit >= train or not valid & train


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cache", [True, False])
def test_no_image_is_on_both_sides(given, kind, cache):
    train, fit, valid, test = parts(KINDS[kind](given), cache=cache)
    assert_apart(train, fit, valid, test)
    assert test and valid and fit
    if "train and" not in kind and "mosaics" not in kind:
        assert len(train) + len(test) == COUNT  # nothing is lost


@pytest.mark.parametrize("kind", PLUGINS)
def test_no_image_of_a_plugin_is_on_both_sides(given, kind):
    train, _, _, test = parts("mine", extra={"mine": PLUGINS[kind](given)})
    assert train and not train & test and bool(test) == ("alone" not in kind)


def test_a_plugin_whose_splits_overlap_says_so(given, capsys):
    open_data("mine", extra={"mine": PLUGINS["with splits that overlap"](given)})
    assert "mine: 13 training images are test images too, and are left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    ["digits", "binarized-digits", "mnist", "fashion-mnist", "dynamic-binarized-mnist", "frey", "omniglot"],
)
def test_no_image_of_a_named_set_is_on_both_sides(given, name, monkeypatch):
    monkeypatch.setenv("GENZOO_DATA", str(given.folder))
    for mnist in ("mnist", "fashion-mnist"):
        given.make.mnist(given.folder, mnist)
    noise = np.random.default_rng(0).integers(0, 256, (400, 28, 20), dtype=np.uint8)
    np.savez(given.folder / "frey_faces.npz", images=noise)
    np.savez(
        given.folder / "omniglot_small_28.npz",
        images=noise,
        alphabet=np.array(["a"] * 400),
        character=np.array(["b"] * 400),
    )
    train, test = (open_data(name, split=split, val_split=0.3) for split in ("train", "test"))
    source, drawn = {image.tobytes() for image in train.pixels}, {image.tobytes() for image in test.pixels}
    assert source and drawn and (not source & drawn or "binarized" in name)


@pytest.mark.parametrize(
    "kind", ["folder", "npz", "npz of JPEGs", "idx", "array", "hf, train only", "Images"]
)
def test_the_parts_do_not_depend_on_the_size_that_is_asked_for(given, kind):
    spec = KINDS[kind](given)
    sizes = []
    for shape in ((3, 16, 20), (1, 8, 10), (3, 2, 2)):
        sizes.append(
            [
                len(open_data(spec, split=split, val_split=0.3, image_shape=shape))
                for split in ("train", "test")
            ]
        )
    assert sizes[0] == sizes[1] == sizes[2]


def test_neither_order_nor_name_nor_form_moves_an_image(given):
    spec = given.files()
    before = parts(spec, image_shape=SHAPE)
    for i, path in enumerate(sorted(spec.rglob("*.png"))):
        path.rename(spec / f"{i}.png")
    assert parts(spec, image_shape=SHAPE) == before
    whole = parts(given.photos)
    assert (
        parts(given.photos[::-1])
        == whole
        == parts(given.npz())
        == parts(torch.from_numpy(given.photos).permute(0, 3, 1, 2))
    )
    more = np.concatenate(
        [
            given.photos,
            np.random.default_rng(1).integers(0, 256, (50, *given.photos.shape[1:]), dtype=np.uint8),
        ]
    )
    train, _, _, test = parts(more)
    assert whole[0] <= train and whole[3] <= test


def test_a_set_of_one_image_and_its_copies_cannot_be_divided():
    same = np.full((50, 8, 8), 7, np.uint8)
    assert len(open_data(same)) == 50
    with pytest.raises(DataError, match="50 cannot be divided — give it more images that differ"):
        open_data(same, split="test")


def test_which_published_splits_are_taken_as_they_are():
    both = ("train", "validation", "test")
    assert [published(both, split) for split in ("train", "valid", "test")] == ["train", "validation", "test"]
    assert [published(("train", "test"), split) for split in ("train", "valid", "test")] == [
        "train",
        None,
        "test",
    ]
    assert [published(("train", "val"), split) for split in ("train", "valid", "test")] == [None, "val", None]
    for names in (("train",), ("test",), ("validation",), ("all", "dev"), ()):
        assert {published(names, split) for split in ("train", "valid", "test")} == {None}, names


def test_a_split_that_a_set_of_the_hub_has_not(given):
    with pytest.raises(ArgumentError, match="split must be one of train, valid, test, not 'dev'"):
        open_data(given.hub(train=WHOLE, test=range(3)), split="dev")
    sides = [
        len(open_data(given.hub(train=range(30), test=range(3)), split=split))
        for split in ("train", "fit", "valid")
    ]
    # a share of the training split, whatever is held out elsewhere
    assert sides[0] == 30 == sides[1] + sides[2] and 0 < sides[2] < 15
    assert (
        len(open_data(given.hub(train=range(30), test=range(3), validation=range(30, 40)), split="valid"))
        == 10
    )
