"""A toy classifier, and published weights of it, for tests of feature spaces."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn

from genzoo import Card, Family, Recipe, hub
from genzoo.files import sha256_of
from genzoo.ledger import Row
from genzoo.models import ClassifyingModel, golden
from genzoo.models.weights import encode
from genzoo.schema import limits

WIDTH = 6


@dataclass(frozen=True, kw_only=True)
class NetConfig:
    image_shape: tuple[int, int, int] = field(default=(1, 8, 8), metadata=limits(1, 64))
    classes: int = field(default=10, metadata=limits(2, 100))
    names: tuple[str, ...] = ()


class Net(ClassifyingModel):
    """One hidden layer, with all that a mode can change."""

    Config = NetConfig

    def __init__(self, config):
        super().__init__()
        self.config = config
        pixels = config.image_shape[0] * config.image_shape[1] * config.image_shape[2]
        self.net = nn.Sequential(
            nn.Flatten(), nn.Linear(pixels, WIDTH), nn.BatchNorm1d(WIDTH), nn.ReLU(), nn.Dropout(0.5)
        )
        self.head = nn.Linear(WIDTH, config.classes)

    @property
    def classes(self):
        return self.config.classes

    def _features(self, x):
        return self.net(x)

    def _logits(self, features):
        return self.head(features)


class AnySize(Net):
    """Brings images to its own size, as Inception does."""

    any_size = True

    def _features(self, x):
        return super()._features(nn.functional.adaptive_avg_pool2d(x, self.image_shape[1:]))


RECIPE = Recipe(data="digits", steps=4, batch_size=16, precision="fp32", lr={"all": 1e-2})
CARD = Card(
    name="digit-net",
    family=Family.CLASSIFIER,
    model="class_toys:Net",
    recipe=RECIPE,
    summary="Tells digits apart",
)


def net(seed=0, cls=Net, **config):
    """Return a toy classifier whose weights are a function of the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return cls(NetConfig(**config)).eval()


def publish(folder, model, name=CARD.name, plugin="toy-box"):
    """Publish `model` in `folder` and return its row."""
    blob = encode(model, name, golden.record(model))
    facts = {
        "licence": "MIT",
        "data": "digits",
        "terms": "",
        "trained": "not at all",
        "scores": (),
        "plugin": plugin,
    }
    row = Row(
        name=name, sha256=sha256_of(blob), bytes=len(blob), sources=(f"folder:{name}.safetensors",), **facts
    )
    return hub.push(folder, name=name, weights=blob, row=row, card_text=f"# {name}\n")
