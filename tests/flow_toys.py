"""A small flow over real numbers: exact, a dequantised bound on 8-bit images of it, and what people write by
mistake."""

from dataclasses import dataclass, field
from math import log, pi

import torch
from torch import nn

from genzoo.losses.likelihood import dequantised
from genzoo.models import DensityModel
from genzoo.rng import Rng
from genzoo.schema import limits


@dataclass(frozen=True, kw_only=True)
class FlowConfig:
    image_shape: tuple[int, int, int] = field(default=(1, 4, 4), metadata=limits(1, 64))


class Flow(DensityModel):
    """x = (1 + tanh(y)) / 2 with y = shift + exp(log_scale) · e, e ~ N(0, I): mass on [0, 1] alone, exact."""

    Config = FlowConfig
    exact, levels = True, 0

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.shift = nn.Parameter(torch.full(config.image_shape, 0.2))
        self.log_scale = nn.Parameter(torch.full(config.image_shape, -0.5))

    def density(self, x):
        y = torch.atanh(2 * x - 1)
        e = (y - self.shift) * torch.exp(-self.log_scale)
        base = -0.5 * e**2 - 0.5 * log(2 * pi)
        # dy/dx = 1 / (2 x (1 - x))
        return (base - self.log_scale - torch.log(2 * x * (1 - x))).sum((1, 2, 3))

    def _log_prob(self, x):
        return self.density(x)

    def _sample(self, draws):
        e = draws.normal(*self.image_shape)
        return (1 + torch.tanh(self.shift + torch.exp(self.log_scale) * e)) / 2


class DequantisedFlow(Flow):
    """The same flow as a bound on the probability of 8-bit images."""

    exact, levels = False, 256
    draws = 4

    def _log_prob(self, x):
        uniform = Rng(0, 0, self.draws).uniform(1, *self.image_shape).float().to(x)
        return dequantised(self.density, x, uniform, self.levels)
