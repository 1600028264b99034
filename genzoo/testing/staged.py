"""Laws of every model that makes an image in stages."""

from __future__ import annotations

from itertools import pairwise

import torch

from genzoo.models import StagedModel
from genzoo.models.staged import enlarged
from genzoo.testing.generative import check_pixels, fresh_noise, near, untouched
from genzoo.testing.given import first_given
from genzoo.testing.law import hold
from genzoo.testing.present import check_present


@first_given
def check_staged(model: StagedModel) -> None:
    """Check a model with stages: images in [0, 1] that never get smaller, the last of which is `decode(z)`,
    each from its own z alone and from the present weights.

    Raises:
        LawError: the first law that is broken.
    """
    name = type(model).__name__
    hold(isinstance(model, StagedModel), "check_staged is for a StagedModel", name, "its base classes")
    where = f"{name}._stages"
    with untouched(model, where):
        _check_sizes(model, where)
        _check_last(model, where)
        _check_rows(model, where)
        z = model.sample_latents(3, seed=0)
        check_present(model, lambda changed: changed.stages(z)[-1], where)


def _check_sizes(model: StagedModel, where: str) -> None:
    z = model.sample_latents(3, seed=0)
    with torch.no_grad(), model.evaluating():
        # what `stages` clamps, which would hide a range of [-1, 1]
        raw = list(model._stages(z, *model.check_condition(None, 3)))
    hold(raw, "a model with stages has at least one", "none", where)
    channels, law = model.image_shape[0], f"{where} returns images in [0, 1]"
    for stage in raw:
        check_pixels(stage, (3, channels, *stage.shape[2:]), law, where)
    sizes = [tuple(stage.shape[2:]) for stage in raw]
    rising = all(a[0] <= b[0] and a[1] <= b[1] for a, b in pairwise(sizes))
    hold(rising, "stages go from coarse to fine", f"the sizes {sizes}", f"the order of {where}")


def _check_last(model: StagedModel, where: str) -> None:
    z = model.sample_latents(3, seed=0)
    _, height, width = model.image_shape
    last, image = enlarged(model.stages(z)[-1], (height, width)), model.decode(z)
    near(last, image, image, "the last stage, enlarged, is decode(z)", f"{where} and _decode")


def _check_rows(model: StagedModel, where: str) -> None:
    z = model.sample_latents(5, seed=0)
    with fresh_noise(1):
        many = model.stages(z)
    with fresh_noise(2):
        few = model.stages(z[2:3])
    same = len(few) == len(many) and all(torch.equal(f, m[2:3]) for f, m in zip(few, many, strict=True))
    law = "the same z gives the same stages, alone or in a batch"
    hold(same, law, "other images", f"{where}: noise or batch statistics in it")
