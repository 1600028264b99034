"""Few labels: which images get one, that all starts are treated alike, and that a gain is told only where
there is one."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import toys
from torch import nn

from genzoo.data import Images, open_data
from genzoo.errors import ArgumentError, DataError
from genzoo.evaluation.classifier import Protocol, fresh
from genzoo.evaluation.few_labels import COUNTS, SEEDS, Candidate, curves, few_labels, labelled
from genzoo.evaluation.gains import Accuracy, Comparison, Gain
from genzoo.evaluation.inputs import subset
from genzoo.evaluation.probe import fit_probe
from genzoo.explore.features import features

CLASSES = 4
SHORT = Protocol(steps=60, rate=1e-2)


def pictures(n, seed, split):
    """Return noise in which one pixel of the first row tells the class."""
    numbers = np.random.default_rng(seed)
    labels = numbers.integers(0, CLASSES, n)
    pixels = numbers.integers(0, 256, (n, 1, 8, 8), dtype=np.uint8)
    pixels[:, 0, 0, :CLASSES] //= 4
    pixels[np.arange(n), 0, 0, labels] = 255
    return Images(pixels=pixels, name="dots", split=split, labels=labels)


TRAIN, TEST = pictures(400, 0, "train"), pictures(300, 1, "test")


def coder(kind):
    """Return an encoder that knows where the class is told ("sees"), one that gives all images one code
    ("blind"), or a drawn one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = toys.Coder(toys.ToyConfig()).eval()
    if kind != "drawn":
        nn.init.zeros_(model.down.weight)
    if kind == "sees":
        with torch.no_grad():
            model.down.weight[range(CLASSES), range(CLASSES)] = 1
    return model


def entry(kind="sees", name="", train=TRAIN, test=TEST):
    return Candidate(name or kind, coder(kind), train, test)


def score(found, model, start, labels):
    return next(s for s in found.scores if (s.model, s.start, s.labels) == (model, start, labels))


class TestLabelledImages:
    LABELS = np.random.default_rng(0).integers(0, 7, 500)

    @pytest.mark.parametrize("count", [7, 14, 30, 100, 133])
    def test_every_class_has_its_share(self, count):
        rows = labelled(self.LABELS, count, 0)
        sizes = np.unique(self.LABELS[rows], return_counts=True)[1]
        assert len(rows) == len(set(rows.tolist())) == count and len(sizes) == 7
        assert sizes.max() - sizes.min() <= 1

    def test_a_larger_choice_holds_the_smaller_ones(self):
        choices = [labelled(self.LABELS, count, 3).tolist() for count in (7, 20, 100, 300)]
        assert all(more[: len(few)] == few for few, more in pairwise(choices))

    def test_seeds_choose_differently_and_always_the_same(self):
        choices = {tuple(labelled(self.LABELS, 20, seed)) for seed in range(10)}
        assert len(choices) == 10
        assert tuple(labelled(self.LABELS, 20, 0)) in choices

    def test_which_class_has_one_more_is_a_matter_of_the_seed(self):
        assert len({int(self.LABELS[labelled(self.LABELS, 8, seed)[7]]) for seed in range(20)}) > 3

    def test_every_image_of_a_class_may_be_chosen(self):
        assert sorted(labelled(np.repeat([0, 1], 10), 20, 0)) == list(range(20))


@pytest.fixture(scope="module")
def found():
    return few_labels([entry("sees"), entry("blind")], [8, 40], 3, 200, SHORT)


class TestComparison:
    def test_an_encoder_that_sees_beats_random_weights(self, found):
        gains = {(gain.model, gain.start): gain for gain in found.gains(8)}
        assert gains["sees", "encoder"].won and gains["sees", "encoder"].value > 20
        assert gains["sees", "probe"].won
        assert "sees beats random initialisation by" in str(gains["sees", "encoder"])

    def test_an_encoder_that_is_blind_does_not(self, found):
        gain = next(gain for gain in found.gains(40) if (gain.model, gain.start) == ("blind", "encoder"))
        assert not gain.won and gain.value < 0
        assert "blind does not beat random initialisation: -" in str(gain)

    def test_the_table_is_whole_and_in_order(self, found):
        keys = [(s.model, s.start, s.labels) for s in found.scores]
        starts = [
            ("sees", "random"),
            ("sees", "encoder"),
            ("sees", "probe"),
            ("blind", "encoder"),
            ("blind", "probe"),
        ]
        assert keys == [(*start, count) for start in starts for count in (8, 40)]
        assert all(
            len(s.values) == 3 and s.rival == "sees" and all(0 <= v <= 1 for v in s.values)
            for s in found.scores
        )
        assert (found.n, found.seeds, found.test, found.protocol) == (
            200,
            3,
            ("dots", "test", "8-bit"),
            SHORT,
        )

    def test_more_labels_help(self, found):
        assert score(found, "sees", "random", 40).value > score(found, "sees", "random", 8).value

    def test_json_says_everything(self, found):
        row = found.as_dicts()[2]
        assert (row["metric"], row["model"], row["start"], row["labels"], row["unit"]) == (
            "accuracy",
            "sees",
            "encoder",
            8,
            "1",
        )
        assert (row["n"], row["data"], row["split"], row["transform"]) == (200, "dots", "test", "8-bit")
        assert row["value"] == pytest.approx(np.mean(row["values"])) and row["protocol"] == str(SHORT)
        assert row["gain"]["won"] is True and len(row["gain"]["values"]) == 3
        assert found.as_dicts()[0]["gain"] is None

    def test_curves_are_in_percent_with_their_errors(self, found):
        drawn = {curve.label: curve for curve in curves(found)}
        assert list(drawn) == ["random", "sees", "sees, linear probe", "blind", "blind, linear probe"]
        one = drawn["sees"]
        assert one.x == [8, 40] and one.y[0] == pytest.approx(100 * score(found, "sees", "encoder", 8).value)
        assert one.error[0] == pytest.approx(100 * score(found, "sees", "encoder", 8).stderr)
        assert (
            drawn["sees, linear probe"].colour
            == one.colour
            != drawn["blind"].colour
            != drawn["random"].colour
        )


