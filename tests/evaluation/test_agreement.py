"""Agreement: the share that is read as what was wanted, by whom, and beside which share of photographs."""

from __future__ import annotations

import class_toys
import numpy as np
import pytest
import torch
import toys
from PIL import Image

from genzoo.data import Images, open_data
from genzoo.errors import ArgumentError, UnknownNameError
from genzoo.evaluation.agreement import agreement, known_reading, reading_of
from genzoo.evaluation.inputs import as_pixels
from genzoo.evaluation.scoring import records_of, score_model
from genzoo.request import Request

NAMES = tuple(f"digit {number}" for number in range(10))
GAN = toys.CARDS["toy-gan"]
NAMED = class_toys.CARD.replace(config={"names": NAMES})


@pytest.fixture(scope="module")
def digits():
    return open_data("digits", split="train"), open_data("digits", split="test")


@pytest.fixture
def zoo(plug, monkeypatch, tmp_path):
    """Install the toy GAN and publish each of `cards`, classifiers with other weights each."""

    def zoo(*cards):
        plug(*cards, GAN, distribution="toy-box")
        monkeypatch.setenv("GENZOO_ZOO", str(tmp_path))
        return [
            class_toys.publish(tmp_path, class_toys.net(index, **card.config), card.name)
            for index, card in enumerate(cards)
        ]

    return zoo


class TestTheShare:
    def test_counts_the_largest_logit(self):
        logits = torch.tensor([[3.0, 1.0, 2.0], [0.0, 5.0, 1.0], [-1.0, -2.0, -0.5], [9.0, 8.0, 7.0]])
        assert agreement(logits, torch.tensor([0, 1, 2, 1])).value == 0.75
        assert agreement(logits.log_softmax(1), torch.tensor([0, 1, 2, 1])).value == 0.75
        assert agreement(logits, torch.tensor([1, 0, 0, 2])) == (0, 0)

    def test_the_standard_error_is_the_binomial_one(self):
        logits = torch.nn.functional.one_hot(torch.tensor([0] * 30 + [1] * 70), 4).float()
        value, stderr = agreement(logits, torch.zeros(100, dtype=torch.int64))
        assert value == pytest.approx(0.3) and stderr == pytest.approx((0.3 * 0.7 / 99) ** 0.5)

    def test_blocks_of_copies_are_fewer_images(self):
        logits, labels = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 3
        once = agreement(logits, labels)
        doubled = logits.repeat(2, 1), labels.repeat(2), torch.arange(40).repeat(2)
        assert agreement(*doubled) == (pytest.approx(once.value), pytest.approx(once.stderr))
        assert agreement(logits[:1], labels[:1]).stderr is None

    @pytest.mark.parametrize(
        ("logits", "labels", "words"),
        [
            (torch.zeros(3, 4), torch.zeros(2, dtype=torch.int64), r"not \(3, 4\) and \(2,\)"),
            (torch.zeros(3), torch.zeros(3, dtype=torch.int64), "needs logits"),
            (torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), "at least 1"),
            (torch.zeros(3, 4), torch.tensor([0, 4, 1]), "from 0 to 3"),
            (torch.zeros(3, 4), torch.tensor([0, -1, 1]), "from 0 to 3"),
            (torch.zeros(3, 4), torch.zeros(3), "whole numbers"),
        ],
    )
    def test_wrong_inputs_are_named(self, logits, labels, words):
        with pytest.raises(ArgumentError, match=words):
            agreement(logits, labels)


