"""Randomness as a function of (seed, image): the same image whatever is drawn beside it, today and after an
upgrade."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from genzoo.errors import ArgumentError
from genzoo.rng import LARGEST_SEED, Rng, check_seed, generator, mix

PINNED_UNIFORM = [
    [0.9063653532456505, 0.9896668165446781, 0.3988817660947802],
    [0.7545134190860098, 0.9761640725908921, 0.13449337146211693],
]
PINNED_NORMAL = [
    [1.3187004327774048, 2.3140246868133545, -0.256242573261261],
    [0.688761830329895, 1.980281949043274, -1.1053990125656128],
]
PINNED_MIX = (7090855911469569653, 5551047302632703350)

seeds = st.integers(0, LARGEST_SEED)


class TestDraws:
    @given(seeds, st.integers(0, 2**40), st.integers(1, 6), st.data())
    def test_an_image_is_the_same_whatever_is_drawn_beside_it(self, seed, first, n, data):
        i = data.draw(st.integers(0, n - 1))
        assert torch.equal(Rng(seed, first, n).uniform(3, 2)[i], Rng(seed, first + i, 1).uniform(3, 2)[0])

    @given(seeds, st.integers(1, 5), st.integers(1, 5))
    def test_calls_continue_the_stream(self, seed, a, b):
        draws = Rng(seed, 0, 2)
        assert torch.equal(torch.cat([draws.uniform(a), draws.uniform(b)], 1), Rng(seed, 0, 2).uniform(a + b))

    @given(seeds, seeds)
    def test_images_and_seeds_differ(self, one, other):
        rows = Rng(one, 0, 8).uniform(4)
        assert len({tuple(row) for row in rows.tolist()}) == 8
        if one != other:
            assert not (rows == Rng(other, 0, 8).uniform(4)).any()

    def test_neighbouring_images_do_not_overlap(self):
        """Image i + 1 is not image i a few numbers later, as it would be if their counters lay side by
        side."""
        rows = Rng(0, 0, 3).uniform(4096)
        assert len(set(rows.flatten().tolist())) == 3 * 4096

    def test_pinned(self):
        """These very numbers: an upgrade of NumPy or torch that changes them changes everybody's images."""
        uniform = Rng(7, 2, 2).uniform(3)
        assert uniform.tolist() == PINNED_UNIFORM
        np.testing.assert_allclose(Rng(7, 2, 2).normal(3).numpy(), PINNED_NORMAL, rtol=1e-6)

    def test_moments(self):
        uniform, normal = Rng(1, 0, 40).uniform(5000), Rng(1, 0, 40).normal(5000).double()
        assert abs(uniform.mean() - 1 / 2) < 0.003 and abs(uniform.var() - 1 / 12) < 0.001
        assert abs(normal.mean()) < 0.01 and abs(normal.var() - 1) < 0.015
        assert abs((normal**3).mean()) < 0.03 and abs((normal**4).mean() - 3) < 0.1
        correlation = np.corrcoef(normal.numpy())
        assert np.abs(correlation - np.eye(40)).max() < 0.08  # between images: 5 σ of 1/sqrt(5000)

    def test_normal_is_the_inverse_distribution_function_of_uniform(self):
        uniform, normal = Rng(3, 0, 4).uniform(1000), Rng(3, 0, 4).normal(1000)
        torch.testing.assert_close(torch.special.ndtr(normal.double()), uniform, rtol=1e-4, atol=1e-6)

    @pytest.mark.parametrize("raw", [0, 2**64 - 1])
    def test_never_0_nor_1_so_that_no_normal_is_infinite(self, raw, monkeypatch):
        monkeypatch.setattr(Rng, "_raw", lambda self, size: np.full((1, size), raw, np.uint64))
        draws = Rng(0, 0, 1)
        assert 0 < draws.uniform(1).item() < 1
        assert torch.isfinite(draws.normal(1)).all()

    def test_shapes_and_types(self):
        draws = Rng(0, 5, 3)
        assert draws.uniform().shape == (3,)
        assert draws.uniform(2, 0).shape == (3, 2, 0)
        assert (draws.uniform(1).dtype, draws.normal(1, 2).dtype, draws.normal(1, 2).shape) == (
            torch.float64,
            torch.float32,
            (3, 1, 2),
        )

    def test_who_watches_is_told_and_numbers_stay_the_same(self):
        told = []
        watched = Rng(3, 0, 2, watch=lambda *state: told.append(state))
        watched.tell(1, 4)
        assert told == [(1, 4)] and torch.equal(watched.uniform(5), Rng(3, 0, 2).uniform(5))
        assert Rng(3, 0, 2).tell(1, 4) is None


class TestSeed:
    @pytest.mark.parametrize(
        "seed", [0, 7, LARGEST_SEED, np.int64(3), np.uint8(3), torch.tensor(3), np.array(3)]
    )
    def test_whole_numbers(self, seed):
        assert check_seed(seed) == int(seed)
        assert type(check_seed(seed)) is int

    def test_none_is_fresh(self):
        drawn = {check_seed(None) for _ in range(20)}
        assert len(drawn) == 20
        assert all(0 <= seed <= LARGEST_SEED for seed in drawn)

    @pytest.mark.parametrize(
        "seed",
        [
            -1,
            2**63,
            pytest.param(10**5000, id="huge"),
            pytest.param(-(10**5000), id="-huge"),
            1.5,
            1.0,
            True,
            False,
            "3",
            b"3",
            [],
            np.float32(1),
            np.float64(1),
            np.bool_(True),
            np.arange(2),
            torch.tensor(1.5),
            torch.arange(3),
            object(),
            float("nan"),
            1j,
        ],
    )
    def test_everything_else_is_refused_in_one_line(self, seed):
        with pytest.raises(ArgumentError, match="seed must") as caught:
            check_seed(seed)
        assert "seed=0" in caught.value.hint
        assert str(caught.value).isprintable()


class TestMix:
    @given(seeds, seeds)
    def test_in_range_and_different(self, a, b):
        assert 0 <= mix(a, "x") <= LARGEST_SEED
        assert (mix(a, "x") == mix(b, "x")) == (a == b)

    def test_pinned(self):
        assert (mix(0, "flip", 1), mix("weights")) == PINNED_MIX

    def test_parts_do_not_run_together(self):
        assert len({mix(1, 23), mix(12, 3), mix(123), mix(3, 12)}) == 4

    def test_a_generator_is_a_function_of_its_parts(self):
        one, same, other = (
            torch.rand(3, generator=generator(*parts)) for parts in ((0, "a"), (0, "a"), (0, "b"))
        )
        assert torch.equal(one, same)
        assert not torch.equal(one, other)
