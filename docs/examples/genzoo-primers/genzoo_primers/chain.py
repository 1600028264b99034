"""The smallest autoregressive model: every pixel given the one before it in the scan."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from genzoo.models import AutoregressiveModel
from genzoo.schema import limits


@dataclass(frozen=True, kw_only=True)
class PixelChainConfig:
    """What the model is built from."""

    image_shape: tuple[int, int, int] = field(default=(1, 8, 8), metadata=limits(1, 64))
    levels: int = field(default=256, metadata=limits(2, 256))


class PixelChain(AutoregressiveModel):
    """p(x) = Π p(x_i | x_{i-1}): the logit of each level is linear in the intensity before."""

    Config = PixelChainConfig

    def __init__(self, config: PixelChainConfig) -> None:
        super().__init__()
        self.config = config
        self.slope = nn.Parameter(0.1 * torch.randn(config.levels))
        self.bias = nn.Parameter(torch.zeros(config.levels))

    @property
    def levels(self) -> int:
        """The number of values that a pixel can take."""
        return int(self.config.levels)

    def _predict(self, x: Tensor) -> Tensor:  # (N, C, H, W)
        channels, height, width = self.image_shape
        scan = x.permute(0, 2, 3, 1).flatten(1)  # (N, H · W · C), the order of the chain
        before = pad(scan, (1, -1))  # the first pixel has 0 before it
        logits = self.bias + before[:, :, None] * self.slope  # (N, H · W · C, levels)
        return logits.view(-1, height, width, channels, self.levels).permute(0, 4, 3, 1, 2)

    def _log_mass(self, params: Tensor, level: Tensor) -> Tensor:  # (N, levels, C, H, W), (N, C, H, W)
        return params.log_softmax(1).gather(1, level[:, None])[:, 0]  # (N, C, H, W)

    def _quantile(self, params: Tensor, u: Tensor) -> Tensor:  # (N, levels), (N,)
        cumulated = params.softmax(1).cumsum(1)
        return (cumulated <= u[:, None]).sum(1).clamp(max=self.levels - 1)  # (N,)
