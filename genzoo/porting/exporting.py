"""Export: a part of a model as a file for programs without genzoo.

The file is made in memory, run on inputs of several sizes and compared with the model, and with the golden
outputs that the weights came with. Only one that agrees is written, at once or not at all.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from genzoo import hub
from genzoo.card import Card
from genzoo.condition import Labels
from genzoo.errors import ArgumentError, ExportError, suggest
from genzoo.files import atomic_write
from genzoo.layers.folding import unfolded
from genzoo.ledger import Row
from genzoo.models import AdversarialModel, Model, golden
from genzoo.models.golden import IMAGES, PIXEL_TOLERANCE, SEED
from genzoo.models.parts import PARTS, Part, choose, example
from genzoo.models.weights import build_filled
from genzoo.places import Target
from genzoo.porting.formats import FORMATS, Form, Run, check_opset, check_packages, loaded, traced, written
from genzoo.process import neutral
from genzoo.units import several
from genzoo.zoo import find
from genzoo.zoo import row as row_of

TOLERANCE = 1e-4  # of the largest output, at least of 1: both compute in float32, in different order
BATCHES = (1, 5)  # numbers of rows that a file is tried with; it is traced with neither
TRACED, TIMED, REPEATS = 2, 16, 5


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What `export` returns.

    Attributes:
        path: the file that was written.
        part, format: what of the model it is, and in which format; `opset` that of ONNX, else None.
        inputs, outputs: their names and shapes for one row, N in the place of the number of rows.
        bytes, weights_bytes: size of the file, and of our weights of the whole model.
        difference: the largest difference of any output from the model's, in float32.
        golden: how it agrees with the golden outputs.
        seconds, own_seconds: for 16 rows, by what runs the file, and by genzoo (median of 5).
    """

    path: Path
    part: str
    format: str
    opset: int | None
    inputs: dict[str, str]
    outputs: dict[str, str]
    bytes: int
    weights_bytes: int
    difference: float
    golden: str
    seconds: float
    own_seconds: float


@neutral()
def export(
    name: Target,
    path: str | Path,
    *,
    format: str = "onnx",
    part: str | None = None,
    opset: int | None = None,
    sha256: str = "",
) -> Exported:
    """Write a part of the model `name` to `path`, for any number of rows.

    Args:
        name: a model with published weights, or the place of your own: the folder of a run, its `Outcome`, a
            .safetensors file, "hf:owner/repo[@revision]", as in `genzoo.load`.
        path: the file.
        format: "onnx", or "torch" for a program of torch.export, which torch.export.load reads.
        part: "decoder" (z → images), "encoder" (images → mean, log variance), "discriminator" (images →
            logits), "step" (a pixel model's parameters of every pixel) or "classifier"; None is the first of
            these that the model has. Models that take labels take them as a second input, (N,) int64.
        opset: version of the operators of ONNX; None is 18.
        sha256: digest of the weights, if you want to pin it yourself.

    Raises:
        ArgumentError: an unknown format, a part that the model lacks, an opset that is too old or too new.
        ExportError: a package is missing, the part cannot be exported, or the file gives other outputs.
        UnknownNameError, HubError, StorageError: see `genzoo.load` and `genzoo.files.atomic_write`.
    """
    if format not in FORMATS:
        raise ArgumentError(
            f"the format must be {' or '.join(FORMATS)}, not {format!r}{suggest(format, FORMATS)}"
        )
    if opset is not None and format != "onnx":
        raise ArgumentError("only the format onnx has an opset", "leave opset out")
    check_packages(format)
    version = check_opset(opset) if format == "onnx" else None
    entry = find(name, sha256)
    chosen = choose(entry.card.load_class(), entry.card.name, part)
    published = row_of(entry)
    blob = hub.pull_bytes(published)
    model = build_filled(entry.card, blob, f"the weights file of {entry.card.name!r}")
    stored = hub.facts_of(blob, entry.card.name).get("golden", {})
    agreement = golden.compare(model, stored, entry.card.name)
    task = _Task(entry.card, published, model, chosen)
    return _exported(task, Path(path), format, version, (stored, agreement))


@dataclass(frozen=True)
class _Task:
    card: Card
    row: Row
    model: Model
    part: str


def _exported(
    task: _Task, path: Path, format: str, opset: int | None, known: tuple[dict[str, Any], str]
) -> Exported:
    model = task.model.eval()
    inputs = example(model, task.part, TRACED)
    with unfolded():
        part = _pruned(PARTS[task.part].make(model), list(inputs.values()))
        results = _called(part, list(inputs.values()))
        outputs = PARTS[task.part].gives[: len(results)] if len(results) > 1 else _single(task.part)
        form = Form(tuple(inputs), outputs, _facts(task), opset or 0)
        data = written(traced(part, list(inputs.values())), format, form)
        run = loaded(data, format)
        worst = max(_difference(model, part, run, task, n) for n in BATCHES)
    told = _compare_golden(model, run, task, *known)
    many = list(example(model, task.part, TIMED).values())
    atomic_write(path, data)
    return Exported(
        path=path,
        part=task.part,
        format=format,
        opset=opset,
        inputs={key: _shape(value) for key, value in inputs.items()},
        outputs={key: _shape(value) for key, value in zip(outputs, results, strict=True)},
        bytes=len(data),
        weights_bytes=task.row.bytes,
        difference=worst,
        golden=told,
        seconds=_time(lambda: run(many)),
        own_seconds=_time(_own(task, many)),
    )


