"""DCGAN: the paper's five guidelines, every size that strides allow, one image per z."""

from __future__ import annotations

from types import SimpleNamespace

import genzoo_dcgan
import pytest
import torch
from genzoo_dcgan.dcgan import DCGAN, DCGANConfig, channels, stages
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import nn

from genzoo import Family, create, hookimpl, registry, zoo
from genzoo.errors import ArgumentError, GenzooError, UnknownNameError
from genzoo.layers import BalancedConvTranspose2d, InstanceNorm2d, LatentDropout, StridedConvTranspose2d
from genzoo.recipe import Recipe

SHAPES = [
    (3, 24, 40),
    (1, 28, 28),
    (3, 64, 64),
    (1, 8, 8),
    (3, 6, 6),
    (1, 6, 64),
    (3, 66, 34),
    (3, 96, 32),
    (1, 128, 48),
]
CARDS = {card.name: card for card in genzoo_dcgan.genzoo_cards()}


def tiny(image_shape=(1, 8, 8), **config):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return DCGAN(DCGANConfig(image_shape=image_shape, **{"width": 2, "latent_size": 5, **config}))


class TestShapes:
    @pytest.mark.parametrize("shape", SHAPES)
    def test_images_and_logits(self, shape):
        net = tiny(shape)
        images = net.sample(3, seed=0)
        assert images.shape == (3, *shape) and images.min() >= 0 and images.max() <= 1
        assert net._discriminate(images).shape == (3,)

    @pytest.mark.parametrize(
        ("shape", "count", "base"),
        [
            ((3, 64, 64), 4, (4, 4)),
            ((3, 24, 40), 3, (3, 5)),
            ((1, 28, 28), 2, (7, 7)),
            ((1, 8, 8), 1, (4, 4)),
            ((3, 96, 96), 5, (3, 3)),
            ((1, 6, 6), 1, (3, 3)),
        ],
    )
    def test_stages(self, shape, count, base):
        assert stages(shape) == (count, base)

    @given(st.sampled_from([1, 3]), st.integers(1, 1024), st.integers(1, 1024))
    def test_every_size_works_or_names_one_that_does(self, c, h, w):
        try:
            count, base = stages((c, h, w))
        except ArgumentError as error:
            assert f"({c}, {h}, {w})" in error.message
            near = named(error.hint)
            assert near[0] == c and abs(near[1] - max(h, 6)) <= 1 and abs(near[2] - max(w, 6)) <= 1
            stages(near)
            assert h % 2 or w % 2 or min(h, w) < 6
        else:
            assert count >= 1 and (base[0] << count, base[1] << count) == (h, w)
            assert min(base) >= 3
            assert base[0] % 2 or base[1] % 2 or min(base) < 6  # it could not be halved once more

    @hypothesis_settings(max_examples=15)
    @given(st.integers(1, 40), st.integers(1, 40))
    def test_the_named_size_is_really_built(self, h, w):
        try:
            net = tiny((1, h, w), width=1)
        except ArgumentError as error:
            net = tiny(named(error.hint), width=1)
        assert net.sample(1, seed=0).shape[1:] == net.image_shape

    @pytest.mark.parametrize("shape", [(3, 25, 40), (3, 4, 64), (3, 63, 63)])
    def test_the_message_through_the_card(self, shape):
        with pytest.raises(
            ArgumentError,
            match=r"config of dcgan: image_shape .* does not work: H and W must be even and at least 6",
        ):
            CARDS["dcgan"].build(image_shape=shape)

    @pytest.mark.parametrize(
        ("config", "told"),
        [
            ({"image_shape": (2, 8, 8)}, "1 or 3 channels, not 2"),
            ({"image_shape": (3, 8)}, "must have 3 items"),
            ({"image_shape": (3, 0, 8)}, "between 1 and 1024"),
            ({"image_shape": (3, 10**6, 10**6)}, "between 1 and 1024"),
            ({"width": 0}, "width must lie between 1"),
            ({"width": 10**12}, "width must lie between 1"),
            ({"latent_size": 10**9}, "latent_size must lie between"),
            ({"discriminator_width": 1.5}, "discriminator_width must be a whole number"),
        ],
    )
    def test_a_config_that_would_eat_the_memory_is_refused(self, config, told):
        with pytest.raises(ArgumentError, match=told):
            CARDS["dcgan"].build(**config)

    def test_unknown_key(self):
        with pytest.raises(UnknownNameError, match="did you mean 'width'"):
            CARDS["dcgan"].build(widht=1)

    def test_the_papers_network(self):
        """Figure 1: 100 → 1024×4×4 → 512×8×8 → 256×16×16 → 128×32×32 → 3×64×64."""
        with torch.device("meta"):
            net = CARDS["dcgan"].build(image_shape=(3, 64, 64), width=128)
        ups = [m for m in net.generator if isinstance(m, nn.ConvTranspose2d)]
        assert [(m.in_channels, m.out_channels) for m in ups] == [
            (100, 1024),
            (1024, 512),
            (512, 256),
            (256, 128),
            (128, 3),
        ]
        assert channels(128, 7) == [128, 256, 512, 1024, 1024, 1024, 1024]

    def test_the_discriminator_may_be_narrower(self):
        net = tiny((3, 16, 16), width=4, discriminator_width=2)
        assert net.discriminator[0].out_channels == 2 and net.generator[-2].in_channels == 4


