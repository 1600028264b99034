"""WGAN and WGAN-GP: the nets of DCGAN in another game, held by clipping or by a penalty, and a residual
pair."""

from __future__ import annotations

import dataclasses
from dataclasses import fields, replace

import pytest
import torch
from genzoo_dcgan import genzoo_cards as dcgan_cards
from genzoo_dcgan.dcgan import DCGAN, DCGANConfig
from genzoo_wgan import genzoo_cards
from genzoo_wgan.resnet import ResNetWGANGP, ResNetWGANGPConfig
from genzoo_wgan.wgan import WGAN
from genzoo_wgan.wgan_gp import WGANGP, WGANGPConfig
from torch import nn

from genzoo import Adversarial, Family, Recipe
from genzoo.data import open_data
from genzoo.errors import ArgumentError, TrainingError
from genzoo.layers import InstanceNorm2d
from genzoo.training import Batch, players
from genzoo.training.hardware import choose
from genzoo.training.loop import Run
from genzoo.training.refusals import check_recipe

CARDS = {card.name: card for card in genzoo_cards()}
CLASSES = {
    "wgan": WGAN,
    "wgan-gp": WGANGP,
    "wgan-gp-resnet": ResNetWGANGP,
    "wgan-bedrooms": WGAN,
    "wgan-gp-bedrooms": WGANGP,
}
SMALL = {"image_shape": (1, 8, 8), "width": 4, "latent_size": 8}
EVERY = pytest.mark.parametrize("name", list(CARDS))


def tiny(name, **config):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return CARDS[name].replace(config={}).build(**{**SMALL, **config})


def kinds(net):
    return {
        type(m) for m in net.modules() if isinstance(m, (nn.BatchNorm2d, nn.GroupNorm, nn.InstanceNorm2d))
    }


@pytest.fixture
def start(tmp_path):
    """Give a function that starts the run of a card on the embedded digits, at a tiny size."""

    def start(name, **recipe):
        base = CARDS[name].recipe
        own = {key: recipe.pop(key) for key in {f.name for f in fields(Adversarial)} & set(recipe)}
        game = replace(base.game, **{"augment": (), **own})
        chosen = base.replace(data="digits", batch_size=8, precision="fp32", game=game, **recipe)
        return Run(
            tiny(name).train(), chosen, open_data("digits", val_split=0), choose(chosen, "cpu"), tmp_path
        )

    return start


class TestCards:
    def test_they_are_what_they_say(self):
        assert {name: card.load_class() for name, card in CARDS.items()} == CLASSES
        for name, card in CARDS.items():
            assert card.family is Family.IMPLICIT and card.summary
            assert ("1704.00028" if "gp" in name else "1701.07875") in card.paper

    @EVERY
    def test_its_recipe_goes_with_its_nets(self, name):
        """Nothing that is known to fail is on offer."""
        check_recipe(tiny(name), CARDS[name].recipe)
        assert CARDS[name].recipe.game.objective == "wasserstein"
        assert (CARDS[name].recipe.game.gp_weight > 0) is ("gp" in name) and (
            CARDS[name].recipe.game.weight_clip > 0
        ) is ("gp" not in name)

    def test_the_papers_algorithms(self):
        wgan, gp = CARDS["wgan"].recipe, CARDS["wgan-gp"].recipe
        assert (
            wgan.game.weight_clip,
            wgan.lr_of("generator"),
            wgan.optimizer_of("discriminator"),
            wgan.batch_size,
        ) == (0.01, 5e-5, "rmsprop", 64)
        assert (gp.game.gp_weight, gp.lr_of("generator"), gp.optimizer_of("discriminator"), gp.betas) == (
            10.0,
            1e-4,
            "adam",
            (0.0, 0.9),
        )
        assert wgan.turns == gp.turns == {"discriminator": 5}
        assert wgan.game.bursts and not gp.game.bursts

    @pytest.mark.parametrize("name", ["wgan-bedrooms", "wgan-gp-bedrooms"])
    def test_bedrooms_are_comparable_with_those_of_dcgan(self, name):
        """The same nets, apart from the critic's norm under the penalty, and the same images; the last run of
        `wgan-gp-bedrooms` has weaker augmentation.
        """
        card, other = CARDS[name], next(card for card in dcgan_cards() if card.name == "dcgan-bedrooms")
        with torch.device("meta"):
            ours, theirs = card.build(), other.build()
        assert str(ours.generator) == str(theirs.generator)
        layers = str(ours.discriminator).replace("GroupNorm(1, ", "BatchNorm2d(")
        same = ("Conv", "LeakyReLU", "BatchNorm2d")
        assert [word for word in layers.split() if word.split("(")[0] in same] == [
            word for word in str(theirs.discriminator).split() if word.split("(")[0] in same
        ]
        for key in ("data", "flip", "save_dtype", "batch_size"):
            assert getattr(card.recipe, key) == getattr(other.recipe, key), key
        augment = ("translation",) if name == "wgan-gp-bedrooms" else other.recipe.game.augment
        assert card.recipe.game.augment == augment

    @pytest.mark.parametrize("name", ["wgan-bedrooms", "wgan-gp-bedrooms"])
    def test_bedrooms_fit_into_8_megabytes(self, name):
        with torch.device("meta"):
            net = CARDS[name].build()
        assert (
            sum(v.numel() * (2 if v.ndim >= 2 else v.element_size()) for v in net.state_dict().values())
            < 8_000_000
        )


