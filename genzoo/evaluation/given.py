"""What a conditional model is given for the images that it is measured on: their own labels, or the one that
`model.given` fixed.
"""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor

from genzoo.condition import Condition, Labels
from genzoo.data.collection import Images
from genzoo.data.conditions import conditions_of
from genzoo.evaluation.inputs import ImageSet
from genzoo.models import Model

Given: TypeAlias = tuple[Tensor, ...]  # nothing, or one tensor with a row for each image


def given_to(model: Model, images: Images, rows: Tensor | None = None) -> Given:
    """Return the conditions of the images (at `rows`): nothing for a model without a condition, else one
    tensor with a row for each.

    Raises:
        DataError: images without labels, or with some that the model does not know.
    """
    if model.condition is None:
        return ()
    found = torch.from_numpy(conditions_of(model.condition, images))
    return (found if rows is None else found[rows],)


def given_words(model: Model, images: Images) -> str:
    """Return what `model` is given for `images`, for a record: "test labels" if each has its own, "label
    kitchen" if `model.given` fixed it, "" for a model without a condition.
    """
    condition = _condition_of(model)
    if condition is None:
        return ""
    if model._fixed is None:
        return f"{images.split} {condition.each}"
    return condition.describe(model._fixed[0])


def with_labels(model: Model, samples: Tensor, given: Given) -> ImageSet:
    """Return `samples` (n, C, H, W) uint8 with the labels that they were drawn with, where there are any:
    `given`, or the one that `model.given` fixed.
    """
    condition = _condition_of(model)
    if not isinstance(condition, Labels):
        return samples
    (labels,) = given or model.check_condition(None, len(samples))
    return Images(pixels=samples.numpy(), labels=labels.cpu().numpy(), class_names=condition.names)


def _condition_of(model: Model) -> Condition | None:
    """Return the condition of the model's class, also where `model.given` fixed it."""
    kind = type(model).condition_type
    return None if kind is None else kind.of(model.config)
