"""Callbacks: code of the user's own that watches a run.

One protocol with four methods. They are called in the process that writes (rank 0), in the order in which
the callbacks were given, while the run waits. What a callback raises ends the run cleanly: the step is
finished, a checkpoint is written, and the error is raised with the command that resumes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genzoo.errors import ArgumentError, TrainingError, safe_repr
from genzoo.isolation import describe
from genzoo.models import Model
from genzoo.training.findings import Finding
from genzoo.training.loop import Run

if TYPE_CHECKING:
    from genzoo.training.publish import Outcome

METHODS = ("on_round", "on_finding", "on_checkpoint", "on_end")


@dataclass(frozen=True)
class Moment:
    """Where a run is when a callback is called.

    Attributes:
        step: rounds played so far.
        steps: rounds of the whole run.
        seconds: seconds spent training, over all resumptions.
        folder: the folder of the run.
        model: the model that is being trained, in training mode. A callback may ask it (`sample`, `log_prob`)
            or read its weights. Changing it changes the run, which then cannot be repeated.
    """

    step: int
    steps: int
    seconds: float
    folder: Path
    model: Model


class Callback:
    """What a callback may write; each method does nothing by default.

    An object with some of these methods serves as well, without this base class. A callback may draw from
    torch's, NumPy's and Python's generators: training does not.
    """

    def on_round(self, moment: Moment, losses: Mapping[str, float]) -> None:
        """Called after each round with the last loss of each player; on a GPU after every tenth round, since
        reading a loss makes the GPU wait.
        """

    def on_finding(self, moment: Moment, finding: Finding) -> None:
        """Called with each problem that the training doctor finds, after the round in which it does."""

    def on_checkpoint(self, moment: Moment, path: Path) -> None:
        """Called after each checkpoint with its file, which the next one replaces."""

    def on_end(self, moment: Moment, outcome: Outcome | None) -> None:
        """Called once, when the run ends: with its outcome, finished or interrupted, or with None if an error
        ended it.
        """


class Callbacks:
    """The callbacks of one run, and the first error that one of them raised."""

    def __init__(self, callbacks: Iterable[Any], run: Run) -> None:
        self._run = run
        self._all = check_callbacks(callbacks) if run.world.writes else ()
        self._error: tuple[str, Exception] | None = None

    @property
    def failed(self) -> bool:
        """Whether one has raised: the run is asked to stop, as by Ctrl-C."""
        return self._error is not None

    def round(self, losses: Mapping[str, float]) -> None:
        """Call `on_round` of each."""
        self._call("on_round", dict(losses))

    def finding(self, finding: Finding) -> None:
        """Call `on_finding` of each."""
        self._call("on_finding", finding)

    def checkpoint(self) -> None:
        """Call `on_checkpoint` of each."""
        self._call("on_checkpoint", self._run.checkpoint)

    def end(self, outcome: Outcome | None) -> None:
        """Call `on_end` of each, whatever the others raise; it says nothing of an error that has been
        raised.
        """
        self._call("on_end", outcome)

    def check(self) -> None:
        """Raise TrainingError if a callback has raised an error.

        Raises:
            TrainingError: it names the callback, the method, the step and what to do.
        """
        if self._error is None:
            return
        what, error = self._error
        raise TrainingError(
            f"{what} raised {describe(error)}; the run is saved at step {self._run.step:,} of "
            f"{self._run.recipe.steps:,}",
            "fix the callback and continue with resume=True, or leave it out of callbacks",
        ) from error

    def _call(self, method: str, value: Any) -> None:
        run = self._run
        moment = Moment(run.step, run.recipe.steps, run.seconds, run.folder, run.model)
        for callback in self._all:
            called: Callable[[Moment, Any], object] | None = getattr(callback, method, None)
            if called is None or (self.failed and method != "on_end"):
                continue
            try:
                called(moment, value)
            except Exception as error:  # noqa: BLE001 - a user's code must not cost the hours before it
                self._error = self._error or (f"{type(callback).__name__}.{method}", error)


def check_callbacks(callbacks: Any) -> tuple[Any, ...]:
    """Return `callbacks` as a tuple, or raise ArgumentError: it is no list of them, or one has none of the
    four methods.
    """
    if isinstance(callbacks, (str, bytes, Mapping)) or not isinstance(callbacks, Iterable):
        raise ArgumentError(f"callbacks must be a list, not {safe_repr(callbacks)}", "callbacks=[mine]")
    found = tuple(callbacks)
    for callback in found:
        if isinstance(callback, type) or not any(callable(getattr(callback, name, None)) for name in METHODS):
            raise ArgumentError(
                f"a callback must be an object with one of {', '.join(METHODS)}, not {safe_repr(callback)}",
                "class Mine(genzoo.training.Callback): def on_round(self, moment, losses): …",
            )
    return found


def both(first: Callable[..., object], second: Callable[..., object]) -> Callable[..., None]:
    """Return a function that calls `first` and then `second` with its arguments."""

    def call(*values: Any) -> None:
        first(*values)
        second(*values)

    return call
