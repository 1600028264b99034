"""Whether z is heeded: two samples of one text, next to two photographs of one text."""

import numpy as np
import pytest
import torch
from genzoo_text import variety
from genzoo_text.textgan import TextGAN
from genzoo_text.variety import METRIC, measure_variety
from text_toys import bed, tiny

from genzoo.evaluation import Request
from genzoo.evaluation.scoring import score_model
from genzoo.record import FLOOR

PLANTS = [("red", "rose"), ("yellow", "daffodil")] * 6
TRAIN, TEST = bed(PLANTS), bed(PLANTS, "test")


class OfText(TextGAN):
    """Draws a level that only the text decides: the failure that this is for."""

    def _decode(self, z, condition):
        level = condition.double().mean(1) / 20
        return level.float()[:, None, None, None].expand(-1, 3, 16, 16) + 0 * z.sum()


class OfLatent(TextGAN):
    """Draws the level 0 or 1, by the sign of z's first component."""

    def _decode(self, z, condition):
        return (z[:, 0] > 0).float()[:, None, None, None].expand(-1, 3, 16, 16)


def told(kind, train=TRAIN, **request):
    model = tiny(kind, image_shape=(3, 16, 16)).eval()
    found = list(measure_variety(model, train, TEST, Request(**request), subject="toy"))
    return model, {record.subject: record for record in found}


def test_a_model_that_ignores_z_has_none():
    _, found = told(OfText)
    assert found["toy"].value == 0 and found[FLOOR].value > 0


def test_two_samples_of_one_text_are_compared():
    model, found = told(OfLatent, seed=3)
    high = model.sample_latents(2 * found["toy"].n, seed=3)[:, 0] > 0
    assert found["toy"].value == pytest.approx((high[::2] != high[1::2]).double().mean().item())
    assert found["toy"].n == 4  # "a red rose", "a red flower" and both of the daffodils
    assert (found["toy"].better, found["toy"].condition) == ("neither", "train captions")


def test_next_to_two_photographs_of_the_same_text():
    _, found = told(OfText)
    texts = {}
    for row, captions in enumerate(TRAIN.captions):
        for text in captions:
            texts.setdefault(text, []).append(row)
    pixels = TRAIN.pixels.astype(np.float64) / 255
    most = max(np.abs(pixels[a] - pixels[b]).mean() for rows in texts.values() for a in rows for b in rows)
    # discs of one colour differ in one pixel alone; those of two colours by far more
    assert 0 < found[FLOOR].value < 1.001 * most < 0.01


def test_a_pair_of_photographs_counts_once_in_the_error():
    """However many texts it has. The samples of each text are its own."""
    plants = [("red", "rose"), ("yellow", "daffodil"), ("red", "daffodil")] * 4
    captions = tuple((f"a {colour} {name}", f"a photograph of a {colour} {name}") for colour, name in plants)
    train = bed(plants).replace(captions=captions)
    rng = np.random.default_rng(0)
    train = train.replace(pixels=rng.integers(0, 256, train.pixels.shape, dtype=np.uint8))
    _, found = told(OfLatent, train)
    real, own = found[FLOOR], found["toy"]
    assert (real.n, real.blocks, own.n, own.blocks) == (6, 3, 6, None)
    rows = [variety._two([row for row in range(12) if row % 3 == kind], 0) for kind in range(3)]
    pixels = train.pixels.astype(np.float64) / 255
    apart = np.array([np.abs(pixels[one] - pixels[other]).mean() for one, other in rows])
    assert real.value == pytest.approx(apart.mean())
    assert real.stderr == pytest.approx(apart.std(ddof=1) / 3**0.5, rel=1e-4)
    assert own.stderr == pytest.approx((own.value * (1 - own.value) / 5) ** 0.5)


def test_pairs_are_the_same_in_either_order_and_by_both_photographs(monkeypatch):
    pairs = iter([[0, 2], [2, 0], [0, 4], [2, 4]])
    monkeypatch.setattr(variety, "_two", lambda rows, seed: next(pairs))
    assert told(OfLatent)[1][FLOOR].blocks == 3


def test_a_text_that_one_image_has_is_left_out():
    alone = bed([("red", "rose"), ("yellow", "daffodil")])
    assert not told(OfLatent, alone)[1]
    both = bed([("red", "rose"), ("red", "daffodil")])
    assert told(OfLatent, both)[1]["toy"].n == 1  # "a red flower"


def test_no_more_pairs_than_asked_for():
    assert told(OfLatent, n=3)[1]["toy"].n == 3


def test_a_model_with_a_fixed_text_has_no_such_record():
    model = tiny(OfLatent, image_shape=(3, 16, 16)).eval().given("a red rose")
    assert not list(measure_variety(model, TRAIN, TEST, Request(), subject="toy"))


def test_it_is_among_the_scores_and_tells_its_progress():
    model, said = tiny(image_shape=(3, 16, 16)).eval(), []
    records = score_model(
        model,
        TRAIN,
        TEST,
        Request(),
        subject="toy",
        progress=lambda what, done, total: said.append((what, done, total)),
    )
    assert {record.subject for record in records if record.metric == METRIC} == {"toy", FLOOR}
    assert ("variety", 8, 8) in said


def test_samples_are_8_bit_images():
    model = tiny(image_shape=(3, 16, 16)).eval()
    found = variety._drawn(model, ["a red rose"], Request(), None)
    expected = model.sample(2, 0, condition="a red rose", dtype=torch.uint8).float() / 255
    assert torch.equal(found, expected)
