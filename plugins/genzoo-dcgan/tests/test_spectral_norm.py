"""discriminator_norm=spectral: every layer of D has the largest singular value 1, in training, after a resume
and in published weights; G stays as it is.
"""

from __future__ import annotations

import genzoo_dcgan
import pytest
import torch
from genzoo_dcgan.conditional import ConditionalDCGAN, ConditionalDCGANConfig
from genzoo_dcgan.dcgan import DCGAN, DCGANConfig, initialise
from safetensors.torch import load
from torch import nn

from genzoo import Adversarial, Recipe, zoo
from genzoo.errors import ArgumentError
from genzoo.layers import MinibatchDiscrimination, SpectralNorm, StridedConv2d
from genzoo.models.golden import record
from genzoo.models.weights import build_filled, encode
from genzoo.testing import check_model
from genzoo.training import Batch, players

CARDS = {card.name: card for card in genzoo_dcgan.genzoo_cards()}
NORMED = (nn.modules.batchnorm._NormBase, nn.GroupNorm)
HINGE = {
    "discriminator_norm": "spectral",
    "objective": "hinge",
    "width": 4,
    "latent_size": 8,
    "batch_size": 16,
    "ema": 0.9,
    "val_split": 0.0,
    "precision": "fp32",
}


def tiny(image_shape=(1, 16, 16), **config):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return DCGAN(
            DCGANConfig(
                image_shape=image_shape,
                **{"width": 4, "latent_size": 5, "discriminator_norm": "spectral", **config},
            )
        )


def labelled(**config):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return ConditionalDCGAN(
            ConditionalDCGANConfig(
                image_shape=(1, 16, 16), width=4, latent_size=5, discriminator_norm="spectral", **config
            )
        )


def constrained(net):
    """Return the layers of D that are normalised, by name."""
    return {n: m for n, m in net.discriminator.named_modules() if isinstance(m, SpectralNorm)}


def steepest(net):
    """Return the largest singular value of any layer of D, as the layer computes now and without a step."""
    made = [layer.normalised() for layer in constrained(net.eval()).values()]
    return max(float(torch.linalg.matrix_norm(w.detach().double().flatten(1), 2)) for w in made)


class TestNets:
    @pytest.mark.parametrize(
        "config", [{}, {"depth": 2}, {"minibatch": 3}, {"norm": "none"}, {"activation": "tanh"}]
    )
    def test_every_layer_of_d_that_sees_an_image_alone(self, config):
        net = tiny(**config)
        plain = [
            name
            for name, layer in net.discriminator.named_modules()
            if isinstance(layer, nn.Conv2d | nn.Linear) and not isinstance(layer, SpectralNorm)
        ]
        own = [
            f"{n}.project"
            for n, m in net.discriminator.named_modules()
            if isinstance(m, MinibatchDiscrimination)
        ]
        assert plain == own and len(constrained(net)) == 3 + 2 * config.get("depth", 0)
        assert not any(isinstance(layer, NORMED) for layer in net.discriminator.modules())
        assert all(layer.bias is not None for layer in constrained(net).values())

    def test_g_has_the_norm_of_its_own_and_none_of_this(self):
        net = tiny()
        assert not any(isinstance(layer, SpectralNorm) for layer in net.generator.modules())
        assert any(isinstance(layer, nn.BatchNorm2d) for layer in net.generator.modules())

    def test_it_is_no_norm_for_g(self):
        with pytest.raises(ArgumentError, match="norm must be one of batch, instance, layer, none"):
            CARDS["dcgan"].build(image_shape=(1, 8, 8), norm="spectral")

    def test_new_weights_are_within_the_bound(self):
        """u belongs to the weights of `initialise`, not to those that torch had drawn before."""
        assert 1 - 1e-5 < steepest(tiny()) < 1.05
        net = tiny()
        nn.init.normal_(net.discriminator[0].weight, 0.0, 5.0)
        net.apply(initialise)
        assert steepest(net) < 1.05

    def test_weights_of_a_net_without_a_norm_fit(self):
        """Only u comes on top."""
        net, plain = tiny(), tiny(discriminator_norm="none")
        extra = set(net.state_dict()) - set(plain.state_dict())
        assert extra == {f"discriminator.{name}.u" for name in constrained(net)}
        missing = net.load_state_dict(plain.state_dict(), strict=False)
        assert not missing.unexpected_keys and set(missing.missing_keys) == extra
        for layer in constrained(net).values():
            layer.warm_up(200)
        assert steepest(net) == pytest.approx(1, abs=1e-3)

    def test_the_labels_of_a_projection_too(self):
        net = labelled()
        assert "embed" in constrained(net) and isinstance(net.discriminator.embed, nn.Embedding)
        assert steepest(net) < 1.05
        plain = ConditionalDCGAN(ConditionalDCGANConfig(image_shape=(1, 16, 16), width=4))
        assert not constrained(plain)

    @pytest.mark.parametrize("config", [{}, {"minibatch": 3}, {"depth": 1}])
    def test_an_answer_in_evaluation_depends_on_its_own_image_alone(self, config):
        net, x = tiny(**config).eval(), torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(0))
        before = {name: layer.u.clone() for name, layer in constrained(net).items()}
        torch.testing.assert_close(net._discriminate(x)[:1], net._discriminate(x[:1]))
        assert torch.equal(net._discriminate(x), net._discriminate(x))
        net.sample(2, seed=0)
        assert all(torch.equal(layer.u, before[name]) for name, layer in constrained(net).items())

    def test_the_slope_of_d_is_bounded_whatever_its_weights(self):
        """Weights a hundred times larger give the same D, but for its biases."""
        x = torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(0))
        told = {}
        for norm in ("spectral", "none"):
            net = tiny(discriminator_norm=norm).eval()
            before = net._discriminate(x)
            with torch.no_grad():
                for layer in net.discriminator.modules():
                    if isinstance(layer, StridedConv2d):
                        layer.weight.mul_(100)
                        layer.bias.zero_()
            told[norm] = float((net._discriminate(x) - before).detach().abs().max())
        assert told["spectral"] < 1e-5 < 1 < told["none"]


