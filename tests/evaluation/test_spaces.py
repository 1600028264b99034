"""Feature spaces: which one a data set is measured in, and the digest that stands in every record."""

import class_toys
import pytest
import torch
import toys

from genzoo.card import Family
from genzoo.data import open_data
from genzoo.data.collection import Images
from genzoo.errors import ArgumentError, HubError, UnknownNameError
from genzoo.evaluation import GIST, feature_space, sample_quality, score_model
from genzoo.evaluation.distances import fid, kid
from genzoo.evaluation.scoring import records_of
from genzoo.evaluation.spaces import space_of
from genzoo.record import difference
from genzoo.request import Request

GAN = toys.CARDS["toy-gan"]
ELSEWHERE = class_toys.CARD.replace(name="other-net", recipe=class_toys.RECIPE.replace(data="mnist"))


@pytest.fixture(scope="module")
def digits():
    return open_data("digits", split="train"), open_data("digits", split="test")


@pytest.fixture
def zoo(plug, monkeypatch, tmp_path):
    """Give `zoo(*cards)`, which installs cards and publishes toy weights of the classifiers among them;
    return their rows."""

    def zoo(*cards):
        plug(*cards, distribution="toy-box")
        nets = [card for card in cards if card.family is Family.CLASSIFIER]
        rows = {
            card.name: class_toys.publish(tmp_path, class_toys.net(index), card.name)
            for index, card in enumerate(nets)
        }
        monkeypatch.setenv("GENZOO_ZOO", str(tmp_path) if nets else "")
        return rows

    return zoo


def test_the_name_holds_the_digest_of_the_weights(zoo, digits):
    row = zoo(class_toys.CARD, GAN)["digit-net"]
    space = feature_space("digit-net", digits[1])
    assert space.name == f"digit-net@{row.sha256[:12]}" and not space.standardised
    asked = Request(n=30, features="digit-net", metrics=["fid", "kid"])
    records = score_model(toys.gan(), *digits, asked, subject="toy")
    assert {record.label for record in records} == {
        f"{metric}[digit-net@{row.sha256[:12]}]" for metric in ("fid", "kid")
    }


def test_sets_are_compared_in_the_features_of_the_net(zoo, digits):
    zoo(class_toys.CARD)
    model, (train, test) = class_toys.net(0), digits
    samples = toys.gan().sample(40, seed=3)
    space = feature_space("digit-net", test)
    found = sample_quality(samples, train, test, subject="toy", metrics=["fid", "kid"], space=space)
    by = {(record.metric, record.subject): record for record in found}
    from genzoo.evaluation.inputs import as_pixels, subset, take

    x = model.features(as_pixels(samples)[subset(40, 40, 0, "samples")])
    y = model.features(take(test, subset(len(test), 40, 0, "test"), "test"))
    z = model.features(take(train, subset(len(train), 1024, 0, "train"), "train")[:40])
    assert by["fid", "toy"].value == pytest.approx(fid(x, y), rel=1e-9) and by[
        "fid", "train"
    ].value == pytest.approx(fid(z, y), rel=1e-9)
    assert by["kid", "toy"].value == pytest.approx(kid(x, y).value, rel=1e-9)
    assert "standardised" not in by["fid", "toy"].protocol


def test_a_set_is_measured_in_the_net_that_was_trained_on_it(zoo, digits):
    rows = zoo(class_toys.CARD, ELSEWHERE)
    assert feature_space(None, digits[1]).name == f"digit-net@{rows['digit-net'].sha256[:12]}"
    assert feature_space("gist", digits[1]) is GIST
    assert feature_space(None, digits[1].replace(name="my-photos")) is GIST
    assert feature_space("other-net", digits[1]).name.startswith("other-net@")


def test_without_a_net_or_weights_it_is_gist(zoo, digits, plug):
    zoo(ELSEWHERE)
    assert feature_space(None, digits[1]) is GIST
    plug(class_toys.CARD, distribution="toy-box")  # installed, and not published
    assert feature_space(None, digits[1]) is GIST
    with pytest.raises(
        HubError, match="'digit-net' has no published weights — train them with genzoo train digit-net"
    ):
        feature_space("digit-net", digits[1])


def test_a_net_of_another_size_is_no_default_and_refused_where_asked_for(zoo, digits):
    large = class_toys.CARD.replace(config={"image_shape": (1, 16, 16)})
    zoo(large)
    wide = Images(pixels=digits[1].pixels.repeat(2, 2).repeat(2, 3), name="digits", split="test")
    assert feature_space(None, digits[1]) is GIST
    with pytest.raises(
        ArgumentError,
        match=r"'digit-net' expects images of the shape \(1, 8, 8\), but digits has \(1, 16, 16\)",
    ):
        feature_space("digit-net", wide)


def test_a_net_that_takes_every_size_measures_any_set(zoo, digits):
    """How a stranger brings Inception: a card, weights that a ledger pins, and a class that enlarges images
    itself."""
    row = zoo(class_toys.CARD.replace(model="class_toys:AnySize", recipe=None))["digit-net"]
    wide = Images(pixels=digits[1].pixels.repeat(2, 2).repeat(3, 3), name="my-photos", split="test")
    assert feature_space(None, wide) is GIST
    space = feature_space("digit-net", wide)
    assert space.name == f"digit-net@{row.sha256[:12]}"
    expected = class_toys.net(0).features(torch.from_numpy(digits[1].pixels[:5]))
    torch.testing.assert_close(space.describe(torch.from_numpy(wide.pixels[:5]), None).float(), expected)


def test_other_names_are_refused(zoo, digits):
    zoo(class_toys.CARD, GAN)
    with pytest.raises(
        ArgumentError, match=r"'toy-gan' is not a classifier .* — choose one of gist, digit-net"
    ):
        feature_space("toy-gan", digits[1])
    with pytest.raises(UnknownNameError, match="no model is called 'digit-nat'; did you mean 'digit-net'"):
        feature_space("digit-nat", digits[1])


def test_records_in_two_spaces_are_not_compared(zoo, digits):
    zoo(class_toys.CARD)
    asked = [Request(n=20, metrics=["fid"], features=name) for name in ("gist", None)]
    one, two = (score_model(toys.gan(), *digits, request, subject="toy")[0] for request in asked)
    assert "a distance means nothing without the features it was measured in" in difference(one, two)


def test_a_space_describes_images_of_every_number_alike():
    space = space_of(class_toys.net(), "net@0")
    pixels = torch.randint(0, 256, (600, 1, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    told = []
    found = space.describe(pixels, lambda *what: told.append(what))
    assert found.dtype == torch.float64 and found.shape == (600, class_toys.WIDTH)
    assert torch.equal(space.describe(pixels[:7], None), found[:7])
    assert told == [("features", 256, 600), ("features", 512, 600), ("features", 600, 600)]


def test_a_model_with_a_density_is_measured_by_its_samples_where_that_is_asked_for(zoo):
    zoo(class_toys.CARD)
    model, card = toys.Coins(toys.ToyConfig()), toys.CARDS["coins"]
    assert {
        record.kind for record in records_of(model, card, Request(data="binarized-digits", n=8, draws=[2]))
    } == {"elbo", "iwae"}
    found = records_of(model, card, Request(data="binarized-digits", n=20, metrics=["fid"]))
    assert [(r.metric, r.subject, r.kind) for r in found] == [
        ("fid", "coins", "sample"),
        ("fid", "train", "sample"),
    ]
    named = records_of(
        model, card, Request(data="binarized-digits", n=20, features="digit-net", metrics=["kid"])
    )
    assert named[0].features.startswith("digit-net@")
