"""Layers for networks, and faster ways to compute them. Nothing here is a model.

A plugin does not need them; `genzoo.models` has the classes that a plugin author subclasses.
"""

from genzoo.layers.adversarial import LatentDropout, LatentSequential, MinibatchDiscrimination
from genzoo.layers.balanced import BalancedConvTranspose2d
from genzoo.layers.folding import compact, decoded
from genzoo.layers.instance import InstanceNorm2d
from genzoo.layers.plain import is_hooked, is_stock, renew, stock
from genzoo.layers.precision import converted
from genzoo.layers.spectral import (
    SpectralConv2d,
    SpectralEmbedding,
    SpectralLinear,
    SpectralNorm,
    bounds_slope,
)
from genzoo.layers.strided import StridedConv2d, StridedConvTranspose2d

__all__ = [
    "BalancedConvTranspose2d",
    "InstanceNorm2d",
    "LatentDropout",
    "LatentSequential",
    "MinibatchDiscrimination",
    "SpectralConv2d",
    "SpectralEmbedding",
    "SpectralLinear",
    "SpectralNorm",
    "StridedConv2d",
    "StridedConvTranspose2d",
    "bounds_slope",
    "compact",
    "converted",
    "decoded",
    "is_hooked",
    "is_stock",
    "renew",
    "stock",
]
