"""Principal directions: those of a decoder whose Jacobian is known, and what is refused."""

from dataclasses import dataclass, field

import latent_toys
import pytest
import torch
from conditional_toys import LabelConfig, LabelGAN
from toys import gan

from genzoo.errors import ArgumentError
from genzoo.explore.directions import directions
from genzoo.explore.latents import prior_latents
from genzoo.models import AdversarialModel


@dataclass(frozen=True, kw_only=True)
class PlaneConfig:
    image_shape: tuple[int, int, int] = field(default=(1, 4, 4))
    latent_size: int = 3


class Plane(AdversarialModel):
    """x = 1/2 + A z with orthogonal columns: component 2 changes most, then 0, then 1."""

    Config = PlaneConfig
    effects = (0.02, 0.01, 0.03)

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.generator = self.discriminator = torch.nn.Identity()

    def _decode(self, z):
        x = torch.zeros(len(z), 16)
        for component, effect in enumerate(self.effects):
            x[:, 4 * component] = effect * z[:, component]
        return 0.5 + x.view(-1, 1, 4, 4)

    def _discriminate(self, x):
        return x.flatten(1).sum(1)


class Turned(Plane):
    """The same after z was turned by 45° between its first two components."""

    def _decode(self, z):
        half = 0.5**0.5
        turned = torch.stack([half * (z[:, 0] + z[:, 1]), half * (z[:, 0] - z[:, 1]), z[:, 2]], 1)
        return super()._decode(turned)


def test_directions_are_those_that_change_the_image_most_in_order():
    found = directions(Plane(PlaneConfig()))
    assert torch.allclose(found, torch.eye(3)[[2, 0, 1]], atol=1e-4)


def test_directions_need_not_be_components():
    half = 0.5**0.5
    expected = torch.tensor([[0, 0, 1], [half, half, 0], [half, -half, 0]])
    found = directions(Turned(PlaneConfig()))
    assert torch.allclose(found[:2], expected[:2], atol=1e-3)
    assert torch.allclose((found[2] @ expected[2]).abs(), torch.tensor(1.0), atol=1e-3)


def test_directions_are_unit_vectors_a_function_of_the_seed_and_as_many_as_asked():
    model = gan()
    found = directions(model, 2, seed=3)
    assert found.shape == (2, model.latent_size)
    assert torch.allclose(found @ found.T, torch.eye(2), atol=1e-4)
    assert torch.equal(found, directions(model, 2, seed=3))
    assert not torch.equal(found, directions(model, 2, seed=4))
    assert directions(model, 50).shape == (model.latent_size, model.latent_size)


def test_an_autoencoder_and_a_conditional_model_have_directions():
    assert directions(latent_toys.model(latent_toys.Codes)).shape == (2, 2)
    model = LabelGAN(LabelConfig()).eval()
    assert directions(model, 1, condition="dog").shape == (1, 4)
    with pytest.raises(ArgumentError, match="condition"):
        directions(model)


def test_a_decoder_that_ignores_z_and_a_model_without_z_are_refused():
    class Blind(Plane):
        def _decode(self, z):
            return torch.full((len(z), 1, 4, 4), 0.5)

    with pytest.raises(ArgumentError, match="do not depend on z"):
        directions(Blind(PlaneConfig()))
    with pytest.raises(ArgumentError, match="has no latent z"):
        directions(torch.nn.Identity())


def test_the_z_of_truncated_samples_are_those_that_are_drawn():
    model = gan()
    z = prior_latents(model, 5, 7, truncation=0.4)
    assert z.abs().max() <= 0.4
    assert torch.equal(model.decode(z), model.sample(5, 7, truncation=0.4))
    assert torch.equal(prior_latents(model, 5, 7), model.sample_latents(5, 7))
