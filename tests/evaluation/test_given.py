"""Measures of conditional models: each image is given its own label, or all are given one."""

from __future__ import annotations

import dataclasses

import class_toys
import numpy as np
import pytest
import torch
import toys
from conditional_toys import NAMES, LabelBernoulli, LabelCodes, LabelConfig, LabelGAN, LabelPixels, card

from genzoo.data import Images, open_data
from genzoo.errors import ArgumentError, DataError, UnknownNameError
from genzoo.evaluation import (
    certificate,
    certificate_of,
    certify,
    importance,
    likelihood,
    quality,
    sample_quality,
)
from genzoo.evaluation.agreement import Reading
from genzoo.evaluation.few_labels import Candidate, few_labels
from genzoo.evaluation.inputs import subset
from genzoo.evaluation.measures import measures
from genzoo.evaluation.reconstruction import reconstruction
from genzoo.evaluation.scoring import score_model
from genzoo.evaluation.spaces import GIST, feature_space, space_of
from genzoo.law import LawError
from genzoo.models import ClassifyingModel, ImplicitModel, ImportanceModel
from genzoo.record import FLOOR, Record, difference, rank, standings
from genzoo.request import ALL, Request

LEVELS = (0.1, 0.5, 0.9)  # the share of white that a label has
COUNTS = (8, 14, 20)  # images of each label


def data(split="test", order=NAMES, **changes):
    """Black and white noise, mixed up, whose share of white says what its label is."""
    numbers = np.repeat(np.arange(3), COUNTS)
    rng = np.random.default_rng(0 if split == "train" else 1)
    rng.shuffle(numbers)
    pixels = (rng.random((len(numbers), 1, 8, 8)) < np.array(LEVELS)[numbers][:, None, None, None]) * 255
    labels = np.array([order.index(NAMES[number]) for number in numbers])
    about = {"labels": labels, "class_names": order, "transform": "static-binarised", **changes}
    return Images(pixels=pixels.astype(np.uint8), name="noise", split=split, **about)


TRAIN, TEST = data("train"), data()
MICE = TEST.replace(class_names=("cat", "mouse", "horse"))


def bernoulli(kind=LabelBernoulli):
    """The model that the images are drawn from."""
    model = kind(LabelConfig())
    with torch.no_grad():
        model.logits.copy_(torch.tensor(LEVELS).logit()[:, None, None, None].expand_as(model.logits))
    return model.eval()


def nats(images, number):
    """-log p(x | label) of each image, from the number of its white pixels."""
    white = (images.pixels > 0).sum((1, 2, 3))
    share = np.array(LEVELS)[number]
    return -(white * np.log(share) + (64 - white) * np.log1p(-share))


def scores(model, train=TRAIN, test=TEST, **asked):
    """Return the records but those of Bayes' rule, which is given no label and has tests of its own."""
    found = score_model(model, train, test, Request(**{"draws": (), **asked}), subject="toy")
    return [record for record in found if record.kind != "classification"]


def test_each_image_is_given_its_own_label():
    whole, bits = scores(bernoulli())
    assert whole.value == pytest.approx(nats(TEST, TEST.labels).mean(), rel=1e-5)
    assert {whole.condition, bits.condition} == {"test labels"} and whole.n == 42
    assert "certificate given each condition" in whole.protocol
    part, _ = scores(bernoulli(), n=9, seed=3)
    rows = subset(42, 9, 3, "likelihood").numpy()
    assert part.value == pytest.approx(nats(TEST, TEST.labels)[rows].mean(), rel=1e-5)
    assert scores(bernoulli(), test=data("valid"))[0].condition == "valid labels"


def test_classes_are_matched_by_name():
    other = data(order=("horse", "cat", "dog"))
    assert list(other.labels) != list(TEST.labels)
    assert scores(bernoulli(), test=other) == scores(bernoulli())
    assert scores(bernoulli(), test=other, condition="dog") == scores(bernoulli(), condition="dog")


@pytest.mark.parametrize("label", ["dog", "DOG", 1, "1", np.int64(1)])
def test_one_label_is_measured_on_its_own_images(label):
    whole, _ = scores(bernoulli(), condition=label)
    dogs = TEST.subset(TEST.labels == 1)
    assert (whole.n, whole.condition) == (14, "label dog")
    assert whole.value == pytest.approx(nats(dogs, 1).mean(), rel=1e-5)


