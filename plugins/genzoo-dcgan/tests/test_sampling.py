"""The ways to an image: compact and exact, alone and in a batch, as one tensor and a few at a time."""

from __future__ import annotations

import copy

import pytest
import torch
from genzoo_dcgan.dcgan import DCGAN, UPSAMPLING, DCGANConfig
from torch import nn
from torch.nn.utils import parametrizations, prune

from genzoo.layers import StridedConv2d, StridedConvTranspose2d, folding


@pytest.fixture
def model():
    """A DCGAN whose batch statistics and images are no trivial ones."""
    torch.manual_seed(0)
    made = DCGAN(DCGANConfig(image_shape=(3, 24, 40), latent_size=10, width=16)).eval()
    with torch.no_grad():
        for layer in made.generator:
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.normal_(0, 0.1)
                layer.running_var.uniform_(0.05, 0.2)
            elif isinstance(layer, nn.ConvTranspose2d):
                layer.weight.mul_(3)
    return made


def test_samples_are_the_decoded_latents(model):
    assert torch.equal(model.sample(3, seed=4), model.decode(model.sample_latents(3, seed=4)))


def test_images_lie_in_memory_as_numpy_expects(model):
    assert model.sample(3).is_contiguous() and model.sample(3, dtype=torch.uint8).is_contiguous()
    assert model.decode(model.sample_latents(3)).is_contiguous()


def test_bits_do_not_depend_on_the_batch(model):
    many = model.sample(model.decode_chunk + 3, seed=1)
    assert torch.equal(model.sample(1, seed=1)[0], many[0])
    z = model.sample_latents(model.decode_chunk + 3, seed=1)
    assert torch.equal(model.decode(z[-1:])[0], many[-1])


# Levels of 255. In bf16 2.9 were seen on a CPU without instructions for it, less than 2.5 on one with them.
@pytest.mark.parametrize(("bf16", "levels"), [(False, 0.01), (True, 3.5)])
def test_an_image_is_the_same_with_gradients_which_are_exact(model, bf16, levels, monkeypatch):
    monkeypatch.setattr(folding, "fast_bf16", lambda device: bf16)
    z = model.sample_latents(8, seed=0)
    asked = z.clone().requires_grad_()
    fast, same = model.decode(z), model.decode(asked)
    assert same.requires_grad and not fast.requires_grad
    assert torch.equal(same.detach(), fast)
    plain = (model.generator(asked[:, :, None, None]) + 1) / 2
    assert (fast - plain).abs().max() * 255 < levels
    assert plain.std() > 0.1  # there is something to differ
    slopes = [torch.autograd.grad(images[:, :, ::2].sum(), asked)[0] for images in (same, plain)]
    torch.testing.assert_close(*slopes, rtol=1e-4, atol=1e-4)


def test_training_goes_on_in_training_mode(model):
    """Batch statistics are those of the batch, and the compact net is no part of the model."""
    keys = list(model.state_dict())
    model.sample(2)
    model.train()
    before = model.generator[1].running_mean.clone()
    with torch.no_grad():
        model._decode(model.sample_latents(8, seed=0))
    assert not torch.equal(model.generator[1].running_mean, before)
    assert list(model.state_dict()) == keys and model.training


def test_a_trained_model_draws_by_its_new_weights(model):
    before = model.sample(2, seed=0)
    with torch.no_grad():
        model.generator[-2].weight.mul_(0.5)
    assert not torch.equal(model.sample(2, seed=0), before)


def test_fresh_weights_and_keys_are_those_of_stock_layers(monkeypatch):
    config = DCGANConfig(image_shape=(1, 24, 40), width=16)
    torch.manual_seed(0)
    ours = DCGAN(config).state_dict()
    monkeypatch.setattr("genzoo_dcgan.dcgan.StridedConv2d", nn.Conv2d)
    monkeypatch.setattr("genzoo_dcgan.dcgan.StridedConvTranspose2d", nn.ConvTranspose2d)
    monkeypatch.setitem(UPSAMPLING, "plain", nn.ConvTranspose2d)
    torch.manual_seed(0)
    stock = DCGAN(config)
    assert not any(isinstance(layer, (StridedConv2d, StridedConvTranspose2d)) for layer in stock.modules())
    assert list(ours) == list(stock.state_dict())
    assert all(torch.equal(ours[key], value) for key, value in stock.state_dict().items())


def average(model):
    with torch.no_grad():
        for weight in model.generator.parameters():
            weight.data.mul_(0.5).add_(torch.ones_like(weight), alpha=0.01)


CHANGES = {
    "a moving average": average,
    "eps": lambda model: setattr(model.generator[1], "eps", 1.0),
    "a numpy view": lambda model: model.generator[3].weight.detach().numpy().__imul__(2),
    "a hook": lambda model: model.generator[2].register_forward_hook(
        lambda layer, inputs, output: 0.5 * output
    ),
    "pruning": lambda model: prune.l1_unstructured(model.generator[3], "weight", 0.5),
    "spectral norm": lambda model: parametrizations.spectral_norm(model.generator[3]),
    "another layer": lambda model: model.generator.__setitem__(2, nn.Tanh()),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_images_are_those_of_the_generator_as_it_is(model, change, monkeypatch):
    monkeypatch.setattr(folding, "fast_bf16", lambda device: False)
    before, z = model.sample(3, seed=0), model.sample_latents(3, seed=0)
    change(model)
    with torch.no_grad():
        now = ((model.eval().generator(z[:, :, None, None]) + 1) / 2).clamp(0, 1)
    for images in (model.sample(3, seed=0), model.decode(z)):
        assert (images - now).abs().max() < 1e-4 < (images - before).abs().max()


def test_every_batch_is_drawn_from_the_weights_of_its_moment(model):
    batches = model.sample_batches(2 * model.decode_chunk, seed=0)
    next(batches)
    average(model)
    assert torch.equal(next(batches), model.sample(2 * model.decode_chunk, seed=0)[model.decode_chunk :])


def test_a_compiled_generator_is_called(model):
    before = model.sample(2, seed=0)
    model.generator = torch.compile(model.generator, backend="eager")
    assert (model.sample(2, seed=0) - before).abs().max() < 2.5 / 255
    model.generator = torch.compile(nn.Identity(), backend="eager")
    model.generator.register_forward_hook(lambda net, inputs, output: torch.zeros(len(output), 3, 24, 40))
    assert (model.sample(2, seed=0) == 0.5).all()


def test_copies_and_shared_memory_draw_the_same(model):
    before = model.sample(2, seed=0)
    assert torch.equal(copy.deepcopy(model).sample(2, seed=0), before)
    assert torch.equal(model.requires_grad_(False).share_memory().sample(2, seed=0), before)
