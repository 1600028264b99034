"""The gradient penalty and the clipping of the Wasserstein game: one point and one slope per image."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from genzoo.losses.wasserstein import PENALTIES, between, clip, gradient_penalty, slopes


def images(n, seed=0, shape=(3, 4, 5)):
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def direction(shape=(3, 4, 5)):
    way = torch.randn(shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    return way / way.norm()


def linear(steepness=1.0):
    """Return a critic with the slope `steepness` everywhere."""
    return lambda x: steepness * (x * direction()).sum((1, 2, 3))


def per_batch(critic, real, fake, share):
    """Return the penalty as one library takes it: one norm over the whole batch."""
    points = between(real, fake, share).requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(points).sum(), points)
    return (gradient.norm() - 1) ** 2


class TestPenalty:
    @pytest.mark.parametrize("n", [1, 2, 64])
    def test_zero_for_a_critic_of_slope_1_in_any_batch(self, n):
        share = torch.rand(n, dtype=torch.float64)
        assert gradient_penalty(linear(), images(n), images(n, 1), share).item() == pytest.approx(
            0, abs=1e-20
        )

    def test_one_norm_over_the_batch_would_not_be(self):
        """Of 64 images it is (√64 - 1)² = 49, on a perfect critic."""
        share = torch.rand(64, dtype=torch.float64)
        assert per_batch(linear(), images(64), images(64, 1), share).item() == pytest.approx(49)

    @given(st.integers(1, 9), st.floats(0, 20))
    def test_squared_distance_of_the_slope_from_1(self, n, steepness):
        told = gradient_penalty(
            linear(steepness), images(n), images(n, 1), torch.rand(n, dtype=torch.float64)
        )
        assert told.item() == pytest.approx((steepness - 1) ** 2, abs=1e-9)

    def test_the_mean_over_images_of_their_own_slopes(self):
        """f = ½ |x|² has the slope |x| at x: each image's own, at its own point between."""
        real, fake, share = images(5), images(5, 1), torch.rand(5, dtype=torch.float64)
        points = torch.stack([e * r + (1 - e) * f for e, r, f in zip(share, real, fake, strict=True)])
        expected = sum((point.norm() - 1) ** 2 for point in points) / 5
        assert gradient_penalty(
            lambda x: (x**2).sum((1, 2, 3)) / 2, real, fake, share
        ).item() == pytest.approx(expected.item())

    def test_it_teaches_the_critic_and_nobody_else(self):
        net, real, fake = nn.Linear(60, 1).double(), images(6).requires_grad_(), images(6, 1).requires_grad_()
        gradient_penalty(
            lambda x: net(x.flatten(1)).flatten(), real, fake, torch.rand(6, dtype=torch.float64)
        ).backward()
        # fakes are detached: G does not pay for the critic's slope
        assert real.grad is None and fake.grad is None
        assert net.weight.grad.abs().max() > 0

    def test_its_gradient_is_that_of_the_formula(self):
        """For f = w · x the penalty is (|w| - 1)², its gradient 2 (|w| - 1) w / |w|."""
        w = (3 * direction()).requires_grad_()
        gradient_penalty(
            lambda x: (x * w).sum((1, 2, 3)), images(4), images(4, 1), torch.rand(4, dtype=torch.float64)
        ).backward()
        torch.testing.assert_close(w.grad, 4 * direction())

    def test_a_flat_critic_has_a_penalty_of_1_and_finite_gradients(self):
        w = torch.zeros(3, 4, 5, dtype=torch.float64, requires_grad=True)
        told = gradient_penalty(
            lambda x: (x * w).sum((1, 2, 3)), images(4), images(4, 1), torch.rand(4, dtype=torch.float64)
        )
        told.backward()
        assert told.item() == 1 and torch.isfinite(w.grad).all()

    def test_batch_norm_takes_an_image_its_slope(self):
        """What the refusal is about: the slope at one image then depends on which others are in the batch."""
        net = nn.Sequential(
            nn.Flatten(), nn.Linear(60, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 1), nn.Flatten(0)
        ).double()
        batch = images(8)
        alone = slopes(net, batch)[:4]
        with_others = slopes(net, torch.cat([batch[:4], images(4, 7)]))[:4]
        assert not torch.allclose(alone, with_others, rtol=1e-3)


class TestFlat:
    """R1 and R2: half the mean squared slope, at real images and at fakes."""

    @pytest.mark.parametrize(("name", "sides"), [("r1", "real"), ("r2", "fake"), ("r1-r2", "both")])
    def test_the_formula_where_it_belongs(self, name, sides):
        """A critic with slope ‖x‖ at x."""
        real, fake = images(5), images(5, seed=1)

        def critic(x):
            return (x**2).flatten(1).sum(1) / 2

        found = PENALTIES[name](critic, real, fake, torch.rand(5))
        halves = {"real": [real], "fake": [fake], "both": [real, fake]}[sides]
        expected = sum((part.flatten(1).norm(dim=1) ** 2).mean() / 2 for part in halves)
        torch.testing.assert_close(found, expected)

    @pytest.mark.parametrize("name", ["r1", "r2", "r1-r2"])
    def test_a_flat_critic_pays_nothing_and_learns_finitely(self, name):
        scale = torch.zeros((), requires_grad=True)
        sides = images(3), images(3, seed=1)
        paid = PENALTIES[name](lambda x: scale * x.flatten(1).sum(1), *sides, torch.rand(3))
        paid.backward()
        assert paid == 0 and torch.isfinite(scale.grad)


class TestBetween:
    def test_one_share_per_pair(self):
        real, fake = torch.ones(50, 1, 2, 2), torch.zeros(50, 1, 2, 2)
        share = torch.rand(50)
        points = between(real, fake, share)
        assert torch.equal(points, share.view(50, 1, 1, 1).expand(50, 1, 2, 2))
        assert len(points.unique()) == 50  # a shared one would give a single value

    @given(st.integers(1, 6))
    def test_ends(self, n):
        assert torch.equal(between(images(n), images(n, 1), torch.ones(n).double()), images(n))
        assert torch.equal(between(images(n), images(n, 1), torch.zeros(n).double()), images(n, 1))

    def test_the_points_hang_on_nobodys_weights(self):
        assert not between(
            images(2).requires_grad_(), images(2, 1).requires_grad_(), torch.ones(2).double()
        ).requires_grad

    def test_the_layout_in_memory_is_kept(self):
        real, fake = (images(4, seed).float().to(memory_format=torch.channels_last) for seed in (0, 1))
        assert between(real, fake, torch.rand(4)).is_contiguous(memory_format=torch.channels_last)

    def test_fakes_in_bf16_meet_real_images_in_float32(self):
        assert between(images(4).float(), images(4, 1).bfloat16(), torch.rand(4)).dtype == torch.float32


class TestSlopes:
    def test_shape_and_value(self):
        told = slopes(linear(2.5), images(7))
        torch.testing.assert_close(told, torch.full((7,), 2.5, dtype=torch.float64))

    def test_norms_of_bf16_gradients_are_summed_in_float32(self):
        """10,000 squares of 0.01: bf16 would stop adding long before 1."""
        x = torch.zeros(2, 1, 100, 100, dtype=torch.bfloat16)
        told = slopes(lambda x: (x * 0.01).sum((1, 2, 3)), x)
        assert told.dtype == torch.float32
        torch.testing.assert_close(told, torch.ones(2), rtol=0.01, atol=0)

    def test_the_points_themselves_are_left_alone(self):
        points = images(3)
        slopes(linear(), points)
        assert not points.requires_grad


class TestClip:
    @given(st.floats(1e-3, 10), st.integers(0, 5))
    def test_every_weight_within_the_bound(self, bound, seed):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Linear(3, 2))
        before = [p.detach().clone() for p in net.parameters()]
        clip(net.parameters(), bound)
        for parameter, old in zip(net.parameters(), before, strict=True):
            assert parameter.abs().max() <= bound
            assert torch.equal(parameter, old.clamp(-bound, bound))
            assert parameter.requires_grad and parameter.is_leaf