def test_all_labels_follow_the_whole():
    found = scores(bernoulli(), condition=ALL)[::2]
    words = ["test labels", *(f"label {name}" for name in NAMES)]
    assert [record.condition for record in found] == words
    assert [record.n for record in found] == [42, *COUNTS]
    mean = sum(record.value * record.n for record in found[1:]) / 42
    assert found[0].value == pytest.approx(mean)
    assert found[2] == scores(bernoulli(), condition="dog")[0]


def test_labels_without_images_are_left_out_and_those_with_too_few_are_told_of(capsys):
    some = TEST.subset(np.flatnonzero(TEST.labels != 1))
    assert [one.condition for one in scores(bernoulli(), test=some, condition=ALL)[::2]] == [
        "test labels",
        "label cat",
        "label horse",
    ]
    rows = np.r_[np.flatnonzero(TEST.labels != 0), np.flatnonzero(TEST.labels == 0)[:3]]
    found = scores(bernoulli(), test=TEST.subset(rows), condition=ALL, metrics=("swd",), features="gist")
    assert {one.condition for one in found} == {"test labels", "label dog", "label horse"}
    assert "toy is not measured given label cat: sample quality needs more than 5" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("images", "asked", "error", "said"),
    [
        ({"labels": None, "class_names": ()}, {}, DataError, "no labels, but this model takes 3 labels"),
        ({"labels": None, "class_names": ()}, {"condition": "dog"}, DataError, "noise has no labels"),
        ({"class_names": ("cat", "dog", "mouse")}, {}, DataError, "model does not know: 'mouse'"),
        ({"class_names": ("cat", "hog", "horse")}, {"condition": "dog"}, DataError, "no class 'dog'"),
        ({}, {"condition": "hors"}, UnknownNameError, "did you mean 'horse'"),
        ({}, {"condition": 3}, ArgumentError, "run from 0 to 2"),
    ],
)
def test_data_and_labels_that_do_not_fit(images, asked, error, said):
    with pytest.raises(error, match=said):
        scores(bernoulli(), test=data(**images), **asked)


def test_no_image_of_the_label():
    with pytest.raises(DataError, match="has no image of 'dog'"):
        scores(bernoulli(), test=TEST.subset(TEST.labels != 1), condition="dog")


@pytest.mark.parametrize("condition", ["cat", 0, ALL])
def test_a_model_without_a_condition_says_so(condition):
    with pytest.raises(ArgumentError, match="Bernoulli takes no condition"):
        scores(toys.Bernoulli(toys.ToyConfig()), condition=condition)


@pytest.mark.parametrize("condition", [["cat"], 1.0, True, float("nan"), torch.zeros(3), ()])
def test_a_request_holds_one_condition(condition):
    with pytest.raises(ArgumentError, match="condition must be one label, by name or number"):
        Request(condition=condition)


def test_a_model_with_its_condition_fixed_says_which():
    model = bernoulli().given("horse")
    assert likelihood(model, TEST, subject="toy")[0].condition == "label horse"
    assert likelihood(bernoulli(), TEST, subject="toy")[0].condition == "test labels"
    assert likelihood(toys.Bernoulli(toys.ToyConfig()), TEST)[0].condition == ""


class Mixture(LabelBernoulli, ImportanceModel):
    """q(z|x, c) is exact, so that every bound is log p(x|c) itself."""

    def _log_weights(self, x, k, seed, condition):
        yield self._log_prob(x, condition).expand(k, -1)


def test_tighter_bounds_are_given_the_labels_too():
    (whole, _, *_), exact = importance(bernoulli(Mixture), TEST, (1, 3)), nats(TEST, TEST.labels).mean()
    assert whole.value == pytest.approx(exact, rel=1e-5) and whole.condition == "test labels"
    assert importance(bernoulli(Mixture), TEST, (3,), n=9, seed=3)[0].value == pytest.approx(
        nats(TEST, TEST.labels)[subset(42, 9, 3, "likelihood").numpy()].mean(), rel=1e-5
    )


