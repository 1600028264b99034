"""What is held out: by hash, so that nothing moves; by group, so that nothing is torn apart."""

import numpy as np
import pytest

from genzoo.data import Images, open_data
from genzoo.data.splits import fractions, held_out_mask, hold_out
from genzoo.errors import ArgumentError, DataError


def some(count, **changes):
    pixels = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 2, 2), np.uint8)
    return Images(pixels=pixels, labels=np.arange(count), **changes)


def test_the_first_fractions_never_change():
    assert [value.hex() for value in fractions(["0", "größe"])] == ["0x1.7fb3ad9bff21ap-2", "0x1.a6a744ce36cf5p-1"]
    assert np.flatnonzero(held_out_mask(fractions(map(str, range(60))), 0.1)).tolist() == [9, 39, 49, 51, 55]


def test_the_parts_are_disjoint_and_complete():
    images = some(200)
    train, test = (hold_out(images, None, split, 0.1) for split in ("train", "test"))
    assert sorted([*train.labels, *test.labels]) == list(range(200))
    assert 10 <= len(test) <= 30 and test.split == "test" and train.split == "train"
    assert np.array_equal(test.pixels[:, 0, 0, 0], test.labels)  # labels go with their images


def test_more_keys_move_none_of_the_old_ones():
    keys = [f"{i}.png" for i in range(300)]
    few = held_out_mask(fractions(keys[:200]), 0.2)
    assert np.array_equal(held_out_mask(fractions(keys), 0.2)[:200], few)


def test_groups_stay_together():
    keys = [f"person {i // 4}" for i in range(400)]
    train, test = (hold_out(some(200), keys[:200], split, 0.3) for split in ("train", "test"))
    assert not {keys[i] for i in train.labels} & {keys[i] for i in test.labels}


@pytest.mark.parametrize("count", [2, 3, 5])
def test_however_small_both_parts_have_something(count):
    for share in (0.01, 0.9):
        mask = held_out_mask(fractions(f"{count}{i}" for i in range(count)), share)
        assert 0 < mask.sum() < count


def test_nothing_held_out_says_how_to_get_a_test_split():
    assert len(hold_out(some(20), None, "train", 0)) == 20
    with pytest.raises(DataError, match=r"held_out is 0 — set held_out=0\.1"):
        hold_out(some(20), None, "test", 0)
    with pytest.raises(DataError, match="cannot be divided"):
        hold_out(some(1), None, "test", 0.5)
    assert len(hold_out(some(1), None, "train", 0.5)) == 1


@pytest.mark.parametrize("held_out", [-0.1, 0.95, True, "0.1", float("nan"), None])
def test_a_wrong_share_is_named(held_out):
    with pytest.raises(ArgumentError, match=r"held_out must be a number between 0 and 0.9"):
        open_data("digits", held_out=held_out)


def test_a_wrong_split_names_those_that_there_are():
    with pytest.raises(ArgumentError, match="there are train, valid, test"):
        open_data("digits", split="dev")
    with pytest.raises(ArgumentError, match="digits has no split 'valid' — there are train, test"):
        open_data("digits", split="valid")
