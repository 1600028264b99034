"""The decoder's distributions of pixels: four forms of p(x|z), each for its own kind of image.

A likelihood turns the decoder's maps (..., outputs · C, H, W) into parameters, and returns log p(x|z), the
mean and a draw.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from genzoo.errors import ArgumentError
from genzoo.losses import reconstruction

# Below a rounding error's spread, 1/255/√12, a density on rounded pixels grows without telling anything of
# the image.
LEAST_LOG_VAR = -13.6
# the floor of Salimans et al. 2017; beyond the ceiling all levels are equally likely
LOG_SCALES = (-7.0, 7.0)


class Likelihood(nn.Module):
    """p(x|z) of one image given the decoder's maps.

    Attributes:
        outputs: number of decoder maps per colour channel.
        levels: number of values that a pixel can take, 0 if it is real-valued: `log_prob` is then a density.
    """

    outputs: int
    levels: int

    @abstractmethod
    def log_prob(self, x: Tensor, maps: Tensor) -> Tensor:
        """Return log p(x|z) in nats, summed over pixels, of x (N, C, H, W) and maps (..., N, outputs · C, H,
        W).
        """

    @abstractmethod
    def mean(self, maps: Tensor) -> Tensor:
        """Return the mean image (N, C, H, W) in [0, 1]."""

    @abstractmethod
    def draw(self, maps: Tensor, uniform: Tensor) -> Tensor:
        """Return an image (N, C, H, W) in [0, 1] drawn from p(x|z) by `uniform` numbers in (0, 1) of its
        shape.
        """

    def check(self, x: Tensor) -> None:
        """Raise ArgumentError if p(x|z) gives no probability to some values of `x`."""
        return


class Bernoulli(Likelihood):
    """Black and white pixels; grey levels are refused, as the formula is not a density there."""

    outputs, levels = 1, 2

    def log_prob(self, x: Tensor, maps: Tensor) -> Tensor:
        """Return log p(x|z): independent coins; see `Likelihood`."""
        return reconstruction.bernoulli(x, maps.float())

    def mean(self, maps: Tensor) -> Tensor:
        """Return the probability of white."""
        return maps.float().sigmoid()

    def draw(self, maps: Tensor, uniform: Tensor) -> Tensor:
        """Return black and white pixels."""
        return (uniform < self.mean(maps)).float()

    def check(self, x: Tensor) -> None:
        """Raise ArgumentError if a pixel is neither 0 nor 1."""
        grey = (x != 0) & (x != 1)
        if grey.any():
            raise ArgumentError(
                f"x holds grey levels such as {float(x[grey][0]):.3g}: a Bernoulli likelihood is defined for "
                "black and white images only, "
                "and is not a density on grey levels",
                "use data=binarized-mnist, binarise with (x > 0.5).float(), or build the model with "
                "likelihood=logistic",
            )


class Gaussian(Likelihood):
    """Real-valued pixels with one variance, learned with the weights (Rybkin et al. 2021, "sigma-VAE")."""

    outputs, levels = 1, 0

    def __init__(self) -> None:
        super().__init__()
        self.log_var = nn.Parameter(torch.tensor([-3.0]))

    def log_prob(self, x: Tensor, maps: Tensor) -> Tensor:
        """Return log p(x|z), a density in nats; see `Likelihood`."""
        return reconstruction.gaussian(x, self.mean(maps), self._log_var())

    def mean(self, maps: Tensor) -> Tensor:
        """Return the mean, kept in [0, 1] by a sigmoid."""
        return maps.float().sigmoid()

    def draw(self, maps: Tensor, uniform: Tensor) -> Tensor:
        """Return the mean plus noise, clipped to [0, 1]."""
        noise: Tensor = torch.special.ndtri(uniform).float()
        return (self.mean(maps) + torch.exp(0.5 * self._log_var()) * noise).clamp(0, 1)

    def _log_var(self) -> Tensor:
        return self.log_var.clamp(min=LEAST_LOG_VAR)


class Logistic(Likelihood):
    """8-bit pixels, each with its own centre and scale: masses of 256 levels, so bits/dim are true code
    lengths.
    """

    outputs, levels = 2, reconstruction.LEVELS

    def log_prob(self, x: Tensor, maps: Tensor) -> Tensor:
        """Return log p(x|z) of 256 levels; see `Likelihood`."""
        return reconstruction.discretised_logistic(x, *self._centre_and_log_scale(maps))

    def mean(self, maps: Tensor) -> Tensor:
        """Return the centre of each pixel's distribution, its mean except for the mass beyond black and
        white.
        """
        return self._centre_and_log_scale(maps)[0].add(1).div(2)

    def draw(self, maps: Tensor, uniform: Tensor) -> Tensor:
        """Return one of 256 levels for each pixel."""
        centre, log_scale = self._centre_and_log_scale(maps)
        x = centre + torch.exp(log_scale) * torch.special.logit(uniform).float()
        return torch.round((x + 1) / 2 * (self.levels - 1)).clamp(0, self.levels - 1) / (self.levels - 1)

    def _centre_and_log_scale(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        centre, log_scale = maps.float().chunk(2, dim=-3)
        return centre.tanh(), (log_scale - 2).clamp(*LOG_SCALES)  # fresh weights start with a scale of e^-2


class Colours(Likelihood):
    """8-bit red, green and blue, where green depends on red, and blue on both (Salimans et al. 2017, section
    2.2): the masses of 256³ colours for each pixel.

        p(r, g, b | z) = L(r; m_r, s_r) · L(g; m_g + α (r - m_r), s_g)
                         · L(b; m_b + β (r - m_r) + γ (g - m_g), s_b)

    L is the mass of `Logistic`, and m, log s, α, β and γ are maps of the decoder. What z leaves open about
    a pixel is mostly its brightness, which the three colours share: it is then paid for once, not three
    times. The paper's centres are the same, without the differences, in which m stays the mean colour.
    Images of one or two channels have none, or one, of the slopes α, β and γ.
    """

    outputs, levels = 3, reconstruction.LEVELS

    def log_prob(self, x: Tensor, maps: Tensor) -> Tensor:
        """Return log p(x|z) of 256 levels in each colour; see `Likelihood`."""
        centre, log_scale, slopes = self._split(maps)
        levels = self.levels - 1
        off = 2 * torch.round(x * levels) / levels - 1 - centre  # of the level that x is rounded to
        return reconstruction.discretised_logistic(x, centre + _moved(off, slopes), log_scale)

    def mean(self, maps: Tensor) -> Tensor:
        """Return the centre of each colour's distribution, its mean except for the mass beyond black and
        white.
        """
        return self._split(maps)[0].add(1).div(2)

    def draw(self, maps: Tensor, uniform: Tensor) -> Tensor:
        """Return one of 256 levels for red, then for green and for blue, given those before."""
        centre, log_scale, slopes = self._split(maps)
        noise = torch.exp(log_scale) * torch.special.logit(uniform).float()
        levels, off = self.levels - 1, torch.zeros_like(centre)
        drawn = off
        for colour in range(off.shape[-3]):
            x = centre + _moved(off, slopes) + noise
            drawn = torch.round((x + 1) / 2 * levels).clamp(0, levels) / levels
            off = torch.cat(
                [(2 * drawn - 1 - centre)[..., : colour + 1, :, :], off[..., colour + 1 :, :, :]], -3
            )
        return drawn

    def _split(self, maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the centres and log scales of the colours, and the slopes α, β and γ: (..., C, H, W)."""
        centre, log_scale, slopes = maps.float().chunk(3, dim=-3)
        return centre.tanh(), (log_scale - 2).clamp(*LOG_SCALES), slopes


def _moved(off: Tensor, slopes: Tensor) -> Tensor:
    """Return how far each colour's centre moves, (..., C, H, W), if the colours are `off` their centres."""
    colours, rates = off.unbind(-3), slopes.unbind(-3)
    moves = [torch.zeros_like(colours[0])]
    if len(colours) > 1:
        moves.append(rates[0] * colours[0])
    if len(colours) > 2:
        moves.append(rates[1] * colours[0] + rates[2] * colours[1])
    return torch.stack(moves, -3)


KINDS: dict[str, type[Any]] = {
    "bernoulli": Bernoulli,
    "gaussian": Gaussian,
    "logistic": Logistic,
    "colours": Colours,
}