def _single(part: str) -> tuple[str, ...]:
    return ("code",) if part == "encoder" else PARTS[part].gives[:1]


def _facts(task: _Task) -> dict[str, str]:
    """Return what the file says of itself, for people."""
    facts = {
        "genzoo.name": task.card.name,
        "genzoo.part": task.part,
        "genzoo.weights_sha256": task.row.sha256,
        "genzoo.licence": task.row.licence or "no licence stated",
        "genzoo.terms": task.row.terms,
    }
    condition = task.model.condition
    if isinstance(condition, Labels):
        facts["genzoo.labels"] = "\n".join(condition.names)
    return {key: text for key, text in facts.items() if text}


def _pruned(part: Part, inputs: Sequence[Tensor]) -> Part:
    """Return a copy of `part` without the parameters that its outputs do not depend on: a decoder's file
    holds no discriminator.
    """
    own = copy.deepcopy(part)
    names = dict(own.named_parameters())
    with torch.enable_grad():
        total = sum(value.double().sum() for value in _called(own, inputs))
        found = torch.autograd.grad(total, list(names.values()), allow_unused=True)  # type: ignore[arg-type]
    used = {name for name, gradient in zip(names, found, strict=True) if gradient is not None}
    for prefix, module in own.named_modules():
        mine = [name for name, _ in module.named_parameters(recurse=False)]
        if mine and not any(f"{prefix}.{name}".lstrip(".") in used for name in mine):
            module._parameters.clear()
            module._buffers.clear()
    own.requires_grad_(False)
    try:
        after = _called(own, inputs)
    except (AttributeError, RuntimeError, TypeError):  # something asks for them without depending on them
        return part
    same = all(torch.equal(a, b) for a, b in zip(after, _called(part, inputs), strict=True))
    return own if same else part


def _called(part: Part, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    found = part(*inputs)
    return tuple(found) if isinstance(found, tuple) else (found,)


def _difference(model: Model, part: Part, run: Run, task: _Task, n: int) -> float:
    """Return the largest difference between the outputs of the file and of the model, for `n` rows that were
    not seen while it was made.

    Raises:
        ExportError: it is too large, or the outputs have other shapes.
    """
    inputs = list(example(model, task.part, n, seed=n).values())
    with torch.no_grad():
        expected = _called(part, inputs)
    try:
        came = run(inputs)
    except Exception as error:
        raise ExportError(
            f"the exported {task.part} of {task.card.name} does not run for {n} rows: {str(error)[:200]}",
            "nothing was written; try another --opset or --format torch",
        ) from error
    shapes = [tuple(value.shape) for value in came]
    if shapes != [tuple(value.shape) for value in expected]:
        raise ExportError(
            f"the exported {task.part} of {task.card.name} gives the shapes {shapes} for {n} rows"
        )
    worst = max(float((a - b).abs().max()) for a, b in zip(came, expected, strict=True))
    most = TOLERANCE * max(1.0, *(float(value.abs().max()) for value in expected))
    if not worst <= most:  # NaN is no agreement
        raise ExportError(
            f"the exported {task.part} of {task.card.name} differs from the model by {worst:.2g}, more than "
            f"{most:.2g}",
            "nothing was written; try another --opset or --format torch",
        )
    return worst


def _compare_golden(model: Model, run: Run, task: _Task, stored: dict[str, Any], agreement: str) -> str:
    """Return how the file agrees with the golden outputs: by its own images if it is a decoder,
    else through the model, which gave them.

    Raises:
        ExportError: its images are others.
    """
    if task.part != "decoder" or not (isinstance(model, AdversarialModel) and "samples" in stored):
        return f"the model's {agreement}"
    latents = model.sample_latents(IMAGES, SEED)
    images = run([latents, *model.check_condition(stored.get("condition"), IMAGES)])[0]
    levels = golden.distance(images, stored, "samples", task.card.name)
    if levels > PIXEL_TOLERANCE:
        raise ExportError(
            f"the exported decoder of {task.card.name} differs from its golden outputs by {levels} grey "
            "levels",
            "nothing was written; try another --opset or --format torch",
        )
    return f"golden outputs agree within {several(levels, 'grey level')}"


def _own(task: _Task, inputs: Sequence[Tensor]) -> Callable[[], object]:
    """Return what computes the same in genzoo, as fast as it can."""
    first, *labels = inputs
    model: Any = task.model
    given = labels[0].tolist() if labels else None
    if task.part == "decoder":
        return lambda: model.decode(first, given)
    if task.part == "encoder":
        return lambda: model.encode(first, given)
    part = PARTS[task.part].make(task.model)
    return lambda: _called(part, inputs)


def _time(call: Callable[[], object]) -> float:
    """Return the median of the seconds that `call` takes, after a first one."""
    taken = []
    with torch.no_grad():
        call()
        for _ in range(REPEATS):
            start = time.perf_counter()
            call()
            taken.append(time.perf_counter() - start)
    return median(taken)


def _shape(value: Tensor) -> str:
    kind = str(value.dtype).removeprefix("torch.")
    return f"({', '.join(['N', *map(str, value.shape[1:])])}{',' * (value.ndim == 1)}) {kind}"
