"""Agreement of a conditional model: how often a classifier reads each sample as the label that it was drawn
with. Beside it stands its accuracy on held-out images, which a perfect conditional model would reach.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from genzoo.data.collection import Images
from genzoo.data.labels import few, places_of
from genzoo.errors import ArgumentError
from genzoo.evaluation.agreement import agreement
from genzoo.evaluation.sides import HELD_OUT, Sides
from genzoo.evaluation.spaces import Describe
from genzoo.metrics import Metric
from genzoo.record import FLOOR, Record

PROTOCOL = "share read as their own label; real images are the held-out ones"


def why_not(sides: Sides) -> str:
    """Return why agreement cannot be measured on `sides`, or "" if it can."""
    if sides.space.classify is None:
        return f"the features {sides.space.name} are not those of a classifier"
    for subject, (images, _) in sides.sources.items():
        what = "held-out images" if subject == HELD_OUT else "samples"
        if not isinstance(images, Images) or images.labels is None:
            return f"the {what} have no labels"
        names, _ = _labels(sides, subject)
        places = places_of(names, sides.space.classes)
        if unknown := [name for name, place in zip(names, places, strict=True) if place is None]:
            return f"the classifier {sides.space.name} does not know the labels {few(unknown)} of the {what}"
    return ""


def measure_own_labels(metric: Metric, sides: Sides) -> Iterator[Record]:
    """Yield the agreement of the samples, and the classifier's accuracy on the held-out images.

    Raises:
        ArgumentError: features that are no classifier's, images without labels, or labels that the classifier
            does not know.
    """
    classify, why = sides.space.classify, why_not(sides)
    if classify is None or why:
        raise ArgumentError(
            f"{metric.name} needs the label that samples are meant to be read as, but {why}",
            "for example --reads-as bedroom; a conditional model needs --features with a classifier of its "
            "labels",
        )
    for subject in sides.sources:
        yield _judged(metric, sides, subject, classify)


def _judged(metric: Metric, sides: Sides, subject: str, classify: Describe) -> Record:
    real = subject == HELD_OUT
    names, numbers = _labels(sides, subject)
    wanted = torch.tensor(places_of(names, sides.space.classes))[numbers]
    logits = classify(sides.test if real else sides.judged[subject], sides.progress)
    value, stderr = agreement(logits, wanted, sides.blocks[subject])
    about = {"stderr": stderr, "n_reference": None, "features": sides.space.name}
    return sides.record(metric, FLOOR if real else subject, value, PROTOCOL, **about)


def _labels(sides: Sides, subject: str) -> tuple[list[str], Tensor]:
    """Return the names of the labels that the images of `subject` have, and the place of each image's label
    among them, (n,) int64.
    """
    images, rows = sides.sources[subject]
    known, labels = (images.class_names, images.labels) if isinstance(images, Images) else ((), None)
    if labels is None:
        raise ArgumentError(f"{subject or 'the held-out images'} must have labels")
    numbers, places = np.unique(labels[rows.numpy()], return_inverse=True)
    names = [known[number] if 0 <= number < len(known) else str(number) for number in numbers.tolist()]
    return names, torch.from_numpy(places.reshape(-1))