def named(hint):
    """Return the size that a hint names."""
    return tuple(int(word) for word in hint.partition("(")[2].partition(")")[0].split(","))


@pytest.mark.parametrize("shape", [(3, 64, 64), (3, 24, 40), (1, 8, 8)])
class TestGuidelines:
    def test_1_no_pooling_but_strides(self, shape):
        net = tiny(shape)
        assert not [m for m in net.modules() if "Pool" in type(m).__name__ or isinstance(m, nn.Upsample)]
        count, _ = stages(shape)
        assert [m.stride for m in net.discriminator if isinstance(m, nn.Conv2d)] == [(2, 2)] * count + [
            (1, 1)
        ]
        assert [m.stride for m in net.generator if isinstance(m, nn.ConvTranspose2d)] == [(1, 1)] + [
            (2, 2)
        ] * count

    def test_2_batch_norm_everywhere_but_on_gs_output_and_ds_input(self, shape):
        net = tiny(shape)
        for layers, exempt in ((list(net.generator), -1), (list(net.discriminator), 0)):
            convolutions = [i for i, m in enumerate(layers) if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))]
            hidden = [i for i in convolutions if i != convolutions[exempt] and i + 1 < len(layers)]
            for i in hidden:
                assert isinstance(layers[i + 1], nn.BatchNorm2d), i
            assert sum(isinstance(m, nn.BatchNorm2d) for m in layers) == len(hidden)

    def test_3_no_fully_connected_layers(self, shape):
        assert not [m for m in tiny(shape).modules() if isinstance(m, nn.Linear)]

    def test_4_relu_in_g_and_tanh_at_its_end(self, shape):
        kinds = [
            type(m) for m in tiny(shape).generator if not isinstance(m, (nn.ConvTranspose2d, nn.BatchNorm2d))
        ]
        assert kinds == [nn.ReLU] * (len(kinds) - 1) + [nn.Tanh]

    def test_5_leaky_relu_in_d(self, shape):
        others = [m for m in tiny(shape).discriminator if not isinstance(m, (nn.Conv2d, nn.BatchNorm2d))]
        assert others and all(isinstance(m, nn.LeakyReLU) and m.negative_slope == 0.2 for m in others)


def kinds(net, *wanted):
    return {type(m) for m in net.modules() if isinstance(m, wanted)}


NORMED = (nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm)
ACTIVE = (nn.ReLU, nn.LeakyReLU, nn.Tanh)


