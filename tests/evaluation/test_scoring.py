"""What can be asked of a model decides which records it is given."""

import numpy as np
import pixel_toys
import pytest
import torch
import toys

from genzoo import Card, Family, Recipe
from genzoo.data.collection import Images
from genzoo.errors import ArgumentError
from genzoo.evaluation.scoring import records_of, score_model, some_images
from genzoo.law import LawError
from genzoo.record import difference
from genzoo.request import DRAWS, WAYS, Request


def scores(model, train, test, name="toy", **asked):
    """Return what a training run's scores would be."""
    return score_model(model, train, test, Request(**{"draws": (), **asked}), subject=name)


def measured(model, card, data=None, **asked):
    return records_of(model, card, Request(data=data, **asked))


def image_set(shape, seed, split):
    pixels = np.random.default_rng(seed).integers(0, 256, (12, *shape), dtype=np.uint8)
    return Images(pixels=pixels, name="noise", split=split)


def test_an_implicit_model_is_scored_by_its_samples():
    model = toys.gan(image_shape=(1, 8, 8))
    train, test = image_set(model.image_shape, 0, "train"), image_set(model.image_shape, 1, "test")
    records = scores(model, train, test)
    assert {record.subject for record in records} == {"toy", "train"}
    assert {(record.n, record.image_shape) for record in records} == {(12, "1x8x8")}
    assert scores(model, train, test, n=6)[0].n == 6


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "3"])
def test_a_bad_n_is_refused_not_replaced(n):
    model = toys.gan(image_shape=(1, 8, 8))
    train, test = image_set(model.image_shape, 0, "train"), image_set(model.image_shape, 1, "test")
    with pytest.raises(ArgumentError, match="n must be a whole number"):
        scores(model, train, test, n=n)


def coins(split):
    pixels = np.eye(64, dtype=np.uint8).reshape(64, 1, 8, 8) * 255
    return Images(pixels=pixels, name="coins", split=split, transform="static-binarised")


def test_an_exact_density_is_scored_by_its_likelihood():
    nats, bits = scores(pixel_toys.ToyCNN(pixel_toys.PixelConfig()), coins("train"), coins("test"), "toy")
    assert (nats.kind, nats.unit, bits.unit, nats.n, nats.subject) == ("exact", "nats", "bits/dim", 64, "toy")


def test_without_a_certificate_there_is_no_number():
    with pytest.raises(LawError, match="sees itself"):
        scores(pixel_toys.LeakyCNN(pixel_toys.PixelConfig()), coins("train"), coins("test"))


def test_a_bound_needs_no_certificate():
    bound = type("Bound", (toys.Bernoulli,), {"exact": False})(toys.ToyConfig())
    assert [record.kind for record in scores(bound, coins("train"), coins("test"))] == ["elbo", "elbo"]


def test_images_that_are_shown_are_held_out_and_suit_the_model():
    model = pixel_toys.ToyCNN(pixel_toys.PixelConfig())
    card = Card(
        name="toy", family=Family.TRACTABLE, model="pixel_toys:ToyCNN", recipe=Recipe(data="binarized-digits")
    )
    images, chosen = some_images(model, card, None, 5, seed=0)
    assert (images.shape, chosen.name, chosen.split) == ((5, 1, 8, 8), "binarized-digits", "test")
    assert torch.equal(chosen.float(), images)
    assert torch.equal(images, some_images(model, card, None, 5, seed=0)[0]) and set(
        images.unique().tolist()
    ) == {0.0, 1.0}
    with pytest.raises(ArgumentError, match="black and white only"):
        some_images(model, card, "digits", 5, seed=0)
    # 8-bit by kind, black and white in fact
    own = np.random.default_rng(0).integers(0, 2, (30, 8, 8), dtype=np.uint8) * 255
    assert set(some_images(model, card, own, 2, seed=0)[0].unique().tolist()) == {0.0, 1.0}


COINS = toys.CARDS["coins"]


def test_a_bound_by_importance_weights_is_given_at_every_k_of_the_papers():
    records = measured(toys.Coins(toys.ToyConfig()), COINS, n=3)
    assert [record.kind for record in records] == ["elbo"] * 2 + ["iwae"] * 8 and {
        record.n for record in records
    } == {3}
    assert [record.protocol for record in records[2::2]] == [
        f"K = {k}, images chosen by seed 0" for k in DRAWS
    ]
    assert DRAWS == (1, 50, 500, 5000)