class TestCertificate:
    @pytest.mark.parametrize("kind", [LabelBernoulli, LabelPixels])
    def test_it_holds_for_each_condition(self, kind):
        model, told = kind(LabelConfig()).eval(), []
        found = certify(model, progress=lambda *what: told.append(what))
        assert found.given == "each condition" and "given each condition" in str(found)
        assert [done for _, done, _ in told] == list(range(1, told[0][2] + 1))
        assert certificate_of(model) == found and certify(model.given(0)).given == ""

    def test_of_many_conditions_a_spread(self):
        many = LabelBernoulli(LabelConfig(labels=tuple(f"label {i}" for i in range(12)))).eval()
        assert certify(many).given == "10 different conditions"
        asked = []

        class Watched(LabelBernoulli):
            def _log_prob(self, x, condition):
                asked.extend(condition.tolist())
                return super()._log_prob(x, condition)

        certify(Watched(many.config).eval())
        assert len(set(asked)) == 10 and {0, 11} < set(asked)

    def test_one_wrong_label_is_found(self):
        class Heavy(LabelBernoulli):
            def _log_prob(self, x, condition):
                return super()._log_prob(x, condition) + 0.1 * (condition == 1)

        with pytest.raises(LawError, match=r"sums to 1.*given label dog"):
            scores(bernoulli(Heavy))
        certificate_of(bernoulli(Heavy).given("cat"))
        with pytest.raises(LawError, match="sums to 1"):  # not the certificate of cat
            certificate_of(bernoulli(Heavy).given("dog"))

    def test_samples_of_another_label_are_found(self):
        class Shuffled(LabelBernoulli):
            def _sample(self, rng, condition):
                return super()._sample(rng, condition.clamp(max=1))

        with pytest.raises(LawError, match=r"samples come as often as p\(x\) says.*given label horse"):
            certify(Shuffled(LabelConfig()).eval())

    def test_a_leak_for_one_label_is_found(self):
        class Leaky(LabelPixels):
            def _predict(self, x, condition):
                return (
                    super()._predict(x, condition) + (condition == 2)[:, None, None, None, None] * x[:, None]
                )

        with pytest.raises(LawError, match=r"sees itself.*given label horse"):
            certify(Leaky(LabelConfig()).eval())

    def test_the_weights_at_hand_are_held_to_noise_for_each_label(self):
        class Late(LabelBernoulli):
            trained = 0.0

            def _log_prob(self, x, condition):
                return super()._log_prob(x, condition) + self.trained * (condition == 2)

        model = bernoulli(Late)
        certificate_of(model)
        model.trained = 60.0
        with pytest.raises(LawError, match=r"noise is never coded below its entropy.*given label horse"):
            certificate_of(model)
        assert len(certificate._ISSUED) > 2


class Painter(ImplicitModel):
    """Draws noise whose share of white is that of the label, and can mistake it."""

    Config = LabelConfig
    condition_type = LabelBernoulli.condition_type
    shift = 0

    def __init__(self, config):
        super().__init__()
        self.config, self.scale = config, torch.nn.Parameter(torch.tensor(LEVELS))

    def _sample(self, rng, condition):
        share = self.scale[(condition + self.shift) % 3]
        return (rng.uniform(*self.image_shape) < share[:, None, None, None]).float()


class Reader(ClassifyingModel):
    """Reads the label from the share of white; its classes stand in an order of their own."""

    Config = toys.ToyConfig
    classes = 3
    class_names = ("horse", "cat", "dog")

    def __init__(self, config):
        super().__init__()
        self.config, self.scale = config, torch.nn.Parameter(torch.tensor([0.9, 0.1, 0.5]))

    def _features(self, x):
        return x.flatten(1)

    def _logits(self, features):
        return -((features.mean(1, keepdim=True) - self.scale) ** 2)


AGREEMENT = ("agreement",)
SPACE = space_of(Reader(toys.ToyConfig()), "reader@0")


@pytest.fixture
def read(monkeypatch):
    """Let samples be measured in the features of the reader."""
    monkeypatch.setattr(quality, "feature_space", lambda name, images: SPACE if name is None else GIST)


@pytest.fixture
def painter():
    return Painter(LabelConfig()).eval()


def by(records, metric="agreement"):
    return {record.subject: record for record in records if record.metric == metric}


