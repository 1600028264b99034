"""The nets of the paper: sizes, widths, ELU, nearest upsampling, skips, and no layer that compares images."""

from __future__ import annotations

import pytest
import torch
from genzoo_began import genzoo_cards
from genzoo_began.began import BEGAN
from genzoo_began.nets import BEGANConfig, Decoder, Encoder, stages
from torch import nn
from torch.nn.functional import conv2d, elu

from genzoo import Family
from genzoo.errors import ArgumentError, UnknownNameError
from genzoo.explore.interpolation import interpolate, lerp
from genzoo.explore.traversal import traverse

CARDS = {card.name: card for card in genzoo_cards()}
SHAPES = [(3, 64, 64), (1, 28, 28), (3, 24, 40), (1, 8, 8), (3, 6, 6), (2, 5, 7), (3, 64, 32), (1, 1, 1)]


def tiny(kind=BEGAN, image_shape=(1, 16, 16), **config):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return kind(BEGANConfig(image_shape=image_shape, **{"width": 4, "latent_size": 5, **config}))


class TestShapes:
    @pytest.mark.parametrize("shape", SHAPES)
    def test_images_errors_and_logits(self, shape):
        net = tiny(image_shape=shape, width=2)
        images = net.sample(3, seed=0)
        assert images.shape == (3, *shape) and images.min() >= 0 and images.max() <= 1
        assert net.discriminator(images).shape == images.shape
        assert net.errors(images).shape == net._discriminate(images).shape == (3,)

    @pytest.mark.parametrize(
        ("shape", "count", "base"),
        [
            ((3, 64, 64), 3, (8, 8)),
            ((3, 32, 32), 2, (8, 8)),
            ((3, 128, 128), 4, (8, 8)),
            ((1, 28, 28), 1, (14, 14)),
            ((3, 24, 40), 1, (12, 20)),
            ((1, 8, 8), 0, (8, 8)),
            ((3, 31, 17), 0, (31, 17)),
        ],
    )
    def test_stages(self, shape, count, base):
        assert stages(shape) == (count, base)

    @pytest.mark.parametrize("shape", [(3, 33, 33), (3, 8, 64), (1, 1023, 1024)])
    def test_a_map_too_large_for_a_code_is_refused(self, shape):
        with pytest.raises(ArgumentError, match=r"config of began: image_shape .* remain") as caught:
            CARDS["began"].build(image_shape=shape)
        assert "64×64" in caught.value.hint

    @pytest.mark.parametrize(
        ("config", "error", "told"),
        [
            ({"width": 0}, ArgumentError, "width must lie between 1"),
            ({"depth": 9}, ArgumentError, "depth must lie between 1 and 8"),
            ({"latent": 3}, UnknownNameError, "did you mean 'latent_size'"),
        ],
    )
    def test_a_wrong_config_is_refused(self, config, error, told):
        with pytest.raises(error, match=told):
            CARDS["began"].build(**config)


class TestPaper:
    """Section 3.5 and figure 1."""

    def test_channels_grow_linearly_in_the_encoder(self):
        with torch.device("meta"):
            encoder = Encoder(BEGANConfig(width=64))
        layers = [m for m in encoder if isinstance(m, nn.Conv2d)]
        assert [m.out_channels for m in layers] == [64, 64, 64, 128, 128, 128, 192, 192, 192, 256, 256, 256]
        assert [m.stride[0] for m in layers] == [1, 1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1]
        assert (encoder[-1].in_features, encoder[-1].out_features) == (8 * 8 * 256, 64)

    @pytest.mark.parametrize(("skip", "later"), [(True, 128), (False, 64)])
    def test_and_are_constant_in_the_decoder(self, skip, later):
        with torch.device("meta"):
            decoder = Decoder(BEGANConfig(width=64, skip=skip))
        layers = [m for m in decoder.modules() if isinstance(m, nn.Conv2d)]
        assert [m.out_channels for m in layers] == [64] * 8 + [3]
        assert [m.in_channels for m in layers] == [64, 64, later, 64, later, 64, later, 64, 64]
        assert (decoder.project.in_features, decoder.project.out_features) == (64, 8 * 8 * 64)

    def test_g_is_ds_decoder_with_weights_of_its_own(self):
        net = tiny()
        ours, theirs = net.generator.state_dict(), net.discriminator.decoder.state_dict()
        assert {key: v.shape for key, v in ours.items()} == {key: v.shape for key, v in theirs.items()}
        assert not any(torch.equal(ours[key], theirs[key]) for key in ours if "weight" in key)

    def test_there_are_elus_between_and_nothing_else(self):
        with torch.device("meta"):
            kinds = {type(m) for m in BEGAN(BEGANConfig()).modules() if not list(m.children())}
        assert kinds == {nn.Conv2d, nn.Linear, nn.ELU, nn.Flatten, nn.Unflatten}

    @pytest.mark.parametrize("skip", [True, False])
    def test_the_decoder_layer_by_layer(self, skip):
        """Nearest upsampling, then the first map beside it, then convolutions with ELU; the last is
        linear."""
        net = tiny(image_shape=(3, 32, 16), skip=skip, depth=1).generator.double()
        h = torch.randn(2, 5, dtype=torch.float64)
        first = (h @ net.project.weight.T + net.project.bias).view(2, 4, 16, 8)
        one, two = (block[0] for block in net.blocks)
        x = elu(conv2d(first, one.weight, one.bias, padding=1))
        up, wide = (m.repeat_interleave(2, 2).repeat_interleave(2, 3) for m in (x, first))
        x = elu(conv2d(torch.cat([up, wide], 1) if skip else up, two.weight, two.bias, padding=1))
        expected = conv2d(x, net.paint.weight, net.paint.bias, padding=1)
        torch.testing.assert_close(net(h), expected)

    def test_the_code_is_linear_in_the_last_map(self):
        encoder = tiny().discriminator.encoder
        kinds = [type(m) for m in encoder]
        assert kinds[-3:] == [nn.ELU, nn.Flatten, nn.Linear]

    def test_z_is_uniform_and_as_long_as_ds_code(self):
        net = tiny(latent_size=9)
        z = net.sample_latents(4000, seed=0)
        assert z.shape == (4000, 9) and z.min() >= -1 and z.max() <= 1
        assert abs(z.mean()) < 0.01 and abs(z.abs().mean() - 0.5) < 0.01 and abs(z.std() - 3**-0.5) < 0.01
        assert net.discriminator.encoder(torch.zeros(1, 1, 16, 16)).shape == (1, 9)

    def test_the_error_is_the_mean_absolute_one_in_the_range_of_the_paper(self):
        net = tiny()
        x = torch.rand(3, 1, 16, 16)
        v = 2 * x - 1
        rebuilt = net.discriminator(v)
        for i in range(3):
            each = torch.stack(
                [(a - b).abs() for a, b in zip(v[i].flatten(), rebuilt[i].flatten(), strict=True)]
            )
            torch.testing.assert_close(net._discriminate(x)[i], -each.mean())

    def test_fresh_nets_pass_on_what_they_get(self):
        """The output of 30 layers varies with the input, neither vanishing nor exploding."""
        net = tiny(image_shape=(3, 64, 64), width=16, latent_size=64)
        spread = net.generator(net.sample_latents(16, seed=0)).std(0).mean()
        assert 0.01 < spread < 3
        assert 0.1 < net.errors(torch.rand(8, 3, 64, 64) * 2 - 1).mean() < 3