class TestBeyondThePaper:
    """What the config offers for other games and for comparisons; each switch changes what it says."""

    @pytest.mark.parametrize(
        ("config", "of_g", "of_d"),
        [
            ({}, {nn.BatchNorm2d}, {nn.BatchNorm2d}),
            ({"norm": "instance"}, {InstanceNorm2d}, {InstanceNorm2d}),
            ({"norm": "layer"}, {nn.GroupNorm}, {nn.GroupNorm}),
            ({"norm": "none"}, set(), set()),
            ({"discriminator_norm": "layer"}, {nn.BatchNorm2d}, {nn.GroupNorm}),
            ({"norm": "none", "discriminator_norm": "batch"}, set(), {nn.BatchNorm2d}),
        ],
    )
    def test_norm(self, config, of_g, of_d):
        net = tiny((1, 16, 16), **config)
        assert kinds(net.generator, *NORMED) == of_g and kinds(net.discriminator, *NORMED) == of_d
        hidden = [m for m in net.generator if isinstance(m, nn.ConvTranspose2d)][:-1]
        assert all((m.bias is None) == bool(of_g) for m in hidden)  # a norm has its own

    @pytest.mark.parametrize("norm", ["instance", "layer", "none"])
    def test_without_batch_norm_a_logit_in_training_is_of_its_own_image_alone(self, norm):
        """Or the gradient penalty would ask for what there is not."""
        x = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))
        told = {kind: tiny((1, 16, 16), width=4, discriminator_norm=kind).train() for kind in (norm, "batch")}
        own, mixed = (
            net._discriminate(x)[:2] - net._discriminate(x[:2]) for net in (told[norm], told["batch"])
        )
        assert own.abs().max() < 1e-6 < mixed.abs().max()

    @pytest.mark.parametrize(
        ("activation", "of_g", "of_d"),
        [
            ("relu", {nn.ReLU, nn.Tanh}, {nn.LeakyReLU}),
            ("leaky-relu", {nn.LeakyReLU, nn.Tanh}, {nn.LeakyReLU}),
            ("tanh", {nn.Tanh}, {nn.Tanh}),
        ],
    )
    def test_activation(self, activation, of_g, of_d):
        net = tiny((1, 16, 16), activation=activation, depth=1)
        assert kinds(net.generator, *ACTIVE) == of_g and kinds(net.discriminator, *ACTIVE) == of_d

    def test_depth_adds_layers_of_the_same_size(self):
        flat, deep = (tiny((1, 16, 16), depth=depth) for depth in (0, 3))
        for net in ("generator", "discriminator"):
            more = [m for m in getattr(deep, net) if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
            assert len(more) == 3 * 2 and all(
                m.in_channels == m.out_channels and m.stride == (1, 1) for m in more
            )
            assert len(getattr(deep, net)) == len(getattr(flat, net)) + 3 * 3 * 2

    @pytest.mark.parametrize("depth", [0, 3])
    def test_without_norm_the_signal_keeps_its_size(self, depth):
        """With weights of the paper's N(0, 0.02) it would be gone after a few layers, and with it every
        objective."""
        net = tiny((1, 32, 32), norm="none", depth=depth, width=16, latent_size=64)
        sizes = {}
        for name in ("generator", "discriminator"):
            layer = list(getattr(net, name))[-3 if name == "generator" else -2]  # the last hidden one
            layer.register_forward_hook(
                lambda module, inputs, output, name=name: sizes.update({name: output.std().item()})
            )
        net.train()._discriminate(
            net._decode(torch.randn(32, 64, generator=torch.Generator().manual_seed(0)))
        )
        assert 0.2 < sizes["generator"] < 2 and 0.05 < sizes["discriminator"] < 2

    def test_balanced_upsampling_draws_flat_areas_without_a_lattice(self):
        """Every layer that doubles the map, the one to colours too; the first has no phases."""
        plain, flat = (tiny((3, 64, 64), upsample=kind) for kind in ("plain", "balanced"))
        assert list(flat.state_dict()) == list(plain.state_dict())
        flat.load_state_dict(plain.state_dict())  # weights fit both
        for net, kind in ((plain, StridedConvTranspose2d), (flat, BalancedConvTranspose2d)):
            ups = [m for m in net.generator if isinstance(m, nn.ConvTranspose2d)]
            assert [type(m) for m in ups] == [StridedConvTranspose2d, *[kind] * 4]
        constant = torch.ones(1, 2, 20, 20)  # of the last hidden map
        insides = [net.generator[-2](constant)[..., 4:-4, 4:-4] for net in (plain, flat)]
        waves = [(x - x.mean((2, 3), keepdim=True)).abs().max().item() for x in insides]
        assert waves[0] > 1e-3 and waves[1] < 1e-6
        with pytest.raises(GenzooError, match="upsample"):
            create("dcgan", upsample="nearest")

    def test_a_generator_without_convolutions(self):
        net = tiny((3, 24, 40), mlp=7)
        assert not kinds(net.generator, nn.Conv2d, nn.ConvTranspose2d)
        assert [m.out_features for m in net.generator if isinstance(m, nn.Linear)] == [7, 7, 7, 3 * 24 * 40]

    def test_without_convolutions_a_fresh_generator_hears_of_z(self):
        """With torch's fresh weights the images of all z are nearly one image, and no objective tells them
        apart again."""
        images = tiny((1, 28, 28), mlp=256, latent_size=100)._decode(
            torch.randn(64, 100, generator=torch.Generator().manual_seed(0))
        )
        assert images.std(0).mean() > 0.1

    def test_dropout_acts_in_sampling_and_the_same_z_gives_the_same_image(self):
        net, plain = tiny((1, 32, 32), dropout=0.5, width=4), tiny((1, 32, 32), width=4)
        assert sum(isinstance(m, LatentDropout) for m in net.generator) == 3
        seen = []
        net.generator[3].register_forward_hook(lambda module, inputs, output: seen.append(output))
        images = net.sample(70, seed=0)  # more than a chunk
        assert (torch.cat(seen) == 0).all((2, 3)).float().mean().item() == pytest.approx(0.5, abs=0.05)
        assert torch.equal(net.sample(3, seed=0), images[:3])
        assert torch.equal(net.decode(net.sample_latents(70, seed=0)[5:6]), images[5:6])
        assert not kinds(plain.generator, LatentDropout)

    def test_minibatch_discrimination_is_ds_last_hidden_layer(self):
        net = tiny((1, 16, 16), minibatch=5)
        layer, last = net.discriminator[-2:]
        assert (layer.features, layer.kernels, last.in_features) == (2 * 2 * 4 * 4, 5, 2 * 2 * 4 * 4 + 5)
        x = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))
        collapsed = x[:1].expand(4, -1, -1, -1)
        told = (
            net.train().discriminator[:-1](2 * collapsed - 1)[:, -5:],
            net.discriminator[:-1](2 * x - 1)[:, -5:],
        )
        assert (told[0] > 0.999).all() and (told[1] < 0.999).any()


