"""`compile=on` compiles the networks that the losses call, and says which, or refuses."""

from __future__ import annotations

import copy

import pytest
import torch
import toys

import genzoo
from genzoo.errors import TrainingError
from genzoo.training import compiling
from genzoo.training.compiling import networks


@pytest.fixture
def compiled(monkeypatch):
    """Compile to the same function; give the modules whose calls were compiled, and what was told."""
    found, told = [], []

    def compile(function, **options):
        found.append(function.__self__)
        return function

    monkeypatch.setattr(torch, "compile", compile)
    monkeypatch.setattr(compiling, "tell", lambda text, level: told.append(text))
    return found, told


def test_both_nets_of_a_gan(start, compiled):
    run = start(toys.gan(), compile="on")
    run.play_round()
    assert compiled[0] == [run.model.discriminator, run.model.generator]
    assert compiled[1] == ["compiled: discriminator, generator"]
    run.play_round()
    assert len(compiled[1]) == 1  # said once


def test_the_nets_of_a_vae_and_not_the_model_that_nobody_calls(start, compiled):
    run = start(genzoo.create("vae", image_shape=(1, 8, 8)), compile="on")
    run.play_round()
    assert {*compiled[0]} == {run.model.encoder, run.model.decoder}
    assert compiled[1] == ["compiled: model.decoder, model.encoder"]


def test_a_pixel_model_has_its_layers_compiled(start, compiled):
    run = start(genzoo.create("pixelcnn", image_shape=(1, 8, 8), layers=2, width=4), compile="on")
    run.play_round()
    assert compiled[0] and compiled[1][0].startswith("compiled: model.")


def test_a_game_of_which_nothing_can_be_compiled_is_refused(start, compiled):
    run = start(toys.Bernoulli(toys.ToyConfig(image_shape=(1, 8, 8))), compile="on")
    with pytest.raises(TrainingError, match="compile=on compiles nothing of the model") as caught:
        run.play_round()
    assert caught.value.hint == "set compile=off" and compiled == ([], [])


def test_a_copy_calls_its_own_weights(start, compiled):
    """The finished model is a copy: compiled calls must not reach back to the run's."""
    run = start(toys.gan(norm=False, dropout=0.0), compile="on")
    copied, z = copy.deepcopy(run.model), torch.rand(2, 4)
    with torch.no_grad():
        for parameter in run.model.parameters():
            parameter.zero_()
    assert run.model._decode(z).std() == 0 < copied._decode(z).std()


def test_the_largest_networks_are_found():
    inner = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.ReLU())
    outer = torch.nn.ModuleDict({"a": torch.nn.ModuleList([inner]), "b": torch.nn.Linear(1, 1)})
    assert list(networks(outer)) == [("a.0", inner), ("b", outer["b"])]
    assert list(networks(inner)) == [("", inner)]
