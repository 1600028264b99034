"""Walks between latent vectors: the laws of slerp and lerp, and the images of a model."""

import math
from dataclasses import dataclass

import latent_toys
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from latent_toys import Codes, Stripes
from torch import nn

from genzoo.errors import ArgumentError
from genzoo.explore.interpolation import interpolate, lerp, path, slerp
from genzoo.models import AdversarialModel

SHARES = st.floats(0, 1, allow_subnormal=False)
SEEDS = st.integers(0, 10_000)
LAW = settings(deadline=None, max_examples=40)


def pair(seed, n=3, d=7):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, n, d, generator=generator).unbind()


class TestLaws:
    @pytest.mark.parametrize("between", [slerp, lerp])
    @LAW
    @given(seed=SEEDS)
    def test_the_ends_are_exact(self, between, seed):
        a, b = (v.double() / 3 for v in pair(seed))
        assert torch.equal(between(a, b, 0), a)
        assert torch.equal(between(a, b, 1.0), b)

    @pytest.mark.parametrize("between", [slerp, lerp])
    @LAW
    @given(seed=SEEDS, t=SHARES)
    def test_the_way_back_is_the_same_way(self, between, seed, t):
        a, b = pair(seed)
        torch.testing.assert_close(between(a, b, t), between(b, a, 1 - t), rtol=1e-4, atol=1e-5)

    @LAW
    @given(seed=SEEDS, t=SHARES)
    def test_equal_lengths_stay(self, seed, t):
        a, b = (5 * v / v.norm(dim=-1, keepdim=True) for v in pair(seed))
        torch.testing.assert_close(slerp(a, b, t).norm(dim=-1), torch.full((3,), 5.0))

    @LAW
    @given(seed=SEEDS, t=SHARES)
    def test_other_lengths_go_linearly(self, seed, t):
        a, b = pair(seed)
        torch.testing.assert_close(slerp(a, b, t).norm(dim=-1), (1 - t) * a.norm(dim=-1) + t * b.norm(dim=-1))

    @LAW
    @given(seed=SEEDS)
    def test_the_angle_grows_evenly(self, seed):
        a, b = (v / v.norm(dim=-1, keepdim=True) for v in pair(seed))
        z = path(a, b, 5, "normal").double()
        angles = 2 * torch.asin((z[:, 1:] - z[:, :-1]).norm(dim=-1) / 2)
        torch.testing.assert_close(angles, angles[:, :1].expand(-1, 4), rtol=1e-4, atol=1e-5)

    @LAW
    @given(seed=SEEDS, t=SHARES)
    def test_a_line_stays_in_the_cube(self, seed, t):
        a, b = (v.tanh() for v in pair(seed))
        assert lerp(a, b, t).abs().max() <= 1

    def test_known_points(self):
        x, y = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        torch.testing.assert_close(slerp(x, y, 0.5), torch.tensor([[math.sqrt(0.5), math.sqrt(0.5)]]))
        torch.testing.assert_close(
            slerp(x, y, 1 / 3), torch.tensor([[math.cos(math.pi / 6), math.sin(math.pi / 6)]])
        )
        torch.testing.assert_close(lerp(x, y, 0.25), torch.tensor([[0.75, 0.25]]))


