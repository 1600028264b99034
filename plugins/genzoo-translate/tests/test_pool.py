"""The pool of 50 translations: each is shown first or kept, and half of those shown are old."""

from __future__ import annotations

import pytest
import torch
from genzoo_translate.pool import Pool

from genzoo.rng import generator

SIZE = 50


def numbered(first, n=1):
    """Pictures of one pixel, each with its number."""
    return torch.arange(first, first + n, dtype=torch.float32)[:, None, None, None]


def played(kind=Pool, turns=1200, n=1, size=SIZE):
    """Return what a pool shows of numbered pictures, turn by turn, (turns, n)."""
    pool, noise = kind(size, (1, 1, 1)), generator("pool")
    shown = [pool(numbered(n * turn, n), noise).flatten() for turn in range(turns)]
    return pool, torch.stack(shown)


class Missing(Pool):
    """No pool: each translation is shown as it comes."""

    def forward(self, fakes, rng):
        self.filled.fill_(len(self.images))
        return fakes


class Always(Pool):
    """A full pool always gives an old one."""

    def forward(self, fakes, rng):
        shown = super().forward(fakes, rng)
        for i, fake in enumerate(fakes):
            if shown[i] == fake and int(self.filled) == len(self.images):
                shown[i], self.images[0] = self.images[0].clone(), fake
        return shown


class Copied(Pool):
    """An old one that is shown stays in the pool as well."""

    def forward(self, fakes, rng):
        before, full = self.images.clone(), int(self.filled) == len(self.images)
        shown = super().forward(fakes, rng)
        if full:
            self.images.copy_(before)
        return shown


def check(kind):
    pool, shown = played(kind)
    own = torch.arange(len(shown), dtype=torch.float32)
    shown = shown[:, 0]
    assert torch.equal(shown[:SIZE], own[:SIZE])  # until it is full, it shows what it is given
    later = shown[SIZE:]
    assert 0.45 < (later != own[SIZE:]).float().mean() < 0.55
    # what was shown and kept at first may come once more; of the others, none is shown twice
    assert len(later.unique()) == len(later)
    assert len(pool.images.unique()) == SIZE


def test_it_is_the_pool_of_the_paper():
    check(Pool)


def test_an_old_one_was_kept_for_about_as_many_swaps_as_the_pool_is_large():
    _, shown = played(turns=1500)
    age = (torch.arange(1500.0) - shown[:, 0])[500:]
    assert 1.6 * SIZE < age[age > 0].mean() < 2.4 * SIZE  # one swap in two turns


@pytest.mark.parametrize("kind", [Missing, Always, Copied], ids=lambda kind: kind.__name__)
def test_a_bug_would_be_seen(kind):
    with pytest.raises(AssertionError):
        check(kind)


def test_a_batch_is_taken_one_after_another():
    pool, shown = played(turns=1, n=7, size=5)
    assert torch.equal(shown[0, :5], torch.arange(5.0))
    assert int(pool.filled) == 5
    assert set(shown[0].tolist()) | set(pool.images.flatten().tolist()) == set(map(float, range(7)))


def test_what_it_shows_is_no_view_of_what_it_keeps():
    pool = Pool(2, (1, 1, 1))
    given = numbered(1)
    shown = pool(given, generator("x"))
    given.zero_(), shown.zero_()
    assert pool.images.flatten().tolist() == [1.0, 0.0]


def test_its_state_is_all_in_buffers():
    pool, _ = played(turns=60, size=8)
    again = Pool(8, (1, 1, 1))
    again.load_state_dict(pool.state_dict())
    ends = [p(numbered(100, 20), generator("next")) for p in (pool, again)]
    assert torch.equal(*ends) and torch.equal(pool.images, again.images)
    assert not list(pool.parameters())
