"""Few labels: how much an encoder trained without labels helps a classifier that has few (the lecture's use
of autoencoders).

For each number of labels and each seed, the same labelled images train a classifier that starts from random
weights, one that starts from the encoder, and a linear probe of the unchanged encoder. Differences are taken
seed by seed, so that luck with the choice of images cancels. Nothing is chosen on test images: no protocol,
no stopping step, no penalty.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from genzoo.data import Images, order
from genzoo.errors import ArgumentError, DataError
from genzoo.evaluation.classifier import Protocol, fine_tuned, fresh, predictions
from genzoo.evaluation.gains import ENCODER, PROBE, RANDOM, STARTS, Accuracy, Comparison
from genzoo.evaluation.inputs import Progress, subset
from genzoo.evaluation.probe import fit_probe
from genzoo.explore.features import features
from genzoo.models import EncodingModel, Model
from genzoo.models.model import check_count
from genzoo.plots import Curve
from genzoo.process import undisturbed
from genzoo.rng import mix

Array: TypeAlias = "np.ndarray[Any, Any]"

COUNTS = (10, 30, 100, 300, 1000)
SEEDS, FEWEST_SEEDS = 5, 2  # a standard error needs two
TEST = 2000  # images


class Candidate(NamedTuple):
    """A model and the data in its shape; all entries have the same data."""

    name: str
    model: EncodingModel
    train: Images
    test: Images


@undisturbed()
def few_labels(
    entries: Sequence[Candidate],
    counts: Sequence[int] = COUNTS,
    seeds: int = SEEDS,
    n: int = TEST,
    protocol: Protocol | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Return the accuracy of classifiers that start from each model's encoder and from random weights, and of
    a probe of the encoder.

    Args:
        entries: at least one model with an encoder; models of the same architecture share the classifier with
            random weights.
        counts: numbers of labelled images. Classes have equal shares, and each choice contains the smaller
            ones.
        seeds: number of repetitions, each with other labelled images, another order and other random weights.
        n: number of test images, a fixed choice, or all if there are fewer.
        protocol: how classifiers are trained; by default `Protocol()`.
        progress: called with ("few labels", steps done, total).

    Raises:
        ArgumentError: a model without an encoder, or one that takes labels; wrong numbers, fewer labels than
            classes, or more than the data have.
        DataError: images have no labels, or only one class.
    """
    how, wanted, repeats = protocol or Protocol(), check_counts(counts), check_seeds(seeds)
    for entry in entries:
        check_encoder(entry.name, entry.model)
        check_labels(entry.train, wanted)
        check_labels(entry.test)
    rivals, found = rivals_of(entries), defaultdict[tuple[str, str, int], list[float]](list)
    tell = _teller(progress, (len(entries) + len(set(rivals.values()))) * len(wanted) * repeats * how.steps)
    for entry in entries:
        setting = _Setting(entry, check_count(n), how, tell)
        for seed in range(repeats):
            for start, count, value in setting.measure(wanted, seed, rivals[entry.name] == entry.name):
                found[entry.name, start, count].append(value)
    scores = tuple(
        Accuracy(
            model=entry.name,
            start=start,
            labels=count,
            values=tuple(found[entry.name, start, count]),
            rival=rivals[entry.name],
        )
        for entry in entries
        for start in STARTS
        for count in wanted
        if (entry.name, start, count) in found
    )
    return Comparison(
        scores=scores,
        n=min(n, len(entries[0].test)),
        seeds=repeats,
        test=_about(entries[0].test),
        protocol=how,
    )


class _Setting:
    """One model with its test images, for all seeds."""

    def __init__(self, entry: Candidate, n: int, protocol: Protocol, tell: Callable[[], None]) -> None:
        self.entry, self.protocol, self.tell = entry, protocol, tell
        self.classes = np.unique(np.asarray(entry.train.labels))
        self.rows = subset(len(entry.test), min(n, len(entry.test)), 0, "few labels")
        self.truth = self._targets(entry.test, self.rows.numpy())
        self.codes = features(entry.model, entry.test.subset(self.rows))

    def measure(
        self, counts: Sequence[int], seed: int, with_random: bool
    ) -> Iterator[tuple[str, int, float]]:
        """Yield (start, labels, accuracy) of every start with the labelled images of `seed`."""
        model, train = self.entry.model, self.entry.train
        rows = labelled(np.asarray(train.labels), max(counts), seed)
        images, codes = train.float(rows).to(model.device), features(model, train.subset(rows))
        targets = self._targets(train, rows)
        for count in counts:
            probe = fit_probe(codes[:count], targets[:count])
            yield PROBE, count, float((probe.predict(self.codes) == self.truth).double().mean())
            for start in (ENCODER, RANDOM) if with_random else (ENCODER,):
                begun = model if start == ENCODER else fresh(model, seed)
                known = targets[:count].to(model.device)
                how = (len(self.classes), seed, self.protocol)
                net = fine_tuned(begun, images[:count], known, *how, tell=self.tell)
                right = predictions(net, self.entry.test, self.rows) == self.truth
                yield start, count, float(right.double().mean())

    def _targets(self, images: Images, rows: Array) -> Tensor:
        """Return the index (n,) of each label among the classes; -1, which no classifier predicts, for a
        class without training images.
        """
        labels = np.asarray(images.labels)[rows]
        places = np.searchsorted(self.classes, labels).clip(max=len(self.classes) - 1)
        return torch.from_numpy(np.where(self.classes[places] == labels, places, -1).astype(np.int64))


