"""The end of a run: weights, golden check, scores, samples, card and ledger row, in a folder that is itself a hub."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genzoo import hub
from genzoo.card import Card
from genzoo.data import Images
from genzoo.evaluation.records import Record
from genzoo.files import sha256_of
from genzoo.images import save_grid
from genzoo.ledger import Row, Score
from genzoo.models import GenerativeModel, Model, golden
from genzoo.models.weights import encode, rounded
from genzoo.training.loop import Run


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What `train` returns.

    Attributes:
        folder: where everything lies: `NAME.safetensors`, `NAME.md`, `zoo.toml`, `samples.png`, `log.jsonl`, the checkpoint.
        finished: False where the run was interrupted; it is saved and can be resumed.
        step: rounds played.
        records: scores on the held-out images.
        weights: the weights file, None where the run is not finished.
    """

    folder: Path
    finished: bool
    step: int
    records: list[Record] = field(default_factory=list)
    weights: Path | None = None


def finished_model(run: Run, storage: str) -> Model:
    """Return the model to be published: averaged weights where the recipe keeps them, rounded as they will be stored."""
    model = run.averages.finished(run.model, run.players)
    rounded(model, storage)
    return model


def publish(run: Run, model: Model, card: Card, records: list[Record], storage: str) -> Outcome:
    """Write everything that belongs to the finished `model` into the run's folder."""
    weights = encode(model, card.name, golden.record(model), storage)
    row = Row(
        name=card.name,
        plugin=card.plugin,
        sha256=sha256_of(weights),
        bytes=len(weights),
        sources=(f"folder:{card.name}.safetensors",),
        licence="MIT (weights); the images keep their own terms",
        data=describe_data(run.data),
        terms=run.data.facts.get("terms", ""),
        trained=describe_run(run),
        scores=tuple(score(record) for record in records),
    )
    hub.push(run.folder, name=card.name, weights=weights, row=row, card_text=hub.model_card(row, card), files=_files(records))
    if isinstance(model, GenerativeModel):
        save_grid(model.sample(16, seed=0), run.folder / "samples.png")
    weights_path = run.folder / f"{card.name}.safetensors"
    return Outcome(folder=run.folder, finished=True, step=run.step, records=records, weights=weights_path)


def score(record: Record) -> Score:
    """Return the ledger's form of a record."""
    facts: dict[str, Any] = {"metric": record.label, "unit": "" if record.unit == "1" else record.unit}
    kept = ("value", "kind", "n", "stderr", "blocks", "subject", "data", "split", "transform", "protocol")
    facts |= {key: getattr(record, key) for key in kept}
    return Score(**facts)


def describe_data(data: Images) -> str:
    """Return the data statement of a card: name, count, split, size, source."""
    shape = "×".join(map(str, data.shape))
    skipped = f", {sum(data.skipped.values()):,} unreadable files skipped" if data.skipped else ""
    source = data.facts.get("source", "")
    return f"{data.name}, {len(data):,} images ({data.split}), {shape}, {data.transform}{skipped}" + (f"; {source}" if source else "")


def describe_run(run: Run) -> str:
    """Return how the weights were made: rounds, images seen, time, machine, versions."""
    import torch

    images = run.batches * run.recipe.batch
    processes = f", {run.world.size} processes" if run.world.size > 1 else ""
    settings = run.settings.words() + (", CUDA graphs" if run.recorder.on else "")
    return (
        f"{run.step:,} rounds of batch {run.recipe.batch}, {images:,} images seen, {_duration(run.seconds)} on "
        f"{_hardware(run)}{processes} ({settings}), torch {torch.__version__}, seed {run.recipe.seed}"
    )


def _files(records: list[Record]) -> Mapping[str, bytes]:
    listing = json.dumps([record.as_dict() for record in records], indent=2, sort_keys=True)
    return {"scores.json": listing.encode()}


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min" if minutes else f"{seconds:.0f} s"


def _hardware(run: Run) -> str:
    import torch

    if run.settings.device.type == "cuda":
        return torch.cuda.get_device_name(run.settings.device)
    capability = " with bf16 instructions" if run.settings.bf16 else ""
    return f"{torch.get_num_threads()} CPU threads{capability}"
