"""Ordinary torch around models: model(...), torch.func, torch.export, number formats, gradients, seeds."""

from __future__ import annotations

import copy

import pytest
import torch
from latent_toys import Stripes, StripesConfig
from pixel_toys import PixelConfig, ToyCNN
from torch.func import jacrev, vmap

import genzoo
from genzoo.errors import ArgumentError
from genzoo.layers import is_stock, stock
from genzoo.rng import check_seed

SMALL = {
    "dcgan-bedrooms": {"width": 4, "image_shape": (3, 32, 32)},
    "vae-faces": {"width": 4, "image_shape": (3, 16, 16)},
    "gan-mnist": {"image_shape": (1, 8, 8)},
    "wgan-gp": {},
    "autoencoder-cifar10": {"width": 4},
    "pixelcnn-mnist": {"image_shape": (1, 5, 5), "layers": 2},
    "cgan-mnist": {"image_shape": (1, 8, 8)},
}


@pytest.fixture(scope="module", params=SMALL)
def case(request):
    """Give a small official model, inputs for it, and what the public method says of them."""
    try:
        model = genzoo.create(request.param, seed=0, **SMALL[request.param]).eval()
    except genzoo.errors.UnknownNameError:
        pytest.skip("its plugin is not installed")
    given = () if model.condition is None else (torch.tensor([1, 0, 2]),)
    if model.latent:
        x = torch.randn(3, model.latent_size, generator=torch.Generator().manual_seed(0))
        return model, (x, *given), model.decode(x, *given)
    x = (torch.rand(3, *model.image_shape, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    return model, (x, *given), model.log_prob(x, *given)


def close(a, b, tolerance=2e-3):
    a, b = a.detach().float(), b.detach().float()
    return float((a - b).abs().max()) <= tolerance * max(1.0, float(b.abs().max()))


def test_a_call_is_decode_or_log_prob(case):
    model, inputs, expected = case
    assert close(model(*inputs), expected) and not is_stock()


def test_it_is_wrapped_like_any_module(case):
    model, inputs, expected = case
    assert close(torch.nn.DataParallel(model)(*inputs), expected)
    assert close(
        torch.nn.Sequential(copy.deepcopy(model))(*inputs) if len(inputs) == 1 else expected, expected
    )


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_vmap_and_jacrev(case):
    model, (x, *given), expected = case
    one = lambda row, *labels: model(row[None], *(label[None] for label in labels))[0]  # noqa: E731
    assert close(vmap(one)(x, *given), expected)
    slope = jacrev(lambda row: model(row[None], *(g[:1] for g in given)).flatten()[:2])(x[0])
    assert slope.shape[1:] == x[0].shape and torch.isfinite(slope).all() and slope.abs().max() > 0


def test_export_with_a_free_batch(case):
    model, inputs, expected = case
    size = torch.export.Dim("N", min=1, max=64)
    program = torch.export.export(
        model, inputs, dynamic_shapes={"inputs": tuple({0: size} for _ in inputs)}
    ).module()
    assert close(program(*inputs), expected)
    assert len(program(*(torch.cat([part, part]) for part in inputs))) == 6


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.half, 0.05), (torch.bfloat16, 0.2), (torch.double, 1e-3)]
)
def test_number_formats(case, dtype, tolerance):
    model, (x, *given), expected = case
    other = copy.deepcopy(model).to(dtype)
    assert close(other(x.to(dtype), *given), expected, tolerance)
    asked = other.decode if model.latent else other.log_prob
    assert close(asked(x.to(dtype), *given), expected, tolerance)


def test_a_fixed_condition_is_part_of_the_call():
    model = genzoo.create("cgan-mnist", seed=0, image_shape=(1, 8, 8)).eval()
    z = model.sample_latents(3, seed=0)
    assert close(model.given(2)(z), model.decode(z, 2))


def test_a_model_with_neither_says_so():
    from genzoo.models import ImplicitModel

    class Neither(ImplicitModel):
        def _sample(self, rng):
            return rng.uniform(1, 8, 8).float()

    with pytest.raises(ArgumentError, match=r"Neither has no z .* model\(\.\.\.\) has no meaning"):
        Neither()(torch.zeros(1))


def test_stock_operators_are_left_again_after_an_error():
    with pytest.raises(ValueError, match="x"), stock():
        raise ValueError("x")
    assert not is_stock()


class TestGradients:
    def test_log_prob_has_them_where_asked(self):
        model = ToyCNN(PixelConfig()).eval()
        x = torch.zeros(2, 1, 8, 8)
        assert not model.log_prob(x).requires_grad
        value = model.log_prob(x, with_grad=True)
        assert torch.equal(value.detach(), model.log_prob(x))
        value.sum().backward()
        assert max(float(p.grad.abs().max()) for p in model.parameters() if p.grad is not None) > 0

    def test_encode_has_them_where_asked(self):
        model = Stripes(StripesConfig()).eval()
        x = torch.full((2, 1, 8, 8), 0.5, requires_grad=True)
        assert not model.encode(x).mean.requires_grad
        model.encode(x, with_grad=True).mean.sum().backward()
        assert x.grad.abs().max() > 0 and model.shift.grad.abs().max() > 0


class TestGenerators:
    def test_its_state_gives_the_seed_and_moves_on(self):
        model = Stripes(StripesConfig()).eval()
        first, second = (torch.Generator().manual_seed(5) for _ in range(2))
        images = model.sample(2, first)
        assert torch.equal(images, model.sample(2, second))
        assert not torch.equal(images, model.sample(2, first))
        model.sample(1, second)  # as the other was asked for
        assert torch.equal(model.sample_latents(2, first), model.sample_latents(2, second))

    def test_it_is_a_seed_like_another(self):
        seeds = {check_seed(torch.Generator().manual_seed(i)) for i in range(50)}
        assert len(seeds) == 50 and all(0 <= seed < 2**63 for seed in seeds)
        assert max(seeds) > 2**62 and min(seeds) < 2**61
