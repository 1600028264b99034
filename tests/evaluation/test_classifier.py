"""A classifier that begins as an encoder: what it begins with, how it is trained, and that nothing else is
touched."""

from itertools import pairwise

import pytest
import torch
import toys
from torch import nn

from genzoo.data import Images
from genzoo.errors import ArgumentError
from genzoo.evaluation.classifier import Classifier, Protocol, fine_tuned, fresh, predictions
from genzoo.models import Posterior

SHORT = Protocol(steps=30)


def coder(seed=0, **config):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return toys.Coder(toys.ToyConfig(**config)).eval()


def pictures(n=40, seed=0):
    """Return images of two classes, bright above or bright below, and their classes."""
    draw = torch.Generator().manual_seed(seed)
    targets = torch.arange(n) % 2
    images = 0.5 * torch.rand(n, 1, 8, 8, generator=draw)
    images[targets == 0, :, :4] += 0.3
    images[targets == 1, :, 4:] += 0.3
    return images, targets


def weights(model):
    return {key: value.clone() for key, value in model.state_dict().items()}


def same(a, b):
    return all(torch.equal(a[key], b[key]) for key in a)


class TestProtocol:
    def test_the_rate_falls_to_nothing(self):
        rates = [SHORT.rate_at(step) for step in range(30)]
        assert rates[0] == 1e-3 and rates[-1] < 1e-5
        assert all(a > b for a, b in pairwise(rates))

    def test_it_says_all_that_decides_the_result(self):
        text = str(Protocol(steps=1500, batch=16, rate=0.002))
        assert all(
            words in text
            for words in ("Adam", "1,500 steps", "16 images", "0.002", "no augmentation", "no early stopping")
        )

    @pytest.mark.parametrize(
        "wrong", [{"steps": 0}, {"batch": 0}, {"steps": 1.5}, {"rate": 0}, {"rate": float("nan")}]
    )
    def test_wrong_numbers(self, wrong):
        with pytest.raises(ArgumentError, match=next(iter(wrong))):
            Protocol(**wrong)


class TestStart:
    def test_a_fresh_start_is_a_function_of_the_seed_alone(self):
        torch.manual_seed(5)
        before = torch.random.get_rng_state()
        first = weights(fresh(coder(), 3))
        assert torch.equal(torch.random.get_rng_state(), before)
        torch.manual_seed(6)
        assert same(first, weights(fresh(coder(seed=9), 3)))
        assert not same(first, weights(fresh(coder(), 4)))

    def test_codes_of_any_unit_give_the_same_classifier(self):
        """The linear layer sees the same of an encoder whose codes are a thousand times as large, and
        shifted."""
        images, _ = pictures()
        loud = coder()
        with torch.no_grad():
            loud.down.weight.mul_(1000)
            loud.down.bias.mul_(1000).add_(7)
        a, b = (Classifier(model, 2, images) for model in (coder(), loud))
        for net in (a, b):
            nn.init.ones_(net.head.weight)
        assert torch.allclose(a(images), b(images), atol=1e-3)
        assert torch.allclose(
            ((a.encoder._encode(images) - a.centre) / a.scale).square().mean(), torch.tensor(1.0)
        )

    def test_equal_codes_are_no_division_by_zero(self):
        model = coder()
        nn.init.zeros_(model.down.weight)
        images, targets = pictures()
        assert torch.isfinite(
            fine_tuned(model, images, targets, 2, 0, SHORT, tell=lambda: None)(images)
        ).all()

    def test_of_a_posterior_the_mean_is_taken(self):
        class Variational(toys.Coder):
            def _encode(self, x):
                mean = super()._encode(x)
                return Posterior(mean, torch.ones_like(mean))

        images, _ = pictures()
        plain = coder()
        model = Variational(plain.config)
        model.load_state_dict(plain.state_dict())
        nets = [Classifier(m, 2, images) for m in (plain, model)]
        for net in nets:
            nn.init.ones_(net.head.weight)
        assert torch.equal(nets[0](images), nets[1](images))


class TestTraining:
    def test_it_learns_and_leaves_the_start_as_it_was(self):
        start = coder()
        before = weights(start)
        told = []
        net = fine_tuned(start, *pictures(), 2, 0, Protocol(steps=100), tell=lambda: told.append(1))
        images, targets = pictures(200, seed=1)
        assert (net(images).argmax(1) == targets).float().mean() > 0.9
        assert same(before, weights(start)) and not start.training and not net.training
        assert len(told) == 100

    def test_encoder_and_head_are_trained_and_the_decoder_is_left_alone(self):
        start = coder()
        net = fine_tuned(start, *pictures(), 2, 0, SHORT, tell=lambda: None)
        assert not torch.equal(net.encoder.down.weight, start.down.weight)
        assert net.head.weight.abs().sum() > 0
        assert torch.equal(net.encoder.up.weight, start.up.weight)

    def test_frozen_weights_are_thawed(self):
        start = coder().requires_grad_(False)
        net = fine_tuned(start, *pictures(), 2, 0, SHORT, tell=lambda: None)
        assert not torch.equal(net.encoder.down.weight, start.down.weight)
        assert not start.down.weight.requires_grad

    def test_the_same_seed_trains_the_same_classifier(self):
        nets = []
        for seed, state in ((0, 1), (0, 2), (1, 1)):
            torch.manual_seed(state)
            nets.append(
                weights(
                    fine_tuned(coder(), *pictures(), 2, seed, Protocol(steps=10, batch=8), tell=lambda: None)
                )
            )
        assert same(nets[0], nets[1]) and not same(nets[0], nets[2])

    def test_every_label_is_used_and_as_often(self, monkeypatch):
        """Twelve images in batches of eight: three steps show each of them twice."""
        shown = []
        images = torch.arange(12).view(12, 1, 1, 1).expand(12, 1, 8, 8) / 12
        monkeypatch.setattr(
            Classifier,
            "forward",
            lambda net, x: shown.append(x[:, 0, 0, 0]) or net.head(net.encoder._encode(x)),
        )
        fine_tuned(coder(), images, torch.arange(12) % 2, 2, 0, Protocol(steps=3, batch=8), tell=lambda: None)
        assert sorted((torch.cat(shown) * 12).round().int().tolist()) == sorted([*range(12)] * 2)


def test_predictions_do_not_depend_on_how_images_are_dealt_out():
    images, targets = pictures(300)
    net = fine_tuned(coder(), *pictures(), 2, 0, SHORT, tell=lambda: None)
    data = Images(pixels=(images * 255).round().to(torch.uint8).numpy(), labels=targets.numpy())
    rows = torch.arange(299, -1, -2)
    found = predictions(net, data, rows)
    assert torch.equal(found, net(data.float(rows)).argmax(1))
    assert torch.equal(predictions(net, data, rows[:7]), found[:7])