class TestSpecialVectors:
    @pytest.mark.parametrize("gap", [0.0, 1e-12, 1e-8, 1e-5])
    def test_parallel(self, gap):
        a = torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64)
        b = 2 * a + torch.tensor([[gap, -gap, 0.0]], dtype=torch.float64)
        torch.testing.assert_close(slerp(a, b, 0.5), 1.5 * a, rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("gap", [0.0, 1e-12, 1e-8, 1e-5])
    def test_opposite_vectors_go_round_on_one_circle(self, gap):
        a = torch.tensor([[1.0, 2.0, -3.0]], dtype=torch.float64)
        b = -a + torch.tensor([[0.0, 0.0, gap]], dtype=torch.float64)
        half = slerp(a, b, 0.5)
        assert torch.isfinite(half).all()
        assert half.norm().item() == pytest.approx(a.norm().item(), rel=1e-4)
        assert (half * a).sum().abs() < 1e-4
        torch.testing.assert_close(half, slerp(b, a, 0.5), rtol=1e-6, atol=1e-6)

    def test_a_zero_vector_and_one_dimension_go_straight(self):
        zero, one = torch.zeros(1, 3), torch.ones(1, 3)
        torch.testing.assert_close(slerp(zero, one, 0.25), 0.25 * one)
        torch.testing.assert_close(slerp(zero, zero, 0.25), zero)
        torch.testing.assert_close(
            slerp(torch.tensor([[2.0]]), torch.tensor([[-2.0]]), 0.25), torch.tensor([[1.0]])
        )

    def test_dtype_is_kept(self):
        a, b = pair(0)
        assert slerp(a, b, 0.3).dtype == torch.float32
        assert slerp(a.half(), b.half(), 0.3).dtype == torch.float16


@dataclass(frozen=True)
class Config:
    image_shape: tuple = (1, 2, 3)


class Net(AdversarialModel):
    """The image shows six components of z."""

    Config = Config
    latent_size = 6

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.generator, self.discriminator = nn.Identity(), nn.Identity()

    def _decode(self, z):
        return z.sigmoid().view(-1, 1, 2, 3)

    def _discriminate(self, x):
        return x.flatten(1).sum(1)


class Cube(Net):
    """The same with a uniform prior."""

    prior = "uniform"


class TestImages:
    @pytest.mark.parametrize("kind", [Net, Cube])
    def test_the_ends_are_images_of_the_latents(self, kind):
        model = kind(Config())
        images = interpolate(model, n=3, steps=5, seed=4)
        assert images.shape == (3, 5, 1, 2, 3)
        ends = model.decode(model.sample_latents(6, seed=4)).unflatten(0, (3, 2))
        assert torch.equal(images[:, 0], ends[:, 0])
        assert torch.equal(images[:, -1], ends[:, 1])

    def test_a_walk_does_not_depend_on_their_number(self):
        model = Net(Config())
        assert torch.equal(interpolate(model, 2, 4, seed=1), interpolate(model, 7, 4, seed=1)[:2])

    def test_the_prior_decides_the_way(self):
        ways = [interpolate(kind(Config()), 1, 3, seed=0)[:, 1].logit() for kind in (Net, Cube)]
        normal, uniform = (kind(Config()).sample_latents(2, seed=0) for kind in (Net, Cube))
        torch.testing.assert_close(ways[0].flatten(), slerp(normal[0], normal[1], 0.5), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(ways[1].flatten(), lerp(uniform[0], uniform[1], 0.5), rtol=1e-4, atol=1e-5)

    def test_between_given_ends(self):
        model = Net(Config())
        ends = model.sample_latents(6, seed=4)
        assert torch.equal(interpolate(model, steps=5, ends=ends), interpolate(model, n=3, steps=5, seed=4))
        for wrong, told in (
            (ends[:3], "ends must come in pairs, .*not 3"),
            (ends[:, :2], r"ends must have the shape \(N, 6\)"),
        ):
            with pytest.raises(ArgumentError, match=told):
                interpolate(model, ends=wrong)

    def test_codes_without_a_prior_are_walked_straight(self):
        ends = torch.tensor([[3.0, 0.0], [0.0, 3.0]])
        straight, round_ = (
            interpolate(latent_toys.model(kind), steps=3, ends=ends)[0, 1, 0, 0, 0]
            for kind in (Codes, Stripes)
        )
        torch.testing.assert_close(straight, torch.special.ndtr(torch.tensor(1.5)))
        torch.testing.assert_close(round_, torch.special.ndtr(torch.tensor(3 * math.sqrt(0.5))))

    @pytest.mark.parametrize(
        "wrong", [{"steps": 1}, {"steps": 0}, {"steps": 2.5}, {"n": 0}, {"n": True}, {"seed": -1}]
    )
    def test_wrong_numbers_are_named(self, wrong):
        with pytest.raises(ArgumentError, match=next(iter(wrong))):
            interpolate(Net(Config()), **wrong)

    def test_a_model_without_z(self):
        with pytest.raises(ArgumentError, match="Identity has no latent z"):
            interpolate(nn.Identity())
