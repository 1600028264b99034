"""The start of a run: lock its folder, then start it, resume it, or find that it is finished."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from genzoo.errors import ArgumentError, GenzooError, TrainingError, suggest
from genzoo.files import atomic_write, locked, make_folder, read_capped, sha256_of, sweep
from genzoo.locks import HeldError
from genzoo.record import Record
from genzoo.show import tell
from genzoo.training import checkpoint
from genzoo.training.checkpoint import CheckpointError
from genzoo.training.loop import Run
from genzoo.training.parallel import World
from genzoo.training.publish import Outcome
from genzoo.units import several

LOCK = "run.lock"
SEAL = "finished.json"
MODES = ("same", "always", "auto", "previous")
_CAP = 1 << 24  # bytes of the small files that a finished run has left


def how(resume: object) -> str:
    """Return the one of `MODES` that `resume` stands for; False and True stand for the first two.

    "same" starts a run, or continues the one in the folder if it has the same recipe, steps and data: the
    command of a run that was killed continues it, whoever repeats it. "auto" also accepts other steps where
    they change nothing. "always" needs a checkpoint, "previous" takes the one before the last.

    Raises:
        ArgumentError: `resume` is anything else.
    """
    if isinstance(resume, bool):
        return "always" if resume else "same"
    if not isinstance(resume, str) or resume not in MODES:
        near = suggest(resume, MODES) if isinstance(resume, str) else ""
        raise ArgumentError(f"resume must be True, False, 'auto' or 'previous', not {resume!r}{near}")
    return resume


@contextlib.contextmanager
def hold(folder: Path, world: World) -> Iterator[None]:
    """Lock the folder of a run for the duration of the block, creating it if missing; the process that writes
    locks it for all.

    If the block fails and leaves nothing there, a newly created folder is removed.

    Raises:
        TrainingError: another run has locked it.
        StorageError: it cannot be created or written.
    """
    new = not os.path.exists(folder)
    with contextlib.ExitStack() as stack:
        world.together(lambda: _take(stack, folder) if world.writes else None)
        if world.writes:
            sweep(folder, folder / "samples")  # what killed runs left half-written
        try:
            yield
        except BaseException:
            if world.writes:
                _leave_no_trace(folder, new)
            raise


def _leave_no_trace(folder: Path, new: bool) -> None:
    with contextlib.suppress(OSError):
        if os.listdir(folder) == [LOCK]:
            os.unlink(folder / LOCK)
            if new:
                folder.rmdir()


def _take(stack: contextlib.ExitStack, folder: Path) -> None:
    path = make_folder(folder) / LOCK
    try:
        stack.enter_context(locked(path, wait=0))
    except HeldError as error:
        since = ""
        with contextlib.suppress(OSError):
            # when its holder signed it
            since = time.strftime(" since %Y-%m-%d %H:%M:%S UTC", time.gmtime(path.stat().st_mtime))
        raise TrainingError(
            f"another run is using {folder}: {error.holder}{since}",
            "choose another --out, or wait until that run ends",
        ) from error


def begin(run: Run, name: str, mode: str) -> None:
    """Start `run` of the model `name`, or resume it from a checkpoint, according to `mode` (see `how`).

    Raises:
        TrainingError: the folder holds a different run, or none to resume; or the processes do not train the
            same model by the same recipe, or do not see the same data and checkpoint.
    """
    _check_alike(run, name)
    run.world.together(lambda: _begin(run, name, mode))
    if not run.world.alike(f"{run.identity} {run.resumed}"):
        raise TrainingError(
            "the processes do not see the same images and checkpoint",
            "give them a folder that all machines share, and the same data",
        )


def _check_alike(run: Run, name: str) -> None:
    """Raise if another process was started with another command, or has another version of the plugin."""
    facts = run.facts()
    own: dict[str, Any] = {"model": name, **facts.config, **facts.recipe, "steps": run.recipe.steps}
    own["plugin"] = facts.machine.get("plugin", "")
    for rank, text in enumerate(run.world.exchange(json.dumps(own, sort_keys=True))):
        theirs = json.loads(text)
        keys = [key for key in sorted({*own, *theirs}) if own.get(key) != theirs.get(key)]
        if keys:
            what = "; ".join(f"{key} {own.get(key)} here, {theirs.get(key)} there" for key in keys[:3])
            raise TrainingError(
                f"process {rank} was started with other settings than process {run.world.rank}: {what}",
                "give all processes the same command and install the same versions",
            )


def _begin(run: Run, name: str, mode: str) -> None:
    last, earlier = (os.path.lexists(run.folder / which) for which in (checkpoint.NAME, checkpoint.PREVIOUS))
    if mode in ("same", "auto") and not last and not earlier:
        return
    difference = run.resume(checkpoint.PREVIOUS) if mode == "previous" else _resume_last(run, mode)
    if mode == "same" and run.planned != run.recipe.steps:
        raise TrainingError(
            f"{run.folder} already holds a run of {name} over {run.planned:,} steps, not "
            f"{run.recipe.steps:,}",
            "continue it with --resume, choose another --out, or delete the folder",
        )
    if not run.world.writes:
        return
    if mode == "same" and run.step < run.recipe.steps:
        tell(f"{run.folder}: continuing the same run from step {run.step:,}", level="INFO")
    if difference:
        tell(difference)


def _resume_last(run: Run, mode: str) -> str:
    try:
        return run.resume()
    except CheckpointError as error:
        earlier = _step_before(run)
        if earlier is None:
            raise
        if mode not in ("same", "auto"):
            refusal = CheckpointError(
                error.message,
                f"the previous one, of step {earlier:,}, is intact: --resume=previous continues from it",
            )
            refusal.earlier = earlier
            raise refusal from error
        if run.world.writes:
            tell(f"{error.message}; continuing from the previous one, of step {earlier:,}")
    return run.resume(checkpoint.PREVIOUS)


def _step_before(run: Run) -> int | None:
    try:
        return checkpoint.read(run.folder / checkpoint.PREVIOUS)[1].step
    except GenzooError:
        return None


def seal(run: Run, weights: Path) -> None:
    """Record that the run is finished and published, and from which checkpoint, so it is not repeated."""
    # everything is published; without the note it would be done once more
    with contextlib.suppress(GenzooError):
        atomic_write(run.folder / SEAL, json.dumps(_told(run, weights), indent=2, sort_keys=True).encode())


def finished_before(run: Run) -> Outcome | None:
    """Return the outcome of `run` if every rank sees it as finished and published, else None."""
    if run.step < run.recipe.steps:
        return None
    found = _published(run)
    if run.world.agree(found is None)[0]:
        return None
    if run.world.writes:
        tell(f"{run.folder}: already finished after {several(run.step, 'step')}; nothing to do", level="INFO")
    return found


def _published(run: Run) -> Outcome | None:
    try:
        told: dict[str, Any] = json.loads(read_capped(run.folder / SEAL, _CAP))
        weights = run.folder / Path(str(told["weights"])).name
        if told != _told(run, weights):
            return None
        records = [_record(entry) for entry in json.loads(read_capped(run.folder / "scores.json", _CAP))]
    except (GenzooError, ValueError, KeyError, TypeError, RecursionError):
        return None  # never finished, or damaged since: measure and publish again
    return Outcome(
        folder=run.folder,
        finished=True,
        step=run.step,
        records=records,
        weights=weights,
        sha256=str(told["sha256"]),
    )


def _told(run: Run, weights: Path) -> dict[str, Any]:
    known, recipe = checkpoint.read(run.checkpoint)[1].sha256, run.recipe
    told = {"checkpoint": known, "step": run.step, "weights": weights.name, "sha256": sha256_of(weights)}
    return {**told, "save_dtype": recipe.save_dtype, "licence": recipe.licence}


def _record(entry: dict[str, Any]) -> Record:
    return Record(**{key: value for key, value in entry.items() if key != "label"})
