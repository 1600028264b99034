"""Cached and naive sampling give the same images, bit for bit, and no pixel is computed twice."""

import pytest
import torch
from genzoo_pixel.fast import sampler
from genzoo_pixel.fast.gated import Vertical
from genzoo_pixel.fast.sampler import CachedConv
from torch.utils._python_dispatch import TorchDispatchMode

from genzoo.rng import Rng

LEVELS = {"bernoulli": None, "softmax": 5, "logistic": 4}


def both(model, x, mask, seed=0):
    with torch.inference_mode():
        cached = model._complete(x, mask, Rng(seed, 0, len(x)))
        naive = model._complete_naively(x, mask, Rng(seed, 0, len(x)))
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


class Multiplications(TorchDispatchMode):
    """Counts the multiplications in products of matrices, and of numbers with rows of weights."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found, name = func(*args, **(kwargs or {})), func.overloadpacket.__name__.rstrip("_")
        if name in ("mm", "bmm", "addmm", "baddbmm"):
            a, b = args[-2:]
            self.count += a.numel() * b.shape[-1]
        elif func is torch.ops.aten.addcmul_.default and args[1].shape != args[2].shape:
            self.count += found.numel()
        return found


def multiplications(draw):
    with torch.inference_mode(), Multiplications() as counted:
        draw()
    return counted.count


@pytest.mark.parametrize("channels", [1, 3])
def test_each_pixel_of_each_image_is_computed_once(make, kind, channels):
    """No weight is multiplied more than n · H · W times, in colour as well: n · H · W evaluations of the net,
    however it is laid out."""
    n, height, width = 2, 5, 6
    model = make(kind, image_shape=(channels, height, width), head="softmax", levels=4, width=9)
    once = n * height * width * sum(p.numel() for p in model.parameters())
    drawn = multiplications(lambda: model._sample(Rng(0, 0, n)))
    assert once / 2 < drawn <= once


def test_a_pixel_computed_twice_would_be_seen(make, kind, monkeypatch):
    model = make(kind, image_shape=(1, 5, 6), head="softmax", levels=4, width=9)
    plain = model._machine(2)
    step = type(plain).step
    once = multiplications(lambda: model._sample(Rng(0, 0, 2)))
    monkeypatch.setattr(
        type(plain),
        "step",
        lambda self, column, group: (step(self, column, group), step(self, column, group))[0],
    )
    assert multiplications(lambda: model._sample(Rng(0, 0, 2))) > 1.2 * once


def test_the_naive_way_runs_the_network_once_a_dimension(make, monkeypatch):
    model, calls = make("pixelcnn", image_shape=(3, 2, 2), head="bernoulli"), []
    plain = type(model)._network
    monkeypatch.setattr(type(model), "_network", lambda self, x: calls.append(len(x)) or plain(self, x))
    model._complete_naively(torch.zeros(2, 3, 2, 2), torch.zeros(2, 3, 2, 2, dtype=torch.bool), Rng(0, 0, 2))
    assert calls == [2] * 12
    model._sample(Rng(0, 0, 2))
    assert len(calls) == 12  # none in the cached way


@pytest.mark.parametrize(
    ("kind", "part"), [("gated-pixelcnn", Vertical), ("pixelcnn", CachedConv), ("pixelrnn-row", CachedConv)]
)
def test_a_number_that_is_off_would_be_seen(make, monkeypatch, kind, part):
    """The comparison can fail: a cache that forgets what it is told draws other images."""
    model = make(kind, image_shape=(1, 4, 5), head="softmax")
    nothing = torch.zeros(4, 1, 4, 5)
    monkeypatch.setattr(part, "put", lambda self, column, group, value: None)
    cached, naive = both(model, nothing, nothing.bool())
    assert not torch.equal(cached, naive)


def test_sampling_changes_nothing(make, kind):
    model = make(kind, image_shape=(1, 3, 3), head="bernoulli")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model.sample(2, seed=0)
    assert all(
        torch.equal(before[key], value) and value.dtype == torch.float32
        for key, value in model.state_dict().items()
    )


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
    sampler.draw(
        Told(), lambda told, u: (u > 0.5).long(), x, x.bool(), torch.full((1, 1, 1, 3), 0.7), levels=2
    )
    assert seen == [("row", 0), *((what, 0, c) for c in range(3) for what in ("step", "put"))]
