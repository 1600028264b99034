from dataclasses import dataclass, field

import pytest
import torch
from torch import nn

from genzoo.models import ClassifyingModel
from genzoo.schema import limits
from genzoo.testing import LawError, check_classifying
from genzoo.testing.whole import laws_of


@dataclass(frozen=True, kw_only=True)
class Config:
    image_shape: tuple[int, int, int] = field(default=(1, 4, 6), metadata=limits(1, 64))


class Judge(ClassifyingModel):
    """Two linear maps."""

    Config = Config
    classes = 3

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.into, self.head = nn.Linear(torch.Size(config.image_shape).numel(), 5), nn.Linear(5, 3)

    def _features(self, x):
        return self.into(x.flatten(1))

    def _logits(self, features):
        return self.head(features)


def test_an_honest_classifier_passes(made):
    check_classifying(made(Judge))


def test_a_card_of_one_is_held_to_them(card_of):
    assert [law.name for law in laws_of(card_of(Judge, recipe=None))] == ["card", "classes", "weights"]


def test_another_model_is_refused(kinds, made):
    with pytest.raises(LawError, match="ClassifyingModel"):
        check_classifying(made(kinds.coder))


@pytest.mark.parametrize(
    ("words", "members"),
    [
        ("at least 2 classes; seen: 1", {"classes": 1}),
        ("finite", {"_features": lambda self, x: Judge._features(self, x) * torch.nan}),
        ("finite", {"_logits": lambda self, features: self.head(features) * torch.nan}),
        (
            "other features of the same images",
            {"_features": lambda self, x: Judge._features(self, x) + torch.randn(1)},
        ),
        ("depend on that image alone", {"_features": lambda self, x: Judge._features(self, x - x.mean(0))}),
        ("equal rows", {"_features": lambda self, x: self.into(torch.zeros_like(x).flatten(1))}),
    ],
)
def test_what_breaks_a_law_is_refused(made, words, members):
    with pytest.raises(LawError, match=words):
        check_classifying(made(type("Broken", (Judge,), members)))


def test_replaced_checks_are_refused(made):
    model = made(Judge)
    honest = model.features
    model.features = lambda x: honest(x.clamp(0, 1))
    with pytest.raises(LawError, match="values of 2 is accepted"):
        check_classifying(model)
