"""The error of reconstructions: what it counts, and who is measured by it."""

import numpy as np
import pytest
import torch
import toys

from genzoo.data.collection import Images
from genzoo.errors import ArgumentError
from genzoo.evaluation.reconstruction import reconstruction
from genzoo.evaluation.scoring import score_model
from genzoo.models import EncodingModel
from genzoo.request import Request


class Shade(EncodingModel):
    """Codes an image by its mean: what is left is its variance."""

    Config = toys.ToyConfig
    latent_size = 1

    def __init__(self, config):
        super().__init__()
        self.config = config

    def _encode(self, x):
        return x.mean((1, 2, 3))[:, None]

    def _decode(self, z):
        return z[:, :, None, None].expand(-1, *self.image_shape)


@pytest.fixture
def noise():
    pixels = np.random.default_rng(0).integers(0, 256, (70, 1, 8, 8), dtype=np.uint8)
    return Images(pixels=pixels, name="noise", split="test")


@pytest.fixture
def model():
    return Shade(toys.ToyConfig(image_shape=(1, 8, 8)))


def test_it_is_the_mean_squared_error_per_value(model, noise):
    record = reconstruction(model, noise, subject="shade")
    errors = (noise.pixels / 255).reshape(70, -1).var(1)
    assert record.value == pytest.approx(errors.mean(), rel=1e-5)
    assert record.stderr == pytest.approx(errors.std(ddof=1) / 70**0.5, rel=1e-5)
    assert (record.metric, record.kind, record.n, record.subject, record.image_shape) == (
        "mse",
        "reconstruction",
        70,
        "shade",
        "1x8x8",
    )


def test_fewer_images_are_a_fixed_choice(model, noise):
    one, two = (reconstruction(model, noise, 5, seed=3) for _ in range(2))
    assert one == two and one.n == 5 and one != reconstruction(model, noise, 5, seed=4)


def test_progress_reaches_the_end(model, noise):
    told = []
    reconstruction(model, noise, progress=lambda *words: told.append(words))
    assert told == [("reconstructions", 64, 70), ("reconstructions", 70, 70)]


@pytest.mark.parametrize("n", [0, -1, True, 1.5])
def test_a_bad_n(model, noise, n):
    with pytest.raises(ArgumentError, match="n must be a whole number"):
        reconstruction(model, noise, n)


def test_a_model_without_an_encoder(noise):
    with pytest.raises(ArgumentError, match="cannot encode images"):
        reconstruction(toys.gan(image_shape=(1, 8, 8)), noise)


def test_an_autoencoder_is_scored_by_it(model, noise):
    assert [record.metric for record in score_model(model, noise, noise, Request(), subject="a")] == ["mse"]


def test_codes_that_tell_nothing_are_worse(model, noise, monkeypatch):
    value = reconstruction(model, noise).value
    monkeypatch.setattr(Shade, "_encode", lambda self, x: torch.zeros(len(x), 1))
    assert reconstruction(model, noise).value > value
