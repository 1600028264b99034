"""State dicts of other VAEs: fully connected ones as in the usual examples, with layers such as fc1, fc21,
fc22, fc3, fc4.

The encoder's hidden layers are followed by two heads of one shape, mean and log σ²; the decoder mirrors it
and ends in a sigmoid. Hidden units are rectified, as in those examples, and pixels are not centred there, so
the first layer is rewritten: W x + b with x = (c + 1) / 2 is (W / 2) c + (b + Σ W / 2).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch

from genzoo.errors import WeightsError
from genzoo.models import Foreign, Layer, Layout, Net

# the value of a pixel is a probability there, of grey levels too; a density of those it is not
GREY = "it draws and decodes; log_prob takes black and white images only (likelihood=bernoulli)"


def vae_layout(found: Foreign, settings: Mapping[str, Any]) -> Layout:
    """Return the encoder and the decoder in `found`, and the config of both.

    Raises:
        WeightsError: no such net; a number of pixels that is no square, where `settings` name no size.
    """
    net = found.the_net("VAE", lambda net: _heads(net) > 0)
    if net is None:
        raise WeightsError(
            f"{found.where} has no fully connected encoder with two heads and a decoder; it has "
            f"{found.words}",
            "imported are VAEs as in the usual examples: fc1, fc21 (mean), fc22 (log variance), fc3, fc4",
        )
    layers, at = net.linears, _heads(net)
    mean, log_var = _ordered(layers[at], layers[at + 1])
    both = Layer(
        mean.name, {key: torch.cat([mean.tensors[key], log_var.tensors[key]]) for key in ("weight", "bias")}
    )
    config = {
        "net": "mlp",
        "activation": "relu",
        "likelihood": "bernoulli",
        "image_shape": _shape(layers[0].weight.shape[1], found, settings),
        "latent_size": mean.weight.shape[0],
        "width": mean.weight.shape[1],
        "depth": at,
    }
    parts = {"encoder": [_centred(layers[0]), *layers[1:at], both], "decoder": layers[at + 2 :]}
    return Layout(config, parts, (GREY,))


def _heads(net: Net) -> int:
    """Return the place of the first of two heads among the layers of `net`, 0 where it is no such VAE."""
    layers = net.linears
    shapes = [tuple(layer.weight.shape) for layer in layers]
    if len(shapes) != len(net.layers) or any("bias" not in layer.tensors for layer in layers):
        return 0
    for at in range(1, len(shapes) - 2):
        ways = [*shapes[: at + 1], *shapes[at + 2 :]]  # through one of the two heads
        chained = all(a[0] == b[1] for a, b in pairwise(ways))
        if shapes[at] == shapes[at + 1] and chained and ways[0][1] == ways[-1][0]:
            return at
    return 0


def _ordered(first: Layer, second: Layer) -> tuple[Layer, Layer]:
    """Return mean and log σ²: the order of the file, unless names say otherwise."""
    swapped = "var" in first.name.lower() and "var" not in second.name.lower()
    return (second, first) if swapped else (first, second)


def _centred(layer: Layer) -> Layer:
    """Return the layer for pixels in [-1, 1] that is `layer` for pixels in [0, 1]."""
    weight, bias = layer.weight.double() / 2, layer.tensors["bias"].double()
    return Layer(layer.name, {"weight": weight.float(), "bias": (bias + weight.sum(1)).float()})


def _shape(pixels: int, found: Foreign, settings: Mapping[str, Any]) -> tuple[int, int, int]:
    """Return (C, H, W) of so many pixel values: what `settings` say, else a square in grey or in colour."""
    if (stated := settings.get("image_shape")) is not None:
        channels, height, width = stated
        return channels, height, width
    for channels in (1, 3):
        side = math.isqrt(pixels // channels)
        if channels * side * side == pixels:
            return channels, side, side
    raise WeightsError(
        f"{found.where} is a VAE of {pixels} pixel values, which are no square image",
        "say which: --set image_size=HEIGHTxWIDTH, and --set channels=3 for colour",
    )
