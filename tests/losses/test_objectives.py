"""The laws of the adversarial objectives: what an optimal D reads, where nobody moves, and which way G is
pulled."""

from __future__ import annotations

import math
from typing import get_args, get_type_hints

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from genzoo import Adversarial
from genzoo.errors import ArgumentError
from genzoo.games import OBJECTIVES as NAMES
from genzoo.losses import minimax
from genzoo.losses.objectives import OBJECTIVES, Objective

SINGLE = [name for name in OBJECTIVES if not OBJECTIVES[name].relative]
BOUNDED = [name for name in SINGLE if OBJECTIVES[name].bounded]
EVERY = pytest.mark.parametrize("name", list(OBJECTIVES))
EACH = pytest.mark.parametrize("name", SINGLE)
counts = st.lists(st.integers(0, 9), min_size=5, max_size=5).filter(any)
shift = st.lists(st.floats(-3, 3), min_size=5, max_size=5).map(
    lambda values: torch.tensor(values, dtype=torch.float64)
)
numbers = st.lists(st.floats(-30, 30), min_size=1, max_size=8).map(
    lambda values: torch.tensor(values, dtype=torch.float64)
)


def shares(many):
    return torch.tensor(many, dtype=torch.float64) / sum(many)


def drawn(many):
    """Return the points 0 … 4, each as often as `many` says: a batch that is its distribution."""
    return torch.repeat_interleave(torch.arange(len(many)), torch.tensor(many))


def best_and_loss(name, p, q):
    """Return the optimal D over the points, and the loss that it leaves, as the theory has them."""
    half = (p + q) / 2
    either = (p + q).clamp(min=1e-300)
    if name in ("minimax", "non-saturating"):
        jsd = (
            torch.special.xlogy(p, p / half.clamp(min=1e-300))
            + torch.special.xlogy(q, q / half.clamp(min=1e-300))
        ).sum() / 2
        return (p.clamp(min=1e-30).log() - q.clamp(min=1e-30).log()), math.log(4) - 2 * jsd
    if name == "lsgan":
        return p / either, (1 - ((p - q) ** 2 / either).sum() / 2) / 4
    return torch.sign(p - q), 2 - (p - q).abs().sum()  # hinge


def slope(cost, at):
    number = torch.tensor(float(at), dtype=torch.float64, requires_grad=True)
    cost(number).backward()
    return number.grad.item()


class TestTheOptimalDiscriminator:
    @pytest.mark.parametrize("name", BOUNDED)
    @given(counts, counts, shift)
    def test_it_reads_a_distance_and_no_other_does_better(self, name, p_counts, q_counts, moved):
        best, least = best_and_loss(name, shares(p_counts), shares(q_counts))
        real, fake, loss = drawn(p_counts), drawn(q_counts), OBJECTIVES[name].discriminator_loss
        assert loss(best[real], best[fake]).item() == pytest.approx(least.item(), abs=1e-9)
        other = best + moved
        assert loss(other[real], other[fake]) >= least - 1e-9

    @pytest.mark.parametrize(
        ("name", "number", "least"),
        [
            ("minimax", 0, math.log(4)),
            ("non-saturating", 0, math.log(4)),
            ("lsgan", 0.5, 0.25),
            ("hinge", 0, 2),
        ],
    )
    def test_where_nobody_can_tell(self, name, number, least):
        """A perfect G: the best D says the same everywhere, and its loss is known."""
        everywhere = torch.full((7,), float(number), dtype=torch.float64)
        assert OBJECTIVES[name].discriminator_loss(everywhere, everywhere[:3]).item() == pytest.approx(
            least, abs=1e-12
        )

    @given(counts, counts)
    def test_on_a_line_the_critic_reads_the_distance_of_wasserstein(self, p_counts, q_counts):
        """Points a unit apart: W = Σ |P - Q| over their cumulated shares, read by the f of slope 1 that
        climbs where Q leads."""
        p, q = shares(p_counts), shares(q_counts)
        lead = (q - p).cumsum(0)[:-1]
        best = torch.cat([torch.zeros(1, dtype=torch.float64), torch.sign(lead).cumsum(0)])
        loss = OBJECTIVES["wasserstein"].discriminator_loss(best[drawn(p_counts)], best[drawn(q_counts)])
        assert loss.item() == pytest.approx(-lead.abs().sum().item(), abs=1e-9)

    @given(counts, counts, st.lists(st.floats(-1, 1), min_size=4, max_size=4))
    def test_no_critic_of_slope_1_reads_more(self, p_counts, q_counts, steps):
        f = torch.tensor([0.0, *steps], dtype=torch.float64).cumsum(0)
        distance = (shares(p_counts) - shares(q_counts)).cumsum(0).abs().sum()
        assert (
            OBJECTIVES["wasserstein"].discriminator_loss(f[drawn(p_counts)], f[drawn(q_counts)])
            >= -distance - 1e-9
        )


