"""Results of few labels: accuracies, and the gain of each start over random weights, seed by seed."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from genzoo.evaluation.classifier import Protocol

RANDOM, ENCODER, PROBE = STARTS = ("random", "encoder", "probe")  # what a classifier began with


@dataclass(frozen=True, kw_only=True)
class Score:
    """A number measured once for each seed.

    Attributes:
        model: the name of the model.
        start: what the classifier started from: "random", "encoder" or "probe".
        labels: images with a label.
        values: one for each seed.
    """

    model: str
    start: str
    labels: int
    values: tuple[float, ...]

    @property
    def value(self) -> float:
        """The mean over seeds."""
        return sum(self.values) / len(self.values)

    @property
    def stderr(self) -> float:
        """The standard error of that mean: of the labelled images, their order and the random weights, not of
        the test images.
        """
        squares = sum((value - self.value) ** 2 for value in self.values)
        return math.sqrt(squares / (len(self.values) - 1) / len(self.values))


@dataclass(frozen=True, kw_only=True)
class Accuracy(Score):
    """The share of test images that are classified correctly, 0 to 1.

    Attributes:
        rival: the name under which random weights in the same architecture were measured; models of one
            architecture share it.
    """

    rival: str


@dataclass(frozen=True, kw_only=True)
class Gain(Score):
    """What a start gains over random weights in the same architecture, in points (hundredths of the test
    images).
    """

    @property
    def won(self) -> bool:
        """Whether the gain is larger than two standard errors."""
        return self.value > 2 * self.stderr

    def __str__(self) -> str:
        who = f"a linear probe of {self.model}" if self.start == PROBE else self.model
        verb = "beats random initialisation by" if self.won else "does not beat random initialisation:"
        higher = f"higher with {sum(value > 0 for value in self.values)} of {len(self.values)} seeds"
        return (
            f"with {self.labels:,} labels {who} {verb} {self.value:.1f} ± {self.stderr:.1f} points, {higher}"
        )


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The accuracies of every start with every number of labels, and how they were measured.

    Attributes:
        scores: by model, then start, then number of labels; random weights stand under the first model of
            their architecture.
        n: test images.
        seeds: how many.
        test: the test images' set, split and transform.
        protocol: how classifiers were trained.
    """

    scores: tuple[Accuracy, ...]
    n: int
    seeds: int
    test: tuple[str, str, str]
    protocol: Protocol

    def gains(self, labels: int) -> list[Gain]:
        """Return what each start but the random one gains with `labels` labels."""
        here = {(score.model, score.start): score for score in self.scores if score.labels == labels}
        found = []
        for (model, start), score in here.items():
            if start != RANDOM:
                pairs = zip(score.values, here[score.rival, RANDOM].values, strict=True)
                found.append(
                    Gain(
                        model=model,
                        start=start,
                        labels=labels,
                        values=tuple(100 * (own - base) for own, base in pairs),
                    )
                )
        return found

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return one object for each score, ready for JSON; `gain`, in points over random weights, is None
        for these themselves.
        """
        gains = {
            (g.model, g.start, g.labels): g
            for count in {score.labels for score in self.scores}
            for g in self.gains(count)
        }
        data, split, transform = self.test
        rows = []
        for score in self.scores:
            gain = gains.get((score.model, score.start, score.labels))
            own = {
                "metric": "accuracy",
                "unit": "1",
                "value": score.value,
                "stderr": score.stderr,
                **asdict(score),
            }
            told = gain and {
                "value": gain.value,
                "stderr": gain.stderr,
                "won": gain.won,
                "values": gain.values,
            }
            about = {
                "n": self.n,
                "data": data,
                "split": split,
                "transform": transform,
                "protocol": str(self.protocol),
            }
            rows.append({**own, "gain": told, **about})
        return rows
