"""torch's data sets as Images, and Images as one of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import toys
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from genzoo import zoo
from genzoo.data import Images, as_dataset, from_torch, open_data
from genzoo.errors import DataError

PIXELS = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (12, 1, 8, 8), np.uint8))
LABELS = torch.arange(12) % 3


class Pictures(Dataset):
    """Items of any form; it counts how often each was read."""

    classes = ("ant", "bee", "cat")

    def __init__(self, item):
        self.item, self.reads = item, 0

    def __len__(self):
        return 12

    def __getitem__(self, i):
        self.reads += 1
        return self.item(i)


@pytest.mark.parametrize(
    "item",
    [
        lambda i: (PIXELS[i], int(LABELS[i])),
        lambda i: (PIXELS[i].float() / 255, LABELS[i]),
        lambda i: (Image.fromarray(PIXELS[i, 0].numpy()), np.int64(LABELS[i])),
        lambda i: {"image": PIXELS[i, 0].numpy(), "label": int(LABELS[i])},
        lambda i: [PIXELS[i].double() / 255, int(LABELS[i]), "caption"],
    ],
    ids=["uint8", "float", "pil", "mapping", "double"],
)
@pytest.mark.parametrize("loaded", [False, True], ids=["dataset", "loader"])
def test_images_and_labels_are_kept(item, loaded):
    data = Pictures(item)
    if loaded:
        first = data[0][0] if isinstance(data[0], (tuple, list)) else None
        data = DataLoader(data, batch_size=None if isinstance(first, Image.Image) else 5)
    found = from_torch(data)
    assert np.array_equal(found.pixels, PIXELS.numpy())
    assert found.labels.tolist() == LABELS.tolist() and found.class_names == ("ant", "bee", "cat")


@pytest.mark.parametrize(
    "label", [lambda i: torch.ones(4, dtype=torch.int64), lambda i: 0.5, lambda i: "bee"]
)
def test_what_is_no_class_is_no_label(label):
    assert from_torch(Pictures(lambda i: (PIXELS[i], label(i)))).labels is None


def test_images_alone_and_streams():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(PIXELS)

    assert from_torch(TensorDataset(PIXELS)).labels is None
    assert np.array_equal(from_torch(Stream()).pixels, PIXELS.numpy())


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (lambda i: "text", "holds str, not an image"),
        (lambda i: PIXELS[i, :, : 7 + i % 2], r"images of different shapes, \(1, 7, 8\) and \(1, 8, 8\)"),
        (lambda i: (PIXELS[i], 1 if i else None), "labels for some images only"),
    ],
)
def test_bad_items_are_one_line(item, words):
    with pytest.raises(DataError, match=words):
        from_torch(Pictures(item))


def test_they_open_and_are_split_as_any_images():
    train, test = (
        open_data(TensorDataset(PIXELS, LABELS), split=s, val_split=0.4) for s in ("train", "test")
    )
    rows = {image.tobytes() for part in (train, test) for image in part.pixels}
    assert len(train) + len(test) == 12 == len(rows) and len(test)


def test_a_run_reads_each_image_once(tmp_path, plug):
    plug(*toys.CARDS.values())
    data = Pictures(lambda i: (PIXELS[i], int(LABELS[i])))
    settings = {"batch_size": 4, "image_size": "8x8", "val_split": 0}
    outcome = zoo.train("toy-gan", data, tmp_path, 1, device="cpu", quiet=True, settings=settings)
    assert outcome.finished and data.reads == 12


class TestAsDataset:
    def test_it_feeds_a_loader(self):
        images = Images(pixels=PIXELS.numpy(), labels=LABELS.numpy(), class_names=("ant", "bee", "cat"))
        data = as_dataset(images)
        batches = list(DataLoader(data, batch_size=5))
        assert torch.equal(torch.cat([x for x, _ in batches]), PIXELS.float() / 255)
        assert torch.cat([y for _, y in batches]).tolist() == LABELS.tolist()
        assert data.classes == ["ant", "bee", "cat"] and len(data) == 12
        assert np.array_equal(from_torch(data).pixels, images.pixels)

    def test_without_labels_and_with_a_transform(self):
        data = as_dataset(Images(pixels=PIXELS.numpy()), transform=lambda x: 2 * x - 1)
        assert torch.allclose(data[-1], 2 * PIXELS[11].float() / 255 - 1)
        with pytest.raises(IndexError):
            data[12]
