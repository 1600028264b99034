"""The measures of translators: of pairs, and of two sides without pairs."""

from __future__ import annotations

import class_toys
import numpy as np
import pytest
import torch
from told_toys import Columned, Cycle, Paired, card

from genzoo.data import Images
from genzoo.errors import DataError
from genzoo.evaluation import Request, score_model, translation
from genzoo.evaluation.inputs import subset
from genzoo.evaluation.msssim import ssim
from genzoo.evaluation.spaces import FeatureSpace
from genzoo.evaluation.translation import MEAN, WRONG
from genzoo.record import FLOOR

SIDE = 16
N = 9


def made(kind, **config):
    shapes = {"image_shape": (1, SIDE, SIDE), "source_shape": (3 if kind is Paired else 1, SIDE, SIDE)}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return card(kind).build(**{**shapes, **config}).eval()


def noise(n=N, channels=1, seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (n, channels, 4, 4)).astype(np.uint8)
    return coarse.repeat(SIDE // 4, 2).repeat(SIDE // 4, 3)


def pairs(split, seed):
    return Columned(
        pixels=noise(seed=seed), source=noise(channels=3, seed=seed + 10), name="pairs", split=split
    )


def sides(split, seed, n=N, m=N + 2):
    other = Images(pixels=noise(m, seed=seed + 10), name="sides", split=split)
    return Columned(pixels=noise(n, seed=seed), other=other, name="sides", split=split)


def measured(model, make=pairs, **request):
    train, test = make("train", 0), make("test", 1)
    return score_model(model, train, test, Request(**request), subject="toy"), test


def found(records, metric, subject="toy", condition=None):
    chosen = [
        r for r in records if (r.metric, r.subject) == (metric, subject) and condition in (None, r.condition)
    ]
    assert len(chosen) == 1, chosen
    return chosen[0]


@pytest.fixture(scope="module")
def of_pairs():
    return measured(made(Paired))


@pytest.fixture(scope="module")
def of_sides():
    return measured(made(Cycle), sides)


def theirs(x, y):
    """torchmetrics' SSIM (N,) where the whole window lies on the image; its mean includes invented edges."""
    metrics = pytest.importorskip("torchmetrics.functional.image")
    _, whole = metrics.structural_similarity_index_measure(
        x.double(), y.double(), data_range=1.0, reduction="none", return_full_image=True
    )
    return whole[..., 5:-5, 5:-5].mean((1, 2, 3))


class TestPairs:
    def test_l1_is_the_mean_absolute_error_of_8_bit_translations(self, of_pairs):
        records, test = of_pairs
        model = made(Paired)
        sources = torch.from_numpy(test.source.copy()).float() / 255
        images = (model.translate(sources, seed=0) * 255).round() / 255
        errors = (images - test.float()).abs().mean((1, 2, 3))
        record = found(records, "l1")
        assert record.value == pytest.approx(float(errors.mean()), abs=1e-6)
        assert record.stderr == pytest.approx(float(errors.std()) / N**0.5, rel=1e-4)
        assert (record.n, record.data, record.split, record.better) == (N, "pairs", "test", "lower")
        assert record.condition == "test sources"

    def test_ssim_agrees_with_torchmetrics(self, of_pairs):
        records, test = of_pairs
        sources = torch.from_numpy(test.source.copy()).float() / 255
        images = (made(Paired).translate(sources, seed=0) * 255).round() / 255
        expected = theirs(images, test.float()).mean()
        assert found(records, "ssim").value == pytest.approx(float(expected), abs=1e-5)
        assert found(records, "ssim").better == "higher"

    def test_next_to_it_is_what_needs_no_model(self, of_pairs):
        records, test = of_pairs
        targets = test.float()
        mean = pairs("train", 0).float().mean(0)
        assert found(records, "l1", MEAN).value == pytest.approx(
            float((targets - mean).abs().mean()), abs=1e-6
        )
        wrong = (targets - targets.roll(1, 0)).abs().mean()
        assert found(records, "l1", WRONG).value == pytest.approx(float(wrong), abs=1e-6)
        assert found(records, "ssim", MEAN).value != found(records, "ssim", WRONG).value

    def test_a_perfect_translator_has_no_error(self):
        class Copying(Paired):
            def _translate(self, x, to, rng):
                return x[:, :1]

        model = made(Paired)
        model.__class__ = Copying

        def same(split, seed):
            pixels = noise(seed=seed)
            return Columned(pixels=pixels, source=pixels.repeat(3, 1), name="same", split=split)

        records, _ = measured(model, same)
        assert found(records, "l1").value < 1e-6
        assert found(records, "ssim").value == pytest.approx(1)

    def test_translations_are_samples_next_to_the_floor(self, of_pairs):
        records, _ = of_pairs
        assert found(records, "kid").condition == found(records, "kid", FLOOR).condition == "test sources"

    def test_n_chooses_pairs_and_keeps_them(self):
        records, _ = measured(made(Paired), n=6)
        assert found(records, "l1").n == found(records, "kid").n == 6

    def test_only_the_metrics_that_were_asked_for(self):
        records, _ = measured(made(Paired), metrics=("swd",))
        assert {r.metric.split("-")[0] for r in records} == {"swd"}

    def test_single_images_are_refused(self):
        def single(split, seed):
            return Images(pixels=noise(seed=seed), name="single", split=split)

        with pytest.raises(DataError, match="single images, but this model takes a picture"):
            measured(made(Paired), single)


class TestSides:
    def test_the_cycle_error_of_each_direction(self, of_sides):
        records, test = of_sides
        model = made(Cycle)
        for start, to, images in (("horse", "zebra", test.float()), ("zebra", "horse", test.other.float())):
            there = (model.translate(images, to) * 255).round() / 255
            back = (model.translate(there, start) * 255).round() / 255
            record = found(records, "cycle-l1", condition=f"test {start}")
            assert record.value == pytest.approx(float((back - images).abs().mean()), abs=1e-6)
            assert record.n == len(images) and f"to {to} and back" in record.protocol

    def test_translations_are_compared_with_the_other_side_next_to_the_pictures_as_they_are(self, of_sides):
        records, _ = of_sides
        for start in ("horse", "zebra"):
            condition = f"test {start}"
            ours, floor = (found(records, "kid", subject, condition) for subject in ("toy", FLOOR))
            plain = found(records, "kid", "untranslated", condition)
            assert ours.value != plain.value != floor.value
            assert ours.n == plain.n == floor.n == N
        values = [
            found(records, "kid", "untranslated", f"test {start}").value for start in ("horse", "zebra")
        ]
        # 9 of the 11 zebras are compared with the horses, and the 9 horses with 9 zebras
        assert values[0] != values[1]

    def test_progress_counts_pictures(self):
        said = []
        train, test = sides("train", 0), sides("test", 1)
        score_model(
            made(Cycle),
            train,
            test,
            Request(metrics=("swd",)),
            subject="toy",
            progress=lambda *told: said.append(told),
        )
        assert [told for told in said if told[0] == "to zebra"] == [
            ("to zebra", i, N) for i in range(1, N + 1)
        ]
        assert ("to horse", N + 2, N + 2) in said

    def test_no_image_is_described_twice(self, monkeypatch):
        """Pictures as they are have the references of their translations, and a side is both."""
        described = []

        def describe(images, progress=None):
            described.extend(image.numpy().tobytes() for image in images)
            return images.double().flatten(1)

        plain = FeatureSpace(name="plain@0", describe=describe)
        monkeypatch.setattr(translation, "feature_space", lambda name, images: plain)
        records, _ = measured(made(Cycle), sides, metrics=("kid",))
        assert len({r.label for r in records}) == 2 and len(records) == 6
        # of each direction: 9 or 11 training images, 9 held-out ones, 9 translations, 9 pictures as they are
        assert len(described) <= 2 * (N + 2 + 3 * N)
        values = {(r.condition, r.subject): r.value for r in records}
        monkeypatch.setattr(translation, "remembering", lambda space: space)
        again, _ = measured(made(Cycle), sides, metrics=("kid",))
        assert {(r.condition, r.subject): r.value for r in again} == values

    def test_a_translator_that_changes_nothing_scores_as_the_pictures_do(self):
        class Lazy(Cycle):
            def _translate(self, x, to, rng):
                return x

        model = made(Cycle)
        model.__class__ = Lazy
        records, _ = measured(model, sides)
        for start in ("horse", "zebra"):
            ours = found(records, "kid", "toy", f"test {start}")
            plain = found(records, "kid", "untranslated", f"test {start}")
            assert ours.value == pytest.approx(plain.value)
            assert found(records, "cycle-l1", condition=f"test {start}").value == 0

    def test_no_two_records_say_different_things_of_the_same(self, of_sides):
        records, _ = of_sides
        keys = [(r.label, r.subject) for r in records]
        assert len(set(keys)) == len(keys)

    def test_one_side_is_refused(self):
        def single(split, seed):
            return Images(pixels=noise(seed=seed), name="single", split=split)

        with pytest.raises(DataError, match="single images, but this model takes a picture"):
            measured(made(Cycle), single)

        def lonely(split, seed):
            return sides(split, seed) if split == "test" else single(split, seed)

        with pytest.raises(DataError, match="single train has one side"):
            measured(made(Cycle), lonely)

    def test_one_direction_has_no_cycle(self):
        records, _ = measured(made(Paired, source_shape=(1, SIDE, SIDE)), sides)
        assert not [r for r in records if r.metric == "cycle-l1"]
        assert {r.condition for r in records} == {"test map"}


HORSES = class_toys.CARD.replace(
    name="horse-net", config={"image_shape": (1, SIDE, SIDE), "classes": 2, "names": ("horse", "zebra")}
)


@pytest.fixture
def reader(plug, monkeypatch, tmp_path):
    """Publish a classifier of the two domains, and return it and its row."""
    plug(HORSES, distribution="horse-box")
    monkeypatch.setenv("GENZOO_ZOO", str(tmp_path))
    net = class_toys.net(3, **HORSES.config)
    return net, class_toys.publish(tmp_path, net, HORSES.name, "horse-box")


def as_8_bit(pictures):
    return (pictures * 255).round().to(torch.uint8)


class TestReading:
    def test_a_classifier_that_knows_the_domains_reads_both_ways_next_to_the_pictures_as_they_are(
        self, reader
    ):
        net, row = reader
        records, test = measured(made(Cycle), sides)
        model = made(Cycle)
        for number, (start, to, pictures) in enumerate(
            (("zebra", "horse", test.other.float()), ("horse", "zebra", test.float()))
        ):
            condition = f"test {start}"
            there = (model.translate(pictures, to) * 255).round().to(torch.uint8)
            for subject, images in (("toy", there), ("untranslated", as_8_bit(pictures))):
                chosen = images[subset(len(images), N, 0, "samples")]
                expected = (net.log_probs(chosen).argmax(1) == number).double().mean()
                record = found(records, "agreement", subject, condition)
                assert record.value == pytest.approx(float(expected)), (subject, to)
                assert record.features == f"horse-net@{row.sha256[:12]}"
                assert (record.better, record.note) == ("higher", f"read as {to}")
        values = {(r.subject, r.condition): r.value for r in records if r.metric == "agreement"}
        assert len(values) == 6 and len(set(values.values())) > 2

    def test_it_is_one_of_the_metrics(self, reader):
        records, _ = measured(made(Cycle), sides, metrics=("agreement",))
        assert {r.metric for r in records} == {"agreement"}
        records, _ = measured(made(Cycle), sides, metrics=("swd",))
        assert {r.metric.split("-")[0] for r in records} == {"swd"}

    def test_a_class_that_is_named_is_asked_for_in_both_directions(self, reader):
        records, _ = measured(made(Cycle), sides, metrics=("kid",), reads_as="zebra")
        notes = [r.note for r in records if r.metric == "agreement"]
        assert notes == ["read as zebra"] * 6

    def test_domains_that_no_classifier_knows_are_not_read(self, reader):
        records, _ = measured(made(Cycle, domains=("day", "night")), sides)
        assert "agreement" not in {r.metric for r in records}

    def test_nor_are_targets_of_pairs(self, reader):
        records, _ = measured(made(Paired))
        assert "agreement" not in {r.metric for r in records}


class TestSSIM:
    def test_it_is_1_of_equal_images_and_agrees_with_torchmetrics_on_colours(self):
        x, y = torch.rand(2, 3, 3, 20, 24)
        y = 0.5 * x + 0.5 * y
        assert torch.allclose(ssim(x, x), torch.ones(3, dtype=torch.float64))
        assert torch.allclose(ssim(x, y), theirs(x, y), atol=1e-5)
