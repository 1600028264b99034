"""Data are known by their content, wherever they lie and whatever they are called."""

from __future__ import annotations

import shutil
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from genzoo.data import Images, identity, open_data

PIXELS = np.arange(6 * 3 * 4 * 5, dtype=np.uint8).reshape(6, 3, 4, 5)
BASE = Images(pixels=PIXELS, labels=np.arange(6), split="train")


@pytest.mark.parametrize(
    "change",
    [
        {"name": "another"},
        {"facts": {"source": "elsewhere"}},
        {"skipped": {"corrupt": 3}},
        {"pixels": np.asfortranarray(PIXELS)},
        {"labels": np.arange(6, dtype=np.uint8)},
        {"labels": np.arange(6, dtype=">i4")},
    ],
    ids=range(6),
)
def test_what_training_cannot_see_does_not_count(change):
    assert identity(BASE.replace(**change)) == identity(BASE)


OTHER_PIXEL = PIXELS.copy()
OTHER_PIXEL[5, 2, 3, 4] ^= 1


@pytest.mark.parametrize(
    "change",
    [
        {"pixels": OTHER_PIXEL},
        {"pixels": PIXELS[::-1]},
        {"pixels": PIXELS.reshape(6, 3, 5, 4)},
        {"labels": np.array([0, 1, 2, 3, 4, 4])},
        {"labels": None},
        {"labels": np.array(list("abcdee"))},
        {"split": "test"},
        {"transform": "static-binarised"},
        {"grey": PIXELS},
    ],
    ids=range(9),
)
def test_what_decides_the_weights_does(change):
    """Also the order: a batch is a choice of indices."""
    assert identity(BASE.replace(**change)) != identity(BASE)


def test_the_digest_is_one_for_ever():
    """It stands in checkpoints: another way of computing it would refuse them all."""
    assert identity(BASE) == "62bbdaed224881633b9580af711926df864141fb57284fa3aa9c8ee19dad8e36"


def test_blocks_do_not_show(monkeypatch):
    whole = identity(BASE)
    monkeypatch.setattr(sys.modules["genzoo.data.identity"], "_BLOCK", 7)
    assert identity(BASE) == whole


def test_a_folder_that_was_moved_and_spelled_otherwise(tmp_path, monkeypatch):
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "pics"
    folder.mkdir()
    for number, image in enumerate(np.random.default_rng(0).integers(0, 255, (12, 8, 8), dtype=np.uint8)):
        Image.fromarray(image).save(folder / f"{number}.png")
    spelled = [open_data(name, image_shape=(1, 8, 8)) for name in ("pics", "./pics/", str(folder))]
    shutil.move(folder, tmp_path / "elsewhere")
    spelled.append(open_data("elsewhere", image_shape=(1, 8, 8)))
    assert len({identity(images) for images in spelled}) == 1
    assert identity(open_data("elsewhere", image_shape=(1, 8, 8), split="test")) != identity(spelled[0])


def test_arrays_and_tensors():
    array = np.random.default_rng(1).random((9, 4, 4)).astype(np.float32)
    ways = (array, torch.from_numpy(array), open_data(array, split="train", val_split=0))
    assert len({identity(open_data(way, val_split=0)) for way in ways}) == 1