def test_or_at_those_that_are_asked_for():
    model = toys.Coins(toys.ToyConfig())
    assert [record.protocol for record in measured(model, COINS, draws=[7])[2:]] == ["K = 7"] * 2
    seeded = measured(model, COINS, n=3, seed=4, draws=[7])
    assert (
        seeded[2].protocol == "K = 7, draws of seed 4, images chosen by seed 4"
        and "images chosen by seed 4" in seeded[0].protocol
    )
    assert "protocol differs" in difference(seeded[0], measured(model, COINS, n=3, draws=[7])[0])
    with pytest.raises(ArgumentError, match="k must be a whole number of at least 1, not 0"):
        measured(model, COINS, n=3, draws=[0])
    # a training run ends with the ELBO alone
    assert len(scores(model, coins("train"), coins("test"), "coins")) == 2


def test_a_split_is_measured_where_there_is_a_likelihood():
    model = toys.Coins(toys.ToyConfig())
    assert {record.split for record in measured(model, COINS, n=3, draws=[1], split="train")} == {"train"}
    with pytest.raises(
        ArgumentError, match=r"measured against test or validation images.*not against split 'train'"
    ):
        measured(model, COINS, split="train", metrics=["kid"])


def test_validation_images_that_training_may_have_seen_are_called_so():
    model = toys.Coins(toys.ToyConfig())
    for more in ({"n": 20, "draws": [1]}, {"n": 20, "metrics": ["kid"], "features": "gist"}):
        found = measured(model, COINS, split="valid", **more)
        assert {record.split for record in found} == {"valid"}
        assert all(
            "unseen only by a model that was trained with validation=true" in record.note for record in found
        )
        assert not any("validation" in record.note for record in measured(model, COINS, **more))


def test_grey_images_of_ones_own_are_made_black_and_white_and_the_record_says_how():
    model = toys.Bernoulli(toys.ToyConfig())
    own = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    model = type("Coin", (toys.Bernoulli,), {"levels": 2})(toys.ToyConfig())
    card = toys.CARDS["coin"]
    with pytest.raises(ArgumentError, match=r"black and white only.*--binarise threshold or draw"):
        measured(model, card, own)
    ways = (("threshold", 0), ("draw", 0), ("draw", 1))
    cut, drawn, other = (measured(model, card, own, binarise=way, seed=seed)[0] for way, seed in ways)
    assert (
        cut.transform == "binarised, white from 128 on" and drawn.transform == "binarised, one draw of seed 0"
    )
    assert "transform differs" in difference(cut, drawn) and "transform differs" in difference(drawn, other)
    black_and_white = np.where(own >= 128, 255, 0).astype(np.uint8)
    assert measured(model, card, black_and_white, binarise="threshold")[0].value == cut.value
    with pytest.raises(ArgumentError, match="binarise must be one of threshold, draw"):
        measured(model, card, own, binarise="round")
    with pytest.raises(ArgumentError, match="static-binarised already"):
        measured(model, card, "binarized-digits", binarise="draw")


def test_grey_samples_become_black_and_white_where_they_are_compared_with_such_images():
    model, about = toys.gan(image_shape=(1, 8, 8)), {"features": "gist", "metrics": ["kid"]}
    card = Card(name="toy", family=Family.IMPLICIT, model="toys:ToyGAN", recipe=Recipe(data="digits"))
    grey = measured(model, card, "binarized-digits", **about)
    drawn, cut = (measured(model, card, "binarized-digits", binarise=way, **about) for way in WAYS[::-1])
    assert {record.transform for record in (*grey, *drawn, *cut)} == {"static-binarised"}
    assert drawn[0].drawn == "each pixel black or white, its level as the probability of white"
    assert cut[0].drawn == "each pixel black or white, white from level 128 on"
    assert "drawn differs" in difference(grey[0], drawn[0]) and "drawn differs" in difference(
        cut[0], drawn[0]
    )
    assert len({records[0].value for records in (grey, drawn, cut)}) == 3
    assert len({records[1].value for records in (grey, drawn, cut)}) == 1  # the floor
    both = measured(model, card, "digits", binarise="draw", **about)
    assert both[0].transform == "binarised, one draw of seed 0" and both[0].drawn == drawn[0].drawn
    black_and_white = measured(toys.Coins(toys.ToyConfig()), COINS, binarise="draw", n=20, **about)
    assert {record.drawn for record in black_and_white} == {""}  # nothing to change


def test_k_for_a_model_without_such_a_bound_is_refused_with_what_has_one():
    with pytest.raises(ArgumentError, match=r"'coin' has no importance-weighted bound.*VAEs have one"):
        measured(toys.Bernoulli(toys.ToyConfig()), toys.CARDS["coin"], draws=[5])
