"""The trackers that genzoo knows, each by its library's own calls; see `genzoo.training.tracking`.

Each function imports its library, so none is imported unless it is asked for. All keep what they are given on
this machine, unless the user's own settings of that library (environment variables) say otherwise.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from genzoo.training.tracking import FAILED, FINISHED, Tracked, Tracker

PROJECT = "genzoo"
BUFFERED = 500  # numbers that MLflow takes at once: each call is a transaction


def tensorboard(run: Tracked) -> Tracker:
    """Return a writer of TensorBoard events, in `tensorboard/` of the run's folder."""
    from torch.utils.tensorboard import SummaryWriter

    # TensorBoard hides what a killed run wrote of later rounds, which are trained again
    events = SummaryWriter(str(run.folder / "tensorboard"), purge_step=run.step + 1)
    rows = "\n".join(f"| {key} | {str(value).replace('|', ' ')} |" for key, value in run.config.items())
    events.add_text("config", f"| key | value |\n| --- | --- |\n{rows}", run.step)
    return _TensorBoard(events)


class _TensorBoard:
    def __init__(self, events: Any) -> None:
        self._events = events

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._events.add_scalar(name, value, step)

    def picture(self, step: int, name: str, pixels: np.ndarray) -> None:
        self._events.add_image(name, pixels, step, dataformats="HWC")

    def note(self, step: int, name: str, words: str) -> None:
        self._events.add_text(name, words, step)

    def flush(self) -> None:
        self._events.flush()

    def close(self, state: str) -> None:
        self._events.close()


def wandb(run: Tracked) -> Tracker:
    """Return a run of Weights & Biases: offline in `wandb/` of the run's folder, unless WANDB_MODE says
    otherwise. A resumed run has the same id, to which `wandb sync --append` adds.
    """
    import wandb as library

    mode = os.environ.get("WANDB_MODE") or "offline"
    opened = library.init(
        project=os.environ.get("WANDB_PROJECT") or PROJECT,
        name=f"{run.name}-{run.key[:8]}",
        id=run.key,
        config=dict(run.config),
        dir=os.environ.get("WANDB_DIR") or str(run.folder),
        mode=mode,
        resume="allow" if mode == "online" else None,  # offline it has no meaning, and a warning
        allow_val_change=True,
        # the progress of genzoo stays its own
        settings=library.Settings(console="off", silent=True),
    )
    return _WandB(opened, library)


class _WandB:
    def __init__(self, opened: Any, library: Any) -> None:
        self._run, self._library = opened, library

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def picture(self, step: int, name: str, pixels: np.ndarray) -> None:
        self._run.log({name: self._library.Image(pixels, caption=f"step {step}")}, step=step)

    def note(self, step: int, name: str, words: str) -> None:
        self._run.summary[name] = words

    def flush(self) -> None:
        """Do nothing: the library stores what it is given at once."""

    def close(self, state: str) -> None:
        self._run.finish(exit_code=0 if state == FINISHED else 1)


def trackio(run: Tracked) -> Tracker:
    """Return a run of Trackio, which keeps it in a database on this machine unless TRACKIO_SPACE_ID names a
    space.
    """
    import trackio as library

    library.init(
        project=os.environ.get("TRACKIO_PROJECT") or PROJECT,
        name=f"{run.name}-{run.key[:8]}",
        config=dict(run.config),
        resume="allow",
        embed=False,
    )
    return _Trackio(library)


class _Trackio:
    def __init__(self, library: Any) -> None:
        self._library = library

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self._library.log(dict(values), step=step)

    def picture(self, step: int, name: str, pixels: np.ndarray) -> None:
        self._library.log({name: self._library.Image(pixels, caption=f"step {step}")}, step=step)

    def note(self, step: int, name: str, words: str) -> None:
        self._library.log({name: words}, step=step)

    def flush(self) -> None:
        """Do nothing: the library stores what it is given at once."""

    def close(self, state: str) -> None:
        self._library.finish()


def mlflow(run: Tracked) -> Tracker:
    """Return a run of MLflow: in `mlflow/` of the run's folder, unless MLFLOW_TRACKING_URI names a store."""
    from mlflow.tracking import MlflowClient

    store = os.environ.get("MLFLOW_TRACKING_URI")
    client = MlflowClient(tracking_uri=store or _local_store(run))
    experiment = client.get_experiment_by_name(PROJECT)
    if experiment is None:
        # else MLflow puts pictures into the current folder
        pictures = None if store else (run.folder / "mlflow" / "artifacts").absolute().as_uri()
        place = client.create_experiment(PROJECT, artifact_location=pictures)
    else:
        place = experiment.experiment_id
    known = client.search_runs([place], filter_string=f"tags.genzoo_key = '{run.key}'")
    if known:
        number = known[0].info.run_id
        client.update_run(number, status="RUNNING")
    else:
        name = f"{run.name}-{run.key[:8]}"
        number = client.create_run(place, tags={"genzoo_key": run.key}, run_name=name).info.run_id
        for key, value in run.config.items():
            client.log_param(number, key, value)
    return _MLflow(client, number)


def _local_store(run: Tracked) -> str:
    folder = (run.folder / "mlflow").absolute()
    folder.mkdir(exist_ok=True)
    return f"sqlite:///{folder / 'mlflow.db'}"


class _MLflow:
    def __init__(self, client: Any, number: str) -> None:
        self._client, self._number = client, number
        self._waiting: list[Any] = []

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        self._waiting += [Metric(name, value, now, step) for name, value in values.items()]
        if len(self._waiting) >= BUFFERED:
            self.flush()

    def picture(self, step: int, name: str, pixels: np.ndarray) -> None:
        self._client.log_image(self._number, Image.fromarray(pixels), f"{name}/step-{step:07d}.png")

    def note(self, step: int, name: str, words: str) -> None:
        self._client.set_tag(self._number, name, words)

    def flush(self) -> None:
        for first in range(0, len(self._waiting), BUFFERED):
            self._client.log_batch(self._number, metrics=self._waiting[first : first + BUFFERED])
        self._waiting.clear()

    def close(self, state: str) -> None:
        self.flush()
        status = {FINISHED: "FINISHED", FAILED: "FAILED"}.get(state, "KILLED")
        self._client.set_terminated(self._number, status=status)