def test_fresh_weights_are_those_of_the_paper():
    """N(0, 0.02) for convolutions; batch norm's gain N(1, 0.02), its shift 0."""
    net = tiny((3, 32, 32), width=24, latent_size=100)
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            spread = 0.02 * 5 / module.weight.numel() ** 0.5
            assert abs(module.weight.mean()) < spread and abs(module.weight.std() - 0.02) < spread
            assert module.bias is None or not module.bias.any()
        elif isinstance(module, nn.BatchNorm2d):
            assert abs(module.weight.mean() - 1) < 0.025 and 0.01 < module.weight.std() < 0.03
            assert not module.bias.any()


class TestSampling:
    def test_one_image_per_z_in_any_batch(self):
        net = tiny((3, 24, 40)).train()
        whole = net.sample(18, seed=4)
        assert torch.equal(net.sample(1, seed=4), whole[:1]) and torch.equal(
            net.sample(17, seed=4), whole[:17]
        )
        assert torch.equal(net.decode(net.sample_latents(18, seed=4)[9:10]), whole[9:10])
        assert whole.std(0).max() > 0

    def test_z_is_gaussian(self):
        z = tiny(latent_size=100).sample_latents(300, seed=0)
        assert z.shape == (300, 100) and abs(z.std() - 1) < 0.02 and z.abs().max() > 3
        assert DCGAN.prior == "normal"  # so that interpolation goes along the sphere

    def test_range_from_tanh_to_the_convention(self):
        net = tiny()
        with torch.no_grad():
            net.generator[-2].weight.zero_()
            for bias, level in ((0.0, 0.5), (0.5493061, 0.75), (-0.5493061, 0.25)):  # tanh 0.549… = 1/2
                net.generator[-2].bias.fill_(bias)
                # bf16 at least
                torch.testing.assert_close(
                    net.sample(1, seed=0), torch.full((1, 1, 8, 8), level), rtol=0, atol=2e-3
                )
                torch.testing.assert_close(
                    net.train()._decode(torch.zeros(2, 5)), torch.full((2, 1, 8, 8), level)
                )
            net.generator[-2].bias.fill_(50.0)
            assert torch.equal(net.sample(1, seed=0), torch.ones(1, 1, 8, 8))
            net.generator[-2].bias.fill_(-50.0)
            assert torch.equal(net.sample(1, seed=0), torch.zeros(1, 1, 8, 8))

    def test_the_discriminator_sees_images_as_tanh_draws_them(self):
        net, seen = tiny(), []
        net.discriminator.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
        net._discriminate(torch.tensor([0.0, 0.5, 1.0])[:, None, None, None].expand(3, 1, 8, 8))
        assert [image.unique().tolist() for image in seen[0]] == [[-1.0], [0.0], [1.0]]


