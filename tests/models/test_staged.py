"""Stages of an image, coarse to fine: checked arguments, the same images in any company, fitting shapes."""

from __future__ import annotations

import pytest
import torch
import toys
from staged_toys import Steps, steps

from genzoo.errors import ArgumentError, CardError
from genzoo.models.staged import enlarged


def test_the_last_stage_is_the_decoded_image():
    net = steps()
    z = net.sample_latents(3, seed=1)
    coarse, middle, fine = net.stages(z)
    assert [tuple(s.shape) for s in (coarse, middle, fine)] == [(3, 1, 2, 2), (3, 1, 4, 4), (3, 1, 8, 8)]
    assert torch.equal(fine, net.decode(z)) and fine.dtype == torch.float32
    torch.testing.assert_close(coarse[0, 0, 0, 0], fine[0, 0, :4, :4].mean())


def test_a_z_has_its_images_in_any_company():
    """More than a chunk, whose rest is filled up."""
    net = steps()
    z = net.sample_latents(net.decode_chunk + 2, seed=0)
    whole = net.stages(z)
    for row in (0, net.decode_chunk, net.decode_chunk + 1):
        assert all(
            torch.equal(one, many[row : row + 1])
            for one, many in zip(net.stages(z[row : row + 1]), whole, strict=True)
        )


def test_images_are_the_callers_own_and_nothing_is_left_changed():
    net = steps().train()
    images = net.stages(net.sample_latents(2, seed=0))
    images[-1].mul_(2).requires_grad_(True)
    assert net.training


@pytest.mark.parametrize("wrong", [torch.zeros(1, 63), torch.zeros(64), torch.full((1, 64), torch.nan), "z"])
def test_a_wrong_z_is_refused(wrong):
    with pytest.raises(ArgumentError):
        steps().stages(wrong)


def test_a_condition_for_a_model_without_one_is_refused():
    net = steps()
    with pytest.raises(ArgumentError, match="takes no condition"):
        net.stages(net.sample_latents(1, seed=0), "kitchen")


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ([], "returned no images"),
        ([torch.zeros(4, 3, 8, 8)], r"shape \(3, 8, 8\)"),
        ([torch.zeros(4, 1, 3, 8)], r"shape \(1, 3, 8\)"),
        ([torch.zeros(4, 64)], r"shape \(64,\)"),
    ],
)
def test_stages_that_do_not_fit_are_named(made, words):
    net = steps(_stages=lambda self, z: made)
    with pytest.raises(CardError, match=rf"Broken\._stages .*{words}"):
        net.stages(net.sample_latents(1, seed=0))


def test_it_is_final():
    with pytest.raises(CardError, match=r"overrides the public method stages\(\)"):
        type("Own", (Steps,), {"stages": lambda self, z: []})


def test_enlarging_repeats_pixels():
    small = torch.arange(4.0).view(1, 1, 2, 2)
    assert torch.equal(enlarged(small, (4, 6)), small.repeat_interleave(2, 2).repeat_interleave(3, 3))
    assert enlarged(small, (2, 2)) is small


def test_other_latent_models_have_none():
    assert not hasattr(toys.gan(), "stages")
