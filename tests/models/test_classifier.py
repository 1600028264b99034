"""ClassifyingModel: features and classes of images, the same in any batch, and an answer for who asks it for
samples."""

import class_toys
import pytest
import torch

from genzoo import Card, Family
from genzoo.errors import ArgumentError, CardError, NotGenerativeError, WeightsError
from genzoo.models import ClassifyingModel, GenerativeModel, LatentModel, golden
from genzoo.models.weights import build_filled, encode
from genzoo.rng import Rng


def images(n=5, shape=(1, 8, 8)):
    return Rng(0, 0, n).uniform(*shape).float()


def test_it_is_no_generative_model():
    assert class_toys.Net.family is Family.CLASSIFIER and Family.CLASSIFIER.is_instrument
    assert not issubclass(ClassifyingModel, (GenerativeModel, LatentModel)) and not ClassifyingModel.explicit
    assert not any(family.is_instrument for family in Family if family is not Family.CLASSIFIER)


def test_an_image_has_the_same_features_alone_and_in_any_batch():
    model, x = class_toys.net(), images(70)
    together = model.features(x)
    assert together.shape == (70, class_toys.WIDTH) and together.dtype == torch.float32
    assert torch.equal(torch.cat([model.features(x[i : i + 1]) for i in range(70)]), together)
    assert torch.equal(
        model.features((x * 255).round().to(torch.uint8)), model.features((x * 255).round() / 255)
    )


def test_the_mode_it_was_left_in_changes_nothing():
    model, x = class_toys.net(), images()
    expected = model.log_probs(x)
    model.train()
    assert torch.equal(model.log_probs(x), expected) and model.training
    assert not model.features(x).requires_grad


def test_probabilities_sum_to_one_and_follow_the_logits():
    model, x = class_toys.net(), images()
    found = model.log_probs(x)
    assert found.shape == (5, 10)
    torch.testing.assert_close(found.exp().sum(1), torch.ones(5))
    torch.testing.assert_close(found, model.head(model.net(x)).log_softmax(1))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("sample", "generates no images"),
        ("sample_batches", "generates no images"),
        ("log_prob", "no likelihood"),
        ("bits_per_dim", "no likelihood"),
        ("encode", "no code"),
        ("decode", "no code"),
    ],
)
def test_what_it_has_not_is_explained(name, why):
    model = class_toys.net()
    with pytest.raises(NotGenerativeError, match=rf"Net .*{why}.*it has features\(x\) and log_probs\(x\)"):
        getattr(model, name)(4)
    assert not hasattr(model, name)
    with pytest.raises(AttributeError, match="smaple"):
        model.smaple(4)


def test_wrong_images_are_refused():
    with pytest.raises(ArgumentError, match=r"x must have shape \(N, 1, 8, 8\), not \(5, 1, 9, 8\)"):
        class_toys.net().features(images(5, (1, 9, 8)))
    with pytest.raises(ArgumentError, match="NaN"):
        class_toys.net().log_probs(images() * float("nan"))


def test_a_net_may_bring_images_to_its_own_size():
    model = class_toys.net(cls=class_toys.AnySize)
    assert model.features(images(3, (1, 20, 12))).shape == (3, class_toys.WIDTH)
    with pytest.raises(ArgumentError, match=r"\(N, C, H, W\)"):
        model.features(images()[0])


@pytest.mark.parametrize(
    ("method", "answer"), [("_features", torch.zeros(64, 2, 3)), ("_logits", torch.zeros(64, 9))]
)
def test_an_answer_of_a_wrong_shape_names_who_gave_it(method, answer):
    model = type("Odd", (class_toys.Net,), {method: lambda self, x: answer})(class_toys.NetConfig())
    with pytest.raises(CardError, match=rf"Odd\.{method} returned the shape"):
        model.log_probs(images())


def test_it_is_published_and_checked_like_any_model():
    model = class_toys.net()
    outputs = golden.record(model)
    assert len(outputs["log_prob"]) == 2 * 10 and "samples" not in outputs
    loaded = build_filled(class_toys.CARD, encode(model, "digit-net", outputs), "the file")
    assert golden.compare(loaded, outputs, "digit-net") == "golden outputs agree within 0.0e+00 of log p"
    with torch.no_grad():
        loaded.head.bias[3] += 0.1
    with pytest.raises(WeightsError, match="differ from the author's by 0 grey levels and"):
        golden.compare(loaded, outputs, "digit-net")


def test_a_card_that_calls_it_a_model_of_images_is_refused():
    with pytest.raises(CardError, match="says family 'implicit', but class_toys:Net is 'classifier'"):
        Card(name="net", family=Family.IMPLICIT, model="class_toys:Net").build()
