"""What a pixel sees, read off gradients."""

import pixel_toys as toys
import pytest
import torch
from toys import gan

from genzoo.errors import ArgumentError
from genzoo.explore.context import ITSELF, LATER, UNSEEN, context, count, dependence, picture


def made(cls, **config):
    return cls(cls.Config(**config)).eval()


def test_two_masked_convolutions_see_a_trapezium():
    seen = context(made(toys.ToyCNN, image_shape=(1, 7, 7))) > 0
    expected = torch.zeros(7, 7, dtype=torch.bool)
    expected[1, 1:6] = True
    expected[2, 1:5] = True  # the blind spot to the right
    expected[3, 1:3] = True
    assert torch.equal(seen, expected)
    assert count(seen.float(), (3, 3)) == (11, 24)


def test_the_map_agrees_with_what_changes_when_a_pixel_is_changed():
    # differences of the farthest vanish in float32
    model = made(toys.ToyDiagonal, image_shape=(1, 5, 6)).double()
    changed = torch.eye(30, dtype=torch.float64).view(30, 1, 5, 6)
    with torch.no_grad():
        moved = (
            (model._predict(changed) - model._predict(torch.zeros(1, 1, 5, 6, dtype=torch.float64)))[
                ..., 2, 3
            ]
            .abs()
            .flatten(1)
            .amax(1)
        )
    assert torch.equal(context(model.float(), (2, 3)) > 0, moved.view(5, 6) > 0)


def test_a_leak_is_seen_after_the_pixel():
    seen = context(made(toys.UnshiftedDiagonal), (3, 3))
    assert seen[3, 4] > 0 and seen[3, 3] == 0


def test_dependence_is_triangular_for_each_colour():
    model = made(toys.ToyCNN, image_shape=(3, 3, 4))
    needs = dependence(model, torch.full(model.image_shape, 0.3))
    assert needs.shape == (36, 36) and not needs.triu().any()
    assert (needs[1::3, 0::3].diagonal() > 0).all() and (needs[2::3, 1::3].diagonal() > 0).all()
    assert dependence(made(toys.LeakyCNN), torch.zeros(1, 8, 8)).diagonal().all()


def test_a_model_that_sees_nothing_has_an_empty_map():
    blind = type(
        "Blind", (toys.ToyCNN,), {"_predict": lambda self, x: torch.zeros(len(x), 2, *self.image_shape)}
    )
    assert not context(made(blind)).any()


def test_the_picture_has_a_colour_for_each_kind_of_pixel():
    seen = torch.zeros(3, 3)
    seen[0, 1] = 2.0
    drawn = picture(seen, (1, 1))
    assert drawn.shape == (9, 3, 1, 1) and drawn.dtype == torch.uint8
    tiles = drawn.view(3, 3, 3)
    assert [tuple(tiles[r, c].tolist()) for r, c in ((1, 1), (0, 0), (1, 2))] == [ITSELF, UNSEEN, LATER]
    assert tiles[0, 1, 2] > tiles[0, 1, 0]  # blue


def test_errors_say_what_was_expected():
    with pytest.raises(ArgumentError, match="there is no pixel 8,0 in images of 8x8"):
        context(made(toys.ToyCNN), (8, 0))
    with pytest.raises(ArgumentError, match="ToyGAN has no order of pixels"):
        context(gan())