class TestNets:
    def test_wgan_has_those_of_dcgan(self):
        torch.manual_seed(3)
        ours = WGAN(DCGANConfig(**SMALL)).state_dict()
        torch.manual_seed(3)
        theirs = DCGAN(DCGANConfig(**SMALL)).state_dict()
        assert list(ours) == list(theirs) and all(
            torch.equal(ours[key], value) for key, value in theirs.items()
        )

    @pytest.mark.parametrize(
        ("norm", "kind"), [(None, nn.BatchNorm2d), ("layer", nn.GroupNorm), ("instance", InstanceNorm2d)]
    )
    def test_the_critics_norm_is_a_matter_of_the_config(self, norm, kind):
        net = WGANGP(WGANGPConfig(image_shape=(1, 16, 16), width=4, discriminator_norm=norm))
        assert kinds(net.discriminator) == {kind} and kinds(net.generator) == {nn.BatchNorm2d}

    def test_layer_norm_by_default(self):
        assert kinds(tiny("wgan-gp", image_shape=(1, 16, 16)).discriminator) == {nn.GroupNorm}
        assert {f.name for f in dataclasses.fields(WGANGPConfig)} == {
            f.name for f in dataclasses.fields(DCGANConfig)
        }

    @pytest.mark.parametrize("name", ["wgan-gp", "wgan-gp-resnet"])
    def test_in_training_a_number_is_of_its_own_image_alone(self, name):
        """Or there is no slope at an image for the penalty to ask for."""
        net = tiny(name, image_shape=(1, 16, 16)).train()
        x = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0)).requires_grad_()
        (slope,) = torch.autograd.grad(net._discriminate(x)[0], x)
        assert slope[0].abs().max() > 0 and not slope[1:].any()

    @EVERY
    def test_a_number_and_no_probability(self, name):
        net = tiny(name).eval()
        with torch.no_grad():
            for parameter in net.discriminator.parameters():
                parameter.mul_(30)
            assert net._discriminate(torch.rand(16, 1, 8, 8)).abs().max() > 1

    @EVERY
    def test_both_nets_have_images_from_minus_1_to_1(self, name):
        net, seen = tiny(name).train(), []
        net.discriminator.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
        x = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        net._discriminate(x)
        assert torch.equal(seen[0], 2 * x - 1)
        z = torch.randn(4, 8, generator=torch.Generator().manual_seed(1))
        torch.testing.assert_close(net._decode(z), (net.generator(z[:, :, None, None]) + 1) / 2)

    @pytest.mark.parametrize("shape", [(3, 24, 40), (1, 28, 28), (3, 6, 6)])
    @pytest.mark.parametrize("name", ["wgan", "wgan-gp", "wgan-gp-resnet"])
    def test_any_size_that_halves(self, name, shape):
        net = tiny(name, image_shape=shape)
        images = net.sample(3, seed=0)
        assert images.shape == (3, *shape) and images.min() >= 0 and images.max() <= 1
        assert net._discriminate(images).shape == (3,)

    def test_a_size_that_does_not_is_named_with_the_nearest_that_does(self):
        with pytest.raises(
            ArgumentError, match=r"config of wgan-gp-resnet: image_shape .* H and W must be even"
        ):
            CARDS["wgan-gp-resnet"].build(image_shape=(3, 25, 40))