class TestCards:
    def test_they_are_what_they_say(self):
        assert {name: card.family for name, card in CARDS.items()} == dict.fromkeys(CARDS, Family.IMPLICIT)
        assert list(CARDS) == ["dcgan", "dcgan-mnist", "dcgan-bedrooms", "dcgan-faces", "dcgan-rooms"]
        for name, card in CARDS.items():
            assert (card.load_class() is DCGAN) == (name != "dcgan-rooms")
            assert "1511.06434" in card.paper and card.summary

    def test_the_papers_optimiser(self):
        recipe = CARDS["dcgan"].recipe
        assert isinstance(recipe, Recipe)
        assert (
            recipe.lr_of("generator"),
            recipe.lr_of("discriminator"),
            recipe.betas[0],
            recipe.batch_size,
        ) == (2e-4, 2e-4, 0.5, 128)

    @pytest.mark.parametrize(
        ("name", "shape"), [("mnist", (1, 28, 28)), ("bedrooms", (3, 64, 64)), ("faces", (3, 64, 64))]
    )
    def test_published_weights_fit_into_8_megabytes(self, name, shape):
        card = CARDS[f"dcgan-{name}"]
        with torch.device("meta"):
            net = card.build()
        assert net.image_shape == shape and card.recipe.data == name
        assert card.recipe.save_dtype == "float16"
        assert (
            sum(v.numel() * (2 if v.ndim >= 2 else v.element_size()) for v in net.state_dict().values())
            < 8_000_000
        )


def test_from_card_to_images_on_digits(tmp_path, monkeypatch):
    """A tiny DCGAN is trained for a moment, published, pulled and verified; the images are those of the
    finished model."""
    about = SimpleNamespace(name="genzoo-dcgan", version="0.1.0")
    plugin = SimpleNamespace(
        genzoo_api=2, genzoo_cards=hookimpl(genzoo_dcgan.genzoo_cards, specname="genzoo_cards")
    )
    entry = SimpleNamespace(
        name="dcgan", value="genzoo_dcgan", group="genzoo", dist=about, load=lambda: plugin
    )
    monkeypatch.setattr(registry, "discover", lambda: [entry])
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "cache"))
    registry.installed.cache_clear()
    try:
        settings = {
            "width": 4,
            "latent_size": 8,
            "batch_size": 16,
            "ema": 0.9,
            "val_split": 0.0,
            "augment": "color,translation,cutout",
            "precision": "fp32",
        }
        outcome = zoo.train(
            "dcgan", "digits", tmp_path / "run", 4, settings=settings, device="cpu", quiet=True
        )
        monkeypatch.setenv("GENZOO_ZOO", str(outcome.folder))
        net = zoo.load("dcgan")
        assert net.image_shape == (1, 8, 8) and net.config.width == 4
        assert "agree within 0 grey levels" in zoo.verify("dcgan")
        assert zoo.info("dcgan").has_weights
        assert torch.equal(net.sample(5, seed=1), zoo.load("dcgan").sample(5, seed=1))
    finally:
        registry.installed.cache_clear()