class Normed(BEGAN):
    """A planted bug that public code has: batch norm after each convolution."""

    def __init__(self, config):
        super().__init__(config)
        for block in [m for m in self.modules() if isinstance(m, nn.Sequential) and len(m) == 4]:
            block.insert(1, nn.BatchNorm2d(block[0].out_channels))


class Averaged(BEGAN):
    """Another: errors averaged over the batch, so that all images have the same."""

    def errors(self, v):
        return super().errors(v).mean().expand(len(v))


def compares_images(net):
    """Say whether an image's error or a fake depends on others in its batch, in training mode."""
    net.train()
    v, z = torch.randn(6, 1, 16, 16), torch.rand(6, 5)
    with torch.no_grad():
        for function, rows in ((net.errors, v), (net.generator, z)):
            alone = torch.cat([function(row[None]) for row in rows])
            if not torch.allclose(function(rows), alone, rtol=1e-4, atol=1e-5):
                return True
    return False


@pytest.mark.parametrize(("kind", "found"), [(BEGAN, False), (Normed, True), (Averaged, True)])
def test_no_image_is_judged_by_its_company(kind, found):
    assert compares_images(tiny(kind)) is found


class TestExplorers:
    """What takes z for Gaussian would leave the cube."""

    def test_interpolation_is_straight_and_stays_in_the_cube(self):
        net = tiny()
        a, b = net.sample_latents(2, seed=3)
        images = interpolate(net, n=1, steps=5, seed=3)
        points = torch.stack([lerp(a, b, t) for t in (0, 0.25, 0.5, 0.75, 1)])
        assert points.abs().max() <= 1
        torch.testing.assert_close(images[0], net.decode(points))

    def test_a_traversal_covers_the_cube_and_no_more(self):
        net = tiny()
        z = torch.zeros(3, 5)
        z[:, 2] = torch.tensor([-0.9, 0.0, 0.9])  # the 5 %, 50 % and 95 % quantiles of U(-1, 1)
        torch.testing.assert_close(traverse(net, 2, steps=3)[0], net.decode(z))
        with pytest.raises(ArgumentError, match="the prior is uniform from -1 to 1"):
            traverse(net, 2, span=1.5)

    def test_a_sample_is_its_z_alone(self):
        net = tiny().train()
        whole = net.sample(70, seed=1)
        assert torch.equal(net.sample(3, seed=1), whole[:3])
        assert torch.equal(net.decode(net.sample_latents(70, seed=1)[69:]), whole[69:])


class TestCards:
    def test_they_are_what_they_say(self):
        assert list(CARDS) == ["began", "began-faces"]
        for card in CARDS.values():
            assert card.family is Family.IMPLICIT and card.load_class() is BEGAN
            assert "1703.10717" in card.paper and card.summary and card.condition is None
            assert card.recipe.batch_size == 16 and card.recipe.game.gamma == 0.5
        rates = [(card.recipe.lr["all"], card.recipe.game.k_rate) for card in CARDS.values()]
        assert rates == [(1e-4, 1e-3), (2e-4, 5e-3)]  # of the paper (sections 4.1, 3.4), and of a short run

    def test_the_architectures_card_is_the_papers(self):
        with torch.device("meta"):
            net = CARDS["began"].build()
        assert net.image_shape == (3, 64, 64) and net.latent_size == 64
        assert net.config.width == 64 and net.config.depth == 2 and net.config.skip

    def test_the_faces_fit_into_8_megabytes(self):
        recipe = CARDS["began-faces"].recipe
        with torch.device("meta"):
            net = CARDS["began-faces"].build()
        assert net.image_shape == (3, 64, 64) and recipe.data == "faces" and recipe.save_dtype == "float16"
        assert sum(v.numel() * (2 if v.ndim >= 2 else 4) for v in net.state_dict().values()) < 8_000_000