class TestResidualNets:
    def test_the_papers_pair(self):
        """Appendix F: 4×4×512, then 512→512→256→128→64 and a convolution to colours; the critic is the way
        back."""
        with torch.device("meta"):
            net = ResNetWGANGP(ResNetWGANGPConfig())
        widths = [
            (block.shortcut.in_channels, block.shortcut.out_channels)
            for block in net.generator
            if hasattr(block, "shortcut")
        ]
        assert widths == [(512, 512), (512, 256), (256, 128), (128, 64)]
        back = [
            (block.shortcut.in_channels, block.shortcut.out_channels)
            for block in net.discriminator
            if hasattr(block, "shortcut")
        ]
        assert back == [(64, 128), (128, 256), (256, 512), (512, 512)]
        assert kinds(net.generator) == {nn.BatchNorm2d} and kinds(net.discriminator) == {nn.GroupNorm}
        assert net.latent_size == 128

    @pytest.mark.parametrize(("part", "factor"), [("generator", 2), ("discriminator", 0.5)])
    def test_a_block_is_its_shortcut_where_its_convolutions_are_zero(self, part, factor):
        block = next(
            m
            for m in getattr(tiny("wgan-gp-resnet", image_shape=(1, 16, 16)), part)
            if hasattr(m, "shortcut")
        ).eval()
        with torch.no_grad():
            block.convolutions[1].weight.zero_()
            x = torch.randn(2, block.shortcut.in_channels, 4, 4)
            y = block(x)
            assert y.shape[2:] == (int(4 * factor),) * 2
            straight = block.shortcut(x)
            expected = (
                straight.repeat_interleave(2, 2).repeat_interleave(2, 3)
                if factor == 2
                else straight.unfold(2, 2, 2).unfold(3, 2, 2)
            )
            torch.testing.assert_close(
                y, expected if factor == 2 else expected.mean((4, 5)), rtol=1e-4, atol=1e-5
            )

    @pytest.mark.parametrize("part", ["generator", "discriminator"])
    def test_every_weight_has_a_gradient_that_is_more_than_rounding(self, part):
        """A bias that a later batch norm takes away has none, and Adam would make steps of noise from it."""
        net = tiny("wgan-gp-resnet", image_shape=(1, 16, 16)).double().train()
        torch.manual_seed(0)
        made = net._decode(torch.randn(6, net.latent_size, dtype=torch.float64))
        made = made * torch.randn_like(made) if part == "generator" else net._discriminate(made.detach())
        made.sum().backward()
        gradients = {name: p.grad.abs().max() for name, p in getattr(net, part).named_parameters()}
        largest = max(gradients.values())
        assert [name for name, size in gradients.items() if size < 1e-9 * largest] == []

    @pytest.mark.parametrize("part", ["generator", "discriminator"])
    def test_a_block_layer_by_layer(self, part):
        """Norm, ReLU, convolution, twice, beside the shortcut. G doubles maps before the first convolution;
        the critic takes the mean of four at the end."""
        net = getattr(tiny("wgan-gp-resnet", image_shape=(1, 16, 16)), part)
        block = next(m for m in net if hasattr(m, "shortcut")).train()
        x = torch.randn(2, block.shortcut.in_channels, 4, 6, generator=torch.Generator().manual_seed(0))

        def doubled(maps):
            return maps.repeat_interleave(2, 2).repeat_interleave(2, 3) if part == "generator" else maps

        y = block.convolutions[0](doubled(block.norms[0](x).clamp(min=0)))
        y = block.convolutions[1](block.norms[1](y).clamp(min=0)) + doubled(block.shortcut(x))
        expected = y if part == "generator" else y.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
        torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-5)

    def test_samples_depend_on_their_z_alone(self):
        net = tiny("wgan-gp-resnet").train()
        whole = net.sample(70, seed=1)
        assert torch.equal(net.sample(3, seed=1), whole[:3])
        assert torch.equal(net.decode(net.sample_latents(70, seed=1)[69:]), whole[69:])


class TestGames:
    @pytest.mark.parametrize("name", list(CARDS))
    def test_a_round_is_k_critic_turns_and_one_of_g(self, start, name):
        run = start(name, bursts=False)
        losses = run.play_round()
        steps = {p.name: {int(s["step"]) for s in run.optimisers[p.name].state.values()} for p in run.players}
        assert steps == {"discriminator": {run.recipe.turns_of("discriminator")}, "generator": {1}}
        assert all(torch.isfinite(loss) for loss in losses.values())

    def test_clipped_weights_stay_within_bounds(self, start):
        run = start("wgan", bursts=False, lr={"all": 0.1})
        run.play_round()
        weights = torch.cat([p.detach().flatten() for p in run.model.discriminator.parameters()])
        bound = torch.tensor(0.01)
        assert weights.min() == -bound and weights.max() == bound
        assert (weights.abs() < bound).any()  # those within are left as they are

    @pytest.mark.parametrize("name", ["wgan-gp", "wgan-gp-resnet"])
    def test_the_penalty_drives_the_slope_to_1(self, start, name):
        """Critic turns alone, whose objective gains little: the slopes between real and fake come near 1 from
        wherever they began."""
        run = start(name, lr={"all": 3e-3}, gp_weight=1000.0)
        critic, images = run.players[0], run.feed(0)
        first = float(run._turn(critic, 0, images))
        for turn in range(1, 60):
            last = float(run._turn(critic, turn, images))
        assert first > 10 and last < first / 10

    @pytest.mark.parametrize("norm", [None, "batch"])
    def test_batch_norm_in_a_penalised_critic_is_refused(self, norm):
        with pytest.raises(TrainingError, match="with batch norm in the discriminator"):
            players(
                tiny("wgan-gp", image_shape=(1, 16, 16), discriminator_norm=norm), CARDS["wgan-gp"].recipe
            )

    def test_clipping_with_the_optimiser_of_dcgan_is_refused(self):
        with pytest.raises(TrainingError, match=r"weight_clip=0\.01 does not work with momentum"):
            players(tiny("wgan"), CARDS["wgan"].recipe.replace(optimizer={"all": "adam"}, betas=(0.5, 0.999)))

    @pytest.mark.parametrize("objective", ["minimax", "non-saturating", "lsgan", "hinge"])
    def test_the_nets_play_other_games(self, objective):
        x = torch.rand(4, 1, 8, 8)
        for player in players(tiny("wgan").train(), Recipe(game=Adversarial(objective=objective))):
            assert torch.isfinite(player.loss(Batch(x), torch.Generator().manual_seed(0)))
