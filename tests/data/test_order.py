"""The order of the data: each epoch shows every image once, and a batch depends on nothing but its number."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genzoo.data import batch_indices, order
from genzoo.errors import ArgumentError


def test_the_first_permutations_never_change():
    assert order(0, 0, 10).tolist() == [0, 2, 9, 1, 8, 5, 4, 3, 6, 7]
    assert order(7, 3, 10).tolist() == [2, 5, 9, 7, 3, 0, 6, 8, 4, 1]
    assert order(2**63 - 1, 0, 6).tolist() == [1, 3, 2, 4, 0, 5]


@settings(deadline=None)  # machines are busy
@given(seed=st.integers(0, 2**63 - 1), epoch=st.integers(0, 10**6), n=st.integers(1, 300))
def test_an_order_is_a_permutation(seed, epoch, n):
    assert sorted(order(seed, epoch, n).tolist()) == list(range(n))


def test_orders_differ_by_seed_and_by_epoch_and_cannot_be_spoilt():
    orders = {tuple(order(seed, epoch, 50)) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25
    with pytest.raises(ValueError, match="read-only"):
        order(0, 0, 50)[0] = 1


@settings(deadline=None)  # machines are busy
@given(n=st.integers(1, 40), batch=st.integers(1, 90), seed=st.integers(0, 5))
def test_the_stream_of_batches_is_the_epochs_one_after_another(n, batch, seed):
    stream = np.concatenate([batch_indices(n, batch, number, seed) for number in range(6)])
    epochs = -(-len(stream) // n)
    assert np.array_equal(
        stream, np.concatenate([order(seed, epoch, n) for epoch in range(epochs)])[: len(stream)]
    )


def test_a_batch_alone_is_the_batch_in_its_run():
    run = [batch_indices(37, 8, number, 3).tolist() for number in range(60)]
    for number in (59, 0, 31, 7, 30):
        assert batch_indices(37, 8, number, 3).tolist() == run[number]


def test_places_are_evenly_taken():
    firsts = np.bincount([order(seed, 0, 4)[0] for seed in range(4000)], minlength=4)
    assert (abs(firsts - 1000) < 120).all()  # four standard deviations and more


@pytest.mark.parametrize(
    "change",
    [{"n": 0}, {"batch": 0}, {"number": -1}, {"seed": -1}, {"seed": 1.5}, {"n": True}, {"seed": 2**64}],
)
def test_wrong_numbers_are_named(change):
    with pytest.raises(ArgumentError, match=f"{next(iter(change))} must be a whole number"):
        batch_indices(**{"n": 10, "batch": 2, "number": 0, "seed": 0, **change})
