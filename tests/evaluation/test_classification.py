"""Records of a classifier: accuracy and cross-entropy on labelled images."""

import class_toys
import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss

from genzoo.data import open_data
from genzoo.errors import ArgumentError
from genzoo.evaluation.classification import classification
from genzoo.evaluation.scoring import records_of, score_model
from genzoo.request import Request


@pytest.fixture(scope="module")
def digits():
    return open_data("digits", split="test")


def test_records_are_those_of_another_implementation(digits):
    model = class_toys.net()
    told = []
    accuracy, entropy = classification(model, digits, subject="net", progress=lambda *what: told.append(what))
    log_probs = model.log_probs(torch.from_numpy(digits.pixels)).double()
    assert accuracy.value == pytest.approx(accuracy_score(digits.labels, log_probs.argmax(1)))
    probabilities = log_probs.exp() / log_probs.exp().sum(1, keepdim=True)
    assert entropy.value == pytest.approx(
        log_loss(digits.labels, probabilities.numpy(), labels=range(10)), rel=1e-6
    )
    variance = accuracy.value * (1 - accuracy.value)
    assert accuracy.stderr == pytest.approx((variance / (len(digits) - 1)) ** 0.5, rel=1e-6)
    assert told[-1] == ("classes", len(digits), len(digits))
    assert (accuracy.metric, accuracy.better) == ("accuracy", "higher")
    assert (entropy.metric, entropy.unit, entropy.better) == ("cross-entropy", "nats", "lower")
    for record in (accuracy, entropy):
        assert (record.kind, record.data, record.split, record.subject) == (
            "classification",
            "digits",
            "test",
            "net",
        )
        assert record.n == len(digits)


def test_some_images_are_a_choice_by_seed(digits):
    model = class_toys.net()
    few = classification(model, digits, 50, seed=1)
    assert few == classification(model, digits, 50, seed=1) != classification(model, digits, 50, seed=2)
    assert few[0].n == 50 and classification(model, digits, 1)[0].stderr is None


def test_a_classifier_is_scored_so(digits):
    model = class_toys.net()
    expected = [record.value for record in classification(model, digits)]
    assert [
        record.value for record in score_model(model, digits, digits, Request(), subject="net")
    ] == expected
    assert [record.value for record in records_of(model, class_toys.CARD, Request())] == expected


def test_images_without_labels_or_with_others_are_refused(digits):
    with pytest.raises(ArgumentError, match="digits has no labels"):
        classification(class_toys.net(), digits.replace(labels=None))
    with pytest.raises(ArgumentError, match="labels from 0 to 9, but Net has 4 classes, counted from 0"):
        classification(class_toys.net(classes=4), digits)
    with pytest.raises(ArgumentError, match="n must be"):
        classification(class_toys.net(), digits, 0)
    with pytest.raises(ArgumentError, match=r"must have shape \(N, 1, 16, 16\)"):
        classification(class_toys.net(image_shape=(1, 16, 16)), digits)
    with pytest.raises(ArgumentError, match="'digit-net' generates no samples to measure"):
        records_of(class_toys.net(), class_toys.CARD, Request(features="gist"))


def test_a_perfect_classifier_is_right_and_sure(digits):
    model = class_toys.net()
    answer = torch.full((len(digits), 10), -1e4)
    answer[range(len(digits)), digits.labels.astype(np.int64)] = 0.0
    rows = iter(answer.split(256))
    model.log_probs = lambda x: next(rows)
    accuracy, entropy = classification(model, digits)
    assert (accuracy.value, accuracy.stderr, entropy.value) == (1.0, 0.0, 0.0)
