"""Is z heeded? How far two samples of one text are apart, next to two photographs of one text.

A game of texts can be won for long by images that differ by their texts alone. Sets of samples for many texts
then look varied, and no distance between sets shows that all samples of one text are alike.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from genzoo.data import Images
from genzoo.evaluation import FLOOR, Progress, Record, Request, mean_error, subset
from genzoo.images import to_float
from genzoo.models import GenerativeModel

METRIC = "variety"
MOST = 500  # pairs
PROTOCOL = "mean absolute difference of two images of one text"


def measure_variety(
    model: GenerativeModel,
    train: Images,
    test: Images,
    request: Request,
    *,
    subject: str,
    progress: Progress | None = None,
) -> Iterator[Record]:
    """Yield the mean absolute difference of two samples of one text, and of two training photographs of one
    text, of the same texts. A model without a condition, and texts that no two images have, give no record.
    """
    images = _images_of_texts(train)
    if model.condition is None or not images:
        return
    chosen = subset(len(images), min(MOST, request.n or MOST), request.seed, "variety").tolist()
    every = list(images)
    texts = [every[place] for place in chosen]
    made = _drawn(model, texts, request, progress)
    rows = np.array([_two(images[text], request.seed) for text in texts])  # (n, 2)
    real = to_float(train[rows.reshape(-1)])
    # "a red rose" and "a photograph of a red rose" have the same two photographs
    pairs = torch.from_numpy(np.unique(np.sort(rows), axis=0, return_inverse=True)[1].reshape(-1))  # (n,)
    for who, found, blocks in ((subject, made, None), (FLOOR, real, pairs)):
        apart = (found[::2] - found[1::2]).abs().double().mean((1, 2, 3))  # (n,)
        yield Record(
            metric=METRIC,
            value=float(apart.mean()),
            stderr=mean_error(apart, blocks),
            better="neither",
            subject=who,
            n=len(apart),
            blocks=None if blocks is None else len(blocks.unique()),
            data=train.name,
            split=train.split,
            transform=train.transform,
            image_shape="x".join(map(str, train.shape)),
            condition="train captions",
            protocol=PROTOCOL,
        )


def _images_of_texts(images: Images) -> dict[str, list[int]]:
    """Return each text that several images have, with the places of these."""
    found: dict[str, list[int]] = {}
    for row, texts in enumerate(images.captions or ()):
        for text in dict.fromkeys(texts):
            found.setdefault(text, []).append(row)
    return {text: rows for text, rows in found.items() if len(rows) > 1}


def _two(rows: list[int], seed: int) -> list[int]:
    return [rows[place] for place in subset(len(rows), 2, seed, "two").tolist()]


def _drawn(model: GenerativeModel, texts: list[str], request: Request, progress: Progress | None) -> Tensor:
    """Return two samples for each text, one after the other, as 8-bit images in [0, 1]."""
    twice = [text for text in texts for _ in range(2)]
    found: list[Tensor] = []
    for batch in model.sample_batches(len(twice), request.seed, condition=twice, dtype=torch.uint8):
        found.append(to_float(batch.cpu()))
        if progress is not None:
            progress("variety", sum(map(len, found)), len(twice))
    return torch.cat(found)
