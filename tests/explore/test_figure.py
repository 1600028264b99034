"""Figures: where each picture stands, and that signs are signs."""

import numpy as np
import pytest
from PIL import Image

from genzoo.explore.figure import GAP, above, beside, sign


def block(width, height, value=0, mode="L"):
    return Image.new(mode, (width, height), value if mode == "L" else (value,) * 3)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_beside_stands_on_one_line(mode):
    joined = beside(block(3, 9, 10, mode), block(5, 4, 20, mode))
    assert (joined.size, joined.mode) == ((3 + GAP + 5, 9), mode)
    pixels = np.asarray(joined.convert("L"))
    assert (pixels[:, :3] == 10).all() and (pixels[5:, 3 + GAP :] == 20).all()
    assert (pixels[:, 3 : 3 + GAP] == 255).all() and (pixels[:5, 3:] == 255).all()


def test_above_begins_on_one_line():
    pixels = np.asarray(above(block(3, 9, 10), block(5, 4, 20), gap=2))
    assert pixels.shape == (15, 5)
    assert (pixels[:9, :3] == 10).all() and (pixels[11:] == 20).all()
    assert (pixels[9:11] == 255).all() and (pixels[:, 3:][:11] == 255).all()


def test_one_picture_alone_stays():
    assert np.array_equal(np.asarray(beside(above(block(3, 9, 10)))), np.asarray(block(3, 9, 10)))


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_signs(mode):
    like = block(7, 66, 5, mode)
    drawn = {symbol: np.asarray(sign(symbol, like).convert("L")) < 128 for symbol in "+-= "}
    for ink in drawn.values():
        assert ink.shape == (66, 19) and np.array_equal(ink, ink[:, ::-1]) and np.array_equal(ink, ink[::-1])
    minus, plus, equals, nothing = (drawn[symbol] for symbol in "-+= ")
    assert not nothing.any() and minus[33].all() and minus.any(1).sum() == 4
    assert (plus & minus).sum() == minus.sum() and plus[:, 9].sum() == 19 - 1
    assert equals.sum() == 2 * minus.sum() and not equals[33].any()