def test_samples_are_drawn_with_the_labels_of_the_images_they_are_compared_with(read, painter, monkeypatch):
    found = scores(painter, metrics=("kid", "copying"))
    assert {record.condition for record in found} == {"test labels"}
    assert {record.subject for record in found} == {"toy", FLOOR}
    drawn = []
    monkeypatch.setattr(
        quality, "sample_quality", lambda samples, *sides, **more: drawn.append(samples) or []
    )
    scores(painter, n=20, seed=5)
    (samples,) = drawn
    assert list(samples.labels) == list(TEST.labels[subset(42, 20, 5, "test")])
    again = painter.sample(20, 5, condition=samples.labels, dtype=torch.uint8)
    assert torch.equal(torch.from_numpy(samples.pixels), again)


def test_agreement_stands_beside_the_accuracy_on_real_images(read, painter):
    pair = by(scores(painter, metrics=AGREEMENT))
    assert pair["toy"].value == pair[FLOOR].value == 1 and pair["toy"].stderr == 0
    assert difference(pair["toy"], pair[FLOOR]) == "" and pair["toy"].better == "higher"
    assert pair["toy"].label == "agreement[reader@0] given test labels"
    assert (pair["toy"].n, pair["toy"].n_reference) == (42, None)
    grey = TEST.pixels[:, :, ::-1] * np.uint8(0)
    assert by(scores(painter, test=TEST.replace(pixels=grey), metrics=AGREEMENT))[
        FLOOR
    ].value == pytest.approx(8 / 42)


def test_a_model_that_mistakes_its_labels_is_seen(read, painter):
    painter.shift = 1
    assert by(scores(painter, metrics=AGREEMENT))["toy"].value == 0
    assert by(scores(painter, metrics=AGREEMENT, condition="cat"))["toy"].value == 0
    painter._sample = lambda rng, condition: Painter._sample(painter, rng, condition * 0)  # dogs for all
    found = by(scores(painter, metrics=AGREEMENT))["toy"]
    assert found.value == pytest.approx(14 / 42) and found.stderr == pytest.approx(0.074, abs=1e-3)


def test_one_label_is_compared_with_its_own_images(read, painter):
    found = scores(painter, condition="horse", metrics=("agreement", "kid", "copying"))
    assert {(record.condition, record.n) for record in found} == {("label horse", 20)}
    assert by(found)["toy"].value == by(found)[FLOOR].value == 1
    assert (
        by(found, "kid")["toy"].value < by(scores(painter.given("dog"), metrics=("kid",)), "kid")["toy"].value
    )
    assert by(found, "copying")["toy"].n_reference == COUNTS[2]  # training images of the label alone
    fixed = by(scores(painter.given("dog"), metrics=AGREEMENT))
    assert fixed["toy"].condition == "label dog" and fixed["toy"].value == 1


def test_agreement_that_cannot_be_measured(read, painter):
    def missing(*parts, said, **more):
        with pytest.raises(ArgumentError, match=f"agreement needs the label .* but {said}"):
            sample_quality(*parts, metrics=["agreement"], **more)

    missing(TEST, TRAIN, TEST, said="the features gist-v1@[0-9a-f]+ are not those of a classifier")
    missing(TEST.pixels, TRAIN, TEST, space=SPACE, said="the samples have no labels")
    missing(TEST, TRAIN, TEST.pixels, space=SPACE, said="the held-out images have no labels")
    missing(MICE, TRAIN, TEST, space=SPACE, said="the classifier reader@0 does not know the labels mouse")
    with pytest.raises(ArgumentError, match="samples have no labels"):
        scores(toys.gan(image_shape=(1, 8, 8)), metrics=AGREEMENT)


def test_agreement_is_measured_where_it_can_be(read, painter, monkeypatch):
    asked = []
    monkeypatch.setattr(quality, "measured", lambda metric, sides: asked.append(metric.name) or [])
    for labelled, call in (
        (True, lambda: scores(painter)),
        (False, lambda: scores(painter, features="gist")),
        (False, lambda: sample_quality(TEST.pixels, TRAIN, TEST, space=SPACE)),
        (False, lambda: sample_quality(MICE, TRAIN, TEST, space=SPACE)),
    ):
        asked.clear()
        call()
        assert ("agreement" in asked) == labelled and "kid" in asked


def test_a_classifier_without_names_has_those_of_its_set():
    class Nameless(Reader):
        class_names = ()

    net = Nameless(toys.ToyConfig())
    assert space_of(net, "a@0").classes == ("0", "1", "2")
    assert space_of(net, "a@0", ("x", "y", "z")).classes == ("x", "y", "z")


