"""Publish a finished run: weights, golden check, scores, samples, card and ledger row, in a folder that is
itself a hub.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genzoo import hub, places
from genzoo.card import Card
from genzoo.data import Images
from genzoo.data.conditions import other_of
from genzoo.errors import HubError, LedgerError, TrainingError, legible, safe_text
from genzoo.files import sha256_of
from genzoo.images import grid, png
from genzoo.isolation import describe
from genzoo.ledger import Row, with_row
from genzoo.ledger.rows import MOST_KEYS
from genzoo.models import GenerativeModel, Model, golden
from genzoo.models.panel import panel, told
from genzoo.models.weights import build_filled, encode, rounded
from genzoo.notebook import html_facts
from genzoo.recipe import FACTS, Recipe, keys_of
from genzoo.record import Record, Records
from genzoo.show import tell
from genzoo.training.loop import Run
from genzoo.units import human_time, several

# keys of a recipe that a row states under keys of its own; `data` may also be a path of this machine
_STATED = (*FACTS, "data", "licence")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What `train` returns.

    Attributes:
        folder: the folder of the run: weights and card, which `zoo.toml` names, `scores.json`, `samples.png`,
            `log.jsonl`, the checkpoint.
        finished: False where the run was interrupted; it is saved and can be resumed.
        step: rounds played.
        records: scores on the held-out images.
        weights: the weights file, None where the run is not finished.
        sha256: its digest, which `genzoo.load(outcome)` pins; empty where the run is not finished.
        signal: the number of the signal that ended the run before it was published, 0 where none did.
    """

    folder: Path
    finished: bool
    step: int
    records: list[Record] = field(default_factory=list)
    weights: Path | None = None
    signal: int = 0
    sha256: str = ""

    @property
    def model(self) -> Model:
        """The trained model, in evaluation mode on the CPU; read and checked anew each time.

        Raises:
            HubError: the run is not finished, or its weights have been replaced or removed since.
        """
        entry = places.find(self)
        if entry.row is None:
            raise HubError(f"the run in {self.folder} has no weights")
        return build_filled(
            entry.card, hub.pull_bytes(entry.row), f"the weights file of the run in {self.folder}"
        )

    def __fspath__(self) -> str:
        """Return the folder: the outcome stands for it wherever a path does, as in `genzoo.load(outcome)`."""
        return os.fspath(self.folder)

    def __repr__(self) -> str:
        where = safe_text(self.folder)
        where = where if len(where) <= 40 else f"…{where[-39:]}"
        count = len(self.records)
        return f"<Outcome of {where}: {self._state}, {count} record{'s' * (count != 1)}>"

    def _repr_html_(self) -> str:
        """Return the outcome as a table and its scores as another, for notebooks."""
        facts = [("Folder", self.folder), ("State", self._state), ("Weights", self.weights)]
        return html_facts(facts) + (Records(self.records)._repr_html_() if self.records else "")

    @property
    def _state(self) -> str:
        by = f" by signal {self.signal}" if self.signal else ""
        return ("finished" if self.finished else f"interrupted{by}") + f", {several(self.step, 'step')}"


def finished_model(run: Run, storage: str) -> Model:
    """Return the model to be published: the averaged weights if the recipe keeps them, rounded as they will
    be stored.
    """
    model = run.ema.finished(run.model, run.players, run.feed.whole)
    rounded(model, storage)
    return model


def publish(
    run: Run, model: Model, card: Card, records: Sequence[Record], storage: str, *, picture: bool = True
) -> Outcome:
    """Write the finished `model` and everything that belongs to it into the run's folder, a `picture` of
    samples among it.

    Raises:
        TrainingError: it could not be written; the checkpoint is still there, and the message says how to
            publish it.
    """
    kept = _encodable(card.name, records)
    try:
        final = hub.push(run.folder, **published(run, model, card, kept, storage, picture=picture))
    except Exception as error:
        raise TrainingError(
            f"{card.name} finished its {several(run.step, 'step')}, but could not be published: "
            f"{describe(error)}",
            _way_back(run, storage),
        ) from error
    weights_path = run.folder / final.sources[0].removeprefix("folder:")
    return Outcome(
        folder=run.folder,
        finished=True,
        step=run.step,
        records=list(kept),
        weights=weights_path,
        sha256=final.sha256,
    )


def _way_back(run: Run, storage: str) -> str:
    """Return the hint for a finished run that could not be published."""
    if run.unsaved:
        return (
            "when that is fixed, the same command with --resume continues from the last checkpoint "
            "that could be written"
        )
    told = (
        "the checkpoint is kept: when that is fixed, the same command with --resume publishes "
        "without training again"
    )
    return told + "; --set save_dtype=float32 stores the weights as they are" * (storage != "float32")


