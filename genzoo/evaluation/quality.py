"""Sample quality: every measure of samples next to the floor (the score of real images).

See `genzoo.evaluation.sides` for what is compared and why n is the same on both sides. For the two-sample
test and for copying the ideal is 0.5 on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from genzoo.data.collection import Images
from genzoo.errors import ArgumentError
from genzoo.evaluation.agreement import Reading, reading_of
from genzoo.evaluation.drawing import drawn
from genzoo.evaluation.given import given_to, given_words, with_labels
from genzoo.evaluation.inputs import ImageSet, subset
from genzoo.evaluation.measures import measures
from genzoo.evaluation.metrics import measured
from genzoo.evaluation.own_labels import why_not
from genzoo.evaluation.plugged import every_metric
from genzoo.evaluation.sides import Sides, sides_of
from genzoo.evaluation.spaces import GIST, FeatureSpace, feature_space
from genzoo.evaluation.usual import SPLITS, inception_space
from genzoo.metrics import AGREEMENT, METRICS, Metric, chosen
from genzoo.models.implicit import ImplicitModel
from genzoo.models.model import GenerativeModel, Model
from genzoo.process import undisturbed
from genzoo.record import FLOOR, Record
from genzoo.request import Progress, Request

SAMPLES = 10_000  # drawn at most; never more than there are held-out images


@undisturbed()
def sample_quality(
    samples: ImageSet,
    train: ImageSet,
    test: ImageSet,
    *,
    data: str = "",
    split: str = "",
    transform: str = "",
    condition: str = "",
    drawn: str = "",
    subject: str = "samples",
    metrics: Sequence[str] | None = None,
    space: FeatureSpace = GIST,
    reading: Reading | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Record]:
    """Return the records of `samples` and of the floor (subject "train"), metric by metric, each pair side by
    side.

    Args:
        samples: the model's images (N, C, H, W), uint8 or float in [0, 1]; an `Images` with the labels that
            they were drawn with, for "agreement".
        train: the training images of the model; they set the floor and the scale of the features.
        test: held-out images that the model has never seen.
        data: the name of the data set; by default that of `test`, if it is an `Images`. `split` and
            `transform` likewise.
        split: the split of the data set that `test` is.
        transform: "8-bit" or a binarisation.
        condition: what the model was given, see `Record`.
        drawn: how the samples were drawn, see `Record`.
        subject: the model's name, for the records.
        metrics: some of `genzoo.metrics.METRICS` or of plugins'; by default all of ours that the images
            allow, "parzen-2014" on MNIST alone, "agreement" where samples and `test` have labels that the
            classifier of `space` knows.
        space: the features in which sets of images are compared; see `genzoo.evaluation.spaces`.
        reading: what samples are meant to be read as; then "agreement" is among the metrics.
        seed: chooses the images of a side with more than n, and patches, directions and pairs.
        progress: called with (what, done, total).

    Raises:
        ArgumentError: images refused by `as_pixels`, of different shapes, or fewer than 6 on a side;
            "parzen-2014" on fewer images than its protocol takes; "agreement" without labels or classifier.
        UnknownNameError: there is no such metric.
    """
    if subject == FLOOR:
        raise ArgumentError(f"subject {FLOOR!r} is the name of the floor", "name the model")
    about = {**_about(test, data, split, transform), "condition": condition, "drawn": drawn}
    sides = sides_of(
        samples,
        train,
        test,
        subject=subject,
        seed=seed,
        about=about,
        space=space,
        progress=progress,
        reading=reading,
    )
    wanted = _usual(sides) if metrics is None else chosen(metrics, every_metric())
    names = {metric.name for metric in wanted} | ({AGREEMENT} if reading else set())
    ours = [metric for name, metric in METRICS.items() if name in names]
    brought = [metric for metric in wanted if metric.name not in METRICS]
    return [record for metric in (*ours, *brought) for record in measured(metric, sides)]


@measures.register(ImplicitModel)
def measure_samples(
    model: Model,
    train: Images,
    test: Images,
    request: Request,
    *,
    subject: str,
    progress: Progress | None = None,
) -> Iterator[Record]:
    """Generate `model.sample(n, seed)` a few at a time and yield their `sample_quality`.

    No more images are generated than there are to compare with: n is limited to the size of the smaller set.
    A conditional model is given the labels of the held-out images that its samples are compared with.

    Raises:
        DataError: for a conditional model, images without labels, or with some that it does not know.
        ArgumentError: a model that cannot be sampled, or data of another shape than the model's.
        UnknownNameError, HubError: there are no such features, or their weights are not available.
    """
    if not isinstance(model, GenerativeModel):
        raise ArgumentError(
            f"{type(model).__name__} cannot be sampled: sample quality needs a generative model"
        )
    for name, images in (("train", train), ("test", test)):
        if images.shape != model.image_shape:
            raise ArgumentError(
                f"the {name} images have shape {images.shape}, but the model generates {model.image_shape}"
            )
    total = min(SAMPLES if request.n is None else request.n, len(train), len(test))
    if request.weights is None:
        space = feature_space(request.features, test)
    else:
        space = inception_space(request.weights, model.device)
    given = given_to(model, test, subset(len(test), total, request.seed, "test"))
    reading = None if request.reads_as is None else reading_of(request.reads_as, test, request.features)
    made, words = drawn(model, total, request, next(iter(given), None), progress)
    yield from sample_quality(
        with_labels(model, made, given),
        train,
        test,
        subject=subject,
        condition=given_words(model, test),
        drawn=words,
        metrics=request.metrics,
        space=space,
        reading=reading,
        seed=request.seed,
        progress=progress,
    )


def _about(test: ImageSet, data: str, split: str, transform: str) -> dict[str, Any]:
    known = test if isinstance(test, Images) else None
    return {
        "data": data or (known.name if known else "images"),
        "split": split or (known.split if known else "test"),
        "transform": transform or (known.transform if known else "8-bit"),
        "image_shape": "x".join(map(str, known.shape)) if known else "",
    }


def _usual(sides: Sides) -> list[Metric]:
    """Return the metrics of genzoo that the images allow."""
    height, width = sides.test.shape[2:]
    about = (sides.about["data"], len(sides.test), (height, width))
    read, scored = not why_not(sides), sides.space.logits is not None and len(sides.test) >= 2 * SPLITS
    return [
        metric
        for metric in METRICS.values()
        if metric.suits(*about) and (read or not metric.reads) and (scored or not metric.scores)
    ]
