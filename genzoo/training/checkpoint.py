"""Checkpoints: everything a run needs to go on bit for bit, in one safetensors file without pickle (rule R10).

The order of the data and all noise are functions of (seed, step, rank), so what is left to keep is: weights and buffers, the optimisers,
the averages, what players remember and the number of the step. The file is replaced atomically: killed at any moment, a run has its
last one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.optim import Optimizer

from genzoo.errors import TrainingError
from genzoo.files import atomic_write, read_capped

NAME = "checkpoint.safetensors"
_CAP = 2**36  # bytes; a checkpoint is our own file, the cap only bounds a mistake


def write(path: Path, parts: Mapping[str, nn.Module], optimisers: Mapping[str, Optimizer], facts: Mapping[str, Any]) -> None:
    """Write the checkpoint of a run: the state of each of its named `parts`; `facts` is JSON-ready and holds at least the step."""
    tensors = {f"{part}.{key}": value for part, module in parts.items() for key, value in module.state_dict().items()}
    for name, optimiser in optimisers.items():
        for index, slots in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{name}.{index}.{slot}": torch.as_tensor(value) for slot, value in slots.items()}
    plain = {key: value.detach().to("cpu", copy=True).contiguous() for key, value in tensors.items()}
    told = {**facts, "sha256": _digest(plain)}
    atomic_write(path, save(plain, metadata={"genzoo": json.dumps(told, sort_keys=True)}))


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and facts of a checkpoint.

    Raises:
        TrainingError: no file there, or one that is damaged.
    """
    if not path.is_file():
        raise TrainingError(f"there is no checkpoint at {path}", "leave out --resume to start a new run")
    blob = read_capped(path, _CAP)
    try:
        tensors = load(blob)
        size = int.from_bytes(blob[:8], "little")
        facts = json.loads(json.loads(blob[8 : 8 + size])["__metadata__"]["genzoo"])
        facts["step"] = int(facts["step"])
        if facts.pop("sha256", None) not in (None, _digest(tensors)):
            raise ValueError("its bytes are not those that were written")
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise TrainingError(f"the checkpoint {path} is damaged: {type(error).__name__}: {error}", "delete it to start anew") from error
    return tensors, facts


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """Return the sha256 of all names and values: a flipped bit would train on unseen."""
    digest = hashlib.sha256()
    for key in sorted(tensors):
        digest.update(f"{key}\0".encode())
        digest.update(tensors[key].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def restore(tensors: Mapping[str, Tensor], parts: Mapping[str, nn.Module], optimisers: Mapping[str, Optimizer]) -> None:
    """Put everything back where it was, in the memory layout it had.

    Raises:
        TrainingError: the checkpoint belongs to another architecture or another set of players; nothing has been changed then.
    """
    expected = {f"{part}.{key}" for part, module in parts.items() for key in module.state_dict()}
    found = {key for key in tensors if not key.startswith("optimiser.")}
    slots = {key.partition(".")[2].rpartition(".")[0] for key in tensors if key.startswith("optimiser.")}
    if found != expected or not slots <= _places(optimisers):
        odd = sorted(found ^ expected | slots - _places(optimisers))
        raise TrainingError(
            f"the checkpoint is of another run: {len(odd)} tensors differ, {odd[0]!r} among them",
            "choose another --out, or delete the checkpoint",
        )
    for part, module in parts.items():
        _refill(module, {key.removeprefix(f"{part}."): value for key, value in tensors.items() if key.startswith(f"{part}.")})
    for name, optimiser in optimisers.items():
        _restore_optimiser(
            optimiser, {key.removeprefix(f"optimiser.{name}."): v for key, v in tensors.items() if key.startswith(f"optimiser.{name}.")}
        )


def _places(optimisers: Mapping[str, Optimizer]) -> set[str]:
    """Return every `player.index` at which an optimiser may keep something."""
    return {
        f"{name}.{index}"
        for name, optimiser in optimisers.items()
        for index in range(sum(len(g["params"]) for g in optimiser.param_groups))
    }


def _refill(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for key, tensor in module.state_dict().items():
            if tensor.shape != state[key].shape:
                raise TrainingError(
                    f"the checkpoint is of another run: {key} has the shape {tuple(state[key].shape)}, not {tuple(tensor.shape)}"
                )
            tensor.copy_(state[key])


def _restore_optimiser(optimiser: Optimizer, flat: Mapping[str, Tensor]) -> None:
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    optimiser.state.clear()
    for key, value in flat.items():
        index, _, slot = key.partition(".")
        parameter = parameters[int(index)]
        # Moments keep their parameter's memory layout: an update in another order of memory is not the same bits.
        kept = torch.empty_like(parameter, dtype=value.dtype).copy_(value) if value.shape == parameter.shape else value.clone()
        on_host = slot == "step" and not optimiser.defaults.get("fused") and not optimiser.defaults.get("capturable")
        optimiser.state[parameter][slot] = kept if on_host else kept.to(parameter.device)
