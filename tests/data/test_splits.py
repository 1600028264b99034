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
    assert [value.hex() for value in fractions(["0", "größe"])] == [
        "0x1.7fb3ad9bff21ap-2",
        "0x1.a6a744ce36cf5p-1",
    ]
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
    with pytest.raises(DataError, match=r"val_split is 0 — set val_split=0\.1"):
        hold_out(some(20), None, "test", 0)
    with pytest.raises(DataError, match="cannot be divided"):
        hold_out(some(1), None, "test", 0.5)
    assert len(hold_out(some(1), None, "train", 0.5)) == 1


@pytest.mark.parametrize("val_split", [-0.1, 0.95, True, "0.1", float("nan"), None])
def test_a_wrong_share_is_named(val_split):
    with pytest.raises(ArgumentError, match=r"val_split must be a number between 0 and 0.9"):
        open_data("digits", val_split=val_split)


def test_a_wrong_split_names_those_that_there_are():
    with pytest.raises(ArgumentError, match="there are train, valid, test, fit"):
        open_data("digits", split="dev")


@pytest.mark.parametrize("share", [0, 0.1, 0.5])
@pytest.mark.parametrize("count", [9, 30, 250])
def test_validation_images_are_a_part_of_train_and_none_of_test(count, share):
    images = some(count)
    parts = {
        split: {x.tobytes() for x in hold_out(images, None, split, share).pixels}
        for split in ("train", "valid", "fit")
    }
    assert parts["valid"] and parts["fit"] and not parts["valid"] & parts["fit"]
    # what recipes have always trained on stays what it was
    assert parts["valid"] | parts["fit"] == parts["train"]
    if share:
        test = {x.tobytes() for x in hold_out(images, None, "test", share).pixels}
        assert not test & parts["train"] and len(test | parts["train"]) == count
    if count == 250:
        assert len(parts["valid"]) == pytest.approx(0.1 * len(parts["train"]), rel=0.7)


def test_no_block_is_torn_apart_by_any_split():
    keys = [f"person {i // 7}" for i in range(210)]
    for splits in (("train", "test"), ("fit", "valid"), ("valid", "test")):
        one, other = (
            {keys[int(x[0, 0, 0])] for x in hold_out(some(210), keys, split, 0.2).pixels} for split in splits
        )
        assert one and other and not one & other


def test_images_know_what_belongs_together():
    keys = [f"person {i // 7}" for i in range(210)]
    test = hold_out(some(210), keys, "test", 0.2, together=True)
    assert len(np.unique(test.blocks)) == len({keys[int(x[0, 0, 0])] for x in test.pixels}) == len(test) / 7
    again = hold_out(test.replace(split="all"), None, "train", 0.5)
    assert set(np.unique(again.blocks, return_counts=True)[1]) == {7}
    assert hold_out(some(20), None, "test", 0.2).blocks is None


def test_an_array_file_may_say_what_belongs_together(tmp_path):
    frames = np.arange(60, dtype=np.uint8)[:, None, None].repeat(8, 1).repeat(8, 2)
    np.savez(tmp_path / "film.npz", images=frames, blocks=np.arange(60) // 6)
    sides = [open_data(tmp_path / "film.npz", split=split, val_split=0.3) for split in ("train", "test")]
    shots = [set((images.pixels[:, 0, 0, 0] // 6).tolist()) for images in sides]
    assert not shots[0] & shots[1] and all(
        len(np.unique(images.blocks)) == len(shot) for images, shot in zip(sides, shots, strict=True)
    )
