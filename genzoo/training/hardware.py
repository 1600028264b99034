"""Settings that depend on the machine: device, precision, memory layout, compilation. "auto" picks what
measured best on that device.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from genzoo.errors import ArgumentError
from genzoo.layers.folding import fast_bf16
from genzoo.recipe import AUTO, Recipe


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """How tensors are computed; none of it changes the mathematics."""

    device: torch.device
    bf16: bool
    channels_last: bool
    compile: bool
    cuda_graphs: bool = False
    tf32: str = AUTO
    cudnn: str = AUTO

    @contextlib.contextmanager
    def switches(self) -> Iterator[None]:
        """Set what torch keeps for the whole process, TF32 and cuDNN, for the duration of the block."""
        if self.device.type != "cuda" or self.tf32 == self.cudnn == AUTO:
            yield
            return
        backend, before = torch.backends.cudnn, torch.get_float32_matmul_precision()
        kept = {name: getattr(backend, name) for name in ("allow_tf32", "benchmark", "deterministic")}
        try:
            if self.tf32 != AUTO:
                backend.allow_tf32 = self.tf32 == "on"
                torch.set_float32_matmul_precision("high" if self.tf32 == "on" else "highest")
            if self.cudnn != AUTO:
                backend.benchmark, backend.deterministic = (
                    self.cudnn == choice for choice in ("benchmark", "deterministic")
                )
            yield
        finally:
            torch.set_float32_matmul_precision(before)
            for name, value in kept.items():
                setattr(backend, name, value)

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which losses are computed: bf16 if chosen, else float32."""
        if not self.bf16:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    @property
    def memory_format(self) -> torch.memory_format:
        """The layout of images and convolution weights."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def on(self, device: torch.device) -> Hardware:
        """Return the same settings on another device of the same kind."""
        return dataclasses.replace(self, device=device)

    def words(self) -> str:
        """Return the settings in a few words, for cards and logs."""
        parts = [
            str(self.device),
            "bf16" if self.bf16 else "fp32",
            "channels_last" if self.channels_last else "channels_first",
        ]
        return ", ".join(parts + (["compiled"] if self.compile else []))


def choose(recipe: Recipe, device: torch.device | str | None) -> Hardware:
    """Return the settings for `recipe` on `device` (None: a GPU if there is one)."""
    chosen = find_device(device)
    return Hardware(
        device=chosen,
        bf16=fast_bf16(chosen) if recipe.precision == AUTO else recipe.precision == "bf16",
        # Convolutions in bf16 lose most of their gain in NCHW; on GPUs NHWC is what the matrix units read.
        channels_last=recipe.channels_last in (AUTO, "on"),
        # Measured on CPUs: compiling buys a DCGAN nothing, and its first step costs tens of seconds.
        compile=recipe.compile == "on",
        cuda_graphs=chosen.type == "cuda"
        and recipe.compile != "on"
        and recipe.cuda_graphs == AUTO
        and recipe.accumulate == 1
        and not recipe.recompute,
        tf32=recipe.tf32,
        cudnn=recipe.cudnn,
    )


def find_device(device: torch.device | str | None) -> torch.device:
    """Return `device` as a torch.device; None and "auto" mean the first GPU, or the CPU without one. Raise
    ArgumentError if it is not available.
    """
    if device is None or device == AUTO:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.zeros(1, device=chosen).item()  # on the meta device there is nothing to read
    except (RuntimeError, AssertionError, TypeError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ArgumentError(
            f"device {str(device)!r} cannot be used: {reason}", "for example device='cpu'"
        ) from error
    return chosen
