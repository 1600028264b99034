"""A model with stages: z is an image of 8 × 8, and stage s shows it averaged to 2^(s + 1) pixels a side."""

from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn.functional import avg_pool2d

from genzoo.models import AdversarialModel, StagedModel
from genzoo.schema import limits


@dataclass(frozen=True, kw_only=True)
class StepsConfig:
    image_shape: tuple[int, int, int] = field(default=(1, 8, 8), metadata=limits(1, 8))


class Steps(AdversarialModel, StagedModel):
    """A GAN that draws its z."""

    Config = StepsConfig
    latent_size = 64
    decode_chunk = 4

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.generator = nn.Linear(1, 1)
        with torch.no_grad():
            self.generator.weight.fill_(0.2)
            self.generator.bias.fill_(0.5)
        self.discriminator = nn.Linear(64, 1)

    def _decode(self, z):
        return self.generator(z[..., None]).sigmoid().view(-1, 1, 8, 8)

    def _stages(self, z):
        whole = self._decode(z)
        return [avg_pool2d(whole, 4), avg_pool2d(whole, 2), whole]

    def _discriminate(self, x):
        return self.discriminator(x.flatten(1))[:, 0]


def steps(**members):
    """Return the toy, or one of a subclass with `members`."""
    kind = type("Broken", (Steps,), members) if members else Steps
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return kind(StepsConfig()).eval()
