"""The terms of a run: what must be unchanged for a checkpoint to be resumed, and what may differ but is
reported.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import math
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from genzoo.data import Images
from genzoo.errors import TrainingError
from genzoo.recipe import FACTS, Recipe, keys_of
from genzoo.training.checkpoint import Facts
from genzoo.training.hardware import Hardware

# "auto" is the machine's choice; what came of it is compared
SWITCHES = ("precision", "channels_last", "compile", "cuda_graphs")
# keys that decide no bits, or are compared in another way
_ELSEWHERE = ("data", "steps", "save_dtype", "watch", "licence", "recompute")


def fingerprint(recipe: Recipe, players: Sequence[str] = ()) -> dict[str, Any]:
    """Return the keys that determine a run's result, JSON-ready: runs that differ in one cannot continue each
    other.

    Tables are resolved for the named `players`: `lr=1e-3` and `lr.generator=1e-3 lr.discriminator=1e-3` are
    the same recipe. The name of the data set is not included: data is identified by its content.
    """
    facts = keys_of(recipe)
    for key in (*FACTS, *_ELSEWHERE):
        facts.pop(key)
    if players:
        for table, value_of in (
            ("lr", recipe.lr_of),
            ("optimizer", recipe.optimizer_of),
            ("turns", recipe.turns_of),
        ):
            facts[table] = {player: value_of(player) for player in players}
    return plain(facts)


def words(data: Images) -> str:
    """Return the number and size of the images, in words."""
    return f"{len(data):,} images of {'×'.join(map(str, data.shape))}"


def machine(settings: Hardware, plugin: str = "") -> dict[str, str]:
    """Return what else determines the last bits of a run: versions, device, threads, and what "auto"
    resolved to.
    """
    device = settings.device
    facts = {
        "genzoo": _version("genzoo"),
        "torch": str(torch.__version__),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "processor": platform.machine(),
        "threads": str(torch.get_num_threads()),
        "instructions": str(torch.backends.cpu.get_cpu_capability()),
        "matmul": torch.get_float32_matmul_precision(),
        "precision": "bf16" if settings.bf16 else "fp32",
        "channels_last": _switch(settings.channels_last),
        "compile": _switch(settings.compile),
        "cuda_graphs": _switch(settings.cuda_graphs),
    }
    if plugin:
        facts["plugin"] = f"{plugin} {_version(plugin)}"
    if device.type == "cuda":
        facts["cuda"] = f"{torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
    return facts


def _switch(on: bool) -> str:
    return "on" if on else "off"


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except Exception:  # noqa: BLE001 - not installed, or foreign metadata: the version is only shown
        return "of no known version"


def changed(theirs: Facts, ours: Facts, apart: bool = False) -> str:
    """Return in one line what has changed about the machine and the processes, or "".

    `apart` says that each process has batch statistics of its own, so that their number decides more than the
    last bits.
    """
    before, after = _means(theirs), _means(ours)
    keys = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
    if not keys:
        return ""
    then = ", ".join(f"{key} {before.get(key, 'unknown')}" for key in keys)
    now = ", ".join(f"{key} {after.get(key, 'unknown')}" for key in keys)
    how = "may differ in the last bits from"
    if apart and "processes" in keys:
        how = "will differ, as batch norm sees one process's images (sync_batch_norm=true: all), from"
    return (
        f"the run started with {then} and continues with {now}: its weights {how} those of an uninterrupted "
        "run"
    )


def _means(facts: Facts) -> dict[str, str]:
    return {**facts.machine, "processes": str(facts.processes)}


def check(path: Path, theirs: Facts, ours: Facts, config: Any, recipe: Recipe) -> None:
    """Raise TrainingError if the run of `ours` cannot resume from the checkpoint at `path` with the facts
    `theirs`.
    """
    names = list(ours.recipe["lr"])
    # What an older genzoo did not know had its default.
    usual = Recipe(game=None if recipe.game is None else type(recipe.game)())
    recipes = [{**fingerprint(usual, names), **theirs.recipe}, dict(ours.recipe)]
    configs = [{**plain(_defaults(config)), **theirs.config}, dict(ours.config)]
    for key in SWITCHES:
        if recipes[0].get(key) == recipes[1][key] or theirs.machine.get(key) == ours.machine[key]:
            recipes[0].pop(key, None), recipes[1].pop(key)
    settings = "resume with the same settings, or choose another --out"
    _check_equal(path, "recipe", recipes[0], recipes[1], settings)
    data = "resume with the images that the run started with (--data …), or choose another --out"
    _check_equal(path, "data", theirs.images, ours.images, data)
    if theirs.data != ours.data:
        raise TrainingError(
            f"the checkpoint {path} was made with other data: also {theirs.images}, but with different "
            "pixels, labels, order or split",
            data,
        )
    _check_equal(path, "config", configs[0], configs[1], settings)
    if ours.lineage and theirs.lineage != ours.lineage:  # whoever names no start leaves it to the checkpoint
        raise TrainingError(
            f"the run of {path} started from {_first(theirs.lineage)}, not from {_first(ours.lineage)}",
            "resume with the same --init-from or without it, or choose another --out",
        )
    _check_steps(path, theirs, recipe)


def _first(lineage: Sequence[str]) -> str:
    return lineage[0] if lineage else "random weights"


def _check_equal(path: Path, key: str, theirs: Any, ours: Any, hint: str) -> None:
    if theirs != ours:
        raise TrainingError(
            f"the checkpoint {path} was made with other {key}: {_difference(theirs, ours)}", hint
        )


def _check_steps(path: Path, theirs: Facts, recipe: Recipe) -> None:
    """Raise if the checkpoint's learning rates or noise differ from this recipe's: the number of steps
    decides when they fall.
    """
    step, steps = theirs.step, theirs.steps
    begin = min(recipe.bound_from, recipe.replace(steps=steps).bound_from)
    if steps != recipe.steps and step > begin:
        falling = {"lr_decay": recipe.lr_decay, **(recipe.game.falling if recipe.game else {})}
        what = "noise" if "instance_noise" in falling else "rates"
        raise TrainingError(
            f"the checkpoint {path} is at step {step:,} of {steps:,}; with {recipe.steps:,} steps, its "
            f"{what} would "
            f"have been different ({', '.join(f'{key}={value:g}' for key, value in falling.items())})",
            f"resume with --steps {steps}, or choose another --out",
        )
    if step > recipe.steps:
        raise TrainingError(
            f"the checkpoint {path} is at step {step:,}, past step {recipe.steps:,}, the last requested",
            f"resume with --steps {max(step, steps)}, or choose another --out",
        )


def plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return `facts` as JSON returns them; values that JSON cannot represent become text."""
    return {str(key): _plain(value) for key, value in facts.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return plain(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if (
        value is None
        or isinstance(value, bool | int | str)
        or (isinstance(value, float) and math.isfinite(value))
    ):
        return value
    return str(value)


def _defaults(config: Any) -> dict[str, Any]:
    return {f.name: f.default for f in dataclasses.fields(config) if f.default is not dataclasses.MISSING}


def _difference(theirs: Any, ours: Any) -> str:
    if not isinstance(theirs, dict) or not isinstance(ours, dict):
        return f"{theirs}, not {ours}"
    keys = sorted({key for key in (*ours, *theirs) if theirs.get(key) != ours.get(key)})
    return "; ".join(f"{key} was {theirs.get(key)}, is {ours.get(key)}" for key in keys)
