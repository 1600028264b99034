"""Pixels from an array, from a device that holds them, and from memory that is filled ahead."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
import toys

from genzoo.data import Images, batch_indices
from genzoo.errors import DataError
from genzoo.training.hardware import choose
from genzoo.training.loader import Loader
from genzoo.training.parallel import World
from genzoo.training.supply import Ahead, Resident, supply

CPU = torch.device("cpu")


def rows(number):
    return batch_indices(50, 8, number, 0)


@pytest.fixture
def images():
    pixels = np.random.default_rng(0).integers(0, 256, (50, 3, 6, 5), np.uint8)
    return Images(pixels=pixels, name="random")


def test_all_three_give_the_same_bits(images):
    plain = supply(images, rows, CPU)
    pinned = []
    ahead = Ahead(images, rows, CPU, pin=lambda pixels: pinned.append(pixels) or pixels)
    resident = Resident(images, rows, CPU)
    for number in (0, 1, 2, 7, 8, 3):
        expected = plain(number)
        assert torch.equal(ahead(number), expected) and torch.equal(resident(number), expected)
        assert expected.dtype == torch.float32 and expected.shape == (8, 3, 6, 5)
    assert all(pixels.dtype == torch.uint8 for pixels in pinned)


def test_the_next_batch_is_read_while_one_is_used(images):
    read, done = [], threading.Event()

    def watched(number):
        read.append((number, threading.current_thread() is threading.main_thread()))
        if number == 4:
            done.set()
        return rows(number)

    ahead = Ahead(images, watched, CPU, pin=lambda pixels: pixels)
    ahead(3)
    assert done.wait(30) and read == [(3, False), (4, False)]
    ahead(4)
    ahead(5)
    assert [number for number, _ in read].count(4) == 1  # it was there already


def test_an_error_of_the_reader_is_raised_where_the_batch_is_used(images):
    def broken(number):
        if number == 1:
            raise DataError("the disk is gone")
        return rows(number)

    ahead = Ahead(images, broken, CPU, pin=lambda pixels: pixels)
    ahead(0)
    with pytest.raises(DataError, match="the disk is gone"):
        ahead(1)
    ahead(2)


def test_the_size_decides(images, monkeypatch):
    gpu = torch.device("cuda")
    made = torch.tensor
    monkeypatch.setattr(torch, "tensor", lambda data, device: made(data))
    size = images.pixels.nbytes
    assert isinstance(supply(images, rows, gpu), Resident)
    assert isinstance(supply(images, rows, gpu, room=size), Resident)
    assert isinstance(supply(images, rows, gpu, room=size - 1), Ahead)
    assert not isinstance(supply(images, rows, CPU, room=0), Ahead)


def test_a_run_ends_with_the_same_bits(start, digits, monkeypatch):
    """The loader's own path, as on a GPU that is too small for the set."""

    def ahead(images, rows, device):
        return Ahead(images, rows, device, pin=lambda pixels: pixels)

    plain = start(flip=True, shift=1)
    monkeypatch.setattr("genzoo.training.loader.supply", ahead)
    sent = start(flip=True, shift=1)
    for run in (plain, sent):
        torch.manual_seed(0)
        for _ in range(3):
            run.play_round()
    for key, value in plain.model.state_dict().items():
        assert torch.equal(value, sent.model.state_dict()[key])


def test_the_whole_batch_for_one_process(digits):
    recipe = toys.RECIPE.replace(flip=True)
    part = Loader(digits, recipe, World(1, 2), choose(recipe, "cpu"))
    alone = Loader(digits, recipe, World(), choose(recipe, "cpu"))
    assert torch.equal(part.whole(3).images, alone(3).images) and len(part(3)) == 8
    assert alone.whole is alone
