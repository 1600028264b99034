"""Checkpoints: everything a run needs to continue bit for bit, in one safetensors file without pickle (rule
R10).

The order of the data and all noise are functions of (seed, step, rank), so only these need saving: weights
and buffers, optimiser state, averaged weights, the players' memories and the step. The file is replaced
atomically, so a run that is killed at any moment keeps its last checkpoint. One sha256 covers the whole file,
tensors (names, types, shapes, values) and all facts, and the previous checkpoint is kept too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.optim import Optimizer

from genzoo.errors import GenzooError, StorageError, TrainingError, safe_repr
from genzoo.files import atomic_write, read_capped
from genzoo.schema import limits, parse
from genzoo.training import slots

NAME = "checkpoint.safetensors"
PREVIOUS = "checkpoint.previous.safetensors"
FORMAT = 2
MOST_STEPS = 10**9
_CAP = 2**36  # bytes; a checkpoint is our own file, the cap only bounds a mistake


class CheckpointError(TrainingError):
    """A checkpoint is damaged or missing; `earlier` is the step of the intact previous one, or None if there
    is none.
    """

    earlier: int | None = None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a checkpoint states about its run besides the tensors. All of it is checked on reading.

    Attributes:
        format: format of the file, 2.
        step: rounds played.
        steps: rounds that the run was planned to have.
        seconds: time spent training, over all resumptions.
        processes: number of processes that shared each batch.
        data: `genzoo.data.identity` of the training images.
        images: the training images in words, for messages.
        recipe: the keys that determine the result, see `genzoo.training.terms.fingerprint`.
        config: config of the model.
        machine: what else determines the last bits, see `genzoo.training.terms.machine`.
        lineage: the weights that the run started from, see `genzoo.ledger.Row`.
        told: kinds of problem that the training doctor has reported.
        curves: means of the critics' losses, player by player, and of the game's own curves.
        recent: the losses and curves of the last rounds, see `genzoo.training.doctor.Doctor`.
        sha256: digest of everything else in the file.
    """

    format: int = field(default=FORMAT, metadata=limits(FORMAT, FORMAT))
    step: int = field(metadata=limits(0, MOST_STEPS))
    steps: int = field(metadata=limits(1, MOST_STEPS))
    seconds: float = field(metadata=limits(0, 1e12))
    processes: int = field(metadata=limits(1, 1_000_000))
    data: str
    images: str
    recipe: Mapping[str, Any]
    config: Mapping[str, Any]
    machine: Mapping[str, str] = field(default_factory=dict)
    lineage: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    curves: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    recent: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    sha256: str = ""


def write(
    path: Path,
    parts: Mapping[str, nn.Module],
    optimisers: Mapping[str, Optimizer],
    facts: Facts,
    keep: bool = False,
) -> None:
    """Write the checkpoint of a run: the state of each of its named `parts` and `optimisers`, and its
    `facts`.

    With `keep`, the checkpoint now at `path` is known to be good and is kept next to it as `PREVIOUS`.
    """
    tensors = {
        f"{part}.{key}": value for part, module in parts.items() for key, value in module.state_dict().items()
    }
    for name, optimiser in optimisers.items():
        tensors |= slots.kept(name, optimiser)
    blob = encode(tensors, facts)
    if keep:
        # an earlier one is a comfort; the new one must not fail for its sake
        with contextlib.suppress(OSError, GenzooError):
            _keep(path)
    atomic_write(path, blob)


def encode(tensors: Mapping[str, Tensor], facts: Facts) -> bytes:
    """Return the bytes of a checkpoint, with the digest of everything else in it as `facts.sha256`."""
    plain = {key: value.detach().to("cpu", copy=True).contiguous() for key, value in tensors.items()}
    sealed = dataclasses.replace(facts, sha256=_digest(plain, facts))
    return save(plain, metadata={"genzoo": _text(sealed)})


