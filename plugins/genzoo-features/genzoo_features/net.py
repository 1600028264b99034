"""A small convolutional classifier: its last hidden layer gives the features in which sets of images are
compared.

Convolutions of 3 × 3 with batch norm and ReLU, each but the first with stride 2 and twice the channels of the
one before, until a side is 4 pixels or fewer, each followed by `depth` residual blocks; the mean of the last
map over its positions are the features (as the last pooling of Inception), and one linear layer computes the
class from them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor, nn

from genzoo.errors import ArgumentError
from genzoo.models import ClassifyingModel
from genzoo.schema import limits

SMALLEST = 4  # pixels on the shorter side of the last map


@dataclass(frozen=True, kw_only=True)
class FeatureNetConfig:
    """Config of a feature net.

    Attributes:
        image_shape: (C, H, W), any.
        classes: number of classes.
        width: channels of the first map; they double with each halving, to 8 times as many at most.
        depth: residual blocks of two convolutions after each halving.
        names: the name of each class, or () where classes have only numbers.
    """

    image_shape: tuple[int, int, int] = field(default=(1, 28, 28), metadata=limits(1, 1024))
    classes: int = field(default=10, metadata=limits(2, 10_000))
    width: int = field(default=16, metadata=limits(1, 256))
    depth: int = field(default=0, metadata=limits(0, 8))
    names: tuple[str, ...] = ()


class FeatureNet(ClassifyingModel):
    """x → features → logits of the classes."""

    Config = FeatureNetConfig

    def __init__(self, config: FeatureNetConfig) -> None:
        super().__init__()
        self.config = config
        check_names(config.names, config.classes)
        widths = _widths(config)
        self.net = nn.Sequential(
            *_layers([config.image_shape[0], *widths], config.depth), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.head = nn.Linear(widths[-1], config.classes)

    @property
    def classes(self) -> int:
        """The number of classes."""
        count: int = self.config.classes
        return count

    @property
    def class_names(self) -> tuple[str, ...]:
        """The name of each class, or ()."""
        names: tuple[str, ...] = self.config.names
        return names

    def _features(self, x: Tensor) -> Tensor:
        features: Tensor = self.net(2 * x - 1)  # (N, F), F the channels of the last map
        return features

    def _logits(self, features: Tensor) -> Tensor:
        logits: Tensor = self.head(features)  # (N, K)
        return logits


def _widths(config: FeatureNetConfig) -> list[int]:
    """Return the channels of every map."""
    side, widths = min(config.image_shape[1:]), [config.width]
    while side > SMALLEST:
        side = (side + 1) // 2
        widths.append(min(2 * widths[-1], 8 * config.width))
    return widths


def check_names(names: tuple[str, ...], classes: int) -> None:
    """Raise ArgumentError unless `names` is empty or has one name for each class."""
    if names and len(set(names)) != classes:
        raise ArgumentError(
            f"names must be {classes} different names, one for each class, not {len(set(names))}",
            "or leave names out",
        )


class Residual(nn.Module):
    """x plus two convolutions of it: maps (N, width, H, W) of the same size."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(x + inner(x))."""
        return torch.relu(x + self.inner(x))


def _layers(channels: list[int], depth: int) -> Iterator[nn.Module]:
    for index, (narrow, wide) in enumerate(pairwise(channels)):
        yield nn.Conv2d(narrow, wide, 3, stride=2 if index else 1, padding=1, bias=False)
        yield nn.BatchNorm2d(wide)
        yield nn.ReLU()
        if index:
            yield from (Residual(wide) for _ in range(depth))
