"""What a user waits for: `genzoo list`, and sixteen saved bedrooms, against `python -c "import torch"`.

    python tests/benchmarks/bench_start.py [--rounds 5] [--device cpu]

Needs genzoo and genzoo-dcgan installed. While dcgan-bedrooms has no published weights, fresh ones of the same
config stand in for them, through GENZOO_ZOO.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import machine, median, paired, report

NAME = "dcgan-bedrooms"
GENZOO = (sys.executable, "-m", "genzoo")


def stand_in(folder: Path) -> None:
    """Write fresh weights and their row to `folder`, and let GENZOO_ZOO name it, where the model has no
    published ones."""
    from genzoo import create, hub, info
    from genzoo.files import sha256_of
    from genzoo.ledger import Row
    from genzoo.models.weights import encode

    known = info(NAME)
    if known.has_weights:
        return
    weights = encode(create(NAME).eval(), NAME, {}, known.recipe.save_dtype)
    source = f"folder:{NAME}.safetensors"
    row = Row(
        name=NAME, plugin=known.plugin, sha256=sha256_of(weights), bytes=len(weights), sources=(source,)
    )
    hub.push(folder, name=NAME, weights=weights, row=row, card_text=hub.model_card(row, known))
    os.environ["GENZOO_ZOO"] = str(folder / "zoo.toml")


def timed(command: tuple[str, ...]) -> dict[str, float]:
    """Run `command` as a user would and return its wall time."""
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return {"seconds": time.perf_counter() - begun}


def imports_torch(command: tuple[str, ...]) -> bool:
    """Whether `command` imports torch: read off Python's own account of its imports."""
    told = subprocess.run(
        [command[0], "-X", "importtime", *command[1:]], check=True, capture_output=True, text=True
    ).stderr
    return any(line.rpartition("|")[2].strip() in ("torch", "numpy") for line in told.splitlines())


def main() -> None:
    """Measure the three commands in turn."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["GENZOO_CACHE"] = str(folder / "cache")
        stand_in(folder)
        sample = (
            "sample",
            NAME,
            "-n",
            "16",
            "--seed",
            "0",
            "--device",
            args.device,
            "-o",
            str(folder / "bedrooms.png"),
        )
        commands = {
            "import torch": (sys.executable, "-c", "import torch"),
            "list": (*GENZOO, "list"),
            "sample": (*GENZOO, *sample),
        }
        results: dict[str, list[dict[str, float]]] = {key: [] for key in commands}
        for number in range(args.rounds + 1):
            for key, command in commands.items():
                result = timed(command)
                if number:  # the first round fills the disk's cache
                    results[key].append(result)
        light = {"list imports torch or numpy": imports_torch(commands["list"])}
    ratios = {key: 1 / paired(results[key], results["import torch"], "seconds") for key in commands}
    rows = [
        (" ".join(Path(word).name for word in commands[key]), median(results[key], "seconds"), ratios[key])
        for key in commands
    ]
    rows.append((json.dumps(light), "", ""))
    columns = ("command", "seconds", "times import torch")
    report("Start", machine(args.device), columns, rows, {"ratios": ratios, **light, "rounds": results})


if __name__ == "__main__":
    main()
