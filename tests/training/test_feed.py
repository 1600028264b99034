"""Batches as a function of (seed, number, rank)."""

from __future__ import annotations

import numpy as np
import torch
import toys

from genzoo.data import Images, batch_indices
from genzoo.training.feed import Feed
from genzoo.training.parallel import World
from genzoo.training.settings import settle


def feed(digits, batch=32, seed=0, flip=False, world=None, **recipe):
    return Feed(digits, batch, seed, flip, world or World(), settle(toys.RECIPE.replace(**recipe), "cpu"))


def test_a_batch_is_a_function_of_seed_and_number(digits):
    one, again = feed(digits, flip=True), feed(digits, flip=True)
    third = one(3)
    one(0)
    assert torch.equal(third, again(3))
    assert not torch.equal(third, again(4))
    assert not torch.equal(third, feed(digits, seed=1, flip=True)(3))


def test_it_is_the_images_of_the_order(digits):
    given = feed(digits)(58)  # reaches into the second epoch
    assert torch.equal(given, digits.float(batch_indices(len(digits), 32, 58, 0)))
    assert given.dtype == torch.float32 and given.min() >= 0 and given.max() <= 1


def test_flips_mirror_about_half(digits):
    plain, flipped = feed(digits, batch=512)(0), feed(digits, batch=512, flip=True)(0)
    mirrored = (flipped == plain.flip(3)).flatten(1).all(1)
    kept = (flipped == plain).flatten(1).all(1)
    assert (mirrored | kept).all()
    assert 200 < mirrored.sum() < 312
    other = feed(digits, batch=512, flip=True)
    assert not torch.equal((other(1) == feed(digits, batch=512)(1)).flatten(1).all(1), kept)


def test_ranks_share_a_batch_and_nothing_is_seen_twice(digits):
    parts = [feed(digits, world=World(rank, 4))(5) for rank in range(4)]
    assert [len(part) for part in parts] == [8, 8, 8, 8]
    assert torch.equal(torch.cat(parts), feed(digits)(5))


def test_ranks_flip_differently(digits):
    same = Images(pixels=np.tile(digits.pixels[:1], (64, 1, 1, 1)))
    one, other = (feed(same, batch=64, flip=True, world=World(rank, 2))(0) for rank in range(2))
    assert not torch.equal(one, other)


def test_memory_layout():
    data = Images(pixels=np.zeros((4, 3, 8, 8), np.uint8))
    assert feed(data, batch=2)(0).is_contiguous(memory_format=torch.channels_last)
    assert feed(data, batch=2, channels_last="off")(0).is_contiguous()
