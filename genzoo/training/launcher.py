"""The environment of torchrun: which process this is, and what is wrong if only a part of it is there."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from genzoo.errors import ArgumentError, TrainingError

START = "start several processes with torchrun --nproc-per-node N -m genzoo train …"
TIMEOUT = "GENZOO_GROUP_TIMEOUT"
DEFAULT_TIMEOUT = 1800.0  # seconds
_NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


def ranks(environment: Mapping[str, str]) -> tuple[int, int, int]:
    """Return rank, number of processes and rank on this machine; (0, 1, 0) if torchrun started none.

    Raises:
        TrainingError: torchrun's variables are incomplete or invalid, or another launcher has started several
            processes that do not know of each other.
    """
    given = {name: value.strip() for name in _NAMES if (value := environment.get(name, "")).strip()}
    if not {"RANK", "WORLD_SIZE", "LOCAL_RANK"} & set(given):
        _check_launcher(environment)
        return 0, 1, 0
    if set(given) & {"RANK", "WORLD_SIZE", "LOCAL_RANK"} == {"WORLD_SIZE"} and given["WORLD_SIZE"] == "1":
        return 0, 1, 0
    if missing := _not_set(given, "RANK", "WORLD_SIZE"):
        raise _half_set(missing, given)
    size, rank, local = (_count(given, name) for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK"))
    if not size or rank >= size or local >= size:
        raise _half_set("RANK and LOCAL_RANK must be less than WORLD_SIZE", given)
    if size > 1 and (missing := _not_set(given, "MASTER_ADDR", "MASTER_PORT")):
        raise TrainingError(f"the {size} processes could not find each other: {missing}", START)
    return rank, size, local


def check_gpu(environment: Mapping[str, str], local_rank: int, count: int) -> None:
    """Raise if this process has none of the `count` GPUs of its machine for itself.

    Raises:
        TrainingError: LOCAL_RANK is missing, or there are fewer GPUs than processes.
    """
    if not environment.get("LOCAL_RANK", "").strip():  # every process would take the first GPU
        raise _half_set(
            "LOCAL_RANK is not set", {name: environment[name] for name in _NAMES if name in environment}
        )
    if local_rank >= count:
        message = f"process {local_rank} of this machine has no GPU of its own: there are {count}"
        raise TrainingError(message, f"--nproc-per-node {count}")


def timeout(environment: Mapping[str, str]) -> float:
    """Return the seconds after which a process that waits for another in the middle of a step gives up:
    GENZOO_GROUP_TIMEOUT, 1800 by default.

    Raises:
        ArgumentError: it is no number of seconds above 0.
    """
    text = environment.get(TIMEOUT, "").strip()
    try:
        seconds = float(text or DEFAULT_TIMEOUT)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 1e7:
        raise ArgumentError(
            f"{TIMEOUT} must be a number of seconds above 0, not {text!r}", f"for example {TIMEOUT}=600"
        )
    return seconds


def _not_set(given: Mapping[str, str], *names: str) -> str:
    missing = [name for name in names if name not in given]
    return f"{' and '.join(missing)} {'are' if missing[1:] else 'is'} not set" if missing else ""


def _half_set(what: str, given: Mapping[str, str]) -> TrainingError:
    told = ", ".join(f"{name}={value}" for name, value in given.items())
    message = f"{what}, but the environment has {told}; torchrun sets {', '.join(_NAMES)}"
    return TrainingError(message, f"unset {' '.join(given)}, or {START}")


def _count(given: Mapping[str, str], name: str) -> int:
    text = given.get(name, "0")
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise _half_set(f"{name} must be a whole number from 0", given)
    return int(text)


def _check_launcher(environment: Mapping[str, str]) -> None:
    """Raise if srun or mpirun has started several processes: each would train alone, and all would write to
    the same folder.
    """
    started = {
        "srun": ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS")
        if {"SLURM_PROCID", "SLURM_STEP_ID"} <= set(environment)
        else (),
        "mpirun": ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE"),
    }
    for launcher, names in started.items():
        name = next((name for name in names if environment.get(name)), "")
        count = environment.get(name, "")
        if re.fullmatch(r"[0-9]{1,9}", count) and int(count) > 1:
            alone = "SLURM_PROCID" if launcher == "srun" else name
            raise TrainingError(
                f"{launcher} has started {count} processes ({name}={count}) that do not know of each "
                "other: each would train alone",
                f"{START}; for separate runs, each with its own --out: env -u {alone} genzoo train …",
            )
