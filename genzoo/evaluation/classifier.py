"""A classifier initialised from an encoder: the decoder is dropped, a linear layer is put on the code, and
everything is trained.

Two classifiers may differ only in their initial weights: all share one `Protocol`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from genzoo.data import Images, batch_indices
from genzoo.errors import ArgumentError, safe_repr
from genzoo.explore.latents import codes
from genzoo.models import EncodingModel
from genzoo.models.model import check_count
from genzoo.rng import mix

CHUNK = 256  # test images at a time


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How every classifier is trained.

    Attributes:
        steps: number of Adam steps, the same for ten labels and a thousand; there is no early stopping.
        batch: images per step, or all labelled images if there are fewer.
        rate: learning rate of the first step; it falls to 0 along half a cosine.
    """

    steps: int = 200
    batch: int = 32
    rate: float = 1e-3

    def __post_init__(self) -> None:
        check_count(self.steps, "steps")
        check_count(self.batch, "batch")
        if not 0 < self.rate <= 1:
            raise ArgumentError(
                f"rate must be above 0 and at most 1, not {safe_repr(self.rate)}", "for example lr=1e-3"
            )

    def __str__(self) -> str:
        return (
            f"Adam, {self.steps:,} steps of {self.batch} images, rate {self.rate:g} falling to 0, no "
            "augmentation, no early stopping"
        )

    def rate_at(self, step: int) -> float:
        """Return the learning rate of step 0 … steps - 1."""
        return self.rate * (1 + math.cos(math.pi * step / self.steps)) / 2


class Classifier(nn.Module):
    """encoder → code → linear layer → logits.

    Codes are centred and divided by one number, so that those of the labelled images have a root mean square
    of 1 when training starts, so the scale of an encoder's codes gives no start an advantage. The linear
    layer starts at zero.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, start: EncodingModel, classes: int, images: Tensor) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(start)
        found = codes(start, images)  # (N, D)
        self.head = nn.Linear(start.latent_size, classes).to(found.device)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        spread = (found - found.mean(0)).square().mean().sqrt()
        self.register_buffer("centre", found.mean(0))
        self.register_buffer("scale", torch.where(spread > 0, spread, 1.0))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, K) of images (N, C, H, W) in [0, 1]."""
        found = self.encoder._encode(x, *self.encoder.check_condition(None, len(x)))
        # of q(z|x); `codes` has seen that there is one
        code = found if isinstance(found, Tensor) else found.mean
        logits: Tensor = self.head((code - self.centre) / self.scale)
        return logits


def fresh(model: EncodingModel, seed: int) -> EncodingModel:
    """Return the architecture of `model` with new weights, a function of `seed`, on the same device."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(mix(seed, "few labels", "weights"))
        return type(model)(model.config).to(model.device)


def fine_tuned(
    start: EncodingModel,
    images: Tensor,
    targets: Tensor,
    classes: int,
    seed: int,
    protocol: Protocol,
    *,
    tell: Callable[[], None],
) -> Classifier:
    """Return a classifier initialised from the encoder of `start` and trained on `images` (N, C, H, W) in [0,
    1].

    `targets` (N,) are whole numbers below `classes`. The order of the images is a function of `seed`; `start`
    itself is not changed. `tell` is called after each step.
    """
    net = Classifier(start, classes, images)
    parameters = [*net.encoder.parameters(), *net.head.parameters()]
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimizer = torch.optim.Adam(parameters, foreach=True)
    batch = min(protocol.batch, len(images))
    net.train()
    with torch.enable_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(mix(seed, "few labels", "training"))  # for dropout, where an encoder has it
        for step in range(protocol.steps):
            rows = torch.from_numpy(batch_indices(len(images), batch, step, seed))
            for group in optimizer.param_groups:
                group["lr"] = protocol.rate_at(step)
            optimizer.zero_grad()  # what the decoder would have is never computed, and Adam leaves it alone
            cross_entropy(net(images[rows]), targets[rows]).backward()
            optimizer.step()
            tell()
    return net.eval()


def predictions(net: Classifier, images: Images, rows: Tensor) -> Tensor:
    """Return the class (n,) of each image at `rows`, on the CPU."""
    found = []
    with torch.inference_mode():
        for part in rows.split(CHUNK):
            x = images.float(part).to(net.centre.device)
            found.append(net(x).argmax(1).cpu())
    return torch.cat(found)