class TestFixedPoints:
    @EVERY
    def test_g_rests_where_d_sees_no_difference_between_its_images(self, name):
        """A D that says the same of every image has no slope in the image, so no objective moves G."""
        images = torch.rand(5, 3, requires_grad=True)
        said = images.sum(1) * 0 + 0.3
        OBJECTIVES[name].generator_loss(said, said.detach()).backward()
        assert not images.grad.any()

    @pytest.mark.parametrize("name", ["minimax", "non-saturating", "hinge", "relativistic", "wasserstein"])
    @given(st.floats(-20, 20))
    def test_g_is_always_pulled_to_larger_numbers(self, name, number):
        assert slope(OBJECTIVES[name].generator, number) < 0

    @given(st.floats(-20, 20))
    def test_least_squares_pull_g_to_one(self, number):
        assert slope(OBJECTIVES["lsgan"].generator, number) == pytest.approx(number - 1)

    @pytest.mark.parametrize("name", BOUNDED)
    def test_d_rests_on_the_optimum(self, name):
        """Equal batches: the slopes of both costs cancel at the number that the best D gives."""
        number = {"lsgan": 0.5}.get(name, 0.0)
        objective = OBJECTIVES[name]
        assert slope(objective.real, number) == pytest.approx(-slope(objective.fake, number))


class TestSlopes:
    @given(st.floats(-20, -0.1))
    def test_non_saturating_is_steeper_than_minimax_where_d_is_sure(self, number):
        steep, flat = (
            abs(slope(OBJECTIVES[name].generator, number)) for name in ("non-saturating", "minimax")
        )
        assert steep > flat and steep > 0.5

    def test_only_minimax_dies_where_d_is_certain(self):
        slopes = {name: abs(slope(OBJECTIVES[name].generator, -20)) for name in OBJECTIVES}
        assert slopes.pop("minimax") < 1e-8 and min(slopes.values()) > 0.99

    def test_the_margin_of_the_hinge(self):
        """An image beyond the margin teaches D nothing; within it every one teaches the same."""
        real, fake = OBJECTIVES["hinge"].real, OBJECTIVES["hinge"].fake
        assert [slope(real, a) for a in (-3, 0.9, 1.1, 5)] == [-1, -1, 0, 0]
        assert [slope(fake, a) for a in (3, -0.9, -1.1, -5)] == [1, 1, 0, 0]


class TestPairs:
    """The relativistic objective: what D says of an image counts beside another of the other side."""

    LOSS = staticmethod(OBJECTIVES["relativistic"].discriminator_loss)

    @given(counts, counts, shift)
    def test_the_optimal_d_reads_the_divergence_of_the_pairs(self, p_counts, q_counts, moved):
        p, q = shares(p_counts), shares(q_counts)
        best = p.clamp(min=1e-30).log() - q.clamp(min=1e-30).log()
        one, other = p[:, None] * q, q[:, None] * p  # of (real, fake) and (fake, real)
        half = ((one + other) / 2).clamp(min=1e-300)
        jsd = (torch.special.xlogy(one, one / half) + torch.special.xlogy(other, other / half)).sum() / 2
        real, fake = (
            part.flatten() for part in torch.meshgrid(drawn(p_counts), drawn(q_counts), indexing="ij")
        )
        assert self.LOSS(best[real], best[fake]).item() == pytest.approx(math.log(2) - jsd.item(), abs=1e-9)
        wrong = best + moved
        assert self.LOSS(wrong[real], wrong[fake]) >= math.log(2) - jsd - 1e-9

    @given(numbers, st.floats(-5, 5))
    def test_only_differences_count(self, real, moved):
        fake = real.flip(0) / 2
        objective = OBJECTIVES["relativistic"]
        torch.testing.assert_close(self.LOSS(real + moved, fake + moved), self.LOSS(real, fake))
        told = objective.generator_loss(fake + moved, real + moved)
        torch.testing.assert_close(told, objective.generator_loss(fake, real))

    @given(numbers)
    def test_the_players_are_each_other_mirrored(self, real):
        fake = real.flip(0) - 1
        torch.testing.assert_close(
            OBJECTIVES["relativistic"].generator_loss(fake, real), self.LOSS(fake, real)
        )

    def test_g_cannot_win_by_one_image_that_d_believes(self):
        """Where real images have the number of the fakes, G pays log 2, and no less for larger numbers."""
        for number in (0.0, 5.0, 50.0):
            both = torch.full((4,), number)
            assert OBJECTIVES["relativistic"].generator_loss(both, both).item() == pytest.approx(math.log(2))


