"""The lecture's curve: G's loss for a fake that D calls real with probability D, log(1 - D) against -log D.

log(1 - D) is flat on the left, where G starts: D is confident about its fakes, and G gets no useful gradient.
-log D is steep there.
"""

from __future__ import annotations

from pathlib import Path

import torch

from genzoo.losses.minimax import minimax, non_saturating
from genzoo.plots import Curve, Plot

POINTS = 33
EDGE = 0.01  # D is drawn from this to 1 - this


def curves() -> list[Curve]:
    """Return the two curves, as the losses compute them."""
    d = torch.linspace(EDGE, 1 - EDGE, POINTS, dtype=torch.float64)
    logits = torch.logit(d)
    named = (("minimax: log(1 - D)", minimax), ("non-saturating: -log D", non_saturating))
    return [Curve(label=label, x=d.tolist(), y=cost(logits).tolist()) for label, cost in named]


def save(path: Path) -> Path:
    """Write the figure to `path` as PNG and return the path."""
    return Plot(panels={"loss of G, nats": curves()}, x_label="D(G(z))").save(path)
