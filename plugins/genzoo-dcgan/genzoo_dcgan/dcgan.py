"""Deep convolutional generative adversarial nets (Radford, Metz & Chintala 2016, arXiv:1511.06434).

The paper's five guidelines for stable training are marked in the code, one comment each. Config options
beyond the paper break one of them on purpose, to allow other games with these nets and to show what each
guideline is worth.

Other plugins may build on `ConvolutionalGAN`, `DCGANConfig`, `generator`, `discriminator`, `start`,
`initialise`, `stages` and `channels`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from itertools import pairwise, zip_longest
from math import prod

from torch import Tensor, nn

from genzoo.errors import ArgumentError
from genzoo.layers import (
    BalancedConvTranspose2d,
    InstanceNorm2d,
    LatentDropout,
    LatentSequential,
    MinibatchDiscrimination,
    SpectralConv2d,
    SpectralLinear,
    SpectralNorm,
    StridedConv2d,
    StridedConvTranspose2d,
    decoded,
)
from genzoo.models import AdversarialModel, layouts
from genzoo.schema import limits
from genzoo_dcgan.foreign import dcgan_layout

SMALLEST_BASE = 3  # the generator starts from a map of at least 3 × 3 positions
WIDEST = 8  # channels grow to 8 · width, as in the paper
DROPPING = 3  # hidden layers of G that drop channels, as in pix2pix
NORMS = ("batch", "instance", "layer", "none")
SPECTRAL = "spectral"  # a norm of weights, not of maps
DISCRIMINATOR_NORMS = (*NORMS, SPECTRAL)
ACTIVATIONS = ("relu", "leaky-relu", "tanh")
UPSAMPLING = {"plain": StridedConvTranspose2d, "balanced": BalancedConvTranspose2d}


@dataclass(frozen=True, kw_only=True)
class DCGANConfig:
    """Config of a DCGAN.

    Attributes:
        image_shape: (C, H, W), C = 1 or 3; H and W even and at least 6. The number of times they can be
            halved determines the number of layers.
        latent_size: number of components of z; 100 in the paper.
        width: channels of the generator's last hidden layer; 128 in the paper for 64×64, 64 in most ports.
        discriminator_width: channels of the discriminator's first layer; None = width.
        norm: normalisation of hidden maps: "batch", "instance", "layer" (an image's whole map at once) or
            "none".
        discriminator_norm: the same for the discriminator alone; None = norm. "spectral" normalises its
            weights instead of its maps (Miyato et al. 2018): the largest singular value of every layer is 1,
            so its slope is bounded without a penalty, under any objective. The gradient penalty works with
            all but "batch".
        activation: "relu" (and LeakyReLU in D, as in the paper), "leaky-relu" in both nets, or "tanh" in
            both.
        upsample: how G doubles its maps: "plain", the paper's transposed convolutions, or "balanced", the
            same with equal sums over the four phases of each kernel, so that flat areas show no checkerboard
            (see `BalancedConvTranspose2d`). Saved weights fit both.
        depth: 3 × 3 convolutions that follow each hidden layer, each with norm and activation.
        mlp: units of each of three fully connected hidden layers that replace the generator's convolutions; 0
            = the paper's convolutions.
        dropout: share of channels that G drops in its first three hidden layers, see `LatentDropout`.
        minibatch: kernels of minibatch discrimination in D's last layer, 0 = none.
    """

    image_shape: tuple[int, int, int] = field(default=(3, 64, 64), metadata=limits(1, 1024))
    latent_size: int = field(default=100, metadata=limits(1, 4096))
    width: int = field(default=64, metadata=limits(1, 512))
    discriminator_width: int | None = field(default=None, metadata=limits(1, 512))
    norm: str = field(default="batch", metadata=limits(choices=NORMS))
    discriminator_norm: str | None = field(default=None, metadata=limits(choices=DISCRIMINATOR_NORMS))
    activation: str = field(default="relu", metadata=limits(choices=ACTIVATIONS))
    upsample: str = field(default="plain", metadata=limits(choices=tuple(UPSAMPLING)))
    depth: int = field(default=0, metadata=limits(0, 32))
    mlp: int = field(default=0, metadata=limits(0, 8192))
    dropout: float = field(default=0.0, metadata=limits(0, 0.9))
    minibatch: int = field(default=0, metadata=limits(0, 256))


def stages(image_shape: tuple[int, int, int]) -> tuple[int, tuple[int, int]]:
    """Return how many times (H, W) is halved, and the size of the remaining map, at least 3 × 3.

    64×64 → 4 stages from 4×4; 24×40 → 3 stages from 3×5; 28×28 → 2 stages from 7×7.

    Raises:
        ArgumentError: stride-2 layers cannot divide the size; the message gives the nearest that works.
    """
    channels, height, width = image_shape
    if channels not in (1, 3):
        raise ArgumentError(f"image_shape must have 1 or 3 channels, not {channels}", "image_shape=(C, H, W)")
    count = 0
    while height % 2 == 0 and width % 2 == 0 and min(height, width) // 2 >= SMALLEST_BASE:
        height, width, count = height // 2, width // 2, count + 1
    if not count:
        near = tuple(max(6, 2 * round(side / 2)) for side in image_shape[1:])
        raise ArgumentError(
            f"image_shape {tuple(image_shape)} does not work: H and W must be even and at least 6, since "
            "each layer halves them",
            f"the nearest shape that works is {(channels, *near)}; multiples of 16 (32, 64, 96) give the "
            "deepest nets",
        )
    return count, (height, width)


def channels(width: int, count: int) -> list[int]:
    """Return the channels of the hidden layers from the image inwards: width, 2·width, … at most 8·width."""
    return [width * min(2**i, WIDEST) for i in range(count)]


class ConvolutionalGAN(AdversarialModel):
    """The base of every GAN with these nets: G: z (N, latent_size) → images, D: images → numbers. z is
    Gaussian.

    A subclass sets `config`, `generator` and `discriminator` in its `__init__`.
    """

    generator: nn.Sequential
    decode_chunk = 64  # the throughput of 16 is two thirds as high; more buys nothing
    recordable = True

    def _decode(self, z: Tensor) -> Tensor:
        images = decoded(self.generator, z[:, :, None, None])  # (N, C, H, W) in [-1, 1]
        return images.add(1).div(2)

    def _discriminate(self, x: Tensor) -> Tensor:
        logits: Tensor = self.discriminator(2 * x - 1)  # (N, 1, 1, 1)
        return logits.flatten()  # (N,)


class DCGAN(ConvolutionalGAN):
    """The DCGAN; z is Gaussian, as in most ports (uniform in the paper)."""

    Config = DCGANConfig

    def __init__(self, config: DCGANConfig) -> None:
        super().__init__()
        self.config = config
        self.generator = generator(config)
        self.discriminator = discriminator(config)
        start(self, config)


layouts.register(DCGAN)(dcgan_layout)


def generator(config: DCGANConfig) -> nn.Sequential:
    """Return G: latent maps (N, latent_size, 1, 1) → images (N, C, H, W) in [-1, 1]."""
    if config.mlp:
        return _perceptron(config)
    count, base = stages(config.image_shape)
    return _generator(config, channels(config.width, count)[::-1], base)


def discriminator(config: DCGANConfig) -> nn.Sequential:
    """Return D: images (N, C, H, W) in [-1, 1] → one logit each, no sigmoid, (N, 1, 1, 1) or (N, 1)."""
    count, base = stages(config.image_shape)
    return _discriminator(config, channels(config.discriminator_width or config.width, count), base)


def _generator(config: DCGANConfig, widths: list[int], base: tuple[int, int]) -> nn.Sequential:
    bias = config.norm == "none"  # a norm has its own
    up = functools.partial(UPSAMPLING[config.upsample], kernel_size=4, stride=2, padding=1)
    # Guideline 3: no fully connected hidden layers; z is projected and reshaped by one convolution on a 1 × 1
    # map.
    # (N, widths[0], *base)
    layers: list[nn.Module] = [StridedConvTranspose2d(config.latent_size, widths[0], base, bias=bias)]
    for place, (wide, narrow) in enumerate(zip_longest(widths, widths[1:])):
        # Guideline 2: batch norm in both nets, but not on the generator's output.
        # Guideline 4: ReLU in every layer of the generator but the last, which has tanh.
        layers += [*_norm(config.norm, wide), _activation(config), *_deeper(config, wide, config.norm)]
        if config.dropout and place < DROPPING:
            layers.append(LatentDropout(wide, config.latent_size, config.dropout))
        # Guideline 1: no pooling; fractionally strided convolutions grow the map, strided ones (in D) shrink
        # it.
        if narrow:
            layers.append(up(wide, narrow, bias=bias))
    layers += [up(widths[-1], config.image_shape[0]), nn.Tanh()]
    return LatentSequential(*layers) if config.dropout else nn.Sequential(*layers)


def _perceptron(config: DCGANConfig) -> nn.Sequential:
    """Return a generator without convolutions, as in the experiments of WGAN: four fully connected layers."""
    sizes = [config.latent_size, config.mlp, config.mlp, config.mlp]
    hidden: list[nn.Module] = [
        layer for wide in pairwise(sizes) for layer in (nn.Linear(*wide), _activation(config))
    ]
    last = [nn.Linear(config.mlp, prod(config.image_shape)), nn.Unflatten(1, config.image_shape), nn.Tanh()]
    net = nn.Sequential(nn.Flatten(), *hidden, *last)
    for layer in net:
        # no norm follows: with torch's fresh weights little of z would reach the pixels
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return net


def _discriminator(config: DCGANConfig, widths: list[int], base: tuple[int, int]) -> nn.Sequential:
    norm = config.discriminator_norm or config.norm
    bias = norm in ("none", SPECTRAL)  # the norm of a map has its own
    conv = SpectralConv2d if norm == SPECTRAL else StridedConv2d
    linear = SpectralLinear if norm == SPECTRAL else nn.Linear
    act = functools.partial(_activation, config, leaky=True)
    # Guideline 2 again: no batch norm on the discriminator's input layer.
    # Guideline 5: LeakyReLU, slope 0.2, in every layer of the discriminator.
    layers: list[nn.Module] = [conv(config.image_shape[0], widths[0], 4, stride=2, padding=1), act()]
    layers += _deeper(config, widths[0], norm, leaky=True)
    for narrow, wide in pairwise(widths):
        layers.append(conv(narrow, wide, 4, stride=2, padding=1, bias=bias))
        layers += [*_norm(norm, wide), act(), *_deeper(config, wide, norm, leaky=True)]
    if config.minibatch:
        features = widths[-1] * prod(base)
        layers += [
            nn.Flatten(),
            MinibatchDiscrimination(features, config.minibatch),
            linear(features + config.minibatch, 1),
        ]
    else:
        # (N, 1, 1, 1): logits; the sigmoid lives in the losses
        layers.append(conv(widths[-1], 1, base))
    return nn.Sequential(*layers)


def _norm(kind: str, width: int) -> list[nn.Module]:
    if kind in ("none", SPECTRAL):
        return []
    if kind == "layer":
        return [nn.GroupNorm(1, width)]  # one group: an image's whole map, with a gain for each channel
    return [nn.BatchNorm2d(width) if kind == "batch" else InstanceNorm2d(width, affine=True)]


def _activation(config: DCGANConfig, leaky: bool = False) -> nn.Module:
    if config.activation == "tanh":
        return nn.Tanh()
    return (
        nn.LeakyReLU(0.2, inplace=True)
        if leaky or config.activation == "leaky-relu"
        else nn.ReLU(inplace=True)
    )


def _deeper(config: DCGANConfig, width: int, norm: str, leaky: bool = False) -> list[nn.Module]:
    """Return layers that make the net deeper and keep the size."""
    layers: list[nn.Module] = []
    conv = SpectralConv2d if norm == SPECTRAL else nn.Conv2d
    for _ in range(config.depth):
        layers += [
            conv(width, width, 3, padding=1, bias=norm in ("none", SPECTRAL)),
            *_norm(norm, width),
            _activation(config, leaky),
        ]
    return layers


def start(model: AdversarialModel, config: DCGANConfig) -> None:
    """Draw the initial weights of both nets of `model`: by `initialise`, or `preserve` if without a norm."""
    model.apply(initialise)
    for net, norm in (
        (model.generator, config.norm),
        (model.discriminator, config.discriminator_norm or config.norm),
    ):
        if norm == "none":
            net.apply(preserve)


def preserve(module: nn.Module) -> None:
    """Initialise a convolution so that it keeps the variance of its signal (He et al. 2015), for nets without
    a norm to restore it.
    """
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        places = prod(module.kernel_size)  # that an output hears of
        if module.transposed:
            # the first layer of G sees a map of 1 × 1
            places = places // prod(module.stride) if prod(module.stride) > 1 else 1
        nn.init.normal_(module.weight, 0.0, (2 / (module.in_channels * places)) ** 0.5)


def initialise(module: nn.Module) -> None:
    """Draw initial weights: N(0, 0.02) for convolutions (section 4 of the paper), N(1, 0.02) for batch norm's
    gain, as its code has it. Under spectral normalisation only the direction of a weight counts.
    """
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
    if isinstance(module, SpectralNorm):
        module.warm_up()  # its u belongs to the weights it was made with
