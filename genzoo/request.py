"""Request: the options of a measurement, in one form with one set of defaults for `zoo.evaluate`, `genzoo
eval`, experiments and the scores of a training run. This module does not import torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from genzoo.errors import ArgumentError, safe_repr
from genzoo.manner import Manner
from genzoo.whole import check_count, check_draws, check_seed, whole

Progress: TypeAlias = Callable[[str, int, int], None]  # (what is being done, done, total)

SPLITS = ("test", "valid", "train")  # that `genzoo eval --split` takes
FIT = "fit"  # the training images less the validation images
WAYS = ("threshold", "draw")  # to make grey images black and white
INCEPTION = "inception"  # the features of a file of the user's own
TRAIN = "train"  # the reference that the training images are
ALL = "all"  # the condition that asks for each label by itself as well
DRAWS = (1, 50, 500, 5000)  # K of the importance-weighted bounds that papers report


@dataclass(frozen=True, kw_only=True)
class Request:
    """Options of a measurement. Lists are stored as tuples.

    Attributes:
        data: the images to measure on, see `genzoo.data.open_data`; None: those of the model's recipe.
        split: the split to measure: "test"; "valid", to choose settings; "train", to see how much a
            likelihood overfits.
        n: number of images; None: all, and for samples at most 10,000.
        seed: seed of the samples and of every random choice.
        draws: the K of importance-weighted bounds, () for none; None: `DRAWS` if the model has such a bound.
        metrics: metrics of samples, from `genzoo.metrics.METRICS` or from plugins; None: all that the images
            allow.
        features: features to compare samples in: "gist", a published feature net, or "inception"; None: the
            data set's own.
        weights: the user's own Inception file, for the features "inception", see
            `genzoo.evaluation.usual`.
        reference: what samples are compared with instead of held-out images: "train", the training images,
            or an .npz file of statistics or features, see `genzoo.evaluation.against`.
        reads_as: the class that samples are meant to show, such as "bedroom": a published classifier says how
            many do.
        binarise: "threshold" or "draw" makes greyscale images black and white, and samples of a model in
            greys; the records state it as their transform, and as the way in which samples were drawn.
        condition: of a conditional model, the one label, by name or number, whose images are measured, given
            that label; "all": every label by itself, after all images together. None: all images, each given
            its own label.
        mean, temperature, truncation: how the samples are drawn, if not from p(x), see
            `genzoo.manner.Manner`; the records state it.

    Raises:
        ArgumentError: a value is invalid for every measurement; what a model lacks is reported when it is
            measured.
    """

    data: Any = None
    split: str = "test"
    n: int | None = None
    seed: int = 0
    draws: tuple[int, ...] | None = None
    metrics: tuple[str, ...] | None = None
    features: str | None = None
    weights: str | os.PathLike[str] | None = None
    reference: str | os.PathLike[str] | None = None
    reads_as: str | None = None
    binarise: str | None = None
    condition: Any = None
    mean: bool = False
    temperature: float | None = None
    truncation: float | None = None

    def __post_init__(self) -> None:
        for name in ("draws", "metrics"):
            given = getattr(self, name)
            if isinstance(given, Iterable) and not isinstance(given, str):
                object.__setattr__(self, name, tuple(given))
        if self.n is not None:
            check_count(self.n)
        check_seed(self.seed)
        if self.draws is not None and self.draws != ():
            check_draws(self.draws)
        known = ("train", "valid", "test", FIT)
        if self.split not in known:
            raise ArgumentError(
                f"split must be one of train, valid, test, not {self.split!r}",
                f"there are {', '.join(known)}",
            )
        if self.binarise is not None and self.binarise not in WAYS:
            raise ArgumentError(
                f"binarise must be one of {', '.join(WAYS)}, not {safe_repr(self.binarise)}",
                "for example binarise='threshold'",
            )
        self._check_weights()
        self._check_reference()
        object.__setattr__(self, "condition", _one(self.condition))
        self.manner  # noqa: B018 - checked now

    def _check_reference(self) -> None:
        if self.reference is not None and self.reads_as is not None:
            raise ArgumentError("reads_as is measured beside held-out images", "leave reference out")
        if self.reference is not None and not isinstance(self.reference, (str, os.PathLike)):
            raise ArgumentError(
                f"reference must be {TRAIN!r} or an .npz file, not {safe_repr(self.reference)}",
                "leave it out to compare with held-out images",
            )

    def _check_weights(self) -> None:
        if self.features == INCEPTION and self.weights is None:
            raise ArgumentError(
                "the features inception need the weights of an Inception net, a file of your own",
                "--features inception --weights pt_inception-2015-12-05-6726825d.pth",
            )
        if self.weights is None:
            return
        if self.features != INCEPTION or not isinstance(self.weights, (str, os.PathLike)):
            raise ArgumentError(
                f"weights must be the file of the features inception, not {safe_repr(self.weights)} of "
                f"{safe_repr(self.features)}",
                "--features inception --weights FILE",
            )

    @property
    def manner(self) -> Manner:
        """How the samples are drawn."""
        return Manner(mean=self.mean, temperature=self.temperature, truncation=self.truncation)

    @property
    def of_samples(self) -> bool:
        """Whether to measure samples, even if the model has a likelihood."""
        asked = (self.metrics, self.features, self.reads_as, self.reference)
        named = any(one is not None for one in asked)
        return named or bool(self.manner.asked)


def _one(condition: object) -> str | int | None:
    """Return the condition as a text or an int; whether a model has it is asked of the model."""
    if condition is None or isinstance(condition, str):
        return condition
    number = whole(condition)
    if number is None:
        raise ArgumentError(
            f"condition must be one label, by name or number, not {safe_repr(condition)}",
            f"condition={ALL!r} measures each label by itself",
        )
    return number
