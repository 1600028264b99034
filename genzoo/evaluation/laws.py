"""The laws that make a number a likelihood, each on one model: Σ p(x) = 1, the order of the chain rule,
noise, samples.

Every function raises LawError with the law, what was seen and where to where. A conditional model is checked
with its condition fixed: `model.given(c)`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from genzoo.explore.context import context, count, dependence, in_order
from genzoo.law import hold
from genzoo.models.autoregressive import AutoregressiveModel
from genzoo.models.density import DensityModel
from genzoo.rng import Rng

SUM_ERROR = 1e-3  # of Σ p(x), from float32 logarithms
CHUNK = 256  # images asked at a time
NOISE = 32  # images of noise
SURPRISE = 20.0  # nats that chance gives a true density on noise with probability e^-20
# of the chi-square test: samples, expected in a bin, probability of an honest model's refusal
SAMPLES = 4000
FEWEST = 5
DOUBT = 1e-4
COLOURS = ("red", "green", "blue")
_UNNORMALISED = "the normaliser of the head, or its edge bins; or a pixel that sees itself"
_RAISED = "mask A in the first layer, B afterwards: B in the first lets a pixel see itself"


def check_sum(model: DensityModel, levels: int, where: str) -> int:
    """Hold that Σ p(x) over every image is 1, at most 1 for a bound; return the number of images."""
    images = every_image(model.image_shape, levels)
    total = float(
        torch.cat([model.log_prob(part) for part in images.split(CHUNK)]).cpu().double().exp().sum()
    )
    seen = f"Σ p(x) = {total:.6f} over all {len(images)} images"
    if model.exact:
        hold(
            abs(total - 1) < SUM_ERROR,
            "an exact density sums to 1",
            seen,
            f"{where}: a pixel that sees itself, or a wrong normaliser",
        )
    else:
        hold(
            total < 1 + SUM_ERROR,
            "a lower bound sums to at most 1",
            seen,
            f"{where}: the sign of the KL term",
        )
    return len(images)


def every_image(image_shape: tuple[int, int, int], levels: int) -> Tensor:
    """Return all levels^(C·H·W) images (N, C, H, W) whose pixels are 0, 1/(levels-1), …, 1."""
    values = [level / (levels - 1) for level in range(levels)]
    return torch.tensor(list(itertools.product(values, repeat=math.prod(image_shape)))).reshape(
        -1, *image_shape
    )


def noise(model: DensityModel, levels: int, n: int, stream: int = 0) -> Tensor:
    """Return `n` images of independent, equally likely levels, (n, C, H, W); of real numbers where `levels`
    is 0.
    """
    uniform = Rng(stream, 0, n).uniform(*model.image_shape)
    if not levels:
        return uniform.float().to(model.device)
    steps = (uniform * levels).floor()
    return (steps / (levels - 1)).float().to(model.device)


def check_noise(model: DensityModel, levels: int, where: str) -> None:
    """Hold that noise is not coded below its entropy: E_noise[p(x) · levels^D] = 1, so Σ log(p · levels^D)
    over all images stays small.

    With `levels` 0, of a density, noise is uniform in [0, 1]^D: its entropy is 0, and E_noise[p(x)] at most
    1.
    """
    values = model.log_prob(noise(model, levels, NOISE, stream=11)).cpu().double()
    entropy = math.prod(model.image_shape) * math.log(levels or 1)
    law = "noise is never coded below its entropy"
    seen = f"{float(-values.mean()):.1f} nats per image, its entropy is {entropy:.1f}"
    hold(
        float((values + entropy).sum()) < SURPRISE,
        law,
        seen,
        f"{where}: pixels that see themselves or later ones",
    )


def check_terms(model: AutoregressiveModel, levels: int, where: str) -> None:
    """Hold that log p(x) is the sum of its terms, one for each dimension."""
    images = noise(model, levels, 4)
    with model.asking() as asked:
        terms = in_order(asked._log_conditionals(images, *asked.check_condition(None, len(images))))
    law = "log p(x) is the sum of log p(x_i | earlier), one for each dimension"
    size = math.prod(model.image_shape)
    hold(
        terms.shape == (4, size), law, f"{tuple(terms.shape)} terms for 4 images of {size} dimensions", where
    )
    whole = model.log_prob(images)
    seen = f"{float(terms.sum(1)[0]):.4f} and {float(whole[0]):.4f} nats"
    hold(torch.allclose(terms.sum(1).float(), whole, rtol=1e-4, atol=1e-3), law, seen, where)


def check_order(model: AutoregressiveModel, levels: int, where: str) -> None:
    """Hold that no conditional depends on itself or a later dimension, and that in a pixel green sees red,
    and blue red and green.
    """
    needs = torch.stack([dependence(model, image) for image in noise(model, levels, 2, stream=3)]).amax(0)
    hold(torch.isfinite(needs).all(), "gradients are finite", "NaN or infinite gradients", where)
    later = (needs.triu(1).nonzero().tolist() or needs.triu().nonzero().tolist())[:1]
    for i, j in later:
        seen = (
            f"{_name(model, i)} sees {_name(model, j) if i != j else 'itself'}, gradient "
            f"{float(needs[i, j]):.3g}"
        )
        hold(False, "no pixel sees itself or a later one", seen, f"{where}: {_suspect(model, i, j)}")
    if model.image_shape[0] == len(COLOURS):
        for i, j in ((1, 0), (2, 0), (2, 1)):
            blind = not needs[i::3, j::3].diagonal().any()
            law = "within a pixel green sees red, and blue red and green"
            hold(
                not blind,
                law,
                f"{COLOURS[i]} never sees {COLOURS[j]}",
                f"{where}: the colour groups of the centre tap, R → G → B",
            )


def check_conditionals(model: AutoregressiveModel, levels: int, where: str) -> None:
    """Hold that Σ_v p(x_i = v | earlier) = 1, where x_i itself is replaced by each value: a pixel that sees
    itself cannot pass.
    """
    images = noise(model, levels, 1, stream=7)
    for i in _chosen(model, levels):
        channel, row, column = _index(model, i)
        x = images.repeat(levels, 1, 1, 1)
        x[:, channel, row, column] = torch.arange(levels, device=x.device) / (levels - 1)
        with model.asking() as asked:
            terms = in_order(asked._log_conditionals(x, *asked.check_condition(None, len(x))))
            total = float(terms[:, i].double().exp().sum())
        seen = f"Σ = {total:.4f} over the {levels} values of {_name(model, i)}"
        hold(
            abs(total - 1) < SUM_ERROR,
            "p(pixel | earlier pixels) sums to 1",
            seen,
            f"{where}: {_UNNORMALISED}",
        )


def check_context(model: AutoregressiveModel, claimed: bool, where: str) -> tuple[int, int]:
    """Return how many earlier pixels the middle pixel sees and how many there are; where all are `claimed`,
    hold it.
    """
    middle = (model.image_shape[1] // 2, model.image_shape[2] // 2)
    seen = context(model, middle)
    found, possible = count(seen, middle)
    if claimed and found < possible:
        blind = [divmod(i, seen.shape[1]) for i in range(possible) if not seen.flatten()[i] > 0]
        spots = ", ".join(f"{row},{column}" for row, column in blind[:4]) + (" …" if len(blind) > 4 else "")
        words = f"{found} of {possible}, from {middle[0]},{middle[1]} never {spots} (row,column)"
        where = (
            "a vertical stack that is itself shifted (shift only its link to the horizontal one), or "
            "too few layers"
        )
        hold(False, "a pixel sees every earlier one, as claimed", words, f"{where}: {where}")
    return found, possible


def check_frequencies(model: DensityModel, levels: int, where: str, samples: int = SAMPLES) -> None:
    """Hold by a chi-square test that `samples` samples come as often as p(x) says, on a model whose every
    image can be counted.
    """
    with torch.inference_mode(), model.asking() as asked:
        drawn = asked._sample(Rng(0, 0, samples, model.device), *asked.check_condition(None, samples))
        images = drawn.flatten(1).cpu().double() * (levels - 1)
    off = float((images - images.round()).abs().max())
    hold(
        off < 1e-3 * levels,
        "samples have the levels of the model",
        f"values between its {levels} levels",
        where,
    )
    weights = levels ** torch.arange(images.shape[1] - 1, -1, -1, dtype=torch.float64)
    found = torch.bincount((images.round() @ weights).long(), minlength=levels ** images.shape[1]).double()
    every = every_image(model.image_shape, levels)
    expected = torch.cat([model.log_prob(part) for part in every.split(CHUNK)]).cpu().double().exp() * samples
    check_fit(found, expected, where)


def check_fit(found: Tensor, expected: Tensor, where: str) -> None:
    """Hold by a chi-square test that counts `found` (bins,) are those that p(x) lets expect."""
    rare = expected < FEWEST  # in one bin together
    bins = [torch.cat([side[~rare], side[rare].sum()[None]]) for side in (found, expected)]
    chance = _chance(*bins)
    seen = f"a chi-square that an honest sampler reaches with probability {chance:.1g}"
    hold(
        chance > DOUBT,
        "samples come as often as p(x) says",
        seen,
        f"{where}: something that sampling and log_prob compute differently",
    )


def _chance(found: Tensor, expected: Tensor) -> float:
    """Return the probability of a chi-square at least as large; an empty bin of rare images counts where
    something fell into it.
    """
    kept = (expected > 1e-9) | (found > 0)
    square = ((found - expected)[kept] ** 2 / expected[kept].clamp_min(1e-9)).sum()
    freedom = torch.tensor(max(int(kept.sum()) - 1, 1), dtype=torch.float64)
    return float(torch.special.gammaincc(freedom / 2, square / 2))


def _chosen(model: DensityModel, levels: int) -> Iterator[int]:
    """Yield the dimensions whose values are tried: all where there are few values, else some pixels with all
    their channels.
    """
    channels, height, width = model.image_shape
    size = channels * height * width
    if size * levels <= 2 * CHUNK:
        yield from range(size)
        return
    middle = (height // 2) * width + width // 2
    for pixel in sorted({0, width // 2, middle, height * width - 1}):
        yield from range(pixel * channels, (pixel + 1) * channels)


def _index(model: DensityModel, i: int) -> tuple[int, int, int]:
    """Return (channel, row, column) of dimension `i` in the order of the chain rule."""
    channels, _, width = model.image_shape
    pixel, channel = divmod(i, channels)
    return channel, pixel // width, pixel % width


def _name(model: DensityModel, i: int) -> str:
    channel, row, column = _index(model, i)
    colour = f" ({COLOURS[channel]})" if model.image_shape[0] == len(COLOURS) else ""
    return f"pixel {row},{column}{colour}"


def _suspect(model: DensityModel, i: int, j: int) -> str:
    """Return what usually makes dimension `i` see the later `j`."""
    (_, row, column), (_, other, across) = _index(model, i), _index(model, j)
    if i == j:
        return _RAISED
    if (row, column) == (other, across):
        return "the colour groups of the masks, R → G → B"
    if row == other:
        return (
            "a scan from right to left whose result is not shifted down one row, or a kernel that is "
            "not masked"
        )
    return (
        "a padding at the bottom: a kernel of two rows along the diagonal is padded at the top only "
        "('same' leaks)"
    )
