"""What a run tells the person at the keyboard: a bar with rate, time left and losses, a log, and pictures on the way."""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from genzoo.errors import GenzooError, safe_text
from genzoo.files import atomic_write, make_folder
from genzoo.images import save_grid
from genzoo.models import GenerativeModel
from genzoo.training.doctor import Finding
from genzoo.training.loop import Run

SAMPLE_SECONDS = 240.0
_LINE_SECONDS = 15.0  # between lines where stderr is no terminal


class Report:
    """Progress on stderr, `log.jsonl`, sample grids, and TensorBoard events where asked for; silent on ranks that do not write."""

    def __init__(self, run: Run, *, quiet: bool = False, tensorboard: bool = False) -> None:
        self.run = run
        self.active = run.world.writes
        self.quiet = quiet or not self.active
        self._first, self._begun = run.step, time.monotonic()
        self._line = self._sampled = 0.0
        self._bar: Any = None
        if self.active:
            make_folder(run.folder / "samples")
        self._events = _tensorboard(run.folder, run.step) if tensorboard and self.active else None
        self._log = _log_of(run) if self.active else None

    def __enter__(self) -> Report:
        if not self.quiet and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=self.run.recipe.steps, initial=self.run.step, unit="step", dynamic_ncols=True, file=sys.stderr)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for closing in (self._bar, self._log, self._events):
            if closing is not None:
                closing.close()

    def round(self, losses: dict[str, float]) -> None:
        """Show and log the losses of one round."""
        if not self.active:
            return
        if self._log is not None:
            self._log.write(json.dumps({"step": self.run.step, **{name: round(loss, 6) for name, loss in losses.items()}}) + "\n")
        if self._events is not None:
            for name, loss in losses.items():
                self._events.add_scalar(f"loss/{name}", loss, self.run.step)
        words = ", ".join(f"{name} {loss:.3f}" for name, loss in losses.items())
        if self._bar is not None:
            self._bar.n = self.run.step
            self._bar.set_postfix_str(f"{words}, {self.rate():.0f} img/s", refresh=False)
            self._bar.update(0)
        elif not self.quiet and time.monotonic() - self._line > _LINE_SECONDS:
            self._line = time.monotonic()
            line = f"step {self.run.step:,} of {self.run.recipe.steps:,}: {words}; {self.rate():.0f} img/s, {self._left()} left"
            print(line, file=sys.stderr, flush=True)  # noqa: T201

    def finding(self, finding: Finding) -> None:
        """Tell and log what the training doctor has found."""
        if self._log is not None:
            self._log.write(json.dumps({"step": finding.step, "doctor": finding.kind, "words": finding.words}) + "\n")
        if not self.quiet:
            print(safe_text(finding, 1000), file=sys.stderr, flush=True)  # noqa: T201

    def checkpoint(self) -> None:
        """Draw a grid of samples, now and then, and flush the log."""
        if self._log is not None:
            self._log.flush()
        if self._events is not None:
            self._events.flush()
        due = self._sampled == 0.0 or time.monotonic() - self._sampled > SAMPLE_SECONDS or self.run.step >= self.run.recipe.steps
        if self.active and due:
            finished = self.run.averages.finished(self.run.model, self.run.players)
            if isinstance(finished, GenerativeModel):
                save_grid(finished.sample(64, seed=0), self.run.folder / "samples" / f"step-{self.run.step:07d}.png")
            self._sampled = time.monotonic()

    def rate(self) -> float:
        """Images per second since this process began."""
        rounds = self.run.step - self._first
        return rounds * self.run.recipe.batch / max(time.monotonic() - self._begun, 1e-9)

    def _left(self) -> str:
        rounds = max(self.run.step - self._first, 1)
        seconds = (self.run.recipe.steps - self.run.step) * (time.monotonic() - self._begun) / rounds
        minutes = round(seconds / 60)
        return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min" if minutes else f"{seconds:.0f} s"


def _log_of(run: Run) -> TextIO:
    """Open the run's log behind its last checkpoint: what a killed run logged after it will be played, and logged, again."""
    path = run.folder / "log.jsonl"
    if path.exists():
        lines = path.read_text("utf-8", errors="replace").splitlines(keepends=True)
        atomic_write(path, "".join(line for line in lines if _step_of(line) <= run.step).encode())
    return open(path, "a", buffering=1, encoding="utf-8")  # each line at once: a killed run has logged what its checkpoint has played


def _step_of(line: str) -> float:
    """Return the step that a line of the log tells of; infinite where the line was cut off."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf


def _tensorboard(folder: Path, step: int) -> Any:
    """Open a writer of events; TensorBoard hides what a killed run told of the rounds after `step`: they will be played again."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except Exception as error:  # an optional import may fail in any way
        raise GenzooError(
            f"TensorBoard logs need the package tensorboard ({type(error).__name__})", "pip install 'genzoo[tensorboard]'"
        ) from error
    return SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)
