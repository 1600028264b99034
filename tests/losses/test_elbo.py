"""The evidence lower bound, held against a linear-Gaussian model, of which everything is known in closed
form."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from genzoo.losses import elbo
from genzoo.losses.reconstruction import bernoulli, gaussian

means, log_vars = st.floats(-5, 5), st.floats(-8, 4)
DRAWS = 100_000


def doubles(*values):
    return torch.tensor(values, dtype=torch.float64)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@dataclass
class Linear:
    """z ~ N(0, I), x|z ~ N(Wz + b, s² I); and a q(z|x) that is not the posterior, as an encoder's never
    is."""

    weight = doubles([1.0, -0.4], [0.3, 0.8], [-0.6, 0.5])  # (3, 2)
    bias, spread = doubles(0.2, -0.1, 0.4), 0.7
    x = doubles(0.9, -0.7, 0.1)
    mean, log_var = doubles(0.5, -0.3), doubles(-0.5, -1.2)

    @property
    def q(self):
        return MultivariateNormal(self.mean, torch.diag(self.log_var.exp()))

    @property
    def log_p(self):
        covariance = self.weight @ self.weight.T + self.spread**2 * torch.eye(3, dtype=torch.float64)
        return MultivariateNormal(self.bias, covariance).log_prob(self.x)

    @property
    def posterior(self):
        precision = torch.eye(2, dtype=torch.float64) + self.weight.T @ self.weight / self.spread**2
        covariance = torch.linalg.inv(precision)
        return MultivariateNormal(
            covariance @ self.weight.T @ (self.x - self.bias) / self.spread**2, covariance
        )

    def log_likelihood(self, z):
        """Return log p(x|z) of z (..., 2) by the loss that a Gaussian decoder uses."""
        decoded = (z @ self.weight.T + self.bias)[..., None, None, :]  # (..., 1, 1, 3)
        return gaussian(self.x[None, None], decoded, doubles(2 * math.log(self.spread)))

    def draw(self, *shape, seed=0):
        return elbo.reparametrise(self.mean, self.log_var, noise(*shape, 2, seed=seed))

    def log_weights(self, *shape, seed=0):
        z = self.draw(*shape, seed=seed)
        return elbo.log_weight(self.log_likelihood(z), z, self.mean, self.log_var)


LINEAR = Linear()


@dataclass
class OneLatent:
    """z ~ N(0, 1), x|z ~ N(wz, s²): its posterior is one that an encoder can give."""

    weight, x, variance = doubles(0.8), doubles(1.3), doubles(0.25)

    @property
    def posterior(self):
        """Return the mean and log σ² of p(z|x)."""
        precision = 1 + self.weight**2 / self.variance
        return self.weight * self.x / self.variance / precision, -precision.log()

    def log_likelihood(self, z):
        return gaussian(self.x[None, None], (self.weight * z)[:, None, None], self.variance.log())


def average(values):
    """Return mean and standard error."""
    return float(values.mean()), float(values.std() / len(values) ** 0.5)


class TestKL:
    @given(means, log_vars)
    def test_closed_form_is_that_of_torch(self, mean, log_var):
        q = Normal(doubles(mean), doubles(log_var).div(2).exp())
        torch.testing.assert_close(
            elbo.kl_per_component(doubles(mean), doubles(log_var)),
            kl_divergence(q, Normal(0.0, 1.0)).double(),
        )

    @settings(max_examples=10)
    @given(st.lists(st.tuples(st.floats(-2, 2), st.floats(-3, 1)), min_size=1, max_size=4))
    def test_closed_form_is_the_monte_carlo_kl(self, components):
        mean, log_var = doubles(*components).unbind(1)
        z = elbo.reparametrise(mean, log_var, noise(DRAWS, len(mean)))
        value, error = average(elbo.log_normal(z, mean, log_var) - elbo.log_prior(z))
        assert abs(float(elbo.kl(mean, log_var)) - value) < 5 * error + 1e-9

    @given(means, log_vars)
    def test_never_negative_and_zero_at_the_prior(self, mean, log_var):
        assert elbo.kl(doubles(mean), doubles(log_var)) >= 0
        assert elbo.kl(doubles(0.0, 0.0), doubles(0.0, 0.0)) == 0

    def test_densities_are_those_of_torch(self):
        z, mean, log_var = noise(7, 3), noise(3, seed=1), noise(3, seed=2)
        torch.testing.assert_close(
            elbo.log_normal(z, mean, log_var), Normal(mean, log_var.div(2).exp()).log_prob(z).sum(-1)
        )
        torch.testing.assert_close(elbo.log_prior(z), elbo.log_normal(z, torch.zeros(3), torch.zeros(3)))


def test_draws_have_the_mean_and_the_variance_of_q():
    z = LINEAR.draw(DRAWS)
    torch.testing.assert_close(z.mean(0), LINEAR.mean, atol=0.02, rtol=0)
    torch.testing.assert_close(z.var(0), LINEAR.log_var.exp(), atol=0.02, rtol=0)


class TestLinearGaussian:
    def test_elbo_and_the_gap_are_log_p(self):
        """log p(x) = ELBO + KL(q ‖ p(z|x)): the lecture's decomposition, term by term."""
        values = elbo.elbo(LINEAR.log_likelihood(LINEAR.draw(DRAWS)), elbo.kl(LINEAR.mean, LINEAR.log_var))
        value, error = average(values)
        gap = float(kl_divergence(LINEAR.q, LINEAR.posterior))
        assert gap > 20 * error  # or nothing would be told
        assert abs(value + gap - float(LINEAR.log_p)) < 5 * error

    def test_bounds_grow_with_k_up_to_log_p(self):
        """ELBO ≤ IWAE-K ≤ log p, growing in K (Burda et al. 2016, theorem 1)."""
        bounds = [
            average(elbo.iwae(LINEAR.log_weights(k, DRAWS // math.isqrt(k), seed=k))) for k in (1, 2, 8, 64)
        ]
        value, error = average(
            elbo.elbo(LINEAR.log_likelihood(LINEAR.draw(DRAWS, seed=9)), elbo.kl(LINEAR.mean, LINEAR.log_var))
        )
        assert abs(value - bounds[0][0]) < 5 * math.hypot(error, bounds[0][1])  # at K = 1 it is the ELBO
        for (low, low_error), (high, high_error) in itertools.pairwise(bounds):
            assert high - low > 3 * math.hypot(low_error, high_error)
        last, error = bounds[-1]
        assert last < float(LINEAR.log_p) + 3 * error
        assert abs(last - float(LINEAR.log_p)) < 0.05

    def test_weights_are_p_of_x_on_average(self):
        value, error = average(LINEAR.log_weights(DRAWS).exp())
        assert abs(value - float(LINEAR.log_p.exp())) < 5 * error

    def test_with_the_true_posterior_one_draw_is_enough(self):
        """Where q is p(z|x), w is p(x) whatever z."""
        one = OneLatent()
        z = elbo.reparametrise(*one.posterior, noise(5, 1))
        expected = Normal(doubles(0.0), (one.weight**2 + one.variance).sqrt()).log_prob(one.x)
        torch.testing.assert_close(
            elbo.log_weight(one.log_likelihood(z), z, *one.posterior), expected.expand(5)
        )

    def test_reparametrised_gradient_is_the_score_function_gradient(self):
        mean, log_var = LINEAR.mean.clone().requires_grad_(), LINEAR.log_var.clone().requires_grad_()
        z = elbo.reparametrise(mean, log_var, noise(4 * DRAWS, 2))
        reparametrised = torch.autograd.grad(LINEAR.log_likelihood(z).mean(), (mean, log_var))
        fixed = LINEAR.draw(4 * DRAWS, seed=1)
        value = LINEAR.log_likelihood(fixed)
        score = torch.autograd.grad(
            ((value - value.mean()) * elbo.log_normal(fixed, mean, log_var)).mean(), (mean, log_var)
        )
        assert min(float(slope.abs().min()) for slope in reparametrised) > 0.1
        for ours, other in zip(reparametrised, score, strict=True):
            torch.testing.assert_close(ours, other, atol=0.03, rtol=0)


class TestIWAE:
    def test_the_mean_of_weights_in_logarithms(self):
        log_w = noise(6, 4)
        torch.testing.assert_close(elbo.iwae(log_w), log_w.exp().mean(0).log())
        assert elbo.iwae(doubles(-2000.0, -2000.0)) == -2000  # where exp() is 0

    def test_its_gradient_weighs_draws_by_their_share(self):
        log_w = noise(6).requires_grad_()
        (slope,) = torch.autograd.grad(elbo.iwae(log_w), log_w)
        torch.testing.assert_close(slope, log_w.softmax(0))
        assert slope.argmax() == log_w.argmax()


class TestSwitches:
    @given(st.floats(-100, 0), st.floats(0, 50), st.floats(0, 10))
    def test_beta_weighs_the_kl(self, likelihood, divergence, beta):
        assert elbo.elbo(doubles(likelihood), doubles(divergence)) == likelihood - divergence
        assert elbo.elbo(doubles(likelihood), doubles(divergence), beta) == pytest.approx(
            likelihood - beta * divergence
        )

    def test_free_bits_never_fall_below_the_kl(self):
        components = noise(9, 5).abs()
        assert elbo.free_bits(components, 0.0) == pytest.approx(float(components.sum(1).mean()))
        assert elbo.free_bits(components, 0.9) > components.sum(1).mean()
        assert elbo.free_bits(components, 10.0) == 50

    def test_a_free_component_has_no_gradient_a_dear_one_has(self):
        components = doubles([0.01, 2.0], [0.15, 4.0]).requires_grad_()  # means 0.08 and 3
        (slope,) = torch.autograd.grad(elbo.free_bits(components, 0.1), components)
        assert slope.tolist() == [[0, 0.5], [0, 0.5]]


def test_elbos_of_all_images_sum_to_at_most_1():
    """Σ exp(ELBO) ≤ 1 over all 2^6 images of a decoder with one latent, the ELBO by quadrature: exact but for
    rounding.

    q(z|x) lies where its image is likeliest, so that what is left without the KL sums to more than 1.
    """
    images = torch.tensor(list(itertools.product([0.0, 1.0], repeat=6)), dtype=torch.float64).reshape(
        -1, 1, 2, 3
    )
    slopes = doubles(1.8, -1.0, 0.6, 0.4, 1.4, -2.2)
    mean = ((2 * images - 1).flatten(1) @ slopes / 4)[:, None]
    log_var = torch.full((64, 1), -2.0, dtype=torch.float64)
    nodes = torch.linspace(-8, 8, 2001, dtype=torch.float64)  # ε, with its density as weight
    share = torch.softmax(-0.5 * nodes**2, 0)
    z = elbo.reparametrise(mean, log_var, nodes[:, None, None])  # (2001, 64, 1)
    likelihood = (share[:, None] * bernoulli(images, (z * slopes + 0.1).reshape(2001, 64, 1, 2, 3))).sum(0)
    total = float(elbo.elbo(likelihood, elbo.kl(mean, log_var)).exp().sum())
    assert 0.1 < total <= 1 < 1.2 < float(likelihood.exp().sum())


class TestPathGradients:
    """The gradient of q through z alone: right on average, and without noise where q is the posterior."""

    @staticmethod
    def slopes(estimate, draws, repeats=4000):
        """Return the gradient of `estimate(z, mean, log_var)` (repeats,) by μ and log σ², one for each
        repeat: (repeats, 4)."""
        q = torch.cat([LINEAR.mean, LINEAR.log_var]).expand(repeats, 4).clone().requires_grad_()
        mean, log_var = q[:, :2], q[:, 2:]
        z = elbo.reparametrise(mean, log_var, noise(draws, repeats, 2, seed=draws))
        return torch.autograd.grad(estimate(z, mean, log_var).sum(), q)[0]

    @staticmethod
    def close(one, other):
        error = (one.var(0) / len(one) + other.var(0) / len(other)).sqrt()
        assert ((one.mean(0) - other.mean(0)).abs() < 5 * error).all()
        assert (one.mean(0).abs() > 5 * error).any()  # there is a slope to agree on

    def test_the_elbo_has_the_same_gradient(self):
        self.close(
            self.slopes(lambda z, *q: (LINEAR.log_likelihood(z) - elbo.path_divergence(z, *q)).mean(0), 4),
            self.slopes(lambda z, *q: (LINEAR.log_likelihood(z) - elbo.kl(*q)).mean(0), 5),
        )

    def test_the_bound_of_k_draws_has_the_same_gradient(self):
        def path(z, *q):
            log_weights = LINEAR.log_likelihood(z) - elbo.path_divergence(z, *q)
            elbo.doubly_reparametrise(z, log_weights)
            return elbo.iwae(log_weights)

        self.close(
            self.slopes(path, 5),
            self.slopes(lambda z, *q: elbo.iwae(elbo.log_weight(LINEAR.log_likelihood(z), z, *q)), 5),
        )

    def test_at_the_posterior_every_draw_has_the_gradient_0(self):
        """Of q, in the ELBO and in the bound of K draws; that of the usual estimate is noise there."""
        one = OneLatent()
        q = torch.stack(one.posterior).requires_grad_()
        z = elbo.reparametrise(*q, noise(5, 1))
        log_weights = one.log_likelihood(z) - elbo.path_divergence(z, *q)
        for value in log_weights:
            (slope,) = torch.autograd.grad(value, q, retain_graph=True)
            assert slope.abs().max() < 1e-12
        (usual,) = torch.autograd.grad(one.log_likelihood(z)[0] - elbo.kl(*q), q, retain_graph=True)
        assert usual.abs().max() > 0.1
        elbo.doubly_reparametrise(z, log_weights)
        assert torch.autograd.grad(elbo.iwae(log_weights), q)[0].abs().max() < 1e-12

    def test_a_decoder_learns_from_the_bound_itself(self):
        weight = LINEAR.weight.clone().requires_grad_()
        z = LINEAR.draw(5)
        likelihood = gaussian(LINEAR.x[None, None], (z @ weight.T)[..., None, None, :], doubles(0.0))
        bound = elbo.iwae(elbo.log_weight(likelihood, z, LINEAR.mean, LINEAR.log_var))
        (expected,) = torch.autograd.grad(bound, weight, retain_graph=True)
        z.requires_grad_()
        log_weights = likelihood - elbo.path_divergence(z, LINEAR.mean, LINEAR.log_var)
        elbo.doubly_reparametrise(z, log_weights)
        torch.testing.assert_close(elbo.iwae(log_weights), bound)
        torch.testing.assert_close(torch.autograd.grad(elbo.iwae(log_weights), weight)[0], expected)
