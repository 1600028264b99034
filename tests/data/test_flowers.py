"""Template captions of flowers: colours measured on drawn flowers, words, and combinations held out."""

import numpy as np
import pytest

from genzoo.data import open_data
from genzoo.data.flowers import COLOURS, captions_of, colours_of, held_out, templates
from genzoo.datasets import NAMES, UNSEEN

LEAF, SOIL, SKY = (40, 110, 35), (95, 75, 55), (120, 150, 210)
PETALS = {
    "white": [(250, 250, 250), (225, 222, 215)],
    "pink": [(240, 150, 180), (230, 60, 160), (250, 160, 165)],
    "red": [(200, 20, 25), (140, 10, 20)],
    "orange": [(250, 130, 20), (230, 100, 30)],
    "yellow": [(250, 220, 30), (240, 200, 40)],
    "blue": [(60, 70, 210), (90, 130, 230)],
    "purple": [(130, 60, 200), (160, 110, 220)],
    "": [LEAF, SOIL, (90, 90, 90), (10, 10, 10)],
}


def drawn(petal, ground=LEAF, radius=18, size=64, second=None):
    """Return a flower (3, H, W): a disc, of which `second` colours the upper half."""
    y, x = np.mgrid[:size, :size]
    picture = np.empty((size, size, 3), np.uint8)
    picture[:] = ground
    disc = (y - size / 2) ** 2 + (x - size / 2) ** 2 < radius**2
    picture[disc] = petal
    if second:
        picture[disc & (y < size / 2)] = second
    return picture.transpose(2, 0, 1)


def words(pictures):
    return [COLOURS[code] for code in colours_of(np.stack(pictures))]


@pytest.mark.parametrize("ground", [LEAF, SOIL, (15, 15, 15)])
@pytest.mark.parametrize("colour", PETALS)
def test_the_colour_of_a_drawn_flower_is_measured(colour, ground):
    assert words([drawn(petal, ground) for petal in PETALS[colour]]) == [colour] * len(PETALS[colour])


def test_no_word_is_given_where_none_is_clear():
    red, yellow = PETALS["red"][0], PETALS["yellow"][0]
    assert words([drawn(red, second=yellow), drawn(red, radius=5), drawn(red, second=LEAF)]) == [
        "",
        "",
        "red",
    ]


def test_the_middle_of_the_picture_counts():
    corner = drawn(PETALS["yellow"][0], SKY, radius=20)
    corner[:, :8, :] = np.array(PETALS["red"][0])[:, None, None]
    assert words([corner]) == ["yellow"]


def test_colours_do_not_depend_on_the_company_of_an_image():
    pictures = np.stack([drawn(petal) for petals in PETALS.values() for petal in petals] * 40)
    whole = colours_of(pictures)
    assert len(whole) > 512 and (whole[:16] == colours_of(pictures[:16])).all()
    assert (whole[-16:] == colours_of(pictures[-16:])).all() and len(colours_of(pictures[:0])) == 0


def test_templates():
    assert templates("yellow", "daffodil") == (
        "a yellow daffodil",
        "a photograph of a yellow daffodil",
        "a yellow flower",
        "a flower with yellow petals",
    )
    assert templates("orange", "rose")[:3] == (
        "an orange rose",
        "a photograph of an orange rose",
        "an orange flower",
    )
    assert templates("", "artichoke") == ("an artichoke", "a photograph of an artichoke")
    assert templates("yellow", "pink primrose")[::2] == ("a pink primrose", "a yellow flower")
    assert captions_of([3, 0], [1, 0], ["iris", "rose"]) == (templates("red", "rose"), templates("", "iris"))


def test_held_out_combinations_are_of_known_colours_and_flowers():
    names = NAMES["flowers102"].classes
    assert len(UNSEEN) == 15 and {colour for colour, _ in UNSEEN} <= set(COLOURS[1:])
    assert {flower for _, flower in UNSEEN} <= set(names)
    assert held_out("red", "rose") and not held_out("pink", "rose") and not held_out("", "rose")


def bed(make, home):
    """Write a file of flowers: roses in red (held out) and pink, and passion flowers."""
    rose = NAMES["flowers102"].classes.index("rose")
    rows = [("red", rose)] * 4 + [("pink", rose)] * 8 + [("blue", 0)] * 8
    pictures = [
        drawn(PETALS[colour][0], radius=17 + number % 4, ground=(30, 90 + number, 30))
        for number, (colour, _) in enumerate(rows)
    ]
    files = [make.encoded(picture.transpose(1, 2, 0), "JPEG", quality=95) for picture in pictures]
    columns = {"labels": np.array([label for _, label in rows]), "split": np.arange(len(rows)) % 3}
    np.savez(home / "flowers102_64.npz", **make.end_to_end(files, "jpeg"), **columns)
    return rows


@pytest.mark.parametrize("shape", [None, (1, 8, 8)])
def test_flowers_have_captions_of_their_colour_at_every_size(make, tmp_path, monkeypatch, shape):
    monkeypatch.setenv("GENZOO_DATA", str(tmp_path))
    rows, names = bed(make, tmp_path), NAMES["flowers102"].classes
    for place, split in enumerate(("train", "valid", "test")):
        found = open_data("flowers102", split=split, image_shape=shape)
        wanted = [templates(colour, names[label]) for colour, label in rows[place::3]]
        assert list(found.captions) == wanted


def test_no_held_out_combination_is_learned_from(make, tmp_path, monkeypatch):
    monkeypatch.setenv("GENZOO_DATA", str(tmp_path))
    bed(make, tmp_path)
    test = open_data("flowers-unseen", split="test")
    assert [texts[0] for texts in test.captions] == ["a red rose"] * 4
    counts = {}
    for split in ("train", "valid", "fit"):
        found = open_data("flowers-unseen", split=split)
        counts[split] = len(found)
        assert "a red rose" not in {text for texts in found.captions for text in texts}
    assert counts["train"] == 16 == counts["valid"] + counts["fit"]


@pytest.mark.skipif("not os.path.isfile(os.environ.get('GENZOO_DATA', '') + '/flowers102_64.npz')")
def test_of_the_real_flowers_each_kind_and_colour_stays_in_training(real_data):
    train, test = (open_data("flowers-unseen", split=split) for split in ("train", "test"))
    assert len(train) + len(test) == 8_189 and set(train.labels.tolist()) == set(range(102))
    counts = np.bincount(train.labels, minlength=102) / np.bincount(
        np.concatenate([train.labels, test.labels]), minlength=102
    )
    assert counts.min() >= 0.5 and 300 <= len(test) <= 600
    first = {texts[0] for texts in test.captions}
    assert first == {templates(colour, flower)[0] for colour, flower in UNSEEN}
    assert not first & {texts[0] for texts in train.captions}