class TestObjective:
    def test_a_relative_one_asks_for_both_sides(self):
        with pytest.raises(ArgumentError, match="none were given"):
            OBJECTIVES["relativistic"].generator_loss(torch.zeros(3))

    def test_the_recipe_knows_their_names(self):
        assert set(NAMES) == set(OBJECTIVES)
        assert (
            get_args(get_type_hints(Adversarial)["objective"]) == () and Adversarial().objective in OBJECTIVES
        )

    @EACH
    @given(numbers, numbers)
    def test_means_are_over_images_of_each_side(self, name, real, fake):
        objective = OBJECTIVES[name]
        once = objective.discriminator_loss(real, fake)
        assert torch.isclose(objective.discriminator_loss(real.repeat(3), fake), once)
        assert torch.isclose(objective.discriminator_loss(real, fake.repeat(2)), once)
        assert once.shape == objective.generator_loss(fake).shape == ()

    @EVERY
    def test_costs_are_elementwise(self, name):
        objective, number = OBJECTIVES[name], torch.linspace(-3, 3, 12).view(3, 4)
        for cost in (objective.real, objective.fake, objective.generator):
            assert torch.equal(cost(number)[1, 2], cost(number[1, 2]))

    @given(numbers, numbers)
    def test_the_two_games_of_2014_have_one_discriminator(self, real, fake):
        for name in ("minimax", "non-saturating"):
            assert torch.equal(
                OBJECTIVES[name].discriminator_loss(real, fake), minimax.discriminator_loss(real, fake)
            )
        assert torch.equal(OBJECTIVES["minimax"].generator_loss(fake), minimax.generator_minimax(fake))
        assert torch.equal(
            OBJECTIVES["non-saturating"].generator_loss(fake), minimax.generator_non_saturating(fake)
        )

    @pytest.mark.parametrize("name", list(OBJECTIVES))
    def test_only_wasserstein_has_no_least_loss(self, name):
        sure = torch.tensor([1e4]), torch.tensor([-1e4])
        lost = OBJECTIVES[name].discriminator_loss(*sure).item()
        assert (lost < -1e3) is not OBJECTIVES[name].bounded

    @EVERY
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    @pytest.mark.parametrize("size", [1e4, -1e4])
    def test_finite_with_slopes_at_enormous_numbers(self, name, size, dtype):
        number = torch.full((4,), size, dtype=dtype, requires_grad=True)
        objective = OBJECTIVES[name]
        loss = objective.discriminator_loss(number, -number) + objective.generator_loss(
            number, number.detach()
        )
        loss.backward()
        assert torch.isfinite(loss) and torch.isfinite(number.grad).all()

    def test_soft_labels(self):
        """The cost of a label between real and fake is the mixture: of cross-entropy and least squares the
        textbook's own."""
        number, label = torch.linspace(-2, 2, 9, dtype=torch.float64), 0.9
        mixed = {
            name: label * o.real(number) + (1 - label) * o.fake(number) for name, o in OBJECTIVES.items()
        }
        entropy = torch.nn.functional.binary_cross_entropy_with_logits(
            number, torch.full_like(number, label), reduction="none"
        )
        torch.testing.assert_close(mixed["minimax"], entropy)
        torch.testing.assert_close(mixed["lsgan"], (number - label) ** 2 / 2 + label * (1 - label) / 2)

    def test_one_of_your_own(self):
        mine = Objective(real=lambda a: -a, fake=lambda a: 2 * a, generator=lambda a: -3 * a)
        real, fake = torch.tensor([1.0, 3.0]), torch.tensor([5.0])
        assert (
            mine.discriminator_loss(real, fake) == -2 + 10
            and mine.generator_loss(fake) == -15
            and mine.bounded
        )
