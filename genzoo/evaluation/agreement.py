"""Agreement: how often a classifier that has never seen a sample reads it as what it was meant to be.

The samples of a model of bedrooms are meant to be bedrooms; each sample of a model that is told a label is
meant to show that label. The classifier is wrong about photographs too, so the number stands beside theirs: a
perfect model reaches the share of held-out photographs, not 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from genzoo.card import Card
from genzoo.catalogue import catalogue
from genzoo.data.collection import Images
from genzoo.data.decode import fit
from genzoo.data.types import Shape
from genzoo.errors import ArgumentError, UnknownNameError, suggest
from genzoo.evaluation.distances import Estimate
from genzoo.evaluation.inputs import as_pixels
from genzoo.evaluation.spaces import net_of
from genzoo.evaluation.standard_errors import Blocks, mean_error
from genzoo.ledger import Row
from genzoo.models.classifier import ClassifyingModel
from genzoo.process import neutral

CHUNK = 256  # images classified at a time


@neutral()
def agreement(logits: Tensor, labels: Tensor, blocks: Blocks = None) -> Estimate:
    """Return the share of images whose largest of `logits` (N, K) is that of the wanted class, `labels` (N,),
    0 to K - 1, and its standard error, the binomial one.

    `blocks` (N,) say which images belong together. Logits of any scale will do: log p(class | x) as well.

    Raises:
        ArgumentError: shapes that do not fit, no images, or labels that are no classes.
    """
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not len(logits):
        raise ArgumentError(
            "agreement needs logits (N, K) and labels (N,), N at least 1, not "
            f"{tuple(logits.shape)} and {tuple(labels.shape)}"
        )
    if labels.is_floating_point() or not 0 <= int(labels.min()) <= int(labels.max()) < logits.shape[1]:
        raise ArgumentError(f"labels must be whole numbers from 0 to {logits.shape[1] - 1}")
    right = (logits.argmax(1).cpu() == labels.cpu()).double()
    return Estimate(float(right.mean()), mean_error(right, blocks))


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What all images are meant to be read as, and by whom.

    Attributes:
        name: the classifier with its digest, as in "features-rooms@0123456789ab".
        label: the name of the class.
        wanted: its number.
        logits: maps uint8 images (N, C, H, W) to log p(class | x), (N, K).
        resized: the (height, width) that larger images are resized to first, or None.
    """

    name: str
    label: str
    wanted: int
    logits: Callable[[Tensor], Tensor]
    resized: tuple[int, int] | None = None

    @property
    def words(self) -> str:
        """What was done, as a record says it."""
        at = "" if self.resized is None else f", resized to {'x'.join(map(str, self.resized))}"
        return f"read as {self.label}{at}"

    def agreement(self, images: Tensor, blocks: Blocks = None) -> Estimate:
        """Return the share of `images` that are read as the label; see `agreement`."""
        found = torch.cat([self.logits(chunk) for chunk in torch.split(as_pixels(images), CHUNK)])
        return agreement(found, torch.full((len(found),), self.wanted), blocks)


def reading_of(label: str, images: Images, name: str | None = None) -> Reading:
    """Return how images such as `images` are read as `label`: by the published classifier called `name`, or
    by the first one that has a class of this name. One of their size comes first, then the largest for
    smaller images of the same proportions: it reads them resized, as the images of its own set were.

    Raises:
        UnknownNameError: no such classifier, or none that has the class; names the nearest.
        ArgumentError, HubError: as `genzoo.evaluation.spaces.net_of`.
    """
    nets = {card.name: (card, row) for card, row in _readers(images)}
    if name in nets:
        nets = {name: nets[name]}
    if (found := _reading(label, images, nets.values())) is not None:
        return found
    known = [word for card, _ in nets.values() for word in names_of(card)]
    shape = "x".join(map(str, images.shape))
    raise UnknownNameError(
        f"no published classifier for {shape} images has a class {label!r}{suggest(label, known)}",
        f"the classes are {', '.join(known)}" if known else "genzoo list --family classifier shows them",
    )


def known_reading(label: str, images: Images) -> Reading | None:
    """Return how images such as `images` are read as `label`, see `reading_of`, or None if no published
    classifier for them has a class of this name.

    Raises:
        ArgumentError, HubError: as `genzoo.evaluation.spaces.net_of`.
    """
    return _reading(label, images, _readers(images))


def _reading(label: str, images: Images, nets: Iterable[tuple[Card, Row]]) -> Reading | None:
    for card, row in nets:
        if label in names_of(card):
            shape = _shape_of(card, images)
            smaller = None if shape == images.shape else shape[1:]
            model, full = net_of(card, row, shape, images.name)
            return Reading(
                name=full,
                label=label,
                wanted=names_of(card).index(label),
                logits=model.log_probs if smaller is None else _resizing(model, shape),
                resized=smaller,
            )
    return None


def names_of(card: Card) -> tuple[str, ...]:
    """Return the names of a classifier's classes, as its card's config has them, or ()."""
    names: tuple[str, ...] = tuple(card.config.get("names", ()))
    return names


def _readers(images: Images) -> Iterator[tuple[Card, Row]]:
    """Yield the published classifiers with named classes that can read such images: those of their shape, and
    those for smaller images of the same proportions, the largest first.
    """
    found = [
        (card, row)
        for card, row in catalogue().values()
        if card.family.is_instrument and row is not None and names_of(card) and _reads(card, images)
    ]
    yield from sorted(found, key=lambda pair: -_shape_of(pair[0], images)[1])  # stable: names stay in order


def _reads(card: Card, images: Images) -> bool:
    """Whether a classifier can read such images, resized if they are larger than its own."""
    (channels, height, width), (wanted, down, across) = images.shape, _shape_of(card, images)
    return channels == wanted and down <= height and down * width == across * height


def _shape_of(card: Card, images: Images) -> Shape:
    channels, height, width = card.config.get("image_shape", images.shape)
    return channels, height, width


def _resizing(model: ClassifyingModel, shape: Shape) -> Callable[[Tensor], Tensor]:
    """Return what `model` says of uint8 images (N, C, H, W), resized to `shape` as a folder is read."""

    def logits(x: Tensor) -> Tensor:
        pictures = x.permute(0, 2, 3, 1).squeeze(-1).numpy()
        small = [fit(Image.fromarray(picture), shape) for picture in pictures]
        return model.log_probs(torch.from_numpy(np.stack(small)))

    return logits
