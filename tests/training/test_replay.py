"""The pool of old fakes."""

from __future__ import annotations

import pytest
import torch
from toys import ToyConfig, ToyGAN

from genzoo.rng import generator
from genzoo.training.replay import BATCHES, Pool

SHAPE, BATCH = (1, 8, 8), 32
MODEL = ToyGAN(ToyConfig())


def fakes(turn):
    """Return a batch whose grey level tells the turn that it was drawn in."""
    return torch.full((BATCH, *SHAPE), turn / 255)


def play(pool, turns, first=1):
    return [pool(fakes(turn), generator("replay", turn))[0] for turn in range(first, first + turns)]


def turns_of(images):
    return (images * 255).round().amax((1, 2, 3)).int()


def filled(share=0.5):
    pool = Pool(MODEL, BATCH, share)
    shown = play(pool, 160)
    assert int(pool.filled) == len(pool.images) == BATCHES * BATCH
    return pool, shown


def test_until_the_pool_is_full_d_sees_what_g_drew():
    for turn, shown in enumerate(filled()[1], 1):
        assert torch.equal(shown, fakes(turn))


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_then_a_share_is_old(share):
    pool, _ = filled(share)
    for turn, shown in enumerate(play(pool, 50, 161), 161):
        old = turns_of(shown) < turn
        assert old.sum() == share * BATCH
        assert torch.equal(shown[~old], fakes(turn)[~old])


def test_old_ones_are_of_many_turns_and_stay_for_long():
    pool, _ = filled()
    ages = torch.cat([turn - turns_of(shown) for turn, shown in enumerate(play(pool, 60, 161), 161)])
    ages = ages[ages > 0].float()
    assert 60 < ages.mean() < 200 and len(ages.unique()) > 60
    left = turns_of(pool.images.float() / 255)
    assert (left > 160).sum() > 60 and (left <= 160).sum() > 60  # new ones enter, old ones stay


def test_it_goes_on_from_its_state():
    """What a checkpoint keeps is all there is; the noise of a turn comes from the loop."""
    pool, _ = filled()
    other = Pool(MODEL, BATCH, 0.5)
    other.load_state_dict({key: value.clone() for key, value in pool.state_dict().items()})
    for one, two in zip(play(pool, 5, 161), play(other, 5, 161), strict=True):
        assert torch.equal(one, two)
    assert torch.equal(pool.images, other.images)


def test_a_smaller_batch_and_the_memory_layout():
    pool, _ = filled()
    few = fakes(200)[:3].contiguous(memory_format=torch.channels_last)
    (shown,) = pool(few, generator("replay"))
    assert shown.shape == few.shape and shown.stride() == few.stride() and (turns_of(shown) < 200).sum() == 2
