"""The figure of stages, on a model whose stages are averages of its z."""

import pytest
import torch
import toys
from staged_toys import steps

from genzoo.errors import ArgumentError
from genzoo.explore.stages import stages


def test_each_stage_has_full_size_and_its_own_pixels():
    net = steps()
    z = net.sample_latents(2, seed=0)
    shown = stages(net, z)
    assert shown.shape == (2, 3, 1, 8, 8)
    assert torch.equal(shown[:, 2], net.decode(z))
    assert torch.equal(shown[:, 0, :, :4, 4:], net.stages(z)[0][:, :, :1, 1:].expand(2, 1, 4, 4))


def test_a_model_in_the_middle_of_its_training_shows_what_it_has():
    net = steps(_stages=lambda self, z: [self._decode(z)[:, :, ::4, ::4]])
    shown = stages(net, net.sample_latents(2, seed=0))
    assert shown.shape == (2, 1, 1, 8, 8)


def test_a_model_without_stages_is_told_so():
    with pytest.raises(ArgumentError, match="ToyGAN makes an image in one go") as caught:
        stages(toys.gan(), torch.zeros(1, 4))
    assert "StagedModel" in caught.value.hint
