"""Inversion: an image of the model is found again, and the error says how near another one is."""

import latent_toys
import pytest
import torch
from conditional_toys import LabelConfig, LabelGAN

from genzoo.errors import ArgumentError
from genzoo.explore.inversion import inversion


def test_an_image_of_the_model_is_found_and_the_error_never_rises():
    model = latent_toys.model()
    wanted = torch.tensor([[0.7, -1.1]])
    *before, last = list(inversion(model, model.decode(wanted), steps=150, starts=2))
    assert last.error < 0.01 and torch.allclose(last.z, wanted[0], atol=0.1)
    errors = [found.error for found in (*before, last)]
    assert errors == sorted(errors, reverse=True) and errors[0] > 10 * errors[-1]
    assert [found.step for found in (*before, last)] == list(range(151))


def test_the_error_is_that_of_the_image_of_z():
    model = latent_toys.model()
    image = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    *_, last = inversion(model, image, steps=5)
    assert last.error == pytest.approx(
        float((model.decode(last.z[None]) - image).square().mean().sqrt()), 1e-4
    )
    assert last.error > 0.1  # noise has no stripes


def test_it_is_a_function_of_the_seed_and_leaves_weights_and_gradients_alone():
    model = latent_toys.model()
    image = torch.full((1, 1, 8, 8), 0.3)
    first, second = (list(inversion(model, image, steps=3, seed=4))[-1] for _ in range(2))
    assert torch.equal(first.z, second.z)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.is_grad_enabled()


def test_z_of_a_uniform_prior_stays_in_its_cube():
    class Cube(latent_toys.Stripes):
        prior = "uniform"

    model = Cube(latent_toys.StripesConfig()).eval()
    *_, last = inversion(model, torch.ones(1, 1, 8, 8), steps=40)
    assert last.z.abs().max() <= 1


def test_an_autoencoder_starts_at_zero_and_a_conditional_model_takes_its_condition():
    first = next(inversion(latent_toys.model(latent_toys.Codes), torch.ones(1, 1, 8, 8)))
    assert torch.equal(first.z, torch.zeros(2))
    model = LabelGAN(LabelConfig()).eval()
    *_, last = inversion(model, model.decode(torch.ones(1, 4), "dog"), steps=2, condition="dog")
    assert last.step == 2
    with pytest.raises(ArgumentError, match="condition"):
        inversion(model, torch.ones(1, 1, 8, 8))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"image": torch.rand(2, 1, 8, 8)}, "one image"), ({"steps": 0}, "steps"), ({"starts": 0}, "starts")],
)
def test_wrong_arguments_are_refused_before_any_work(arguments, words):
    with pytest.raises(ArgumentError, match=words):
        inversion(latent_toys.model(), **{"image": torch.rand(1, 1, 8, 8)} | arguments)
