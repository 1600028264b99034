"""The options of the matching-aware game, without torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from genzoo import GameOptions
from genzoo.games import TRANSFORMS
from genzoo.schema import limits
from genzoo_text.words import NEUTRAL


@dataclass(frozen=True, kw_only=True)
class Matching(GameOptions):
    """Options of the game of Reed et al. 2016. `"package.module:name"` names a transform from your own
    code.
    """

    matching: bool = True  #: show D real images with wrong texts as well (GAN-CLS)
    interpolate: bool = True  #: make every second fake from a text embedding between two texts (GAN-INT)
    #: share β of an image's own text in such an embedding; the rest is another image's text
    beta: float = field(default=0.5, metadata=limits(0, 1))
    #: D's target for real images with their own text is 1 - smooth; the other targets stay at 0
    smooth: float = field(default=0.0, metadata=limits(0, 0.5))
    #: weight of mode seeking (Mao et al. 2019): G's loss grows if two z of one text give like images; 0 = off
    seeking: float = field(default=0.0, metadata=limits(0, 1e3))
    #: words that do not count when texts are compared, to find a wrong text for an image
    neutral: tuple[str, ...] = field(default=NEUTRAL, metadata=limits())
    #: differentiable transforms of all images that D sees
    augment: tuple[str, ...] = field(default=(), metadata=limits(choices=TRANSFORMS, own=True))
