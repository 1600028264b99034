"""Conditional Gated PixelCNN (van den Oord et al. 2016, arXiv:1606.05328, section 2.3), of images given their
label.

Equation 4: tanh(W x + V c) ⊙ σ(W' x + V' c), in every layer and in both stacks. V c does not depend on the
position. c is one-hot, so V c is a column of V: a row of an embedding. The link between the stacks carries
what the vertical stack saw of the image, without the label, which the horizontal stack has itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from genzoo import Labels
from genzoo.schema import limits
from genzoo_pixel.gated import GatedLayer, GatedPixelCNN, GatedPixelCNNConfig

SPREAD = 0.3  # of fresh V


@dataclass(frozen=True, kw_only=True)
class ConditionalGatedPixelCNNConfig(GatedPixelCNNConfig):
    """What a conditional Gated PixelCNN is built from, beyond the keys of the unconditional one.

    Attributes:
        labels: the names of the labels.
    """

    labels: tuple[str, ...] = field(default=tuple("0123456789"), metadata=limits())


class ConditionalLayer(GatedLayer):
    """A gated layer that takes a label: equation 4."""

    def __init__(self, ins: int, width: int, groups: int, first: bool, labels: int) -> None:
        super().__init__(ins, width, groups, first)
        # V and V' of the vertical stack, then those of the horizontal one
        self.labels = nn.Embedding(labels, 4 * width)
        nn.init.normal_(self.labels.weight, std=SPREAD)

    def gates(self, v: Tensor, h: Tensor, *condition: Tensor) -> tuple[Tensor, Tensor]:
        """Return those of `GatedLayer`, V c added to both halves of both."""
        vertical, horizontal = (offset[:, :, None, None] for offset in self.offsets(*condition))
        seen, beside = super().gates(v, h)
        return seen + vertical, beside + horizontal

    def offsets(self, *condition: Tensor) -> tuple[Tensor, ...]:
        """Return V c of the two stacks, (N, 2p) each, for the label (N,) of each image."""
        rows: Tensor = self.labels(*condition)
        return rows.chunk(2, 1)


class ConditionalGatedPixelCNN(GatedPixelCNN):
    """Exact p(x|c) of an image given its label."""

    Config = ConditionalGatedPixelCNNConfig
    config: ConditionalGatedPixelCNNConfig
    condition_type = Labels
    parts = (*GatedPixelCNN.parts, ConditionalLayer, nn.Embedding)

    def _layer(self, ins: int, width: int, groups: int, first: bool) -> GatedLayer:
        return ConditionalLayer(ins, width, groups, first, len(self.config.labels))
