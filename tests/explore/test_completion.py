"""Completions: the kept half stays, the rest is drawn."""

import pixel_toys as toys
import pytest
import torch
from toys import gan

from genzoo.errors import ArgumentError
from genzoo.explore.completion import HIDDEN, KEEPS, completed, keep_mask


@pytest.mark.parametrize("keep", KEEPS)
def test_each_half_is_a_half(keep):
    assert keep_mask(keep, 4, 6).float().mean() == 0.5
    first = keep_mask(keep, 4, 6)[0, 0]
    assert bool(first) is (keep in ("top", "left"))


def test_opposite_halves_are_the_whole():
    for one, other in (("top", "bottom"), ("left", "right")):
        assert torch.equal(keep_mask(one, 5, 7), ~keep_mask(other, 5, 7))


def test_a_row_shows_what_is_seen_the_completions_and_the_image():
    model = toys.ToyCNN(toys.PixelConfig(image_shape=(1, 4, 6)))
    images = (torch.rand(2, 1, 4, 6, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    mask = keep_mask("top", 4, 6)
    rows = completed(model, images, mask, 3, seed=5)
    assert rows.shape == (2, 5, 1, 4, 6)
    assert torch.equal(rows[:, -1], images) and (rows[:, 0, :, ~mask] == HIDDEN).all()
    assert (rows[..., mask] == images[:, None][..., mask]).all()
    assert torch.equal(rows[:, 1:-1], model.complete(images, mask, 3, seed=5))


def test_what_cannot_be_completed_is_refused():
    with pytest.raises(ArgumentError, match="ToyGAN cannot complete images"):
        completed(gan(), torch.zeros(1, 1, 8, 8), keep_mask("top", 8, 8))
    with pytest.raises(ArgumentError, match="keep must be one of top, bottom"):
        keep_mask("middle", 8, 8)
    with pytest.raises(ArgumentError, match="no top half"):
        keep_mask("top", 1, 8)
