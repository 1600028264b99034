"""The autoencoder: four convolutions down, four up, codes, and no samples."""

from __future__ import annotations

import genzoo_vae
import pytest
import torch
from genzoo_vae.autoencoder import Autoencoder, AutoencoderConfig
from genzoo_vae.nets import base_of, halvings
from torch import nn

from genzoo.errors import GenzooError, NotGenerativeError
from genzoo.models import EncodingModel, GenerativeModel
from genzoo.recipe import Recipe
from genzoo.rng import Rng, generator
from genzoo.testing import check_model
from genzoo.training import Batch, players

CARD = next(card for card in genzoo_vae.genzoo_cards() if card.name == "autoencoder")
SHAPES = [(1, 1, 1), (3, 5, 37), (1, 28, 28), (3, 32, 32), (2, 16, 48)]


def tiny(image_shape=(1, 8, 8)):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Autoencoder(AutoencoderConfig(image_shape=image_shape, width=4, code_channels=6))


class TestNet:
    @pytest.mark.parametrize("shape", SHAPES)
    def test_any_shape(self, shape):
        model, x = tiny(shape), Rng(0, 0, 3).uniform(*shape).float()
        code = model.encode(x)
        assert code.shape == (3, model.latent_size) and model.latent_size == 6 * -(-shape[1] // 16) * -(
            -shape[2] // 16
        )
        again = model.decode(code)
        assert again.shape == x.shape and again.min() >= 0 and again.max() <= 1

    def test_four_convolutions_down_and_four_up(self):
        model = tiny((3, 32, 32))
        assert [m.stride for m in model.encoder if isinstance(m, nn.Conv2d)] == [(2, 2)] * 4
        assert [m.stride for m in model.decoder if isinstance(m, nn.ConvTranspose2d)] == [(2, 2)] * 4
        assert not [m for m in model.modules() if isinstance(m, nn.Linear)]

    def test_codes_have_either_sign(self):
        code = tiny().encode(Rng(0, 0, 9).uniform(1, 8, 8).float())
        assert code.min() < 0 < code.max()

    @pytest.mark.parametrize("shape", [(3, 5, 37), (1, 28, 20)])
    def test_every_pixel_counts(self, shape):
        """What is added to fill the map up is no part of the image, and nothing of the image is lost."""
        model = tiny(shape)
        x = torch.full((1, *shape), 0.5, requires_grad=True)
        (slope,) = torch.autograd.grad(model._decode(model._encode(x)).square().sum(), x)
        assert (slope != 0).all()

    @pytest.mark.parametrize(
        ("shape", "count", "base"),
        [
            ((1, 28, 28), 2, (7, 7)),
            ((3, 64, 64), 4, (4, 4)),
            ((1, 28, 20), 2, (7, 5)),
            ((3, 32, 32), 3, (4, 4)),
            ((1, 1, 1), 1, (1, 1)),
            ((3, 5, 7), 1, (3, 4)),
            ((1, 512, 512), 4, (32, 32)),
        ],
    )
    def test_halvings_of_a_convolutional_vae(self, shape, count, base):
        assert halvings(shape) == count and base_of(shape, count) == base


class TestTeaching:
    def test_it_is_an_encoding_model_alone(self):
        assert issubclass(Autoencoder, EncodingModel) and not issubclass(Autoencoder, GenerativeModel)

    @pytest.mark.parametrize(
        ("name", "why"),
        [
            ("sample", "no prior"),
            ("sample_batches", "no prior"),
            ("log_prob", "no likelihood"),
            ("bits_per_dim", "no likelihood"),
        ],
    )
    def test_what_it_has_not_is_explained(self, name, why):
        model = tiny()
        with pytest.raises(NotGenerativeError, match=rf"Autoencoder .*{why}.*encode\(x\) and decode\(z\)"):
            getattr(model, name)(4)
        assert not hasattr(model, name)

    def test_other_names_are_merely_unknown(self):
        with pytest.raises(AttributeError, match="smaple") as caught:
            tiny().smaple(4)
        assert not isinstance(caught.value, GenzooError)


class TestTraining:
    def test_every_law_at_an_odd_size(self):
        check_model(CARD, image_shape=(3, 5, 7))

    def test_the_loss_is_l2_summed_over_pixels_and_averaged_over_images(self):
        model, x = tiny(), Rng(1, 0, 5).uniform(1, 8, 8).float()
        (player,) = players(model, Recipe())
        expected = ((model.decode(model.encode(x)) - x) ** 2).sum() / 5
        torch.testing.assert_close(player.loss(Batch(x), generator(0)), expected, check_stride=False)

    def test_it_learns(self):
        model, x = tiny(), Rng(1, 0, 4).uniform(1, 8, 8).round().float()
        (player,) = players(model, Recipe())
        adam, first = torch.optim.Adam(model.parameters(), 0.02), player.loss(Batch(x), generator(0)).item()
        for _ in range(100):
            adam.zero_grad()
            player.loss(Batch(x), generator(0)).backward()
            adam.step()
        assert player.loss(Batch(x), generator(0)).item() < 0.7 * first
