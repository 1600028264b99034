"""The parts of a VAE, each by itself: nets of any size, and likelihoods against torch.distributions."""

from __future__ import annotations

import math

import pytest
import torch
from genzoo_vae.likelihoods import KINDS, LEAST_LOG_VAR, LOG_SCALES, Bernoulli, Colours, Gaussian, Logistic
from genzoo_vae.nets import (
    Centre,
    Crop,
    Enlarge,
    LatentMap,
    Patches,
    Residual,
    base_of,
    conv_decoder,
    conv_encoder,
    halvings,
    map_decoder,
    map_encoder,
    mlp_decoder,
    mlp_encoder,
)
from torch import nn
from torch.distributions import Bernoulli as Coin
from torch.distributions import Normal

from genzoo.errors import ArgumentError
from genzoo.rng import Rng

SHAPES = [(1, 28, 28), (3, 64, 64), (1, 5, 7), (3, 24, 40), (1, 1, 1)]


def uniform(*shape, seed=0):
    """Return numbers in (0, 1) of `shape`."""
    return Rng(seed, 0, shape[0]).uniform(*shape[1:]).float()


def maps_of(likelihood, n=4, shape=(3, 4, 5), spread=2.0):
    """Return an image in [0, 1] and what a decoder might say of it."""
    channels, *size = shape
    maps = (uniform(n, likelihood.outputs * channels, *size, seed=1) - 0.5) * 2 * spread
    return uniform(n, *shape), maps


class TestSizes:
    @pytest.mark.parametrize("shape", SHAPES)
    def test_enlarging_makes_a_size_that_the_halvings_divide(self, shape):
        count = halvings(shape)
        height, width = Enlarge(shape, count)(uniform(2, *shape)).shape[2:]
        assert (height, width) == tuple(side * 2**count for side in base_of(shape, count))
        assert height - shape[1] < 2**count and width - shape[2] < 2**count

    @pytest.mark.parametrize("shape", SHAPES)
    def test_cropping_undoes_it(self, shape):
        x = uniform(2, *shape)
        assert torch.equal(Crop(shape)(Enlarge(shape, halvings(shape))(x)), 2 * x - 1)

    def test_what_is_added_is_grey(self):
        enlarged = Enlarge((1, 5, 7), 2)(torch.ones(1, 1, 5, 7))
        assert enlarged[..., 5:, :].eq(0).all() and enlarged[..., 7:].eq(0).all()
        assert enlarged[..., :5, :7].eq(1).all()

    def test_centring_keeps_the_order_of_pixels(self):
        x = uniform(2, 3, 4, 5)
        assert torch.equal(Centre()(x), 2 * x.reshape(2, 60) - 1)

    @pytest.mark.parametrize("side", range(1, 70))
    def test_the_last_map_is_never_smaller_than_it_may_be(self, side):
        count = halvings((1, side, 200))
        assert 1 <= count <= 4 and (count == 1 or side >> count >= 4)


class TestNets:
    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("units", [0, 6])
    def test_encoders(self, shape, units):
        for net in (mlp_encoder(shape, 8, 2, 6), conv_encoder(shape, 4, 1, 6, units)):
            assert net(uniform(3, *shape)).shape == (3, 6)

    @pytest.mark.parametrize("shape", SHAPES)
    def test_decoders(self, shape):
        channels, *size = shape
        z = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
        for net in (
            mlp_decoder(shape, 8, 2, 5, 2),
            conv_decoder(shape, 4, 1, 5, 2),
            Patches(shape, 6, 4, 5, 2),
        ):
            assert net(z).shape == (3, 2 * channels, *size)

    def test_an_image_is_encoded_alike_in_any_company(self):
        x = uniform(6, 3, 24, 40)
        for net in (mlp_encoder((3, 24, 40), 8, 2, 6), conv_encoder((3, 24, 40), 4, 1, 6)):
            torch.testing.assert_close(net(x)[2:3], net(x[2:3]))

    def test_hidden_layers_of_the_papers_are_tanh(self):
        layers = [type(layer) for layer in mlp_encoder((1, 4, 4), 8, 3, 6)]
        assert layers == [Centre, *[nn.Linear, nn.Tanh] * 3, nn.Linear]

    def test_channels_double_with_each_halving_up_to_four_times(self):
        convs = [layer for layer in conv_encoder((3, 64, 64), 8, 0, 6) if isinstance(layer, nn.Conv2d)]
        assert [layer.out_channels for layer in convs] == [8, 16, 32, 32]

    def test_a_residual_block_of_zeros_changes_nothing(self):
        block, x = Residual(4), uniform(2, 4, 5, 6)
        for parameter in block.parameters():
            nn.init.zeros_(parameter)
        assert torch.equal(block(x), x)

    def test_depth_adds_residual_blocks_at_every_size(self):
        count = [sum(isinstance(m, Residual) for m in conv_encoder((1, 28, 28), 4, d, 6)) for d in (0, 1, 3)]
        assert count == [0, 2, 6]


