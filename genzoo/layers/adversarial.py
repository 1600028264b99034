"""Two layers for adversarial nets that see more than their input, built so that outputs in evaluation mode
depend on one image alone.
"""

from __future__ import annotations

from statistics import NormalDist

import torch
from torch import Tensor, nn

from genzoo.errors import ArgumentError
from genzoo.shares import whole


class MinibatchDiscrimination(nn.Module):
    """How close each image is to the others in its batch, appended to its features (Salimans et al. 2016,
    section 3.2; hack 15).

    With M_i = T f(x_i), a matrix of `kernels` rows, o(x_i)_b = Σ_{j ≠ i} exp(-‖M_ib - M_jb‖₁), here the mean
    over j, so it does not grow with the batch. In evaluation there is no batch to compare with: o is then its
    running mean from training, like batch norm's statistics.

    Args:
        features: number of components of f(x).
        kernels: B, the number of values appended.
        size: number of components in each row of M.
    """

    mean: Tensor

    def __init__(self, features: int, kernels: int = 16, size: int = 8) -> None:
        super().__init__()
        self.features, self.kernels, self.size = features, kernels, size
        self.project = nn.Linear(features, kernels * size, bias=False)  # T
        self.register_buffer("mean", torch.zeros(kernels))

    def forward(self, f: Tensor) -> Tensor:
        """Return f (N, features) with o appended, (N, features + kernels)."""
        if not self.training:
            return torch.cat([f, self.mean.to(f.dtype).expand(len(f), -1)], 1)
        m = self.project(f).float().unflatten(1, (self.kernels, self.size))  # (N, B, size)
        everyone = whole(m)  # of all processes
        distances = (m[:, None] - everyone[None]).abs().sum(3)  # (N, N, B)
        others = max(len(everyone) - 1, 1)
        o = ((-distances).exp().sum(1) - 1) / others  # (N, B); less the image itself, e^0
        with torch.no_grad():
            self.mean.lerp_(o.detach().mean(0), 0.1)  # batch norm's momentum
        return torch.cat([f, o.to(f.dtype)], 1)


class LatentDropout(nn.Module):
    """Dropout of whole channels in a generator, in training and in sampling (Isola et al. 2017, section 3.1;
    hack 17).

    In training the channels are dropped at random. In sampling z decides: each channel has a half-space, with
    a direction that was drawn once and a share `rate` of N(0, I) in it, and is dropped if z is inside it. So
    the noise is kept, and the same z always gives the same image, alone or in a batch.

    Args:
        channels: number of channels of the map.
        latent_size: number of components of z ~ N(0, I).
        rate: the share of channels dropped, from 0 to less than 1.
    """

    directions: Tensor

    def __init__(self, channels: int, latent_size: int, rate: float = 0.5) -> None:
        super().__init__()
        if not 0 < rate < 1:
            raise ArgumentError(
                f"the rate of a dropout must lie between 0 and 1, not {rate!r}", "for example 0.5"
            )
        self.rate = rate
        self.threshold = NormalDist().inv_cdf(rate)
        self.register_buffer("directions", nn.functional.normalize(torch.randn(channels, latent_size), dim=1))

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """Return the map x (N, channels, …) of z (N, latent_size), with kept channels scaled by 1 / (1 -
        rate).
        """
        if self.training:
            # from the global generator, which the loop seeds
            keep = torch.rand(len(x), x.shape[1], device=x.device) >= self.rate
        else:
            keep = z.float() @ self.directions.T > self.threshold  # (N, channels)
        scale = keep.to(x.dtype) / (1 - self.rate)
        return x * scale.view(*scale.shape, *[1] * (x.ndim - 2))


class LatentSequential(nn.Sequential):
    """A sequence of layers whose input is z; a `LatentDropout` in it gets both the map and z."""

    def forward(self, z: Tensor) -> Tensor:
        """Return what z, (N, latent_size) or a map of it, (N, latent_size, 1, 1), is mapped to."""
        x = z
        for layer in self:
            x = layer(x, z.flatten(1)) if isinstance(layer, LatentDropout) else layer(x)
        return x
