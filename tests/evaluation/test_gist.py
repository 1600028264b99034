"""GIST: every number lands where the definition puts it."""

import math

import numpy as np
import pytest
import torch

from genzoo.errors import ArgumentError
from genzoo.evaluation import gist as gist_module
from genzoo.evaluation.gist import FEATURES, gist, standardise

GOLDEN = [0.22197, 0.00399, 0.00156, 0.00122, 0.00336, 0.1098, 0.51863]


def grating(size=64, angle=0.0, frequency=0.15, shift=0.0):
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    wave = torch.cos(2 * math.pi * frequency * (x * math.cos(angle) + y * math.sin(angle)) + shift)
    return (0.5 + 0.3 * wave)[None, None]


def energies(images):
    """(N, scale, orientation, C, 4, 4)"""
    channels = images.shape[1]
    return gist(images)[:, : 512 * channels].view(len(images), 4, 8, channels, 4, 4)


def random_images(n, channels=3, height=24, width=32, seed=0):
    return torch.from_numpy(
        np.random.default_rng(seed).integers(0, 256, (n, channels, height, width), dtype=np.uint8)
    )


def test_the_name_pins_the_definition():
    assert FEATURES == "gist-v1@001ecadca61e", "the definition changed: make it gist-v2"


def test_golden_descriptor():
    """The digest pins the constants, this pins the code: a descriptor of one fixed picture."""
    y, x = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    picture = torch.stack([(x * 8) % 256, (y * 8) % 256, (x * y) % 256]).to(torch.uint8)[None]
    found = gist(picture)[0]
    places = [0, 100, 500, 1000, 1535, 1536, 1583]
    assert found[places].tolist() == pytest.approx(GOLDEN, rel=1e-2, abs=2e-5)


@pytest.mark.parametrize("orientation", range(8))
def test_stripes_land_in_their_orientation(orientation):
    turned = -math.pi * orientation / 8
    found = energies(grating(angle=turned)).mean((0, 1, 3, 4, 5))
    assert found.argmax() == orientation
    assert found[orientation] > 2 * found[(orientation + 4) % 8]


def test_horizontal_stripes_are_orientation_four():
    stripes = torch.zeros(1, 1, 64, 64)
    stripes[:, :, ::6] = stripes[:, :, 1::6] = stripes[:, :, 2::6] = 1.0
    assert energies(stripes).mean((0, 1, 3, 4, 5)).argmax() == 4


@pytest.mark.parametrize(("scale", "frequency"), [(0, 0.3), (1, 0.162), (2, 0.0877)])
def test_waves_land_in_their_scale(scale, frequency):
    assert energies(grating(frequency=frequency))[0, :, 0].mean((1, 2, 3)).argmax() == scale


def test_energy_is_where_the_texture_is():
    image = torch.full((1, 1, 64, 64), 0.5)
    image[..., 32:, 32:] = grating()[..., 32:, 32:]
    block = energies(image)[0, 1, 0, 0]
    assert block[2:, 2:].min() > 3 * block[:2, :2].max()


def test_channels_and_colours_have_their_places():
    image = torch.zeros(1, 3, 32, 32)
    image[:, 1] = grating(32)[0]
    image[:, 2, :16] = 1.0
    found = energies(image)
    assert found[0, 1, 0, 1].mean() > 10 * found[0, 1, 0, 0].mean()
    colours = gist(image)[0, 1536:].view(3, 4, 4)
    assert colours[0].tolist() == [[0.0] * 4] * 4
    assert colours[2].tolist() == [[1.0] * 4] * 2 + [[0.0] * 4] * 2


def test_a_small_shift_changes_little_and_a_turn_much():
    still = gist(grating())
    assert (gist(grating(shift=1.0)) - still).norm() < 0.1 * still.norm()
    assert (gist(grating(angle=math.pi / 2)) - still).norm() > 0.5 * still.norm()


def test_exposure_moves_the_energies_little():
    image = random_images(2).float() / 255 * 0.5 + 0.2
    plain, darker = energies(image), energies(image * 0.7)
    assert (plain - darker).norm() < 0.02 * plain.norm()
    assert (energies(image.mean((2, 3), keepdim=True).expand_as(image)) < 1e-3).all()


def test_the_batch_does_not_matter():
    images = random_images(35)
    whole = gist(images)
    assert torch.allclose(gist(images[33:]), whole[33:], rtol=1e-5, atol=1e-6)
    assert torch.equal(gist(images), whole)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 40), (1, 28, 28), (3, 24, 40), (2, 17, 9)])
def test_any_shape_of_eight_and_more(shape):
    found = gist(random_images(2, *shape))
    assert found.shape == (2, 528 * shape[0])
    assert found.dtype == torch.float64
    assert torch.isfinite(found).all()


def test_floats_and_bytes_agree():
    images = random_images(2)
    assert torch.equal(gist(images), gist(images.float() / 255))
    assert torch.equal(gist(images), gist(images.numpy()))


@pytest.mark.parametrize("flat", [0, 128, 255])
def test_a_flat_image_has_no_energy(flat):
    image = torch.full((1, 3, 16, 16), flat, dtype=torch.uint8)
    assert energies(image).max() < 1e-3
    assert gist(image)[0, 1536:] == pytest.approx(flat / 255)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.zeros(2, 3, 7, 9), "at least 8x8"),
        (torch.zeros(0, 3, 16, 16), "at least one image"),
        (torch.zeros(3, 16, 16), "shape"),
        (torch.full((1, 1, 16, 16), float("nan")), "NaN"),
        (torch.full((1, 1, 16, 16), 2.0), "\\[0, 1\\]"),
        ("bedrooms", "not str"),
    ],
)
def test_bad_images_are_refused(images, words):
    with pytest.raises(ArgumentError, match=words):
        gist(images)


def test_progress_is_told():
    told = []
    gist(random_images(gist_module.CHUNK + 3, 1, 8, 8), progress=lambda *what: told.append(what))
    assert told == [("features", 32, 35), ("features", 35, 35)]


def test_standardise_by_the_reference():
    reference = (
        torch.randn(500, 4, generator=torch.Generator().manual_seed(0)).double()
        * torch.tensor([1.0, 2.0, 3.0, 4.0])
        + 5
    )
    own = standardise(reference, reference)
    assert own.mean(0).abs().max() < 1e-12
    assert (own.std(0) - 1).abs().max() < 1e-12, "per feature, not over all"
    assert standardise(reference + 4, reference)[:, 3].mean() == pytest.approx(1, abs=0.1)


def test_a_constant_feature_does_not_explode():
    reference = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)).double()
    reference[:, 0] = 0.0
    off = torch.zeros(1, 3).double()
    off[0, 0] = 0.01
    assert 0.5 < standardise(off, reference)[0, 0] < 2
    assert standardise(off, torch.zeros(5, 3).double())[0, 0] == pytest.approx(0.01)
    with pytest.raises(ArgumentError, match="2 reference images"):
        standardise(off, reference[:1])
