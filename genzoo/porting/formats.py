"""Formats of exported models: ONNX, run by onnxruntime, and programs of torch.export, run by torch alone.

Each is made in memory and loaded again from the very bytes that would be written.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from genzoo.errors import ArgumentError, ExportError
from genzoo.isolation import describe

FORMATS = ("onnx", "torch")
PACKAGES = ("onnx", "onnxscript", "onnxruntime")  # of the extra genzoo[export]
LOWEST_OPSET = 18  # what torch's exporter is written for; below, it converts, which fails for many operators
DEFAULT_OPSET = 18  # read by every runtime since 2023, those in browsers included
LARGEST = (1 << 31) - 1  # bytes of one protobuf message

Run: TypeAlias = Callable[[Sequence[Tensor]], tuple[Tensor, ...]]


@dataclass(frozen=True)
class Form:
    """What a file is to be: names of inputs and outputs, facts for people, and the opset of ONNX."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    facts: Mapping[str, str]
    opset: int = DEFAULT_OPSET


def check_opset(opset: int | None) -> int:
    """Return the opset to use.

    Raises:
        ArgumentError: too old, or newer than what is installed can write and check.
    """
    if opset is None:
        return DEFAULT_OPSET
    if opset < LOWEST_OPSET:
        raise ArgumentError(
            f"opset {opset} is too old: the lowest that works is {LOWEST_OPSET}", f"--opset {LOWEST_OPSET}"
        )
    import onnx

    highest = min(onnx.defs.onnx_opset_version(), _highest_of_torch())
    if opset > highest:
        raise ArgumentError(
            f"opset {opset} is newer than the installed packages know: they write up to {highest}",
            f"--opset {DEFAULT_OPSET}",
        )
    return opset


def _highest_of_torch() -> int:
    from torch.onnx import _constants

    return int(_constants.ONNX_MAX_OPSET)


def check_packages(kind: str) -> None:
    """Raise ExportError if what the format needs is not installed; nothing is imported."""
    missing = [name for name in PACKAGES if kind == "onnx" and importlib.util.find_spec(name) is None]
    if missing:
        raise ExportError(
            f"the format onnx needs packages that are not installed: {', '.join(missing)}",
            "pip install 'genzoo[export]', or take --format torch, which needs nothing more",
        )


def traced(part: torch.nn.Module, inputs: Sequence[Tensor]) -> torch.export.ExportedProgram:
    """Return `part` as a program of torch operators, for any number of rows.

    Raises:
        ExportError: torch cannot follow it, or its steps depend on the numbers in the images.
    """
    batch = torch.export.Dim("batch", min=1)
    first, *others = ({0: batch} for _ in inputs)
    shapes = (first, tuple(others)) if others else (first,)  # labels are one argument, of any number
    try:
        with _quiet(), torch.no_grad():
            return torch.export.export(part, tuple(inputs), dynamic_shapes=shapes, strict=False)
    except Exception as error:
        raise ExportError(
            f"torch.export cannot follow this part: {describe(error)[:300]}", "export another: --part"
        ) from error


def written(program: torch.export.ExportedProgram, kind: str, form: Form) -> bytes:
    """Return the file of `program` in the format `kind`.

    Raises:
        ExportError: it cannot be written in this format.
    """
    try:
        with _quiet():
            return _as_onnx(program, form) if kind == "onnx" else _as_torch(program, form)
    except ExportError:
        raise
    except Exception as error:
        raise ExportError(
            f"this part cannot be written as {kind}: {describe(error)[:300]}",
            "take the other format, or another --part",
        ) from error


def loaded(data: bytes, kind: str) -> Run:
    """Return what runs the file `data`, which this process has just made, from tensors to tensors."""
    return _load_onnx(data) if kind == "onnx" else _load_torch(data)


def _as_onnx(program: torch.export.ExportedProgram, form: Form) -> bytes:
    made: Any = torch.onnx.export(
        program,
        dynamo=True,
        opset_version=form.opset,
        input_names=form.inputs,
        output_names=form.outputs,
        verbose=False,
    )
    found = made.model_proto
    for value in (*found.graph.input, *found.graph.output):
        for size in value.type.tensor_type.shape.dim:
            if size.dim_param:
                size.dim_param = "batch"
    for key, text in form.facts.items():
        entry = found.metadata_props.add()
        entry.key, entry.value = key, text
    if found.ByteSize() > LARGEST:
        raise ExportError("an ONNX file holds at most 2 GB, and this model is larger", "--format torch")
    data: bytes = found.SerializeToString()
    return data


def _as_torch(program: torch.export.ExportedProgram, form: Form) -> bytes:
    file = io.BytesIO()
    torch.export.save(program, file, extra_files=dict(form.facts))
    return file.getvalue()


def _load_onnx(data: bytes) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]

    def run(inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        given = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
        return tuple(torch.from_numpy(value) for value in session.run(None, given))

    return run


def _load_torch(data: bytes) -> Run:
    with _quiet():
        module: Any = torch.export.load(io.BytesIO(data)).module()

    def run(inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        with torch.no_grad():
            found = module(*inputs)
        return tuple(found) if isinstance(found, (tuple, list)) else (found,)

    return run


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what torch's exporter says off the terminal: warnings, logs, and graphs that it prints."""
    before = logging.root.manager.disable
    nowhere = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(before)
