"""The laws of the adversarial losses (Goodfellow et al. 2014)."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits

from genzoo.losses.minimax import discriminator_loss, generator_minimax, generator_non_saturating, value

logits = st.lists(st.floats(-30, 30), min_size=1, max_size=8).map(
    lambda values: torch.tensor(values, dtype=torch.float64)
)
counts = st.lists(st.integers(1, 9), min_size=2, max_size=6)


def slope(loss, at):
    """Return the gradient of `loss` in the logit `at`."""
    logit = torch.tensor([at], dtype=torch.float64, requires_grad=True)
    loss(logit).backward()
    return logit.grad.item()


class TestValue:
    @given(st.integers(1, 20), st.integers(1, 20))
    def test_minus_log_4_where_nobody_can_tell(self, n, m):
        """Equal densities: the optimal D is 1/2 everywhere, its logit 0 (theorem 1)."""
        assert value(
            torch.zeros(n, dtype=torch.float64), torch.zeros(m, dtype=torch.float64)
        ).item() == pytest.approx(-math.log(4), abs=1e-12)

    @given(counts, st.data())
    def test_the_optimal_discriminator_reads_the_jensen_shannon_divergence(self, p_counts, data):
        """On a discrete space: D*(x) = p / (p + q), and V(D*) = 2 JSD(p, q) - log 4; every other D is
        below."""
        q_counts = data.draw(st.lists(st.integers(1, 9), min_size=len(p_counts), max_size=len(p_counts)))
        # x ~ p, each as often as it should be
        real = torch.repeat_interleave(torch.arange(len(p_counts)), torch.tensor(p_counts))
        fake = torch.repeat_interleave(torch.arange(len(q_counts)), torch.tensor(q_counts))
        p, q = (torch.tensor(c, dtype=torch.float64) / sum(c) for c in (p_counts, q_counts))
        best = p.log() - q.log()  # the logit of D*
        m = (p + q) / 2
        divergence = ((p * (p / m).log()).sum() + (q * (q / m).log()).sum()) / 2
        assert value(best[real], best[fake]).item() == pytest.approx(
            2 * divergence.item() - math.log(4), abs=1e-9
        )
        worse = best + torch.tensor(
            data.draw(st.lists(st.floats(-3, 3), min_size=len(p), max_size=len(p))), dtype=torch.float64
        )
        assert value(worse[real], worse[fake]) <= value(best[real], best[fake]) + 1e-9

    @given(logits, logits)
    def test_the_discriminator_minimises_the_cross_entropy(self, real, fake):
        told = binary_cross_entropy_with_logits(
            real, torch.ones_like(real)
        ) + binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
        assert discriminator_loss(real, fake).item() == pytest.approx(told.item(), rel=1e-9, abs=1e-12)

    def test_means_are_over_images_of_each_side(self):
        real, fake = torch.tensor([1.0, 2.0]), torch.tensor([0.5, -0.5])
        assert torch.isclose(value(real.repeat(3), fake), value(real, fake))


class TestGenerator:
    @given(logits)
    def test_equations(self, fake):
        d = torch.sigmoid(fake)
        assert generator_minimax(fake).item() == pytest.approx(
            torch.log1p(-d).clamp(min=-40).mean().item(), rel=1e-3, abs=1e-6
        )
        assert generator_non_saturating(fake).item() == pytest.approx(
            -torch.log(d).mean().item(), rel=1e-6, abs=1e-9
        )

    @given(st.floats(-20, 20))
    def test_both_pull_the_same_way(self, logit):
        """Equal fixed points: both gradients are negative everywhere (G wants larger logits), -D and -(1 -
        D)."""
        d = 1 / (1 + math.exp(-logit))
        assert slope(generator_minimax, logit) == pytest.approx(-d, rel=1e-9)
        assert slope(generator_non_saturating, logit) == pytest.approx(d - 1, rel=1e-9)

    @given(st.floats(-20, -0.1))
    def test_non_saturating_is_steeper_where_d_is_sure(self, logit):
        assert abs(slope(generator_non_saturating, logit)) > abs(slope(generator_minimax, logit))

    def test_minimax_dies_where_d_is_certain_and_non_saturating_does_not(self):
        assert abs(slope(generator_minimax, -20.0)) < 1e-8
        assert abs(slope(generator_non_saturating, -20.0)) > 0.99


class TestStability:
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
    @pytest.mark.parametrize("size", [1e4, -1e4])
    def test_finite_with_right_gradients_at_enormous_logits(self, size, dtype):
        """log(sigmoid(-1e4)) would be -inf; softplus is linear there."""
        for loss in (
            generator_minimax,
            generator_non_saturating,
            lambda a: discriminator_loss(a, -a),
            lambda a: value(a, a),
        ):
            logit = torch.full((4,), size, dtype=dtype, requires_grad=True)
            result = loss(logit)
            result.backward()
            assert torch.isfinite(result) and torch.isfinite(logit.grad).all()
        assert generator_non_saturating(torch.tensor([-1e4])).item() == pytest.approx(1e4)
        assert generator_minimax(torch.tensor([1e4])).item() == pytest.approx(-1e4)
