"""Held-out pictures of a data set next to what a translator makes of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from told_toys import Columned, Cycle, Paired, card

from genzoo.data import Images
from genzoo.errors import ArgumentError, DataError, UnknownNameError
from genzoo.evaluation.held_out import every_way, held_out
from genzoo.evaluation.inputs import subset
from genzoo.explore.figure import above, stacked
from genzoo.images import grid


def made(kind):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return card(kind).build().eval()


def noise(n, channels=1, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, channels, 8, 8), dtype=np.uint8)


PAIRS = Columned(pixels=noise(7), source=noise(7, 3, 1), name="pairs", split="test")
SIDES = Columned(
    pixels=noise(7), other=Images(pixels=noise(9, 1, 2), name="sides"), name="sides", split="test"
)


def floats(pixels, rows):
    return torch.from_numpy(pixels[rows]).float() / 255


def rows_of(count, n, seed=0):
    return sorted(subset(count, n, seed, "shown").tolist())


class TestPairs:
    def test_a_source_stands_above_its_translation_and_its_own_target(self):
        model, rows = made(Paired), rows_of(7, 4)
        found = held_out(model, PAIRS, 4)
        assert torch.equal(found.pictures, floats(PAIRS.source, rows))
        assert torch.equal(found.targets, floats(PAIRS.pixels, rows))
        assert torch.equal(found.translated, model.translate(found.pictures, seed=0))
        assert found.back is None

    def test_rows_have_equally_many_channels(self):
        found = held_out(made(Paired), PAIRS, 4)
        assert [tuple(row.shape) for row in found.rows] == [(4, 3, 8, 8)] * 3
        assert torch.equal(found.rows[1][:, 2:], found.translated)

    def test_the_seed_chooses_the_pictures_and_the_noise(self):
        model = made(Paired)
        one, other = held_out(model, PAIRS, 4, seed=1), held_out(model, PAIRS, 4, seed=5)
        assert torch.equal(one.pictures, floats(PAIRS.source, rows_of(7, 4, 1)))
        assert not torch.equal(one.pictures, other.pictures)
        assert torch.equal(other.translated, model.translate(other.pictures, seed=5))

    def test_all_of_them_if_there_are_fewer(self):
        assert len(held_out(made(Paired), PAIRS, 50).pictures) == 7

    def test_one_direction_has_no_way_back(self):
        with pytest.raises(ArgumentError, match="knows one direction"):
            held_out(made(Paired), PAIRS, 4, cycle=True)


class TestSides:
    @pytest.mark.parametrize(("to", "start", "count"), [("zebra", "horse", 7), ("horse", "zebra", 9)])
    def test_pictures_are_those_of_the_other_domain(self, to, start, count):
        model, pixels = made(Cycle), SIDES.pixels if to == "zebra" else SIDES.other.pixels
        found = held_out(model, SIDES, 4, to)
        assert torch.equal(found.pictures, floats(pixels, rows_of(count, 4)))
        assert torch.equal(found.translated, model.translate(found.pictures, to))
        assert found.targets is None and len(found.rows) == 2

    def test_the_way_back_starts_from_the_translation(self):
        model = made(Cycle)
        found = held_out(model, SIDES, 4, "horse", cycle=True)
        assert torch.equal(found.back, model.translate(found.translated, "zebra"))
        assert torch.equal(found.rows[2], found.back)

    def test_progress_counts_both_ways(self):
        told = []
        held_out(made(Cycle), SIDES, 3, cycle=True, progress=lambda *numbers: told.append(numbers))
        assert told == [(64 * i, 192) for i in (1, 2, 3)] * 2

    def test_what_is_wrong_is_named(self):
        model = made(Cycle)
        with pytest.raises(UnknownNameError, match="did you mean 'zebra'"):
            held_out(model, SIDES, 4, "zebar")
        with pytest.raises(DataError, match="single images, but this model takes a picture"):
            held_out(model, Images(pixels=noise(5), name="single"), 4)
        with pytest.raises(ArgumentError, match="n must be"):
            held_out(model, SIDES, 0)


def test_a_picture_of_rows_is_cut_into_lines():
    first, second = torch.rand(2, 5, 1, 8, 8)
    picture = stacked([first, second], 3)
    parts = [
        grid(torch.cat([one, other]), columns=len(one))
        for one, other in ((first[:3], second[:3]), (first[3:], second[3:]))
    ]
    assert picture.size == (parts[0].width, parts[0].height + 8 + parts[1].height)
    assert picture.crop((0, 0, *parts[0].size)).tobytes() == parts[0].tobytes()
    low = picture.crop((0, parts[0].height + 8, parts[1].width, picture.height))
    assert low.tobytes() == parts[1].tobytes()


class TestEveryWay:
    def test_pairs_have_one_block_with_their_targets(self):
        model = made(Paired)
        expected = stacked(held_out(model, PAIRS, 4, seed=1).rows, 4)
        assert every_way(model, PAIRS, 4, seed=1).tobytes() == expected.tobytes()

    def test_sides_have_a_block_for_each_direction_with_the_way_back(self):
        model = made(Cycle)
        there, back = (held_out(model, SIDES, 9, to, cycle=True) for to in ("zebra", "horse"))
        assert (len(there.pictures), len(back.pictures), len(back.rows)) == (7, 9, 3)
        expected = above(stacked(there.rows, 7), stacked(back.rows, 9))
        assert every_way(model, SIDES, 9).tobytes() == expected.tobytes()
