"""Features: codes of encoders, hidden layers of discriminators, and models that have neither."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import toys
from torch import nn

from genzoo.data import open_data
from genzoo.errors import ArgumentError
from genzoo.explore import features as module
from genzoo.explore.features import features, source
from genzoo.models import DensityModel, Posterior


def images(n=5, seed=0, channels=1, size=8):
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(seed))


def coder():
    torch.manual_seed(0)
    return toys.Coder(toys.ToyConfig())


class Variational(DensityModel, toys.Coder):
    """A coder with a density: its encoder gives moments."""

    exact, levels = False, 256

    def _encode(self, x):
        mean = super()._encode(x)
        return Posterior(mean, mean - 9)

    def _log_prob(self, x):
        return -x.flatten(1).sum(1)

    def _sample(self, draws):
        return self._decode(self._latents(draws))


class Branched(toys.ToyGAN):
    """Its discriminator has a shortcut, changes its maps in place and ends in linear layers."""

    def __init__(self, config):
        super().__init__(config)
        first = nn.Conv2d(1, 3, 3, padding=1)
        second = nn.Conv2d(3, 3, 3, padding=1)
        short = nn.Conv2d(1, 3, 1)
        self.discriminator = nn.ModuleList([first, second, short, nn.Linear(3, 6), nn.Linear(6, 1)])

    def _discriminate(self, x):
        first, second, short, wide, last = self.discriminator
        maps = first(x)
        maps = second(F.relu_(maps)) + short(x)
        vector = wide(maps.mean((2, 3)))
        return last(vector.tanh_()).flatten()


class Blind(toys.ToyGAN):
    """Its discriminator is one convolution."""

    def __init__(self, config):
        super().__init__(config)
        self.discriminator = nn.Sequential(nn.Conv2d(1, 1, 8), nn.Flatten(0))


class Alone(toys.ToyGAN):
    """It was published without a discriminator."""

    def __init__(self, config):
        super().__init__(config)
        del self.discriminator


class TestEncoder:
    def test_features_are_codes(self):
        model, x = coder(), images()
        found = features(model, x)
        assert found.dtype == torch.float32 and found.shape == (5, 4) and not found.requires_grad
        torch.testing.assert_close(found, model.encode(x))
        assert source(model) == "codes of the encoder"

    def test_of_a_distribution_they_are_its_mean(self):
        model, x = Variational(toys.ToyConfig()), images()
        torch.testing.assert_close(features(model, x), model.encode(x).mean)
        assert source(model) == "means of q(z|x)"


class TestDiscriminator:
    def test_features_are_the_hidden_maps_pooled_to_four_by_four(self):
        model, x = toys.gan(image_shape=(1, 16, 16), width=3), images(6, size=16)
        found = features(model, x)
        with torch.no_grad():
            maps = model.eval().discriminator[:3](2 * x - 1)  # convolution, norm, non-linearity: (6, 3, 8, 8)
        torch.testing.assert_close(found, F.max_pool2d(maps, 2).flatten(1))
        assert source(model) == "hidden layers of the discriminator"

    def test_every_hidden_layer_counts_once_and_the_image_never(self):
        model, x = Branched(toys.ToyConfig()), images()
        first, second, short, wide, _ = model.discriminator
        with torch.no_grad():
            maps = F.relu(first(x))
            vector = (second(maps) + short(x)).mean((2, 3))
            expected = [F.adaptive_max_pool2d(maps, 4).flatten(1), vector, wide(vector).tanh()]
        torch.testing.assert_close(features(model, x), torch.cat(expected, 1))

    def test_the_model_is_left_as_it_was(self):
        model = toys.gan().train()
        before = {key: value.clone() for key, value in model.state_dict().items()}
        first, second = features(model, images()), features(model, images())
        assert torch.equal(first, second)  # no dropout
        assert all(module.training for module in model.modules())
        assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
        assert not any(layer._forward_pre_hooks for layer in model.modules())

    def test_a_net_that_fails_keeps_no_hooks(self):
        model = toys.gan()
        model.discriminator[-2] = nn.Conv2d(4, 1, 99)
        with pytest.raises(RuntimeError):
            features(model, images())
        assert not any(layer._forward_pre_hooks for layer in model.modules())


@pytest.mark.parametrize("model", [coder(), toys.gan()], ids=["coder", "gan"])
class TestBatches:
    def test_an_image_has_the_same_features_in_any_batch(self, model, monkeypatch):
        x, told = images(9), []
        whole = features(model, x)
        assert torch.equal(features(model, x[3:4])[0], whole[3])
        monkeypatch.setattr(module, "BATCH", 4)
        torch.testing.assert_close(features(model, x, lambda *state: told.append(state)), whole)
        assert told == [(4, 9), (8, 9), (9, 9)]

    def test_every_form_of_images(self, model):
        digits = open_data("digits", split="test")
        whole = features(model, digits)
        assert whole.shape[0] == len(digits)
        assert torch.equal(
            features(model, digits.float(slice(3, 7))), features(model, np.asarray(digits[3:7]))
        )
        torch.testing.assert_close(features(model, digits[3:7]), whole[3:7])

    @pytest.mark.parametrize(
        ("wrong", "told"),
        [
            (images(0), "at least one image"),
            (images(2, channels=3), r"images must have shape \(N, 1, 8, 8\)"),
            (2 * images(2), r"images must lie in \[0, 1\]"),
            ("digits", "images must be a torch tensor or a numpy array"),
        ],
    )
    def test_images_that_are_not_the_models(self, model, wrong, told):
        with pytest.raises(ArgumentError, match=told):
            features(model, wrong)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (
            toys.Bernoulli,
            (
                "Bernoulli has no features: it has neither an encoder nor a discriminator — an autoencoder, "
                "a VAE or a GAN has"
            ),
        ),
        (Blind, "Blind has no features: its discriminator has no hidden layer"),
        (Alone, "Alone has no features: its discriminator has no hidden layer"),
    ],
)
def test_a_model_without_features_says_which_have(kind, told):
    with pytest.raises(ArgumentError, match=told):
        features(kind(toys.ToyConfig()), images())
