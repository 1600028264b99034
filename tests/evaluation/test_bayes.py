"""Classification by Bayes' rule, against closed forms on models whose p(x|c) is known."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conditional_toys import NAMES, LabelBernoulli, LabelConfig
from toys import ToyConfig, ToyGAN

from genzoo.data import Images
from genzoo.errors import ArgumentError, DataError
from genzoo.evaluation import bayes, label_log_probs, likelihood
from genzoo.evaluation.bayes import FEW, MOST_LABELS, measure_labels
from genzoo.evaluation.measures import measures
from genzoo.request import Request
from genzoo.testing.density import every_image

SHAPE = (1, 2, 2)
PRIOR = (1, 2, 5)


class Bounded(LabelBernoulli):
    """The same, said to be a bound."""

    exact, record_protocol = False, "two draws"


@pytest.fixture
def model():
    torch.manual_seed(0)
    return LabelBernoulli(LabelConfig(image_shape=SHAPE)).eval()


def likelihoods(model, x):
    """Return p(x|c), (N, K), pixel by pixel."""
    white = torch.sigmoid(model.logits.detach().double()).flatten(1)  # (K, D)
    pixels = x.double().flatten(1)[:, None]
    return torch.where(pixels == 1, white, 1 - white).prod(-1)


def drawn(model, n=300, order=(0, 1, 2)):
    """Return images of the model's own and the labels that they were drawn with, numbered in `order`."""
    labels = np.random.default_rng(0).choice(3, n, p=np.array(PRIOR) / 8)
    pixels = model.sample(n, seed=0, condition=labels, dtype=torch.uint8).numpy()
    names = tuple(NAMES[place] for place in order)
    own = np.array([names.index(NAMES[label]) for label in labels])
    about = {"name": "own", "split": "test", "transform": "static-binarised", "class_names": names}
    return Images(pixels=pixels, labels=own, **about)


class TestPosterior:
    @pytest.mark.parametrize("prior", [None, PRIOR, (0, 1, 1), np.array([0.5, 0.25, 0.25])])
    def test_it_is_bayes_rule(self, model, prior):
        x = every_image(SHAPE, 2)
        weights = torch.ones(3).double() if prior is None else torch.as_tensor(prior).double()
        joint = likelihoods(model, x) * weights / weights.sum()
        found = label_log_probs(model, x, prior).exp()
        torch.testing.assert_close(found, joint / joint.sum(1, keepdim=True), rtol=1e-5, atol=1e-7)
        # Σ p(x) p(c|x) = p(c)
        torch.testing.assert_close(joint.sum(1) @ found, weights / weights.sum(), rtol=1e-5, atol=1e-6)

    def test_it_does_not_depend_on_the_batch(self, model):
        x = every_image(SHAPE, 2)
        assert torch.equal(label_log_probs(model, x)[3:5], label_log_probs(model, x[3:5]))

    def test_an_impossible_image_is_told(self, model):
        with torch.no_grad():
            model.logits[:] = -3e38  # two white pixels are impossible
        with pytest.raises(ArgumentError, match="11 of 16 images have no finite likelihood"):
            label_log_probs(model, every_image(SHAPE, 2))

    def test_one_impossible_label_is_none(self, model):
        with torch.no_grad():
            model.logits[1] = -200.0
        white = torch.ones(1, *SHAPE)
        assert label_log_probs(model, white)[0].exp()[1] == 0

    @pytest.mark.parametrize(
        ("prior", "said"),
        [
            ((1, 2), "one number for each of 3 labels"),
            ("abc", "one number for each"),
            (((1, 2, 3),), "one number for each"),
            ((1, -1, 1), "at least 0"),
            ((0, 0, 0), "not only zeros"),
            ((math.nan, 1, 1), "at least 0"),
            ((math.inf, 1, 1), "at least 0"),
        ],
    )
    def test_a_wrong_prior(self, model, prior, said):
        with pytest.raises(ArgumentError, match=said):
            label_log_probs(model, torch.zeros(1, *SHAPE), prior)

    def test_models_without_a_label(self, model):
        with pytest.raises(ArgumentError, match="takes no label"):
            label_log_probs(model.given("dog"), torch.zeros(1, *SHAPE))
        with pytest.raises(ArgumentError, match="takes no label"):
            label_log_probs(ToyGAN(ToyConfig()), torch.zeros(1, 1, 8, 8))


