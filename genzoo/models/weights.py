"""Weights as bytes: one safetensors file, with the same bytes whenever the same weights are saved (rule R8).

One metadata key, "genzoo", holds one string of sorted JSON: the model's name, config, storage precision and
golden check. safetensors orders several metadata keys at random, which would change the file's sha256 each
time.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict
from types import MappingProxyType
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from genzoo.card import Card
from genzoo.errors import ArgumentError, UnknownNameError, WeightsError, suggest
from genzoo.hub.facts import FORMAT, facts_of
from genzoo.models.model import Model
from genzoo.process import undisturbed
from genzoo.rng import check_seed

STORAGE = {"float32": torch.float32, "float16": torch.float16}
# methods of a tensor that fill it at random
_DRAWS = ("normal_", "uniform_", "random_", "bernoulli_", "exponential_")


def encode(
    model: Model,
    name: str,
    golden: Mapping[str, Any],
    storage: str = "float32",
    about: Mapping[str, Any] = MappingProxyType({}),
) -> bytes:
    """Return the model's weights as the bytes of a safetensors file; `about` are further facts for its
    header, such as the plugin.

    `save_dtype="float16"` halves the file: tensors of two or more dimensions are rounded to half precision,
    biases, gains and statistics keep their precision. The published model is then exactly the loaded one: see
    `rounded`.

    Raises:
        WeightsError: a weight is not finite, or too large for half precision.
    """
    state = {
        key: _stored(value, storage).detach().cpu().contiguous().clone()
        for key, value in model.state_dict().items()
    }
    for key, value in state.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise WeightsError(
                f"{name}: the tensor {key} is not finite as {value.dtype}",
                "store it as float32, or train again",
            )
    facts = {
        "format": FORMAT,
        "name": name,
        "config": asdict(model.config),
        "storage": storage,
        "golden": dict(golden),
        **about,
    }
    return save(state, metadata={"genzoo": json.dumps(facts, sort_keys=True)})


def rounded(model: Model, storage: str) -> None:
    """Round the model's weights in place to what `encode` with this `storage` would keep, so that scores
    describe the published weights.
    """
    with torch.no_grad():
        for value in model.state_dict().values():
            value.copy_(_stored(value, storage))


def fill(model: Model, blob: bytes, where: str) -> Model:
    """Fill `model` (on the meta device or not) with the weights of `blob`; return it in evaluation mode.

    Raises:
        WeightsError: keys, dtypes or shapes differ from the model's, or a value is not finite; `where` names
            the file.
    """
    facts = facts_of(blob, where)
    try:
        found = load(blob)
    except (
        SafetensorError,
        ValueError,
        KeyError,
    ) as error:  # KeyError: a number format that this torch has not
        raise WeightsError(f"{where} is damaged: {error}", "pull it again") from error
    expected = model.state_dict()
    _check_keys(found, expected, where)
    for key, value in found.items():
        target = expected[key]
        stored = _stored_dtype(target, facts["storage"])
        if value.dtype != stored or value.shape != target.shape:
            raise WeightsError(
                f"{where}: {key} is {value.dtype} {tuple(value.shape)}, but the model expects {stored} "
                f"{tuple(target.shape)}"
            )
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise WeightsError(
                f"{where}: {key} holds NaN or infinite values", "pull it again, or report this to its author"
            )
    state = {key: value.to(expected[key].dtype) for key, value in found.items()}
    model.load_state_dict(state, strict=True, assign=True)
    return model.eval()


def build_fresh(card: Card, seed: int | None = None) -> Model:
    """Build the card's model with initial weights, a function of `seed` (None: random) but not of the state
    of the process.

    Raises:
        ArgumentError: a seed outside [0, 2^63); an invalid config value.
    """
    start = check_seed(seed)
    with undisturbed():
        torch.default_generator.manual_seed(start)
        model: Model = card.build()
    return model


@undisturbed()
def build_filled(card: Card, blob: bytes, where: str) -> Model:
    """Build the card's model with the config of its weights, without drawing initial weights that would be
    discarded.
    """
    told = card.replace(config=_config_of(card, facts_of(blob, where)["config"]))
    try:
        model = build_empty(told)
    except (ArgumentError, UnknownNameError) as error:
        raise WeightsError(
            f"{where} does not fit the model: {error.message}", "the weights were made for another version"
        ) from error
    if any(value.is_meta for value in _unsaved(model)):
        model = told.build()  # what is no part of the file must be computed
    fill(model, blob, where)
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    return model


def _config_of(card: Card, saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config of weights whose file has the keys `saved`, all that there were then. A newer key has
    the value of its default, which is how the class computed before; the card may say otherwise today.
    """
    keys = dataclasses.fields(card.load_class().Config)
    newer = {key.name for key in keys if (key.default, key.default_factory) != (MISSING, MISSING)}
    return {**{key: value for key, value in card.config.items() if key not in newer}, **saved}


def build_empty(card: Card) -> Model:
    """Build the card's model on the meta device: names and shapes of tensors without values."""
    with torch.device("meta"), _Undrawn():
        model: Model = card.build()
    return model


class _Undrawn(TorchFunctionMode):
    """Skips drawing initial weights: on the meta device that has no effect, but loads torch's compiler, which
    takes a second.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init" or getattr(func, "__name__", "") in _DRAWS:
            return args[0] if args else named["tensor"]
        return func(*args, **named)


def _unsaved(model: nn.Module) -> list[Tensor]:
    """Return the tensors that are not saved: buffers that are not persistent, and plain attributes."""
    saved = set(model.state_dict())
    buffers = [value for name, value in model.named_buffers() if name not in saved]
    return buffers + [
        value for module in model.modules() for value in vars(module).values() if isinstance(value, Tensor)
    ]


def _stored(value: Tensor, storage: str) -> Tensor:
    return value.to(_stored_dtype(value, storage))


def _stored_dtype(value: Tensor, storage: str) -> torch.dtype:
    return STORAGE[storage] if value.is_floating_point() and value.ndim >= 2 else value.dtype


def _check_keys(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], where: str) -> None:
    missing, odd = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    if missing or odd:
        name = (missing or odd)[0]
        near = suggest(name, found if missing else expected)
        kind = f"{len(missing)} tensors are missing" if missing else f"{len(odd)} tensors are unknown"
        raise WeightsError(
            f"{where} does not fit the model: {kind}, {name!r} among them{near}",
            "the weights were made for another config or version",
        )