def test_a_density_is_measured_by_samples_with_labels(read):
    found = by(scores(bernoulli(), metrics=AGREEMENT))
    assert found["toy"].value == 1 and found["toy"].condition == "test labels"


class Uneven(LabelCodes):
    """One whose two sides do not cancel where both are given a wrong label."""

    def _decode(self, z, condition):
        return super()._decode(z + self.embed(condition), condition)


def test_reconstructions_use_the_label_on_both_sides():
    model = Uneven(LabelConfig()).eval()
    record = reconstruction(model, TEST, subject="toy")
    x = TEST.float()
    labels = torch.from_numpy(TEST.labels)
    expected = ((model.decode(model.encode(x, labels), labels) - x) ** 2).mean()
    assert record.value == pytest.approx(float(expected.detach()), rel=1e-5)
    assert record.condition == "test labels"
    assert scores(model)[0] == record and scores(model, condition="cat")[0].condition == "label cat"


def test_an_encoder_that_is_given_the_label_is_no_start_for_a_classifier():
    with pytest.raises(ArgumentError, match="its encoder would be given the label"):
        few_labels([Candidate("codes", LabelCodes(LabelConfig()), TRAIN, TEST)], counts=(3,))


def test_a_measure_of_a_plugin_that_knows_nothing_of_conditions(painter):
    class Counted(Painter):
        pass

    @measures.register(Counted)
    def count(model, train, test, request, *, subject, progress=None):
        about = {"data": test.name, "split": test.split, "subject": subject, "n": len(test)}
        yield Record(metric="beads", value=1.0, **about)
        if model.condition is not None:  # finding a label, which is not given then
            yield Record(metric="accuracy", value=1.0, kind="classification", **about)

    request = Request(draws=(), condition=ALL)
    found = score_model(Counted(LabelConfig()), TRAIN, TEST, request, subject="toy")
    assert [(record.metric, record.condition) for record in found] == [
        ("beads", "test labels"),
        ("accuracy", ""),
        *(("beads", f"label {name}") for name in NAMES),
    ]


def test_records_of_other_conditions_are_not_ranked_together():
    whole, label = scores(bernoulli())[0], scores(bernoulli(), condition="dog")[0]
    plain = dataclasses.replace(whole, condition="", subject="plain")
    other = dataclasses.replace(label, condition="label cat", subject="other")
    assert difference(whole, plain).startswith("condition differs, 'test labels' and ''")
    assert "p(x) and p(x|c) are different tasks" in difference(label, other)
    with pytest.raises(ArgumentError, match="condition differs"):
        rank([whole, plain])
    assert standings([whole, plain])[0] == []
    assert standings([whole, dataclasses.replace(whole, subject="b")])[0] != []


def test_a_game_is_scored_in_gist_where_there_is_no_classifier():
    torch.manual_seed(0)
    found = scores(card(LabelGAN).build().eval(), metrics=("kid",), features="gist")
    assert [record.label[:10] for record in found] == ["kid[gist-v"] * 2


def test_a_label_that_is_named_comes_before_those_of_the_samples(read, painter, monkeypatch):
    reading = Reading(name="reader@0", label="horse", wanted=0, logits=SPACE.classify)
    monkeypatch.setattr(quality, "reading_of", lambda label, images, name: reading)
    found = by(scores(painter, metrics=("kid",), reads_as="horse"))["toy"]
    assert found.value == pytest.approx(20 / 42) and found.condition == "test labels"
    assert "read as horse" in found.protocol


def test_the_classes_of_a_published_classifier(plug, monkeypatch, tmp_path):
    """Where it names none: those of the set that it has learned, else their numbers."""
    plug(class_toys.CARD, distribution="toy-box")
    monkeypatch.setenv("GENZOO_ZOO", str(tmp_path))
    class_toys.publish(tmp_path, class_toys.net(0))
    digits = open_data("digits", split="test")
    assert feature_space("digit-net", digits).classes == tuple("0123456789")
    roman = ("zero", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix")
    assert feature_space(None, digits.replace(class_names=roman)).classes == roman
    others = digits.replace(class_names=roman, name="others")
    assert feature_space("digit-net", others).classes == tuple("0123456789")
    assert GIST.classify is None and GIST.classes == ()
