"""Conditional variational autoencoder (Sohn, Lee & Yan 2015, "Learning Structured Output Representation using
Deep Conditional Generative Models"), of images given their label.

Encoder and decoder take the label: q(z|x, c) and p(x|z, c). Two things are simpler than in the paper, whose
condition is an image:

- The prior is N(0, I) instead of a net p(z|c). The paper allows it (section 4), and Kingma et al. 2014
  (arXiv:1406.5298, the model M2) has it: z is independent of c, so it keeps what the label does not say, and
  one z can be decoded with any label.
- There is no second objective in which z is drawn from the prior in training (the paper's hybrid with a
  stochastic net), only the bound.

Everything else is the VAE: bounds, draws, objectives and the game of training are inherited.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from genzoo import Labels
from genzoo.schema import limits
from genzoo_vae.vae import VAE, VAEConfig, decoder, encoder

LABEL = 16  # components of a label's vector, beside z


@dataclass(frozen=True, kw_only=True)
class ConditionalVAEConfig(VAEConfig):
    """Config of a VAE that takes labels.

    Attributes:
        labels: their names.
    """

    labels: tuple[str, ...] = field(default=tuple("0123456789"), metadata=limits())


class ConditionalVAE(VAE):
    """p(x|c) = ∫ p(x|z, c) p(z) dz with z ~ N(0, I) whatever c is; the bounds are on log p(x|c).

    The draws of z that an image is measured with are a function of the image and the seed alone: bounds for
    two labels use the same noise.
    """

    Config = ConditionalVAEConfig
    condition_type = Labels

    def _nets(self) -> tuple[nn.Module, nn.Module]:
        config, labels = self.config, len(self.config.labels)
        channels, height, width = config.image_shape
        seen = encoder(config, (channels + 1, height, width))
        drawn = decoder(config, config.latent_size + LABEL, self.likelihood.outputs)
        return Beside(labels, (1, height, width), seen), Beside(labels, (LABEL,), drawn)


class Beside(nn.Module):
    """A net that sees a learned tensor of `shape` for each label beside its input, along the second axis: a
    plane beside the channels of an image, or a vector beside z.
    """

    def __init__(self, labels: int, shape: tuple[int, ...], net: nn.Module) -> None:
        super().__init__()
        self.labels, self.shape, self.net = nn.Embedding(labels, torch.Size(shape).numel()), shape, net

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """Return what the net makes of `x` (N, …) and the labels (N,)."""
        beside = self.labels(label).unflatten(1, self.shape)
        out: Tensor = self.net(torch.cat([x, beside], 1))
        return out
