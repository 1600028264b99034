"""Layers that a network may be made of, and ways to compute one faster: nothing here is a model.

A plugin needs none of it; `genzoo.models` holds what a plugin author subclasses.
"""

from genzoo.layers.adversarial import LatentDropout, LatentSequential, MinibatchDiscrimination
from genzoo.layers.folding import compact, decoded
from genzoo.layers.plain import is_hooked, renew
from genzoo.layers.precision import converted
from genzoo.layers.strided import StridedConv2d, StridedConvTranspose2d

__all__ = [
    "LatentDropout",
    "LatentSequential",
    "MinibatchDiscrimination",
    "StridedConv2d",
    "StridedConvTranspose2d",
    "compact",
    "converted",
    "decoded",
    "is_hooked",
    "renew",
]
