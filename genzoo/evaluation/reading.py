"""Concepts of a GAN: its own discriminator's features decide which samples show, for example,
"Smiling,not-Male".

A GAN gives no image a code, so its concepts are made of samples. Radford et al. 2016 (section 6.3.2)
hand-picked them; here a linear classifier chooses. For each word it is fitted to the hidden layers of D (see
`features`), of training images that clearly show the word and of as many that clearly do not; the confidence
that a sample shows a concept is that of its least certain word, and the most confident samples are chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genzoo.data import Images
from genzoo.evaluation.inputs import Progress
from genzoo.evaluation.probe import Probe, fit_probe
from genzoo.explore.concepts import FEWEST, NOT, check_size, members
from genzoo.explore.features import features
from genzoo.models.adversarial import AdversarialModel
from genzoo.models.model import check_count
from genzoo.process import undisturbed
from genzoo.rng import Rng, mix

AMONG = 8000  # samples that are looked through
EACH = 2500  # images of either kind that a word is learned from, at most
AXES = 256  # principal axes of the hidden layers that are read: what ten thousand images can teach


@undisturbed()
def samples_showing(
    model: AdversarialModel,
    images: Images,
    concepts: Sequence[str],
    n: int = FEWEST,
    seed: int = 0,
    *,
    among: int = AMONG,
    progress: Progress | None = None,
) -> list[list[int]]:
    """Return for each of `concepts` the numbers of the `n` samples of `seed`, counted from 0, that show it
    most surely, surest first.

    Args:
        model: a GAN.
        images: training images with labels or attributes.
        concepts: as `members` reads them: "7", "Smiling", "not-Male", or several words with commas between.
        n: samples of each concept, 3 or more.
        seed: whose samples are looked through.
        among: how many of them.
        progress: called with ("features", done, total) for images that D has seen, then ("learning", done,
            total) for words.

    Raises:
        ArgumentError: `images` do not have a word, or too few of them show or lack it; a model without hidden
            layers.
    """
    check_size(check_count(n), "n")
    split = [[word.strip() for word in concept.split(",")] for concept in concepts]
    names = dict.fromkeys(word.removeprefix(NOT) for words in split for word in words)
    # a wrong request is reported before any image is read
    kinds = {name: _kinds(images, name) for name in names}
    drawn = model.sample(among, seed=seed, dtype=torch.uint8)
    total = len(images) + len(drawn)
    tell = progress or (lambda what, done, total: None)
    seen = features(model, images, lambda done, _: tell("features", done, total))  # (N, F)
    shown = features(model, drawn, lambda done, _: tell("features", len(images) + done, total))  # (among, F)
    tell("learning", 0, len(kinds))
    seen, shown = _reduced(seen, shown)
    sure = {}
    for name, (showing, lacking) in kinds.items():
        sure[name] = _surely(_fitted(seen, showing, lacking), shown)
        tell("learning", len(sure), len(kinds))
    signed = [
        [-sure[word.removeprefix(NOT)] if word.startswith(NOT) else sure[word] for word in words]
        for words in split
    ]
    return [torch.stack(words).amin(0).topk(min(n, among)).indices.tolist() for words in signed]


def _kinds(images: Images, name: str) -> tuple[Any, Any]:
    """Return which images clearly show `name`, and as many that clearly do not, as indices."""
    found = [members(images, word) for word in (name, NOT + name)]
    for kind, word in zip(found, (name, NOT + name), strict=True):
        check_size(len(kind), f"the concept {word!r} in {images.name}")
    size = min(EACH, *map(len, found))
    showing, lacking = (kind[_shuffle(len(kind), name)[:size]] for kind in found)
    return showing, lacking


def _shuffle(count: int, name: str) -> Any:
    return Rng(mix("reading", name), 0, 1).uniform(count)[0].argsort(stable=True).numpy()


def _reduced(seen: Tensor, shown: Tensor) -> tuple[Tensor, Tensor]:
    """Return both as coordinates on the principal axes of `seen`, whose features have the same weight
    each.
    """
    mean, deviation = seen.mean(0), seen.std(0).clamp_min(1e-6)
    rows = (seen - mean).div_(deviation)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(mix("axes"))
        axes = torch.pca_lowrank(rows, q=min(AXES, *rows.shape), center=False)[2]  # (F, AXES)
    return rows @ axes, (shown - mean).div_(deviation) @ axes


def _fitted(seen: Tensor, showing: Any, lacking: Any) -> Probe:
    labels = np.repeat([1, 0], [len(showing), len(lacking)])
    return fit_probe(seen[np.concatenate([showing, lacking])], labels)


def _surely(probe: Probe, shown: Tensor) -> Tensor:
    """Return log p(shows the word) - log p(lacks it) of each row, (N,)."""
    logits = probe.logits(shown)  # (N, 2), classes 0 and 1
    return logits[:, 1] - logits[:, 0]
