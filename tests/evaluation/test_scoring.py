"""What can be asked of a model decides which records it is given."""

import numpy as np
import pytest
import toys

from genzoo.data.collection import Images
from genzoo.errors import ArgumentError
from genzoo.evaluation.scoring import score_model


def image_set(shape, seed, split):
    pixels = np.random.default_rng(seed).integers(0, 256, (12, *shape), dtype=np.uint8)
    return Images(pixels=pixels, name="noise", split=split)


def test_an_implicit_model_is_scored_by_its_samples():
    model = toys.gan(image_shape=(1, 8, 8))
    train, test = image_set(model.image_shape, 0, "train"), image_set(model.image_shape, 1, "test")
    records = score_model(model, train, test, "toy")
    assert {record.subject for record in records} == {"toy", "train"}
    assert {record.n for record in records} == {12}
    assert score_model(model, train, test, "toy", n=6)[0].n == 6


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "3"])
def test_a_bad_n_is_refused_not_replaced(n):
    model = toys.gan(image_shape=(1, 8, 8))
    train, test = image_set(model.image_shape, 0, "train"), image_set(model.image_shape, 1, "test")
    with pytest.raises(ArgumentError, match="n must be a whole number"):
        score_model(model, train, test, "toy", n=n)
