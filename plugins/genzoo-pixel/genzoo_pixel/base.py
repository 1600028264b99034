"""What all pixel models share: the common config keys, the head, and cached sampling."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import type_before_parametrizations

from genzoo.devices import widest
from genzoo.errors import ArgumentError
from genzoo.layers import converted, is_hooked
from genzoo.models import AutoregressiveModel
from genzoo.rng import Rng
from genzoo.schema import limits
from genzoo_pixel import heads
from genzoo_pixel.fast.sampler import Machine, draw
from genzoo_pixel.fast.swap import run
from genzoo_pixel.masks import MaskedConv2d


@dataclass(frozen=True, kw_only=True)
class PixelConfig:
    """Config keys that every pixel model has.

    Attributes:
        image_shape: (C, H, W), C = 1 or 3, any H and W.
        head: "bernoulli" (black and white), "softmax" (one logit per level) or "logistic" (discretised
            mixture of logistics).
        levels: values per pixel and channel; None = 2 for the Bernoulli head, 256 otherwise.
        mixture: components of the logistic head.
        layers: number of hidden layers.
        width: h of the papers; the residual stream of PixelCNN and PixelRNN has 2h features.
    """

    image_shape: tuple[int, int, int] = field(default=(1, 28, 28), metadata=limits(1, 1024))
    head: str = field(default="softmax", metadata=limits(choices=heads.HEADS))
    levels: int | None = field(default=None, metadata=limits(2, 256))
    mixture: int = field(default=10, metadata=limits(1, 100))
    layers: int = field(default=7, metadata=limits(1, 100))
    width: int = field(default=16, metadata=limits(3, 1024))


class PixelModel(AutoregressiveModel):
    """A model whose network outputs, `_network(x)` (N, C · P, H, W), are the parameters of every conditional.
    A cached `Machine` draws samples.
    """

    config: PixelConfig
    decode_chunk = 16
    cools = True
    tail: nn.ModuleList
    parts: ClassVar[tuple[type[nn.Module], ...]] = ()  # layer classes of the network, besides lists of them

    @property
    def levels(self) -> int:
        """The number of values of a pixel and channel."""
        return heads.settle_levels(self.config.head, self.config.levels)

    @property
    def outputs(self) -> int:
        """P, the number of parameters of one conditional."""
        return heads.parameters(self.config.head, self.levels, self.config.mixture)

    def _predict(self, x: Tensor, *condition: Tensor) -> Tensor:
        # (N, C · P, H, W), channels outermost: the groups of the masks
        outputs = run(self._network, 2 * x - 1, *condition)
        params: Tensor = outputs.unflatten(1, (self.image_shape[0], self.outputs)).transpose(1, 2)
        return params

    def _log_mass(self, params: Tensor, level: Tensor) -> Tensor:
        return heads.log_mass(self.config.head, params, level, self.levels)

    def _quantile(self, params: Tensor, u: Tensor) -> Tensor:
        return heads.quantile(self.config.head, params, u, self.levels)

    def _log_masses(self, params: Tensor) -> Tensor:
        return heads.log_masses(self.config.head, params, self.levels)

    def _complete(self, x: Tensor, mask: Tensor, rng: Rng, *condition: Tensor) -> Tensor:
        # In float64, where there is one, rounding does not move a boundary past a uniform number, so that
        # cached and naive sampling give equal images, not just similar ones.
        exact = converted(self, widest(self.device))
        if not exact._unrolls():
            return AutoregressiveModel._complete_naively(exact, x, mask, rng, *condition)
        machine = exact._machine(rng.n, *condition)
        uniforms = rng.uniform(*self.image_shape[1:], self.image_shape[0])
        return draw(machine, exact._level, x, mask, uniforms, levels=self.levels, tell=rng.tell)

    def _complete_naively(self, x: Tensor, mask: Tensor, rng: Rng, *condition: Tensor) -> Tensor:
        exact = converted(self, widest(self.device))
        return AutoregressiveModel._complete_naively(exact, x, mask, rng, *condition)

    def _unrolls(self) -> bool:
        """Whether a machine computes the same as the network. Layers of unknown classes and layers with hooks
        must be called, so a network that has any is sampled the naive way.
        """
        known = (nn.ModuleList, *self.parts)
        inside = [
            module
            for name, module in self.named_modules()
            if name and "parametrizations" not in name.split(".")
        ]
        return all(
            type_before_parametrizations(module) in known and not is_hooked(module) for module in inside
        )

    def outputs_of(self, x: Tensor) -> Tensor:
        """Apply the last two 1×1 convolutions to features; return (N, C · P, H, W)."""
        found: Tensor = self.tail[1](self.tail[0](x.relu()).relu())
        return found

    @abstractmethod
    def _network(self, x: Tensor) -> Tensor:
        """Return (N, C · P, H, W) of images scaled to [-1, 1], as the paper computes it.

        `@faster(way)` can name a function that computes the same values faster. A conditional class takes the
        condition after `x`, and after `n` in `_machine`.
        """

    @abstractmethod
    def _machine(self, n: int) -> Machine:
        """Return a machine that computes the network pixel by pixel for `n` images."""


def check_config(config: PixelConfig) -> int:
    """Return the number of channels, or raise ArgumentError if the keys of `config` contradict each other."""
    channels = config.image_shape[0]
    if channels not in (1, 3):
        raise ArgumentError(f"image_shape must have 1 or 3 channels, not {channels}", "image_shape=(C, H, W)")
    heads.settle_levels(config.head, config.levels)
    return channels


def tail(model: PixelModel, ins: int, hidden: int) -> nn.ModuleList:
    """Return the last two 1×1 convolutions, features → hidden → C · P parameters, each after a ReLU."""
    channels = model.image_shape[0]
    last = MaskedConv2d(hidden, channels * model.outputs, (1, 1), "B", channels)
    if model.config.head == "logistic":
        with torch.no_grad():
            last.bias.copy_(heads.initial_bias(model.config.mixture).repeat(channels))  # type: ignore[union-attr]
    return nn.ModuleList([MaskedConv2d(ins, hidden, (1, 1), "B", channels), last])