class TestMaps:
    """Latents as a map: near pixels share latents, and far ones do not."""

    @pytest.mark.parametrize("shape", SHAPES)
    def test_any_size(self, shape):
        latents = 2 * math.prod(base_of(shape, 2))
        z = torch.randn(3, latents + 5, generator=torch.Generator().manual_seed(0))
        assert map_encoder(shape, 4, 1, latents)(uniform(3, *shape)).shape == (3, 2 * latents)
        out = map_decoder(shape, 4, 1, latents, latents + 5, 3)(z)
        assert out.shape == (3, 3 * shape[0], *shape[1:])

    def test_a_row_becomes_a_map_and_what_follows_it_goes_everywhere(self):
        z = torch.arange(26.0).view(2, 13)
        found = LatentMap((1, 8, 5), 12)(z)  # 2 × 2 positions: three latents and one more
        assert found.shape == (2, 4, 2, 2)
        assert torch.equal(found[:, :3].flatten(1), z[:, :12])
        assert torch.equal(found[1, 3], torch.full((2, 2), 25.0))

    def test_the_encoder_s_mean_of_a_latent_is_where_the_decoder_reads_it(self):
        """Position (0, 0) of every channel: moved by the first square, and moving it, more than the last."""
        shape, latents = (3, 16, 16), 32
        encoder, decoder = map_encoder(shape, 4, 0, latents), map_decoder(shape, 4, 0, latents, latents, 2)
        x = uniform(1, *shape)
        there = torch.zeros(shape[1:], dtype=torch.bool)
        there[:4, :4] = True
        mean = torch.func.jacrev(lambda x: encoder(x)[0, :latents])(x)[:, 0].abs().sum(1)
        assert mean[::16][:, there].min() > 0 and mean[::16][:, ~there].max() == 0
        drawn = (
            torch.func.jacrev(decoder)(torch.zeros(1, latents))[0, :, :, :, 0].abs().sum(0)
        )  # (H, W, latents)
        assert drawn[:4, :4, ::16].min() > 0 and drawn[8:, 8:, ::16].max() == 0


class TestBernoulli:
    def test_it_is_that_of_torch(self):
        _, maps = maps_of(Bernoulli())
        x = (uniform(4, 3, 4, 5) > 0.5).float()
        expected = Coin(logits=maps).log_prob(x).sum((1, 2, 3))
        torch.testing.assert_close(Bernoulli().log_prob(x, maps), expected)

    def test_more_draws_than_images(self):
        _, maps = maps_of(Bernoulli())
        x = (uniform(4, 3, 4, 5) > 0.5).float()
        found = Bernoulli().log_prob(x, torch.stack([maps, -maps]))
        torch.testing.assert_close(found[1], Bernoulli().log_prob(x, -maps))

    def test_the_first_grey_level_is_named(self):
        with pytest.raises(ArgumentError, match=r"grey levels such as 0\.25"):
            Bernoulli().check(torch.tensor([0.0, 1.0, 0.25, 0.5]))


class TestGaussian:
    @pytest.mark.parametrize("log_var", [-3.0, 0.0, 1.0])
    def test_it_is_that_of_torch(self, log_var):
        likelihood = Gaussian()
        nn.init.constant_(likelihood.log_var, log_var)
        x, maps = maps_of(likelihood)
        expected = Normal(maps.sigmoid(), math.exp(log_var / 2)).log_prob(x).sum((1, 2, 3))
        torch.testing.assert_close(likelihood.log_prob(x, maps), expected)

    def test_no_density_is_sharper_than_a_rounding_error(self):
        likelihood, sharper = Gaussian(), Gaussian()
        nn.init.constant_(likelihood.log_var, LEAST_LOG_VAR)
        nn.init.constant_(sharper.log_var, -50.0)
        x, maps = maps_of(likelihood)
        assert torch.equal(likelihood.log_prob(x, maps), sharper.log_prob(x, maps))
        assert math.exp(LEAST_LOG_VAR / 2) == pytest.approx(1 / 255 / math.sqrt(12), rel=0.02)


