"""Small VAEs whose weights are large enough that z matters, and images for them."""

import pytest
import torch
from genzoo_vae.vae import VAE, VAEConfig

from genzoo.rng import Rng


def tiny(image_shape=(1, 2, 3), **config):
    """Return a small VAE whose weights are larger than fresh ones, so that z matters."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = VAE(
            VAEConfig(
                image_shape=image_shape,
                **{"latent_size": 1, "width": 5, "depth": 1, "likelihood": "bernoulli", **config},
            )
        )
        for parameter in model.parameters():
            parameter.data *= 1.5
        return model


def pictures(shape, n=4, seed=3):
    return (Rng(seed, 0, n).uniform(*shape) < 0.5).float()


@pytest.fixture(name="tiny")
def _tiny():
    return tiny


@pytest.fixture(name="pictures")
def _pictures():
    return pictures