def labelled(labels: Array, count: int, seed: int) -> Array:
    """Return the indices (count,) of the labelled images: the first k, for any k, hold equally many of each
    class, give or take one.
    """
    classes = np.unique(labels)
    turn = order(mix(seed, "few labels", "classes"), 0, len(classes))
    ranks = []
    for place, number in enumerate(turn):
        rows = np.flatnonzero(labels == classes[number])
        shuffled = rows[order(mix(seed, "few labels", int(number)), 0, len(rows))]
        ranks += [(rank, place, row) for rank, row in enumerate(shuffled[: -(-count // len(classes))])]
    return np.array([row for _, _, row in sorted(ranks)[:count]], dtype=np.int64)


def rivals_of(entries: Sequence[Candidate]) -> Mapping[str, str]:
    """Return for each name the first name of a model with the same architecture."""
    if not entries or len({entry.name for entry in entries}) < len(entries):
        raise ArgumentError("the few-labels comparison needs at least one model, each named once")
    kinds = {entry.name: (type(entry.model), repr(entry.model.config)) for entry in entries}
    return {
        name: next(other for other, same in kinds.items() if same == kind) for name, kind in kinds.items()
    }


def check_encoder(name: str, model: Model) -> None:
    """Raise ArgumentError if `model` has no encoder, or one that is given the label to be found."""
    if not isinstance(model, EncodingModel):
        raise ArgumentError(
            f"{name} has no encoder to start a classifier from",
            "an autoencoder or a VAE has one: genzoo list --tree",
        )
    if model.condition is not None:
        raise ArgumentError(
            f"{name} takes a condition: its encoder would be given the label that a classifier must find",
            "choose a model without a condition: genzoo list --family autoencoder",
        )


def check_counts(counts: Sequence[int]) -> tuple[int, ...]:
    """Return the numbers of labels in ascending order, each once, or raise ArgumentError."""
    if not counts:
        raise ArgumentError("labels must be at least one number", f"for example {COUNTS}")
    return tuple(sorted({check_count(count, "labels") for count in counts}))


def check_seeds(seeds: int) -> int:
    """Return the number of seeds, at least two, or raise ArgumentError."""
    if check_count(seeds, "seeds") < FEWEST_SEEDS:
        raise ArgumentError(
            f"seeds must be at least {FEWEST_SEEDS}, as one seed gives no standard error",
            f"for example seeds={SEEDS}",
        )
    return seeds


def check_labels(images: Images, counts: Sequence[int] = ()) -> None:
    """Raise if `images` have no labels, only one class, or too few of a class for some of `counts`."""
    if images.labels is None:
        why = images.facts.get("labels") or "digits, mnist, fashion-mnist, binarized-mnist and cifar10 have"
        raise DataError(f"{images.name} has no labels", why)
    classes, sizes = np.unique(np.asarray(images.labels), return_counts=True)
    if not counts:
        return
    if len(classes) < 2:
        raise DataError(
            f"all images of {images.name} have the same label", "a classifier needs at least two classes"
        )
    if min(counts) < len(classes):
        words = (
            f"{min(counts)} label{'s are' if min(counts) > 1 else ' is'} fewer than the "
            f"{len(classes)} classes of {images.name}"
        )
        raise ArgumentError(words, f"give at least {len(classes)}, one per class")
    share, least = -(-max(counts) // len(classes)), int(sizes.min())
    if share > least:
        rarest = classes[sizes.argmin()]
        words = (
            f"{max(counts):,} labels are {share:,} of each class, but {images.name} has {least:,} "
            f"images of class {rarest}"
        )
        raise ArgumentError(words, f"give at most {least * len(classes):,}")


def curves(comparison: Comparison) -> list[Curve]:
    """Return a curve for each start, in percent; a probe is dashed in the colour of its model."""
    models = list(dict.fromkeys(score.model for score in comparison.scores))
    rivals = list(dict.fromkeys(score.rival for score in comparison.scores))
    found = []
    for model, start in dict.fromkeys((score.model, score.start) for score in comparison.scores):
        rows = [score for score in comparison.scores if (score.model, score.start) == (model, start)]
        found.append(
            Curve(
                label={
                    PROBE: f"{model}, linear probe",
                    RANDOM: "random" if len(rivals) == 1 else f"random ({model})",
                }.get(start, model),
                x=[score.labels for score in rows],
                y=[100 * score.value for score in rows],
                error=[100 * score.stderr for score in rows],
                dashed=start == PROBE,
                colour=-1 - rivals.index(model) if start == RANDOM else models.index(model),
            )
        )
    return found


def _about(test: Images) -> tuple[str, str, str]:
    return test.name, test.split, test.transform


def _teller(progress: Progress | None, total: int) -> Callable[[], None]:
    done = 0

    def tell() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress("few labels", done, total)

    return tell