class TestTheReader:
    def test_is_the_first_classifier_that_has_the_class(self, zoo, digits):
        rows = zoo(class_toys.CARD, NAMED.replace(name="named-net"), NAMED.replace(name="other-net"))
        reading = reading_of("digit 7", digits[1])
        assert (reading.wanted, reading.label) == (7, "digit 7")
        assert reading.name == f"named-net@{rows[1].sha256[:12]}"
        assert reading_of("digit 7", digits[1], "other-net").name.startswith("other-net@")
        assert reading_of("digit 7", digits[1], "gist").name.startswith("named-net@")

    def test_reads_as_the_classifier_does(self, zoo, digits):
        zoo(NAMED)
        images = as_pixels(digits[1].pixels[:300])
        expected = class_toys.net(0).log_probs(images).argmax(1)
        for number, name in enumerate(NAMES):
            found = reading_of(name, digits[1]).agreement(images)
            assert found.value == pytest.approx((expected == number).double().mean().item())

    def test_unknown_labels_are_told_with_the_nearest(self, zoo, digits):
        zoo(NAMED)
        with pytest.raises(UnknownNameError, match=r"no published classifier .* 'digit7'; did you mean"):
            reading_of("digit7", digits[1])

    def test_without_names_there_is_none(self, zoo, digits):
        zoo(class_toys.CARD)
        with pytest.raises(UnknownNameError, match="genzoo list --family classifier"):
            reading_of("digit 7", digits[1])

    @pytest.mark.parametrize("shape", [(1, 16, 16), (3, 8, 8), (1, 8, 4), (1, 4, 8)])
    def test_a_classifier_of_larger_or_other_images_is_none(self, zoo, digits, shape):
        """Nothing is enlarged, stretched, cut or coloured so that somebody can read it."""
        zoo(NAMED.replace(config={"names": NAMES, "image_shape": shape}))
        with pytest.raises(UnknownNameError, match="for 1x8x8 images"):
            reading_of("digit 7", digits[1])
        assert known_reading("digit 7", digits[1]) is None

    def test_reads_larger_images_resized_as_a_folder_of_them_would_be(self, zoo, tmp_path):
        zoo(NAMED.replace(config={"names": NAMES, "image_shape": (1, 8, 8)}))
        pictures = np.random.default_rng(5).integers(0, 256, (40, 20, 20), dtype=np.uint8)
        (tmp_path / "pictures").mkdir()
        for number, picture in enumerate(pictures):
            Image.fromarray(picture).save(tmp_path / "pictures" / f"{number:02}.png")
        large = Images(pixels=pictures[:, None], name="large", split="test")
        small = open_data(str(tmp_path / "pictures"), image_shape=(1, 8, 8), val_split=0).pixels
        reading = reading_of("digit 3", large)
        expected = class_toys.net(0).log_probs(as_pixels(small))
        assert reading.words == "read as digit 3, resized to 8x8"
        # a folder is in no order of its own
        assert sorted(reading.logits(as_pixels(large)).tolist()) == sorted(expected.tolist())
        share = (expected.argmax(1) == 3).double().mean().item()
        assert reading.agreement(as_pixels(large)).value == pytest.approx(share)

    def test_one_of_the_size_of_the_images_comes_first_then_the_largest(self, zoo):
        def net(name, side):
            return NAMED.replace(name=name, config={"names": NAMES, "image_shape": (1, side, side)})

        zoo(net("a-small-net", 8), net("b-middle-net", 12), net("c-large-net", 16))

        def reader(side):
            pixels = np.zeros((2, 1, side, side), np.uint8)
            found = reading_of("digit 3", Images(pixels=pixels, name="grey", split="test"))
            return found.name.split("@")[0], found.resized

        assert reader(16) == ("c-large-net", None) and reader(12) == ("b-middle-net", None)
        assert reader(20) == ("c-large-net", (16, 16)) and reader(14) == ("b-middle-net", (12, 12))


class TestTheRecords:
    def test_samples_stand_beside_real_images(self, zoo, digits):
        (row,) = zoo(NAMED)
        asked = Request(n=50, metrics=["checkerboard", "agreement"][1:], reads_as="digit 3")
        samples, floor = score_model(toys.gan(), *digits, asked, subject="toy")
        expected = class_toys.net(0).log_probs(toys.gan().sample(50, dtype=torch.uint8)).argmax(1) == 3
        assert samples.value == pytest.approx(expected.double().mean().item())
        assert (samples.subject, floor.subject) == ("toy", "train") and samples.better == "higher"
        assert samples.label == f"agreement[digit-net@{row.sha256[:12]}]"
        assert samples.note == "read as digit 3" and "read as digit 3" in samples.protocol
        assert samples.n == 50 and samples.n_reference is None and str(samples).endswith("read as digit 3")

    def test_a_label_adds_it_to_the_usual_metrics_and_to_chosen_ones(self, zoo, digits):
        zoo(NAMED)
        for metrics in (None, ["kid"]):
            names = {
                record.metric
                for record in records_of(
                    toys.gan(), GAN, Request(n=20, metrics=metrics, features="gist", reads_as="digit 3")
                )
            }
            assert "agreement" in names and "kid" in names
            plain = records_of(toys.gan(), GAN, Request(n=20, metrics=metrics, features="gist"))
            assert "agreement" not in {record.metric for record in plain}

    def test_without_a_label_it_cannot_be_measured(self, zoo, digits):
        zoo(NAMED)
        with pytest.raises(ArgumentError, match=r"needs the label .* — for example --reads-as bedroom"):
            score_model(toys.gan(), *digits, Request(n=20, metrics=["agreement"]), subject="toy")

    def test_a_label_alone_asks_for_samples(self):
        assert Request(reads_as="bedroom").of_samples and not Request().of_samples
