"""Progress of a run for the user: a bar with speed, time left and losses, a log, and sample grids during
training.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO, TypeVar

from genzoo.data import Images
from genzoo.errors import GenzooError, StorageError, safe_text
from genzoo.evaluation.held_out import every_way
from genzoo.files import append_to, atomic_write, make_folder, read_capped
from genzoo.images import save_grid, save_picture
from genzoo.isolation import describe
from genzoo.models import GenerativeModel, TranslatingModel
from genzoo.models.panel import panel, told
from genzoo.show import Bar, tell
from genzoo.training.findings import Finding
from genzoo.training.loop import Run
from genzoo.units import human_time

T = TypeVar("T")

SAMPLE_SECONDS = 240.0
SAMPLES, TRANSLATIONS = 64, 8  # that a grid shows, and held-out pictures of a translator
_LOG_CAP = 2**33  # bytes; a log is our own file, the cap only bounds a mistake
_LINE_SECONDS = 15.0  # between lines where stderr is no terminal


class Report:
    """Progress on stderr, `log.jsonl` and sample grids; silent on ranks that do not write.

    All of it is optional output: a failure is reported once, and the run continues.

    Args:
        run: the run.
        quiet: nothing is printed, only written.
        held: held-out images. Of a translator the grids show some of them, the same ones each time, above
            their translations.
    """

    def __init__(self, run: Run, *, quiet: bool = False, held: Images | None = None) -> None:
        self.run, self.held = run, held
        self.active = run.world.writes
        self.quiet = quiet or not self.active
        self._first, self._begun = run.step, time.monotonic()
        self._line = self._sampled = 0.0
        self._failed: set[str] = set()
        self._bar: Bar | None = None
        self._log: TextIO | None = None
        if self.active:
            self._try("samples", lambda: make_folder(run.folder / "samples"))
            self._log = self._try("log.jsonl", lambda: _log_of(run))

    def __enter__(self) -> Report:
        if not self.quiet:
            self._bar = Bar(self.run.recipe.steps, initial=self.run.step, unit="step")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name, closing in (("progress", self._bar), ("log.jsonl", self._log)):
            if closing is not None:
                self._try(name, closing.close)

    def round(self, losses: dict[str, float]) -> None:
        """Show and log the losses and curves of one round."""
        if not self.active:
            return
        self._write({"step": self.run.step, **{name: round(loss, 6) for name, loss in losses.items()}})
        words = ", ".join(f"{name} {loss:.3f}" for name, loss in losses.items())
        if self._bar is not None and self._bar.drawn:
            self._bar.move_to(self.run.step, f"{words}, {self.rate():.0f} img/s")
        elif not self.quiet and time.monotonic() - self._line > _LINE_SECONDS:
            self._line = time.monotonic()
            tell(
                f"step {self.run.step:,} of {self.run.recipe.steps:,}: {words}; {self.rate():.0f} img/s, "
                f"{self._left()} left",
                level="INFO",
            )

    def finding(self, finding: Finding) -> None:
        """Print and log a finding of the training doctor."""
        if self.active:
            self._write({"step": finding.step, "doctor": finding.kind, "words": finding.words})
        if not self.quiet:
            tell(safe_text(finding, 1000))

    def checkpoint(self) -> None:
        """Write a grid of samples at intervals and flush the log; reopen it if it could not be written."""
        if not self.active:
            return
        if self._log is None:
            self._log = self._try("log.jsonl", lambda: _log_of(self.run))
        else:
            self._logged(self._log.flush)
        if (
            self._sampled == 0.0
            or time.monotonic() - self._sampled > SAMPLE_SECONDS
            or self.run.step >= self.run.recipe.steps
        ):
            self._try("samples", self._draw)
            self._sampled = time.monotonic()

    def trouble(self, error: GenzooError) -> None:
        """Report, once, that a checkpoint could not be written; the next one is tried when it is due."""
        if "checkpoint" not in self._failed:
            self._failed.add("checkpoint")
            tell(f"{error}; training continues and tries again")

    def _try(self, what: str, work: Callable[[], T]) -> T | None:
        """Do `work`; on failure report once that `what` is left out."""
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - hours of training are not lost to what is only for show
            if what not in self._failed:
                self._failed.add(what)
                tell(f"{what} cannot be written: {describe(error)}; training continues without it")
            return None

    def _write(self, line: dict[str, Any]) -> None:
        if (log := self._log) is not None:
            self._logged(lambda: log.write(json.dumps(line) + "\n"))

    def _logged(self, work: Callable[[], object]) -> None:
        """Do `work` on the log; if that fails, close the log until the next checkpoint."""
        if self._log is not None and self._try("log.jsonl", lambda: (work(), True)) is None:
            self._try("log.jsonl", self._log.close)
            self._log = None

    def _draw(self) -> None:
        finished = self.run.ema.finished(self.run.model, self.run.players, self.run.feed)
        if not isinstance(finished, GenerativeModel):
            return
        path, text = grid_of(self.run.folder, self.run.step), told(finished, seed=0, step=self.run.step)
        if isinstance(finished, TranslatingModel) and self.held is not None:
            save_picture(every_way(finished, self.held, TRANSLATIONS), path, text)
        else:
            images, columns = panel(finished, SAMPLES)
            save_grid(images, path, columns, text=text)

    def rate(self) -> float:
        """Images per second since this process started."""
        rounds = self.run.step - self._first
        return rounds * self.run.recipe.batch_size / max(time.monotonic() - self._begun, 1e-9)

    def _left(self) -> str:
        rounds = max(self.run.step - self._first, 1)
        seconds = (self.run.recipe.steps - self.run.step) * (time.monotonic() - self._begun) / rounds
        return human_time(seconds)


def grid_of(folder: Path, step: int) -> Path:
    """Return the path of the sample grid that a run in `folder` draws at `step`, if it draws one."""
    return folder / "samples" / f"step-{step:07d}.png"


def _log_of(run: Run) -> TextIO:
    """Open the run's log at its last checkpoint: rounds that a killed run logged after it are trained, and
    logged, again.
    """
    path = run.folder / "log.jsonl"
    if os.path.islink(path) or (os.path.exists(path) and not os.path.isfile(path)):
        raise StorageError(f"{path} is not a regular file", "remove it")
    if os.path.exists(path):
        lines = read_capped(path, _LOG_CAP).decode("utf-8", "replace").splitlines(keepends=True)
        atomic_write(path, "".join(line for line in lines if _step_of(line) <= run.step).encode())
    return append_to(path)


def _step_of(line: str) -> float:
    """Return the step of a log line; infinity if the line was cut off."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf
