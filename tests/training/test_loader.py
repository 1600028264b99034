"""Batches as a function of (seed, number), of which each rank has its rows."""

from __future__ import annotations

import numpy as np
import torch
import toys

from genzoo.data import Images, batch_indices
from genzoo.data.jitter import moved
from genzoo.training.hardware import choose
from genzoo.training.loader import Loader
from genzoo.training.parallel import World


class _Fed(Loader):
    def __call__(self, number):
        return super().__call__(number).images


def feed(digits, world=None, **changes):
    """The images of each batch."""
    recipe = toys.RECIPE.replace(**{"batch_size": 32, **changes})
    return _Fed(digits, recipe, world or World(), choose(recipe, "cpu"))


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
    plain, flipped = feed(digits, batch_size=512)(0), feed(digits, batch_size=512, flip=True)(0)
    mirrored = (flipped == plain.flip(3)).flatten(1).all(1)
    kept = (flipped == plain).flatten(1).all(1)
    assert (mirrored | kept).all()
    assert 200 < mirrored.sum() < 312
    other = feed(digits, batch_size=512, flip=True)
    assert not torch.equal((other(1) == feed(digits, batch_size=512)(1)).flatten(1).all(1), kept)


def test_ranks_share_a_batch_and_nothing_is_seen_twice(digits):
    parts = [feed(digits, world=World(rank, 4))(5) for rank in range(4)]
    assert [len(part) for part in parts] == [8, 8, 8, 8]
    assert torch.equal(torch.cat(parts), feed(digits)(5))


def test_ranks_flip_differently(digits):
    same = Images(pixels=np.tile(digits.pixels[:1], (64, 1, 1, 1)))
    one, other = (feed(same, batch_size=64, flip=True, world=World(rank, 2))(0) for rank in range(2))
    assert not torch.equal(one, other)


def test_ranks_have_the_coins_of_one_process(digits):
    grey = Images(pixels=np.zeros_like(digits.pixels), grey=np.full_like(digits.pixels, 90))
    for data, keys in ((digits, {"flip": True, "shift": 2}), (grey, {})):
        parts = [feed(data, world=World(rank, 4), **keys)(5) for rank in range(4)]
        assert torch.equal(torch.cat(parts), feed(data, **keys)(5))
        assert 0 < torch.cat(parts).mean() < 1


def test_shifts_move_each_image_by_itself_and_evenly(digits):
    """Nine places, an equal share of the images in each; looked up in the enlarged image, so the edge must
    have been repeated."""
    plain, moved = feed(digits, batch_size=900)(0), feed(digits, batch_size=900, shift=1)(0)
    large = torch.nn.functional.pad(plain, (1, 1, 1, 1), mode="replicate")
    places = torch.stack(
        [(large[:, :, y : y + 8, x : x + 8] == moved).flatten(1).all(1) for y in range(3) for x in range(3)]
    )
    assert places.any(0).all()
    alone = places[:, places.sum(0) == 1].sum(1)  # an image with empty edges may look alike in two places
    assert len(alone) == 9 and (alone - alone.float().mean()).abs().max() < 40


def test_a_shift_goes_the_way_it_says():
    dot = torch.zeros(2, 3, 5, 7)
    dot[:, :, 2, 3] = 1
    images = moved(dot, torch.tensor([1, 0]), torch.tensor([0, -2]))
    assert images.sum() == 6 and (images[0, :, 3, 3] == 1).all() and (images[1, :, 2, 1] == 1).all()


def test_shifts_end_at_their_batch_and_differ_from_batch_to_batch_and_rank_to_rank(digits):
    fed, plain = feed(digits, shift=2, shift_until=3), feed(digits)
    assert [torch.equal(fed(number), plain(number)) for number in range(5)] == [
        False,
        False,
        False,
        True,
        True,
    ]
    assert torch.equal(fed(1), feed(digits, shift=2)(1)) and not torch.equal(
        feed(digits, shift=2)(4), plain(4)
    )
    same = Images(pixels=np.tile(digits.pixels[:1], (64, 1, 1, 1)))
    fed, other = (feed(same, batch_size=64, shift=1, world=World(rank, 2)) for rank in range(2))
    assert (
        not torch.equal(fed(0), other(0)) and not torch.equal(fed(0), fed(1)) and torch.equal(fed(1), fed(1))
    )


def test_memory_layout():
    data = Images(pixels=np.zeros((4, 3, 8, 8), np.uint8))
    assert feed(data, batch_size=2)(0).is_contiguous(memory_format=torch.channels_last)
    assert feed(data, batch_size=2, channels_last="off")(0).is_contiguous()