class TestLogistic:
    @pytest.mark.parametrize("log_scale", [-9.0, -2.0, 0.0, 3.0, 20.0])
    @pytest.mark.parametrize("centre", [-3.0, 0.0, 0.4])
    def test_256_masses_sum_to_1(self, centre, log_scale):
        levels = torch.arange(256).div(255).view(256, 1, 1, 1)
        maps = torch.tensor([centre, log_scale + 2]).view(1, 2, 1, 1).expand(256, 2, 1, 1)
        total = Logistic().log_prob(levels, maps).double().exp().sum()
        assert float(total) == pytest.approx(1, abs=2e-5)

    def test_scales_are_kept_in_bounds(self):
        x, maps = maps_of(Logistic())
        wild = maps.clone()
        wild[:, 3:] = 1e4
        bounded = maps.clone()
        bounded[:, 3:] = LOG_SCALES[1] + 2
        assert torch.equal(Logistic().log_prob(x, wild), Logistic().log_prob(x, bounded))

    def test_draws_have_the_masses_of_log_prob(self):
        n, maps = 40_000, torch.tensor([0.2, -1.0]).view(1, 2, 1, 1)
        drawn = (
            Logistic().draw(maps.expand(n, 2, 1, 1), uniform(n, 1, 1, 1)).mul(255).round().long().flatten()
        )
        found = torch.bincount(drawn, minlength=256) / n
        levels = torch.arange(256).div(255).view(256, 1, 1, 1)
        expected = Logistic().log_prob(levels, maps.expand(256, 2, 1, 1)).exp()
        spread = (expected * (1 - expected) / n).sqrt()
        assert ((found - expected).abs() <= 5 * spread + 1e-6).all()