def test_the_probe_is_that_of_the_frozen_encoder():
    """Computed once more by hand, for each seed from its own labelled images."""
    model = coder("drawn")
    found = score(few_labels([entry("drawn")], [8, 12], 3, 200, Protocol(steps=1)), "drawn", "probe", 12)
    chosen = TEST.subset(subset(300, 200, 0, "few labels"))
    for seed in range(3):
        rows = labelled(TRAIN.labels, 12, seed)
        probe = fit_probe(features(model, TRAIN.subset(rows)), TRAIN.labels[rows])
        assert found.values[seed] == pytest.approx(probe.accuracy(features(model, chosen), chosen.labels))
    assert len(set(found.values)) > 1


def test_a_start_that_is_the_random_one_gains_exactly_nothing():
    """The same labelled images in the same order, the same protocol, the same test images: for its seed
    nothing is left to differ."""
    for seed in (0, 1):
        start = Candidate("same", fresh(coder("drawn"), seed), TRAIN, TEST)
        gain = next(g for g in few_labels([start], [12], 2, 100, SHORT).gains(12) if g.start == "encoder")
        assert gain.values[seed] == 0 and gain.values[1 - seed] != 0


def test_the_same_call_gives_the_same_numbers_whatever_the_state_of_torch():
    found = []
    for state in (1, 2):
        torch.manual_seed(state)
        found.append(few_labels([entry("drawn")], [8, 12], 2, 50, SHORT))
    assert found[0] == found[1]


def test_another_number_of_seeds_or_counts_changes_none_of_the_others():
    few, more = (
        few_labels([entry("drawn")], counts, seeds, 50, SHORT) for counts, seeds in (([8], 2), ([8, 20], 3))
    )
    for start in ("random", "encoder", "probe"):
        assert score(few, "drawn", start, 8).values == score(more, "drawn", start, 8).values[:2]


def test_another_architecture_has_random_weights_of_its_own():
    wide = toys.Coder(toys.ToyConfig(latent_size=6)).eval()
    found = few_labels([entry("drawn"), Candidate("wide", wide, TRAIN, TEST)], [8], 2, 50, SHORT)
    assert [(s.model, s.rival) for s in found.scores if s.start == "random"] == [
        ("drawn", "drawn"),
        ("wide", "wide"),
    ]
    assert [curve.label for curve in curves(found) if "random" in curve.label] == [
        "random (drawn)",
        "random (wide)",
    ]


def test_a_class_that_only_test_images_have_is_never_told_right():
    odd = TEST.replace(labels=np.full(len(TEST), 99))
    found = few_labels([entry("sees", test=odd)], [8], 2, 50, SHORT)
    assert all(value == 0 for s in found.scores for value in s.values)


def test_classes_may_have_any_numbers():
    names = np.array([30, -4, 7, 1000])
    train, test = (images.replace(labels=names[images.labels]) for images in (TRAIN, TEST))
    found = few_labels([entry("sees", train=train, test=test)], [40], 2, 200, SHORT)
    assert score(found, "sees", "probe", 40).value > 0.9


def test_what_is_measured_is_told():
    told = []
    few_labels(
        [entry("sees"), entry("blind")], [8, 12], 2, 10, Protocol(steps=3), lambda *state: told.append(state)
    )
    total = 3 * 2 * 2 * 3  # classifiers of three starts, one of them shared; counts; seeds; steps
    assert told == [("few labels", done, total) for done in range(1, total + 1)]