class TestRecords:
    def test_they_are_those_of_the_closed_form(self, model):
        images, told = drawn(model), []
        accuracy, entropy = bayes(
            model, images, None, prior=PRIOR, subject="net", progress=lambda *w: told.append(w)
        )
        joint = likelihoods(model, torch.from_numpy(images.pixels) / 255) * torch.tensor(PRIOR).double()
        wanted = torch.from_numpy(images.labels)
        right = (joint.argmax(1) == wanted).double()
        nats = -(joint / joint.sum(1, keepdim=True)).log().gather(1, wanted[:, None])
        assert accuracy.value == pytest.approx(float(right.mean()))
        assert accuracy.stderr == pytest.approx(float(right.std() / 300**0.5))
        assert entropy.value == pytest.approx(float(nats.mean()), rel=1e-5)
        assert told[-1] == ("labels", 300, 300)
        for record in (accuracy, entropy):
            assert (record.kind, record.n, record.subject) == ("classification", 300, "net")
            assert (record.data, record.split, record.image_shape) == ("own", "test", "1x2x2")
            assert record.protocol == "Bayes' rule over 3 labels, a given prior" and record.note == ""
        assert (accuracy.metric, accuracy.better, entropy.unit) == ("accuracy", "higher", "nats")

    def test_labels_are_matched_by_name(self, model):
        one, two = bayes(model, drawn(model), None), bayes(model, drawn(model, order=(2, 0, 1)), None)
        assert [record.value for record in one] == [record.value for record in two]

    def test_some_images_are_a_choice_by_seed(self, model):
        few = bayes(model, drawn(model), 50, seed=1)
        assert few == bayes(model, drawn(model), 50, seed=1) != bayes(model, drawn(model), 50, seed=2)
        assert few[0].n == 50 and "images chosen by seed 1" in few[0].protocol

    def test_a_bound_says_so(self):
        torch.manual_seed(0)
        model = Bounded(LabelConfig(image_shape=SHAPE)).eval()
        accuracy, _ = bayes(model, drawn(model))
        assert "uniform prior, on lower bounds of log p(x|c), two draws" in accuracy.protocol
        assert "not the p(c|x) of the model" in accuracy.note

    def test_a_label_of_prior_0_has_no_entropy(self, model):
        (accuracy,) = bayes(model, drawn(model), prior=(0, 1, 1))
        assert accuracy.metric == "accuracy"

    def test_images_without_labels(self, model):
        with pytest.raises(DataError, match="no labels"):
            bayes(model, drawn(model).replace(labels=None, class_names=()))


class TestMeasure:
    def found(self, model, request=None, images=None):
        images = images or drawn(model, 1200)
        return list(measure_labels(model, images, images, request or Request(), subject="net"))

    def test_the_prior_is_that_of_the_training_labels(self, model):
        images = drawn(model, 1200)
        expected = bayes(model, images, FEW, prior=np.bincount(images.labels), subject="net")
        found = self.found(model)
        assert [record.value for record in found] == [record.value for record in expected]
        assert "Bayes' rule over 3 labels, prior of the training labels, images chosen" in found[0].protocol
        assert found[0].n == FEW and self.found(model, Request(n=70))[0].n == 70

    def test_nothing_is_said_of_a_model_with_one_label_or_none_or_too_many(self, model):
        assert self.found(model.given("dog"), images=drawn(model)) == []
        for count in (1, MOST_LABELS + 1):
            labels = tuple(f"label {number}" for number in range(count))
            other = LabelBernoulli(LabelConfig(image_shape=SHAPE, labels=labels))
            assert self.found(other, images=drawn(model)) == []

    def test_it_belongs_to_the_measures_of_a_density(self, model, monkeypatch):
        import importlib

        module = importlib.import_module("genzoo.evaluation.likelihood")
        assert module.likelihood is likelihood
        monkeypatch.setattr(module, "likelihood", lambda *given, **more: [])
        monkeypatch.setattr(module, "certificate_of", lambda *given: SimpleNamespace(given=""))
        images = drawn(model)
        found = measures(model, images, images, Request(), subject="net")
        assert [record.metric for record in found] == ["accuracy", "cross-entropy"]
