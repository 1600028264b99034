"""The metric: whether a model uses as much ink as its data, whatever it draws with it."""

from typing import Any

from torch import Tensor


def ink(samples: Tensor, test: Tensor) -> dict[str, Any]:
    """Return the distance between how bright drawn and held-out images are, in grey levels; 0 where both are
    spread alike.

    Both are (n, C, H, W) float32 in [0, 1]. For equally many numbers on both sides the earth mover's distance
    (Wasserstein-1) is the mean difference of the sorted ones.
    """
    ours, theirs = (images.mean((1, 2, 3)).sort().values for images in (samples, test))
    return {
        "value": 255 * (ours - theirs).abs().mean(),
        "unit": "grey levels",
        "protocol": "Wasserstein-1 of mean brightness",
    }