class TestErrors:
    def values(self, *values, cls=Accuracy, **more):
        return cls(model="m", start="encoder", labels=100, values=values, **more)

    def test_of_the_mean(self):
        values = (0.31, 0.35, 0.28, 0.30, 0.36)
        found = self.values(*values, rival="m")
        assert found.value == pytest.approx(np.mean(values))
        assert found.stderr == pytest.approx(np.std(values, ddof=1) / np.sqrt(5))

    def test_differences_are_taken_seed_by_seed(self):
        """Two starts that vary by ten points with the images, but differ by two points with each: a gain
        beyond doubt."""
        base, own = (0.2, 0.3, 0.4), (0.22, 0.32, 0.42)
        scores = tuple(
            Accuracy(model="m", start=start, labels=100, values=values, rival="m")
            for start, values in (("random", base), ("encoder", own))
        )
        (gain,) = Comparison(scores=scores, n=1, seeds=3, test=("d", "test", "8-bit"), protocol=SHORT).gains(
            100
        )
        assert gain.value == pytest.approx(2) and gain.stderr == pytest.approx(0, abs=1e-9) and gain.won

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            (
                (3.0, 4.0, 5.0),
                "with 100 labels m beats random initialisation by 4.0 ± 0.6 points, higher with 3 of 3 seeds",
            ),
            (
                (-3.0, 4.0, 0.0),
                (
                    "with 100 labels m does not beat random initialisation: 0.3 ± 2.0 points, higher with 1 "
                    "of 3 seeds"
                ),
            ),
            (
                (0.0, 1.0, 2.0),  # between one standard error and two
                (
                    "with 100 labels m does not beat random initialisation: 1.0 ± 0.6 points, higher with 2 "
                    "of 3 seeds"
                ),
            ),
            (
                (0.0, 0.0, 0.0),
                (
                    "with 100 labels m does not beat random initialisation: 0.0 ± 0.0 points, higher with 0 "
                    "of 3 seeds"
                ),
            ),
        ],
    )
    def test_a_gain_is_one_only_beyond_two_errors(self, values, words):
        assert str(self.values(*values, cls=Gain)) == words


class TestBadInput:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"counts": []}, "at least one number"),
            ({"counts": [0, 10]}, "labels must be a whole number of at least 1"),
            ({"counts": [-8]}, "labels must be a whole number of at least 1"),
            ({"counts": [8.5]}, "labels must be a whole number of at least 1"),
            ({"counts": [3, 8]}, "3 labels are fewer than the 4 classes of dots"),
            ({"counts": [1]}, "1 label is fewer than the 4 classes of dots"),
            ({"counts": [8, 400]}, "400 labels are 100 of each class, but dots has 8. images of class"),
            ({"seeds": 1}, "seeds must be at least 2"),
            ({"seeds": 0}, "seeds must be a whole number"),
            ({"n": 0}, "n must be a whole number"),
        ],
    )
    def test_numbers(self, arguments, words):
        with pytest.raises(ArgumentError, match=words):
            few_labels([entry()], **{"counts": [8], "protocol": SHORT, **arguments})

    def test_as_many_as_there_are_are_not_too_many(self):
        most = CLASSES * int(np.bincount(TRAIN.labels).min())
        assert few_labels([entry()], [most], 2, 10, Protocol(steps=1)).scores
        with pytest.raises(ArgumentError, match=f"give at most {most}"):
            few_labels([entry()], [most + 1])

    @pytest.mark.parametrize("side", ["train", "test"])
    def test_images_without_labels(self, side):
        with pytest.raises(DataError, match="dots has no labels"):
            few_labels([entry(**{side: (TRAIN if side == "train" else TEST).replace(labels=None)})], [8])

    def test_one_class_alone(self):
        with pytest.raises(DataError, match="all images of dots have the same label"):
            few_labels([entry(train=TRAIN.replace(labels=np.zeros(400)))], [8])

    def test_a_model_without_an_encoder(self):
        with pytest.raises(ArgumentError, match="gan has no encoder"):
            few_labels([Candidate("gan", toys.gan(), TRAIN, TEST)], [8])

    def test_no_model_and_one_twice(self):
        for entries in ([], [entry(), entry()]):
            with pytest.raises(ArgumentError, match="at least one model, each named once"):
                few_labels(entries, [8])


def test_the_defaults_suit_ten_classes_of_digits():
    """Also of the smallest set: 1,797 digits, of which a tenth is held out."""
    train = open_data("digits", split="train")
    assert SEEDS == 5 and 100 in COUNTS
    assert len(labelled(train.labels, max(COUNTS), 0)) == max(COUNTS) <= 10 * np.bincount(train.labels).min()


def test_protocols_are_not_chosen_for_a_start(monkeypatch):
    """Every classifier is trained with the same protocol, on as many images, whatever it begins with."""
    seen = []

    def spy(start, images, targets, classes, seed, protocol, tell):
        seen.append((seed, len(images), tuple(targets.tolist()), protocol))
        return SimpleNamespace()

    monkeypatch.setattr("genzoo.evaluation.few_labels.fine_tuned", spy)
    monkeypatch.setattr(
        "genzoo.evaluation.few_labels.predictions", lambda net, images, rows: torch.zeros(len(rows))
    )
    few_labels([entry("sees"), entry("blind")], [8, 12], 2, 10, SHORT)
    assert len(seen) == 12 and all(seen.count(one) == 3 for one in seen)
