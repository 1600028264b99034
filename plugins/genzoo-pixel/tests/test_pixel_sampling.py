"""Cached and naive sampling give the same images, bit for bit, and no pixel is computed twice."""

import pytest
import torch
from genzoo_pixel import sampler
from genzoo_pixel.sampler import CachedConv

from genzoo.noise import Draws

LEVELS = {"bernoulli": None, "softmax": 5, "logistic": 4}


def both(model, x, mask, seed=0):
    with torch.inference_mode():
        cached = model._complete(x, mask, Draws(seed, 0, len(x)))
        naive = model._complete_naively(x, mask, Draws(seed, 0, len(x)))
    return cached, naive


@pytest.mark.parametrize("size", [(3, 5), (1, 4), (4, 1)], ids=str)
def test_cached_and_naive_images_are_equal(make, kind, head, channels, size):
    model = make(kind, head=head, levels=LEVELS[head], image_shape=(channels, *size))
    noise = torch.Generator().manual_seed(1)
    x = torch.randint(0, model.levels, (4, channels, *size), generator=noise) / (model.levels - 1)
    mask = torch.rand(4, channels, *size, generator=noise) < 0.3
    mask[0] = False
    cached, naive = both(model, x, mask)
    assert torch.equal(cached, naive) and len(cached.unique()) > 1
    assert torch.equal(cached[mask].float(), x[mask])


def test_the_256_levels_are_drawn_alike(make, kind):
    model = make(kind, head="softmax", image_shape=(1, 3, 3))
    nothing = torch.zeros(4, 1, 3, 3)
    cached, naive = both(model, nothing, nothing.bool())
    assert torch.equal(cached, naive) and len(cached.unique()) > 10


@pytest.mark.parametrize("channels", [1, 3])
def test_each_pixel_of_each_image_is_computed_once(make, kind, channels, monkeypatch):
    """n · H · W evaluations, in colour as well: a channel's step computes its own group of features only."""
    model, made, computed = make(kind, image_shape=(channels, 3, 4), head="bernoulli"), [], []
    plain = CachedConv.at
    monkeypatch.setattr(CachedConv, "at", lambda self, column, group: counted(plain(self, column, group), self))

    def counted(told, conv):
        made.append(conv)
        computed.append(told.shape[1])
        return told

    model._sample(Draws(0, 0, 2))
    last = made[-1]
    outs = [size for conv, size in zip(made, computed, strict=True) if conv is last]
    assert len(outs) == 3 * 4 * channels and sum(outs) == 3 * 4 * channels * model.told
    assert len({id(conv) for conv in made}) * 3 * 4 * channels == len(made)


def test_the_naive_way_runs_the_network_once_a_dimension(make, monkeypatch):
    model, calls = make("pixelcnn", image_shape=(3, 2, 2), head="bernoulli"), []
    plain = type(model)._network
    monkeypatch.setattr(type(model), "_network", lambda self, x: calls.append(len(x)) or plain(self, x))
    model._complete_naively(torch.zeros(2, 3, 2, 2), torch.zeros(2, 3, 2, 2, dtype=torch.bool), Draws(0, 0, 2))
    assert calls == [2] * 12
    model._sample(Draws(0, 0, 2))
    assert len(calls) == 12  # none in the cached way


def test_a_number_that_is_off_would_be_seen(make, monkeypatch):
    """The comparison can fail: a cache that forgets its left neighbour draws other images."""
    model = make("gated-pixelcnn", image_shape=(1, 4, 5), head="softmax")
    nothing = torch.zeros(4, 1, 4, 5)
    monkeypatch.setattr(CachedConv, "put", lambda self, column, group, value: None)
    cached, naive = both(model, nothing, nothing.bool())
    assert not torch.equal(cached, naive)


def test_whoever_waits_is_told_of_every_pixel(make, kind):
    told = []
    make(kind, image_shape=(1, 3, 4), head="bernoulli").sample(2, seed=0, progress=lambda *state: told.append(state))
    assert sorted(set(told)) == told[:12] == [(2 * pixel, 24) for pixel in range(1, 13)]


def test_sampling_changes_nothing(make, kind):
    model = make(kind, image_shape=(1, 3, 3), head="bernoulli")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model.sample(2, seed=0)
    assert all(torch.equal(before[key], value) and value.dtype == torch.float32 for key, value in model.state_dict().items())


def test_upper_halves_are_completed(make, kind):
    model = make(kind, image_shape=(1, 6, 4), head="bernoulli")
    x = model.sample(2, seed=0)
    mask = torch.zeros(6, 4, dtype=torch.bool)
    mask[:3] = True
    done, told = model.complete_with_log_prob(x, mask, n=8, seed=1)
    assert torch.equal(done[:, :, :, :3], x[:, None, :, :3].expand(2, 8, 1, 3, 4))
    assert len(done[0, :, :, 3:].unique(dim=0)) > 1
    torch.testing.assert_close(told, model.log_prob(done.flatten(0, 1)).view(2, 8))


def test_the_driver_draws_each_channel_given_the_one_before(monkeypatch):
    """R, then G, then B: the machine is told a channel's value before it is asked for the next."""
    seen = []

    class Told(sampler.Machine):
        def begin(self, row):
            seen.append(("row", row))

        def step(self, column, group):
            seen.append(("step", column, group))
            return torch.zeros(1, 1)

        def put(self, column, group, value):
            seen.append(("put", column, group))

    x = torch.zeros(1, 3, 1, 1)
    sampler.draw(Told(), lambda told, u: (u > 0.5).long(), x, x.bool(), torch.full((1, 1, 1, 3), 0.7), 2)
    assert seen == [("row", 0), *((what, 0, c) for c in range(3) for what in ("step", "put"))]
