"""Are colour words heeded? The colour of samples, measured as `genzoo.data.flowers` measures that of
photographs, is compared with the word in the text that they were drawn from.

It is asked for texts of training images, and for those of held-out images that no training image has:
combinations that the model has never seen. Next to each value are two of photographs: how many agree with
their own text, which is 1 where the texts were made from the same measurement, and how many agree with the
text of another image, which a model reaches that ignores colours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genzoo.condition import Text, split
from genzoo.data import Images
from genzoo.data.flowers import COLOURS as CODES
from genzoo.data.flowers import colours_of
from genzoo.evaluation import FLOOR, Progress, Record, Request, mean_error, measure_samples, subset
from genzoo.models import GenerativeModel
from genzoo_text.variety import measure_variety
from genzoo_text.words import COLOURS

METRIC, CHANCE = "colour", "colour-by-chance"
MOST = 1_000  # samples for each kind of text
PROTOCOL = "share whose measured colour is the word; unclear colours count as wrong"


@dataclass(frozen=True)
class Questions:
    """Images with one text each that has one colour word.

    Attributes:
        words: what they are, for a record: "train captions".
        images: the set that the images are from.
        rows: (n,) int64, their places in it.
        texts: n texts.
        wanted: (n,) uint8, the colours of the words, as `colours_of` has them.
    """

    words: str
    images: Images
    rows: Tensor
    texts: Sequence[str]
    wanted: Any


def measure_text(
    model: GenerativeModel,
    train: Images,
    test: Images,
    request: Request,
    *,
    subject: str,
    progress: Progress | None = None,
) -> Iterator[Record]:
    """Yield the quality of samples as for any implicit model, then those of `measure_colours` and
    `measure_variety`.
    """
    yield from measure_samples(model, train, test, request, subject=subject, progress=progress)
    yield from measure_colours(model, train, test, request, subject=subject, progress=progress)
    yield from measure_variety(model, train, test, request, subject=subject, progress=progress)


def measure_colours(
    model: GenerativeModel,
    train: Images,
    test: Images,
    request: Request,
    *,
    subject: str,
    progress: Progress | None = None,
) -> Iterator[Record]:
    """Yield how many samples agree with the colour word of their text, for texts of training images and for
    texts of `test` that no training image has, each next to photographs. Grey images, and captions without
    colour words, have no such records.
    """
    if model.image_shape[0] != 3:
        return
    for asked in _asked(model, train, test, request):
        yield from _agreements(model, asked, request, subject, progress)


def colour_word(text: str, names: Iterable[str] = ()) -> str:
    """Return the colour that `text` says, or "" if it has no colour word, or several.

    A word in the name of a class is no colour word: "a pink primrose" may be yellow. `names` are those of the
    classes.
    """
    words = split(text)
    found = set(words).intersection(COLOURS)
    joined = f" {' '.join(words)} "
    named = (split(name) for name in names)
    own = {word for name in named if f" {' '.join(name)} " in joined for word in name}
    return min(found) if len(found) == 1 and not found & own else ""


def _asked(model: GenerativeModel, train: Images, test: Images, request: Request) -> Iterator[Questions]:
    """Yield what is asked: texts that training images have, and texts of test images that they lack; of a
    model whose text is fixed, that one.
    """
    most = min(MOST, request.n or MOST)
    if model.condition is None:
        told = Text.of(model.config)
        text = told.decode(model._fixed[0].tolist()) if model._fixed is not None else ""
        every = [(row, text) for row in range(len(test))]
        kinds = [(told.describe(text), test, every)]
    else:
        learned = {text for texts in train.captions or () for text in texts}
        kinds = [
            ("train captions", train, _said(train)),
            ("unseen captions", test, [pair for pair in _said(test) if pair[1] not in learned]),
        ]
    for words, images, pairs in kinds:
        coloured = {text: colour_word(text, images.class_names) for _, text in pairs}
        pairs = [pair for pair in pairs if coloured[pair[1]]]
        if pairs:
            chosen = [pairs[place] for place in subset(len(pairs), most, request.seed, words).tolist()]
            texts = [text for _, text in chosen]
            wanted = np.array([CODES.index(coloured[text]) for text in texts], np.uint8)
            yield Questions(words, images, torch.tensor([row for row, _ in chosen]), texts, wanted)


def _said(images: Images) -> list[tuple[int, str]]:
    """Return each caption with the place of its image."""
    captions = images.captions or ()
    return [(row, text) for row, texts in enumerate(captions) for text in texts]


def _agreements(
    model: GenerativeModel, asked: Questions, request: Request, subject: str, progress: Progress | None
) -> Iterator[Record]:
    """Yield the share of samples, of photographs, and of photographs with the text of another."""
    real = torch.from_numpy(colours_of(asked.images[asked.rows.numpy()]))
    wanted = torch.from_numpy(asked.wanted)
    made = torch.from_numpy(colours_of(_drawn(model, asked, request, progress).numpy()))
    yield _record(METRIC, subject, asked, made == wanted)
    yield _record(METRIC, FLOOR, asked, real == wanted, asked.rows)
    if model.condition is not None and len(wanted) > 1:
        yield _record(CHANCE, FLOOR, asked, real == wanted.roll(len(wanted) // 2), asked.rows)


def _record(
    metric: str, subject: str, asked: Questions, right: Tensor, photographs: Tensor | None = None
) -> Record:
    """Return the share of `right`, (n,) bool; a photograph that was asked twice tells one thing."""
    values = right.double()
    return Record(
        metric=metric,
        value=float(values.mean()),
        stderr=mean_error(values, photographs),
        better="neither" if metric == CHANCE else "higher",
        subject=subject,
        n=len(values),
        blocks=None if photographs is None else len(photographs.unique()),
        data=asked.images.name,
        split=asked.images.split,
        transform=asked.images.transform,
        image_shape="x".join(map(str, asked.images.shape)),
        condition=asked.words,
        protocol=PROTOCOL,
    )


def _drawn(model: GenerativeModel, asked: Questions, request: Request, progress: Progress | None) -> Tensor:
    """Return a sample for each text, (n, 3, H, W) uint8."""
    texts = None if model.condition is None else list(asked.texts)
    found: list[Tensor] = []
    for batch in model.sample_batches(len(asked.texts), request.seed, condition=texts, dtype=torch.uint8):
        found.append(batch.cpu())
        if progress is not None:
            progress("colours", sum(map(len, found)), len(asked.texts))
    return torch.cat(found)
