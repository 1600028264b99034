"""The small picture of a model in the catalogue: its first sample of seed 0, or the mean of p(x|z) that a VAE
shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genzoo.models import GenerativeModel
from genzoo_explorer.facts import has_mean
from genzoo_explorer.pictures import check_images, show
from genzoo_explorer.shelf import Shelf
from genzoo_explorer.worker import Job

if TYPE_CHECKING:
    from torch import Tensor


def thumbnail(shelf: Shelf, key: str, job: Job) -> None:
    """Send one image of a model, without making it one of those that stay in memory; nothing for a model that
    needs a picture or has no samples.

    It is drawn once for all pages.
    """
    if key not in shelf.thumbnails:
        shelf.thumbnails[key] = _drawn(shelf.lent(key), job)
    image = shelf.thumbnails.get(key)
    if image is not None:
        show(job, image)


def _drawn(model: Any, job: Job) -> Tensor | None:
    if not isinstance(model, GenerativeModel):
        return None
    taken: Any = model.condition
    kind = "" if taken is None else taken.kind
    if kind not in ("", "labels", "text"):
        return None
    check_images(model, 1)
    condition = taken.sentences[0] if kind == "text" else 0 if kind == "labels" else None
    if model.in_order:  # seconds; the page may be left meanwhile
        from genzoo.explore.drawing import watched

        return watched(model, lambda place, level, p: job.check(), 0, condition=condition)
    return model.sample(1, 0, condition=condition, mean=has_mean(model))
