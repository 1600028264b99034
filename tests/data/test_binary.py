"""Binarised data: one fixed draw for tests, a new one for every batch of training."""

import hashlib

import numpy as np
import pytest
import torch

from genzoo.data import open_data
from genzoo.data.binary import BLOCK, binarised, binary_samples, made_binary
from genzoo.data.collection import Images
from genzoo.errors import ArgumentError, DataError
from genzoo.recipe import Recipe
from genzoo.training.hardware import Hardware
from genzoo.training.loader import Loader
from genzoo.training.parallel import World


def grey(n, level=64, shape=(1, 4, 4)):
    return Images(pixels=np.full((n, *shape), level, np.uint8))


def test_pixels_are_white_as_often_as_their_grey_says():
    drawn = binarised(grey(2000), "x").pixels
    assert set(np.unique(drawn)) == {0, 255}
    assert abs((drawn == 255).mean() - 64 / 255) < 0.01
    assert binarised(grey(50, 0), "x").pixels.max() == 0 and binarised(grey(50, 255), "x").pixels.min() == 255


def test_a_draw_is_a_function_of_the_stream_and_the_place():
    one = binarised(grey(BLOCK + 5), "x").pixels
    assert np.array_equal(one, binarised(grey(BLOCK + 5), "x").pixels)
    assert np.array_equal(one[:7], binarised(grey(7), "x").pixels)
    assert not np.array_equal(one, binarised(grey(BLOCK + 5), "y").pixels)
    assert not np.array_equal(one[0], one[1]) and not np.array_equal(one[0], one[BLOCK])


def test_samples_are_white_as_often_as_their_level_says_and_share_no_coins_with_data():
    levels = np.full((500, 1, 4, 4), 64, np.uint8)
    drawn, words = binary_samples(levels, "draw", 3)
    assert abs((drawn == 255).mean() - 64 / 255) < 0.02 and "probability of white" in words
    assert np.array_equal(drawn, binary_samples(levels, "draw", 3)[0])
    assert not np.array_equal(drawn, binary_samples(levels, "draw", 4)[0])
    assert not np.array_equal(drawn, made_binary(grey(500), "draw", 3).pixels)
    cut, words = binary_samples(np.array([[[[127, 128]]]], np.uint8), "threshold")
    assert cut.tolist() == [[[[0, 255]]]] and words.endswith("white from level 128 on")
    for way in ("draw", "threshold"):
        same, words = binary_samples(cut, way)
        assert np.array_equal(same, cut) and words == ""


def test_binarized_digits_are_the_same_for_ever():
    train, test = (open_data("binarized-digits", split=split) for split in ("train", "test"))
    assert (
        train.transform == test.transform == "static-binarised"
        and train.name == "binarized-digits"
        and train.grey is None
    )
    assert len(train) + len(test) == 1797 and set(np.unique(train.pixels)) == {0, 255}
    digest = hashlib.sha256(train.pixels.tobytes() + test.pixels.tobytes()).hexdigest()
    assert digest == "2995b718961d726c5c73485bc750aebda5bafd0511e3c46027c6296a14db05ad"


def test_an_image_of_the_digits_does_not_depend_on_what_is_held_out():
    whole, most = open_data("binarized-digits", val_split=0), open_data("binarized-digits", val_split=0.1)
    left = {image.tobytes() for image in most.pixels}
    assert left <= {image.tobytes() for image in whole.pixels}
    assert np.array_equal(whole.labels, open_data("digits", val_split=0).labels)
    larger = open_data("binarized-digits", image_shape=(1, 16, 16))
    assert larger.pixels.shape[-2:] == (16, 16) and set(np.unique(larger.pixels)) == {0, 255}


@pytest.fixture
def mnist(tmp_path, make, monkeypatch):
    monkeypatch.setenv("GENZOO_DATA", str(tmp_path))
    make.mnist(tmp_path, count=300)


def test_the_test_images_of_dynamic_mnist_are_fixed(mnist):
    test = open_data("dynamic-binarized-mnist", split="test")
    assert (test.transform, test.name, test.split, test.grey) == (
        "dynamic-binarised",
        "dynamic-binarized-mnist",
        "test",
        None,
    )
    assert np.array_equal(test.pixels, open_data("dynamic-binarized-mnist", split="test").pixels)
    assert set(np.unique(test.pixels)) == {0, 255}
    assert "fixed seed" in test.facts["note"] and len(test.labels) == 5


def test_the_training_images_keep_their_grey(mnist):
    train = open_data("dynamic-binarized-mnist")
    assert np.array_equal(train.grey, open_data("mnist").pixels) and set(np.unique(train.pixels)) == {0, 255}
    part = train.subset([3, 5])
    assert np.array_equal(part.grey, train.grey[[3, 5]])
    assert open_data("dynamic-binarized-mnist", image_shape=(1, 14, 14)).shape == (1, 14, 14)
    with pytest.raises(DataError, match="one channel, not 3"):
        open_data("dynamic-binarized-mnist", image_shape=(3, 28, 28))


def test_grey_must_belong_to_the_pixels():
    with pytest.raises(ArgumentError, match="grey must have the shape"):
        grey(3).replace(grey=grey(4).pixels)


def feed(images, seed=0):
    settings = Hardware(device=torch.device("cpu"), bf16=False, channels_last=False, compile=False)
    source = Loader(images, Recipe(batch_size=8, seed=seed), World(), settings)
    return lambda number: source(number).images


def test_training_draws_anew_for_every_batch_and_again_the_same_when_resumed():
    images = grey(8, 128)
    images = binarised(images, "x").replace(grey=images.pixels)
    first, second = feed(images)(0), feed(images)(1)
    assert set(first.unique().tolist()) == {0.0, 1.0} and abs(float(first.mean()) - 0.5) < 0.15
    assert not torch.equal(first, second)
    assert torch.equal(first, feed(images)(0)) and not torch.equal(first, feed(images, seed=1)(0))


def test_other_images_are_fed_as_they_are():
    assert feed(grey(8))(0).unique().tolist() == pytest.approx([64 / 255])