class TestColours:
    """Three colours whose distributions hang together: one distribution of 256³ levels."""

    @staticmethod
    def maps(centre=(0.2, -0.4, 0.9), log_scale=(-1.0, -0.5, 0.3), slopes=(0.8, -0.3, 0.6)):
        return torch.tensor([*centre, *log_scale, *slopes]).view(1, 9, 1, 1)

    def test_without_slopes_it_is_the_logistic_of_each_colour(self):
        x, maps = maps_of(Colours())
        maps[:, 6:] = 0
        torch.testing.assert_close(Colours().log_prob(x, maps), Logistic().log_prob(x, maps[:, :6]))

    def test_the_formula_by_hand(self):
        """p(r) p(g|r) p(b|r,g), each a logistic whose centre has moved."""
        x, maps = torch.tensor([0.7, 0.1, 0.4]).view(1, 3, 1, 1), self.maps()
        level = 2 * torch.round(x.flatten() * 255) / 255 - 1
        m, (alpha, beta, gamma) = torch.tensor([0.2, -0.4, 0.9]).tanh(), (0.8, -0.3, 0.6)
        off = level - m
        centres = (m[0], m[1] + alpha * off[0], m[2] + beta * off[0] + gamma * off[1])
        total = 0.0
        for colour, (centre, log_scale) in enumerate(zip(centres, (-3.0, -2.5, -1.7), strict=True)):
            scale, half = math.exp(log_scale), 1 / 255
            below = torch.sigmoid((level[colour] + half - centre) / scale)
            above = torch.sigmoid((level[colour] - half - centre) / scale)
            total += float(torch.log(below - above))
        assert float(Colours().log_prob(x, maps)) == pytest.approx(total, rel=1e-4)

    def test_the_masses_of_each_colour_given_those_before_sum_to_1(self):
        """Σ over b of p(r, g, b) is p(r, g), for any r and g."""
        levels = torch.arange(256).div(255)
        maps = self.maps().expand(256, 9, 1, 1)

        def row(colour, others):
            x = torch.tensor(others).expand(256, 3).clone()
            x[:, colour] = levels
            return x.view(256, 3, 1, 1)

        likelihood = Colours()
        for others in ((0.0, 1.0, 0.5), (0.3, 0.9, 0.1)):
            blue = likelihood.log_prob(row(2, others), maps).double().exp().sum()
            pair = Logistic().log_prob(  # p(r, g), which blue must leave as it is
                row(2, others)[:1, :2], torch.cat([self._moved(maps, others)[:1, :2], maps[:1, 3:5]], 1)
            )
            assert float(blue) == pytest.approx(float(pair.double().exp()), rel=1e-3)

    @staticmethod
    def _moved(maps, others):
        """Return the maps of the centres that green has after red, before tanh."""
        m = maps[:, :3].tanh()
        red = 2 * round(others[0] * 255) / 255 - 1 - m[:, :1]
        return torch.cat([m[:, :1], m[:, 1:2] + maps[:, 6:7] * red], 1).clamp(-0.9999, 0.9999).atanh()

    def test_the_masses_of_a_coarse_pixel_sum_to_1(self):
        """With scales as narrow as a few levels, all colours near the centre hold nearly all of the mass."""
        near = torch.arange(96, 160)
        grid = torch.cartesian_prod(near, near, near).div(255.0).view(-1, 3, 1, 1)
        maps = self.maps((0.0, 0.0, 0.0), (-2.5, -2.5, -2.5), (0.5, -0.3, 0.4)).expand(len(grid), 9, 1, 1)
        assert float(Colours().log_prob(grid, maps).double().exp().sum()) == pytest.approx(1, abs=2e-3)

    def test_draws_have_the_means_and_the_dependence_of_log_prob(self):
        n, slopes = 60_000, (0.8, -0.3, 0.6)
        maps = self.maps((0.0, 0.1, -0.1), (-2.0, -2.0, -2.0), slopes)
        drawn = Colours().draw(maps.expand(n, 9, 1, 1), uniform(n, 3, 1, 1)).flatten(1)
        assert torch.equal((drawn * 255).round() / 255, drawn)
        off = (drawn - drawn.mean(0)).double()
        (alpha,) = torch.linalg.lstsq(off[:, :1], off[:, 1]).solution.tolist()
        beta, gamma = torch.linalg.lstsq(off[:, :2], off[:, 2]).solution.tolist()
        assert (alpha, beta, gamma) == pytest.approx(slopes, abs=0.03)
        mean = Colours().mean(maps).flatten()
        torch.testing.assert_close(drawn.mean(0), mean, rtol=0, atol=2e-3)

    def test_the_masses_of_two_colours_sum_to_1(self):
        """All 65,536 of them, with scales that reach beyond black and white."""
        levels = torch.arange(256)
        grid = torch.cartesian_prod(levels, levels).div(255.0).view(-1, 2, 1, 1)
        maps = torch.tensor([0.3, -0.6, 0.5, 1.0, 0.9, 7.0]).view(1, 6, 1, 1).expand(len(grid), 6, 1, 1)
        assert float(Colours().log_prob(grid, maps).double().exp().sum()) == pytest.approx(1, abs=1e-4)

    def test_a_pixel_moves_no_other_pixel(self):
        x, maps = maps_of(Colours(), n=1)
        other = x.clone()
        other[..., 0, 0] = 1 - other[..., 0, 0]
        alone = Colours().log_prob(x[..., :1, :1], maps[..., :1, :1])
        changed = Colours().log_prob(other[..., :1, :1], maps[..., :1, :1])
        whole = Colours().log_prob(other, maps) - Colours().log_prob(x, maps)
        torch.testing.assert_close(whole, changed - alone, rtol=1e-3, atol=1e-3)

    def test_what_colours_share_is_paid_for_once(self):
        """Greys of unknown brightness: the slopes save two of three wide distributions."""
        x = uniform(500, 1, 1, 1).expand(500, 3, 1, 1)
        apart = self.maps((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
        together = self.maps((0.0, 0.0, 0.0), (1.0, -3.0, -3.0), (1.0, 0.0, 1.0))
        gain = Colours().log_prob(x, together.expand(500, 9, 1, 1)) - Colours().log_prob(
            x, apart.expand(500, 9, 1, 1)
        )
        assert float(gain.mean()) > 4


@pytest.mark.parametrize("kind", KINDS)
class TestEveryLikelihood:
    def test_mean_and_draw_are_images(self, kind):
        likelihood = KINDS[kind]()
        x, maps = maps_of(likelihood, spread=8.0)
        for image in (likelihood.mean(maps), likelihood.draw(maps, uniform(*x.shape, seed=2))):
            assert image.shape == x.shape and bool(((image >= 0) & (image <= 1)).all())

    def test_log_prob_teaches_the_decoder(self, kind):
        likelihood = KINDS[kind]()
        x, maps = maps_of(likelihood)
        maps.requires_grad_()
        likelihood.log_prob(x.round(), maps).sum().backward()
        assert maps.grad.isfinite().all() and maps.grad.ne(0).all()

    def test_half_precision_maps_are_read_in_single(self, kind):
        likelihood = KINDS[kind]()
        x, maps = maps_of(likelihood)
        half = maps.bfloat16()
        expected = likelihood.log_prob(x.round(), half.float())
        assert torch.equal(likelihood.log_prob(x.round(), half), expected)