def published(
    run: Run, model: Model, card: Card, records: Sequence[Record], storage: str, *, picture: bool = True
) -> dict[str, Any]:
    """Return the arguments of `hub.push`: the weights as bytes, their row, card and further files, a
    `picture` of samples among them.
    """
    told = {"plugin": legible(card.plugin), "lineage": list(run.lineage)}
    about = {key: value for key, value in told.items() if value}
    weights = encode(model, card.name, golden.record(model), storage, about)
    row = Row(
        name=card.name,
        plugin=legible(card.plugin),
        sha256=sha256_of(weights),
        bytes=len(weights),
        sources=(f"folder:{card.name}.safetensors",),
        licence=legible(run.recipe.licence),
        data=legible(describe_data(run.data)),
        terms=legible(run.data.facts.get("terms", "")),
        trained=legible(describe_run(run)),
        recipe=changed_keys(run.recipe, card),
        lineage=run.lineage,
        scores=tuple(record.legible() for record in records),
    )
    files = {**_listing(records), **(_picture(run.folder, model) if picture else {})}
    return {
        "name": card.name,
        "weights": weights,
        "row": row,
        "card_text": hub.model_card(row, card, place=str(run.folder)),
        "files": files,
    }


def changed_keys(recipe: Recipe, card: Card) -> tuple[str, ...]:
    """Return the keys of `recipe` that are not those of `card`, as `genzoo train --set` takes them."""
    usual = keys_of(card.recipe or Recipe(), card.game)
    found = {key: value for key, value in keys_of(recipe, card.game).items() if key not in _STATED}
    changes = [pair for key, value in found.items() for pair in _changes(key, value, usual.get(key))]
    return tuple(safe_text(f"{key}={text}", 200) for key, text in changes)[:MOST_KEYS]


def _changes(key: str, value: Any, usual: Any) -> list[tuple[str, str]]:
    if value == usual:
        return []
    if not isinstance(value, Mapping):
        return [(key, _typed(value))]
    usual = usual if isinstance(usual, Mapping) else {}
    if usual.keys() - value.keys():  # a value for all has replaced the table
        return [(key if player == "all" else f"{key}.{player}", _typed(one)) for player, one in value.items()]
    return [(f"{key}.{player}", _typed(one)) for player, one in value.items() if one != usual.get(player)]


def _typed(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_typed, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _encodable(name: str, records: Sequence[Record]) -> list[Record]:
    """Return the records that can be stored; report each other one (a plugin's, say) as left out."""
    kept = []
    for record in records:
        try:
            row = Row(
                name=name, sha256="0" * 64, bytes=1, sources=("folder:none",), scores=(record.legible(),)
            )
            with_row(b"", row, Path("zoo.toml"))
            _listing([record])
        except Exception as error:  # noqa: BLE001
            reason = error.message if isinstance(error, LedgerError) else describe(error)
            tell(f"the score {record.metric} of {name} is left out because it cannot be stored: {reason}")
            continue
        kept.append(record)
    return kept


def describe_data(data: Images) -> str:
    """Return the data statement of a card: name, count (of both sides, if there are two), split, size,
    source.
    """
    other = other_of(data)
    count = f"{len(data):,}" if other is None else f"{len(data):,} and {len(other):,}"
    shape = "×".join(map(str, data.shape))
    skipped = f", {sum(data.skipped.values()):,} unreadable files skipped" if data.skipped else ""
    source = data.facts.get("source", "")
    return f"{data.name}, {count} images ({data.split}), {shape}, {data.transform}{skipped}" + (
        f"; {source}" if source else ""
    )


def describe_run(run: Run) -> str:
    """Return how the weights were made: rounds, images seen, time, machine, versions."""
    import torch

    images = run.batches * run.recipe.batch_size
    processes = f", {run.world.size} processes" if run.world.size > 1 else ""
    settings = run.settings.words() + (", CUDA graphs" if run.recorder.on else "")
    return (
        f"{several(run.step, 'round')} of batch {run.recipe.batch_size}, {images:,} images seen, "
        f"{human_time(run.seconds)} on "
        f"{_hardware(run)}{processes} ({settings}), torch {torch.__version__}, seed {run.recipe.seed}"
        f"{_given(run)}"
    )


def _given(run: Run) -> str:
    condition = run.model.condition
    return "" if condition is None else f"; it takes {condition.words}"


def _listing(records: Sequence[Record]) -> dict[str, bytes]:
    return {
        "scores.json": json.dumps([record.as_dict() for record in records], indent=2, sort_keys=True).encode()
    }


def _picture(folder: Path, model: Model) -> dict[str, bytes]:
    """Return samples as a PNG if the model can be sampled; a failure is only reported, since the picture is
    optional.
    """
    if not isinstance(model, GenerativeModel):
        return {}
    if os.path.isdir(folder / "samples.png"):
        tell(f"samples.png cannot be written: {folder} has a folder of that name")
        return {}
    try:
        return {"samples.png": png(grid(*panel(model, 16)), told(model, seed=0))}
    except Exception as error:  # noqa: BLE001
        tell(f"samples.png cannot be drawn: {describe(error)}")
        return {}


def _hardware(run: Run) -> str:
    import torch

    if run.settings.device.type == "cuda":
        return torch.cuda.get_device_name(run.settings.device)
    capability = " with bf16 instructions" if run.settings.bf16 else ""
    threads = torch.get_num_threads()
    return f"{threads} CPU thread{'s' if threads > 1 else ''}{capability}"