def read(path: Path) -> tuple[dict[str, Tensor], Facts]:
    """Return the tensors and facts of a checkpoint.

    Raises:
        CheckpointError: the file is missing or damaged, or another version wrote it in another format.
        StorageError: it cannot be read, or is not a regular file.
    """
    if not os.path.lexists(path):
        raise CheckpointError(f"there is no checkpoint at {path}", "leave out --resume to start a new run")
    try:
        blob = read_capped(path, _CAP)
        tensors = load(blob)
        size = int.from_bytes(blob[:8], "little")
        text = json.loads(blob[8 : 8 + size], object_pairs_hook=_once)["__metadata__"]["genzoo"]
        told = json.loads(text)
        _check_format(path, told)
        facts = parse(Facts, told, "its facts")
        if facts.step > facts.steps:
            raise ValueError(f"step {facts.step:,} of {facts.steps:,}")
        # a key twice, another spelling: nothing that was not written
        if facts.sha256 != _digest(tensors, facts) or _text(facts) != text:
            raise ValueError("its contents have changed since it was written")
    except (CheckpointError, StorageError):
        raise
    except MemoryError as error:
        raise TrainingError(
            f"there is not enough memory for the checkpoint {path}", "close other programs, then resume"
        ) from error
    except Exception as error:  # whatever a foreign file makes of the parsers, it is no checkpoint
        why = error.message if isinstance(error, GenzooError) else f"{type(error).__name__}: {error}"
        raise CheckpointError(
            f"the checkpoint {path} is damaged: {why}", "start again in another --out, or delete it"
        ) from error
    return tensors, facts


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the table of `pairs`, refusing a repeated key: parsers differ in which value they take."""
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("a key occurs twice in its header")
    return table


def _check_format(path: Path, told: Mapping[str, Any]) -> None:
    if "format" not in told and {"step", "recipe", "sha256"} <= set(told):
        raise CheckpointError(
            f"the checkpoint {path} was written by an older genzoo, whose digest does not cover its metadata",
            "finish the run with that version, or start again in another --out",
        )
    found = told.get("format")
    if isinstance(found, int) and not isinstance(found, bool) and found > FORMAT:
        raise CheckpointError(
            f"the checkpoint {path} has the format {safe_repr(found)}, but this genzoo reads {FORMAT}",
            "resume with a newer genzoo",
        )


def _text(facts: Facts) -> str:
    """Return the canonical text of the facts; what files of earlier versions do not know is left out if it is
    empty.
    """
    told = dataclasses.asdict(facts)
    for key in ("lineage", "recent"):
        if not told[key]:
            del told[key]
    return json.dumps(told, sort_keys=True, allow_nan=False)


def _digest(tensors: Mapping[str, Tensor], facts: Facts) -> str:
    """Return the sha256 of the facts and of every tensor's name, type, shape and values: otherwise training
    could continue with a flipped bit unnoticed.
    """
    digest = hashlib.sha256(_text(dataclasses.replace(facts, sha256="")).encode())
    for key in sorted(tensors):
        tensor = tensors[key]
        digest.update(json.dumps([key, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _keep(path: Path) -> None:
    """Keep `path` as `PREVIOUS` too: as a hard link if the file system has them, else as a copy."""
    previous = path.with_name(PREVIOUS)
    previous.unlink(missing_ok=True)  # for this instant `path` alone is there, and it is whole
    try:
        os.link(path, previous)
    except FileNotFoundError:
        return
    except OSError:
        atomic_write(previous, read_capped(path, _CAP))


def restore(
    tensors: Mapping[str, Tensor], parts: Mapping[str, nn.Module], optimisers: Mapping[str, Optimizer]
) -> None:
    """Restore every tensor in place, in its memory layout.

    Raises:
        TrainingError: the checkpoint belongs to another architecture or another set of players; nothing is
            changed then.
    """
    expected = {
        f"{part}.{key}": value for part, module in parts.items() for key, value in module.state_dict().items()
    }
    places = {key: slots.place_of(key) for key in tensors}
    kept: dict[str, dict[slots.Place, Tensor]] = {name: {} for name in optimisers}
    odd = set(expected) ^ {key for key, place in places.items() if place is None}
    for key, place in places.items():
        if place is None:
            continue
        if place.name in optimisers and slots.fits(place, tensors[key], optimisers[place.name]):
            kept[place.name][place] = tensors[key]
        else:
            odd.add(key)
    if odd:
        raise _another(f"{len(odd)} tensors differ, including {min(odd)!r}")
    flaws = [slots.unlike(key, tensors[key], value) for key, value in expected.items()]
    flaws += [slots.flaw(optimiser, kept[name]) for name, optimiser in optimisers.items()]
    for flaw in filter(None, flaws):
        raise _another(flaw)
    for part, module in parts.items():
        _refill(
            module,
            {
                key.removeprefix(f"{part}."): value
                for key, value in tensors.items()
                if key.startswith(f"{part}.")
            },
        )
    for name, optimiser in optimisers.items():
        slots.restore(optimiser, kept[name].items())


def _another(what: str) -> TrainingError:
    return TrainingError(
        f"the checkpoint belongs to another run: {what}", "choose another --out, or delete the checkpoint"
    )


def _refill(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for key, tensor in module.state_dict().items():
            tensor.copy_(state[key])
