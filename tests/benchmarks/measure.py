"""What the benchmarks share: workers that take turns, the machine in words, and a table.

Two variants are compared by two processes that take turns, one measurement each, round after round: machines
drift by a quarter within minutes, so only the ratio of neighbours means anything. Each has its own process,
since an allocator's settings and a peak of memory belong to a process.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

WORKER = "--worker"


def serve(measure: Callable[[], dict[str, float]]) -> None:
    """Be a worker: answer each line of stdin with one measurement as a line of JSON."""
    print("{}", flush=True)  # ready
    for _ in sys.stdin:
        print(json.dumps(measure()), flush=True)


class Worker:
    """A variant in its own process."""

    def __init__(self, name: str, arguments: Sequence[str]) -> None:
        command = [sys.executable, sys.argv[0], *arguments, WORKER, name]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._answer()

    def measure(self) -> dict[str, float]:
        """Return the numbers of one more measurement."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait()

    def _answer(self) -> dict[str, float]:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"a worker ended: exit code {self.process.wait()}")
        return json.loads(line)


def take_turns(
    names: Sequence[str], rounds: int, arguments: Sequence[str], warm: int = 0
) -> dict[str, list[dict[str, float]]]:
    """Return `rounds` measurements of each variant, made in turn after `warm` that do not count."""
    workers = {name: Worker(name, arguments) for name in names}
    results: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for number in range(warm + rounds):
        for name, worker in workers.items():
            result = worker.measure()
            if number >= warm:
                results[name].append(result)
    for worker in workers.values():
        worker.close()
    return results


def median(results: Sequence[Mapping[str, float]], key: str) -> float:
    """Return the median of one number over the rounds."""
    return statistics.median(result[key] for result in results)


def paired(ours: Sequence[Mapping[str, float]], usual: Sequence[Mapping[str, float]], key: str) -> float:
    """Return the median over the rounds of usual / ours, each with its neighbour: how many times as fast."""
    return statistics.median(b[key] / a[key] for a, b in zip(ours, usual, strict=True))


def machine(device: str = "cpu") -> dict[str, Any]:
    """Return what must be known of the machine and the versions to read a number."""
    import torch

    from genzoo import __version__

    facts: dict[str, Any] = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "isa": torch.backends.cpu.get_cpu_capability(),
        "amx": torch.cpu._is_amx_tile_supported(),
        "avx512_bf16": torch.cpu._is_avx512_bf16_supported(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "genzoo": __version__,
        "system": platform.platform(),
        "command": " ".join(["python", *sys.argv]),
    }
    if device != "cpu":
        facts["gpu"] = torch.cuda.get_device_name(device)
    return facts


def report(
    title: str,
    facts: Mapping[str, Any],
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    result: Mapping[str, Any],
) -> None:
    """Print a Markdown table for people, then everything as one line of JSON."""
    print(f"## {title}\n")
    print(", ".join(f"{key} {value}" for key, value in facts.items()) + "\n")
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for row in rows:
        print("| " + " | ".join(map(_words, row)) + " |")
    print("\n" + json.dumps({"title": title, "machine": facts, **result}))


def _words(cell: object) -> str:
    if not isinstance(cell, float):
        return str(cell)
    return f"{cell:,.3g}" if cell < 100 else f"{cell:,.0f}"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            found = dict(line.split(":", 1) for line in lines if ":" in line)
    except OSError:
        return platform.processor()
    keys = {key.strip(): value.strip() for key, value in found.items()}
    return (
        f"{keys.get('model name', platform.machine())}, family {keys.get('cpu family', '?')} model "
        f"{keys.get('model', '?')}"
    )
