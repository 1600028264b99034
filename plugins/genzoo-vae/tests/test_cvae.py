"""The conditional VAE: bounds on log p(x|c) by quadrature, a label that both nets hear, draws of z that do
not depend on it."""

from __future__ import annotations

import math

import genzoo_vae
import pytest
import torch
from genzoo_vae import vae as vae_module
from genzoo_vae.conditional import LABEL, Beside, ConditionalVAE, ConditionalVAEConfig
from genzoo_vae.vae import VAE

from genzoo import Labels, Recipe
from genzoo.errors import ArgumentError
from genzoo.explore.analogies import analogies
from genzoo.losses import elbo
from genzoo.models.weights import build_filled, encode
from genzoo.rng import generator
from genzoo.testing.density import every_image
from genzoo.training import Batch, players

CARDS = {card.name: card for card in genzoo_vae.genzoo_cards()}
LABELS = ("cat", "dog", "horse")
MIXED = torch.tensor([2, 0, 1, 2])
SHAPE = (1, 2, 3)


def small(image_shape=SHAPE, **config):
    """Return a small model whose weights are larger than fresh ones, so that z and the label matter."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        facts = {"latent_size": 1, "width": 5, "depth": 1, "likelihood": "bernoulli", "labels": LABELS}
        model = ConditionalVAE(ConditionalVAEConfig(image_shape=image_shape, **{**facts, **config}))
        for parameter in model.parameters():
            parameter.data *= 1.5
        return model


def log_p(model, x, label):
    """Return log p(x|c) of a model with one latent, by quadrature over z."""
    z = torch.linspace(-8, 8, 4001)[:, None]
    with torch.no_grad():
        likelihood = model._log_likelihood(x, z[:, None].expand(-1, len(x), 1), label).double()
    return torch.logsumexp(likelihood + elbo.log_prior(z.double())[:, None], 0) + math.log(16 / 4000)


class TestCard:
    def test_it_is_vae_mnist_with_a_label(self):
        ours, theirs = CARDS["cvae-mnist"], CARDS["vae-mnist"]
        assert ours.config == theirs.config and ours.recipe == theirs.recipe
        assert ours.condition == Labels(tuple("0123456789")) and ours.load_class() is ConditionalVAE

    @pytest.mark.parametrize("net", ["mlp", "conv", "hybrid"])
    @pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 7), (1, 28, 20), (2, 9, 4)])
    def test_any_shape_and_net(self, shape, net, pictures):
        model, x = small(shape, net=net, latent_size=3), pictures(shape)
        assert model.sample(2, seed=0, condition=["cat", 2]).shape == (2, *shape)
        mean, log_var = model.encode(x, MIXED)
        assert mean.shape == log_var.shape == (4, 3) and model.decode(mean, MIXED).shape == x.shape
        assert model.log_prob(x, "dog").shape == model.iwae(x, 3, condition="dog").bound.shape == (4,)

    def test_weights_keep_the_labels(self, pictures):
        model = small()
        loaded = build_filled(CARDS["cvae-mnist"], encode(model, "cvae-mnist", {}), "these weights")
        assert loaded.condition == Labels(LABELS)
        assert torch.equal(loaded.log_prob(pictures(SHAPE), MIXED), model.log_prob(pictures(SHAPE), MIXED))

    def test_wrong_settings_are_refused_as_for_any_vae(self):
        with pytest.raises(ArgumentError, match="set k=1"):
            small(k=5, beta=2.0)


class TestBounds:
    def test_they_are_below_log_p_of_each_label(self, pictures):
        model, x = small(), pictures(SHAPE)
        exact = log_p(model, x, MIXED)
        assert (model.log_prob(x, MIXED).double() < exact + 0.05).all()
        found = model.iwae(x, 5000, condition=MIXED)
        torch.testing.assert_close(found.bound.double(), exact, rtol=0, atol=5 * float(found.stderr.max()))
        other = log_p(model, x, MIXED.roll(1))
        assert ((other - exact).abs() > 5 * float(found.stderr.max())).any()

    @pytest.mark.parametrize("label", range(3))
    def test_the_bound_of_each_label_sums_to_at_most_one(self, label):
        model, images = small(), every_image(SHAPE, 2)
        assert float(model.log_prob(images, label).double().exp().sum()) < 1.001
        tight = model.iwae(images, 2000, condition=label).bound.double().exp().sum()
        assert float(tight) == pytest.approx(1, abs=0.02)
        total = log_p(model, images, torch.full((len(images),), label)).exp().sum()
        assert float(total) == pytest.approx(1, abs=1e-4)

    def test_each_draw_of_each_image_is_decoded_with_the_label_of_the_image(self, pictures):
        """Repeated label by label instead of draw by draw, they would belong to other images."""
        model, x, z = small(), pictures(SHAPE), torch.randn(5, 4, 1)
        whole = model._log_likelihood(x, z, MIXED)
        for n in range(4):
            alone = model._log_likelihood(x[n : n + 1], z[:, n : n + 1], MIXED[n : n + 1])
            torch.testing.assert_close(whole[:, n : n + 1], alone)

    def test_rows_belong_to_their_labels_in_parts_as_well(self, monkeypatch, pictures):
        model, x = small(), pictures(SHAPE, 40)
        label = torch.arange(40) % 3
        told, bound = model.log_prob(x, label), model.iwae(x, 7, condition=label).bound
        monkeypatch.setattr(vae_module, "ROWS", 7 * vae_module.ELBO_DRAWS)  # seven images at a time
        torch.testing.assert_close(model.log_prob(x, label), told)
        torch.testing.assert_close(model.iwae(x, 7, condition=label).bound, bound)
        order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(model.log_prob(x[order], label[order]), told[order])
        assert not torch.allclose(model.log_prob(x, label[order]), told)


def noise(monkeypatch, measure):
    """Return what the draws of z are made of while `measure` runs."""
    seen, whole = [], elbo.reparametrise
    with monkeypatch.context() as patch:
        patch.setattr(elbo, "reparametrise", lambda *given: seen.append(given[2]) or whole(*given))
        measure()
    return torch.cat([part.flatten() for part in seen])


class TestDraws:
    @pytest.mark.parametrize("ask", ["log_prob", "iwae"])
    def test_they_are_a_function_of_the_image_and_the_seed(self, ask, monkeypatch, pictures):
        model, x = small(), pictures(SHAPE)
        ways = {"log_prob": model.log_prob, "iwae": lambda x, label: model.iwae(x, 60, 1, label).bound}
        one, two = (noise(monkeypatch, lambda c=c: ways[ask](x, c)) for c in (0, 2))
        assert len(one) and torch.equal(one, two)
        assert not torch.equal(ways[ask](x, 0), ways[ask](x, 2))

    def test_z_of_a_sample_does_not_depend_on_its_label(self, monkeypatch):
        model, seen = small(latent_size=3), []
        decoder = model.decoder.forward
        monkeypatch.setattr(model.decoder, "forward", lambda z, c: seen.append(z) or decoder(z, c))
        one, two = (model.sample(8, seed=0, condition=name) for name in ("cat", "horse"))
        assert torch.equal(*seen) and not torch.equal(one, two)

    def test_an_image_is_a_function_of_the_seed_its_place_and_its_own_label(self):
        model = small()
        mixed = model.sample(40, seed=0, condition=[i % 3 for i in range(40)])
        for number in range(3):
            assert torch.equal(mixed[number::3], model.sample(40, seed=0, condition=number)[number::3])


class TestNets:
    @pytest.mark.parametrize("net", ["mlp", "conv", "hybrid"])
    def test_both_hear_the_label(self, net, pictures):
        model, x, z = small(net=net), pictures(SHAPE), torch.randn(4, 1)
        for one, two in zip(model.encode(x, 0), model.encode(x, 1), strict=True):
            assert (one != two).any(1).all()
        assert (model.decode(z, 0) != model.decode(z, 1)).flatten(1).any(1).all()

    @pytest.mark.parametrize("k", [1, 4])
    @pytest.mark.parametrize("path", [False, True])
    def test_both_learn_from_the_labels_of_the_batch(self, k, path, pictures):
        model = small(k=k, path_gradient=path)
        (player,) = players(model, Recipe())
        label = torch.tensor([2, 0, 0, 2])
        player.loss(Batch(pictures(SHAPE), condition=label), generator(0)).backward()
        for net in (model.encoder, model.decoder):
            slopes = net.labels.weight.grad
            assert (slopes[[0, 2]] != 0).any(1).all() and (slopes[1] == 0).all()

    def test_a_label_is_laid_beside_what_the_net_sees(self):
        shown = []
        net = Beside(3, (1, 2, 3), lambda x: shown.append(x) or x)
        x = torch.rand(2, 2, 2, 3)
        net(x, torch.tensor([2, 0]))
        assert torch.equal(shown[0][:, :2], x)
        assert torch.equal(shown[0][:, 2].flatten(1), net.labels.weight[[2, 0]])
        assert small().decoder.labels.weight.shape == (3, LABEL)


BUGS = {
    "ignored": torch.zeros_like,
    "shuffled in the batch": lambda label: label.roll(1),
    "one label for the batch": lambda label: label[:1].expand_as(label),
}


class TestPlanted:
    """Each bug makes a test above red."""

    @pytest.mark.parametrize("bug", BUGS)
    @pytest.mark.parametrize("net", ["encoder", "decoder"])
    def test_it_is_seen(self, monkeypatch, pictures, bug, net):
        forward = Beside.forward

        def deaf(self, x, label):
            vector = self.labels.weight[0].numel() == LABEL
            return forward(self, x, BUGS[bug](label) if vector == (net == "decoder") else label)

        monkeypatch.setattr(Beside, "forward", deaf)
        with pytest.raises(AssertionError):
            if bug == "ignored":
                TestNets().test_both_hear_the_label("mlp", pictures)
            elif net == "decoder":
                TestBounds().test_each_draw_of_each_image_is_decoded_with_the_label_of_the_image(pictures)
            else:
                model, x = small(), pictures(SHAPE)
                alone = torch.cat([model.encode(x[n : n + 1], MIXED[n : n + 1])[0] for n in range(4)])
                torch.testing.assert_close(model.encode(x, MIXED)[0], alone)

    def test_draws_that_depend_on_the_label(self, monkeypatch, pictures):
        seeds, given, weights = vae_module._seeds, [], VAE._log_weights
        monkeypatch.setattr(VAE, "_log_weights", lambda self, *a: given.append(a[-1]) or weights(self, *a))
        monkeypatch.setattr(vae_module, "_seeds", lambda *a: [s + int(given[-1][0]) for s in seeds(*a)])
        with pytest.raises(AssertionError):
            TestDraws().test_they_are_a_function_of_the_image_and_the_seed("iwae", monkeypatch, pictures)


class TestStyle:
    def test_z_keeps_what_the_label_does_not_say(self):
        """Bars whose place is the label, and whose grey is the style: the grey is kept over all labels."""
        torch.manual_seed(0)
        model = small((1, 6, 6), likelihood="gaussian", width=32, latent_size=2)
        adam = torch.optim.Adam(model.parameters(), lr=1e-2)
        for step in range(400):
            x, label, _ = bars(32, step)
            adam.zero_grad()
            value, _ = model.objective(x, generator(step), label)
            (-value).backward()
            adam.step()
        x, label, grey = bars(24, 1000)
        drawn = analogies(model.eval(), x, label)
        assert drawn.shape == (24, 4, 1, 6, 6) and torch.equal(drawn[:, 0], x)
        for number in range(3):
            bar = drawn[:, 1 + number, 0, 2 * number : 2 * number + 2].mean((1, 2))
            dark = drawn[:, 1 + number, 0].sum((1, 2)) / 12 - bar
            assert torch.corrcoef(torch.stack([bar, grey]))[0, 1] > 0.7 and dark.abs().max() < 0.1


def bars(n, seed):
    """Return images (n, 1, 6, 6) with two rows of one grey, their labels, and the grey."""
    stream = torch.Generator().manual_seed(seed)
    label, grey = torch.randint(3, (n,), generator=stream), 0.4 + 0.6 * torch.rand(n, generator=stream)
    rows = (torch.arange(6)[None] // 2 == label[:, None]).float() * grey[:, None]
    return rows[:, None, :, None].expand(-1, 1, 6, 6).contiguous(), label, grey
