"""What a page asks of a model that draws pixel by pixel."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from genzoo_explorer import limits
from genzoo_explorer.ask import Ask
from genzoo_explorer.pictures import show
from genzoo_explorer.worker import Job

if TYPE_CHECKING:
    from torch import Tensor

FRAME = 1 / 30  # seconds between two messages of a drawing


class Drawing:
    """Collects the values that a sampler draws, and sends them thirty times a second."""

    def __init__(self, job: Job) -> None:
        self._job, self._sent = job, 0.0
        self._values: list[tuple[int, float]] = []
        self._first = 0

    def __call__(self, place: int, level: int, p: float) -> None:
        """Take the level and the probability of the value at `place`."""
        self._job.check()
        self._values.append((level, round(p, 5)))
        if time.monotonic() - self._sent >= FRAME:
            self.send()

    def send(self) -> None:
        """Send what was collected."""
        values = self._values
        self._job.tell(
            {"first": self._first, "drawn": [level for level, _ in values], "p": [p for _, p in values]}
        )
        self._first += len(values)
        self._values, self._sent = [], time.monotonic()


def draw(model: Any, ask: Ask, job: Job) -> None:
    """Send an image as it is drawn, value by value, and then log p of it."""
    from genzoo.explore.drawing import watched

    drawing = Drawing(job)
    image = watched(
        model, drawing, ask.seed(), condition=ask.condition(), temperature=ask.number("temperature")
    )
    drawing.send()
    show(job, image, **_likelihood(model, image, ask.condition()))


def log_prob(model: Any, ask: Ask, job: Job) -> None:
    """Send log p of an image, whose values become the nearest levels of the model."""
    image = _levels(model, ask)
    show(job, image, **_likelihood(model, image, ask.condition()))


def conditional(model: Any, ask: Ask, job: Job) -> None:
    """Send p(level | earlier values) of every level of one pixel of an image, for each channel."""
    from genzoo.explore.drawing import conditionals

    _, height, width = model.image_shape
    row, column = ask.whole("row", 0, height - 1), ask.whole("column", 0, width - 1)
    found = conditionals(model, _levels(model, ask), condition=ask.condition())[:, row, column]
    job.tell({"p": [[round(p, 6) for p in channel] for channel in found.tolist()]})


def context(model: Any, ask: Ask, job: Job) -> None:
    """Send how strongly a pixel depends on each other one, as a byte each: 0 for not at all, else 1 to 255 in
    equal steps of the logarithm, over three powers of ten.
    """
    from genzoo.explore.context import context as depends
    from genzoo.explore.context import count

    _, height, width = model.image_shape
    pixel = (ask.whole("row", 0, height - 1), ask.whole("column", 0, width - 1))
    seen = depends(model, pixel, images=1, condition=ask.condition())  # (H, W)
    strength = (seen / seen.max().clamp_min(1e-30)).clamp_min(1e-3).log10() / 3 + 1  # in [0, 1]
    shown = (1 + 254 * strength).where(seen > 0, 0).round().byte()
    found, possible = count(seen, pixel)
    job.tell({"seen": found, "earlier": possible}, shown.numpy().tobytes())


def complete(model: Any, ask: Ask, job: Job) -> None:
    """Send completions of an image where its mask is not set, with their log p."""
    from genzoo.explore.completion import completions

    _, height, width = model.image_shape
    mask = ask.mask(height, width)

    def progress(done: int, total: int) -> None:
        job.check()
        if done * 50 // total != (done - 1) * 50 // total:
            job.tell({"share": done / total})

    image = _levels(model, ask)
    found = completions(
        model, image, mask, limits.COMPLETIONS, ask.seed(), progress, condition=ask.condition()
    )
    show(
        job,
        found.drawn[0],
        log_prob=found.log_prob[0].tolist(),
        drawn=found.log_prob_drawn[0].tolist(),
        exact=found.conditional,
    )


def _levels(model: Any, ask: Ask) -> Tensor:
    """Return the image that was sent with each value at the nearest level of the model."""
    top = model.levels - 1
    image: Tensor = (ask.pixels(model.image_shape) * top).round() / top
    return image


def _likelihood(model: Any, image: Tensor, condition: Any) -> dict[str, float]:
    nats = float(model.log_prob(image, condition)[0])
    return {"nats": nats, "bits": float(model.bits_per_dim(image, condition)[0])}