class TestLaws:
    @pytest.mark.parametrize(
        "game",
        [
            Adversarial(objective="hinge"),
            Adversarial(objective="wasserstein"),
            Adversarial(objective="relativistic", penalty_kind="r1-r2", gp_weight=0.1),
        ],
    )
    def test_of_the_kit(self, game):
        card = CARDS["dcgan"].replace(recipe=CARDS["dcgan"].recipe.replace(game=game))
        check_model(card, discriminator_norm="spectral", image_shape=(1, 8, 8), width=4)

    def test_of_a_model_with_labels(self):
        check_model(CARDS["dcgan-rooms"], discriminator_norm="spectral", image_shape=(3, 8, 8), width=4)


class TestTraining:
    @pytest.mark.parametrize("model", [tiny, labelled])
    def test_turns_of_both_players(self, model):
        """D's turns move u, and D stays within the bound while its weights grow."""
        net, images = model().train(), torch.rand(8, 1, 16, 16, generator=torch.Generator().manual_seed(0))
        given = () if net.condition is None else (torch.arange(8) % 4,)
        before = {name: layer.u.clone() for name, layer in constrained(net).items()}
        game = players(net, Recipe(game=Adversarial(objective="hinge")))
        batch = Batch(images, condition=given[0]) if given else Batch(images)
        noise = torch.Generator().manual_seed(0)
        optimisers = [torch.optim.Adam(p.module.parameters(), 0.02, (0.0, 0.9)) for p in game]
        for _ in range(15):
            for player, optimiser in zip(game, optimisers, strict=True):
                optimiser.zero_grad()
                player.loss(batch, noise).backward()
                optimiser.step()
        moved = [
            not torch.equal(layer.u, before[n]) for n, layer in constrained(net).items() if len(layer.u) > 1
        ]
        assert moved and all(moved)
        for layer in constrained(net).values():
            layer.warm_up(10)
        assert steepest(net) < 1.05

    def test_a_recipe_of_hinge_learns_and_resumes_in_the_same_bits(self, tmp_path):
        """u is state of the run: a resumed run has the same D, bit for bit."""

        def run(folder, steps, resume=False):
            done = zoo.train(
                "dcgan",
                "digits",
                tmp_path / folder,
                steps,
                resume=resume,
                settings=HINGE,
                device="cpu",
                quiet=True,
            )
            return None if done.weights is None else load(done.weights.read_bytes())

        whole = run("whole", 6)
        run("halves", 3)
        halves = run("halves", 6, resume=True)
        assert set(whole) == set(halves) and any(key.endswith(".u") for key in whole)
        assert all(torch.equal(whole[key], halves[key]) for key in whole)

    def test_published_in_float16_it_is_the_same_d(self):
        net = tiny().eval()
        blob = encode(net, "dcgan", record(net), "float16")
        config = {"image_shape": (1, 16, 16), "width": 4, "latent_size": 5, "discriminator_norm": "spectral"}
        again = build_filled(CARDS["dcgan"].replace(config=config), blob, "a file")
        assert steepest(again) < 1.05
        x = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(again._discriminate(x), net._discriminate(x), rtol=0.02, atol=2e-3)
        assert torch.equal(
            again.sample(2, seed=0),
            build_filled(CARDS["dcgan"].replace(config=config), blob, "").sample(2, seed=0),
        )
