"""How far the weights are apart that one, two and four processes end with, for the game of every card.

    python tests/benchmarks/bench_processes.py [NAME ...] [--processes 2 4]

Each card is built as small as it can be and plays three rounds on eight random images each, with
`sync_batch_norm=true`: once in this process, once in each number of processes that torchrun starts here. The
distance is ‖w - w'‖ / ‖w‖, the largest of the model, its averages and what its game keeps. Names are those of
cards, or of the cases of tests/alike.py, whose options are harder than those of the cards.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import alike  # noqa: E402
import torch  # noqa: E402
from measure import machine, report  # noqa: E402

import genzoo  # noqa: E402
from genzoo.training.parallel import World  # noqa: E402


def in_processes(count: int, names: list[str], folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    """Return what each case ends with in `count` processes."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    subprocess.run([*command, str(HERE.parent / "alike.py"), str(folder), *names], env=env, check=True)
    found: dict[str, dict[str, torch.Tensor]] = torch.load(folder / f"{count}-0.pt")
    return found


def main() -> None:
    """Play all games, and print the distances."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*")
    parser.add_argument("--processes", nargs="+", type=int, default=[2, 4])
    args = parser.parse_args()
    names = args.names or [card.name for card in genzoo.cards() if card.recipe is not None]
    folder = Path(tempfile.mkdtemp())
    alone = {name: alike.played(name, World(), folder / name) for name in names}
    together = {count: in_processes(count, names, folder) for count in args.processes}
    rows = [
        [name, *(f"{alike.distance(alone[name], together[count][name]):.0e}" for count in args.processes)]
        for name in names
    ]
    report(
        "Distance from the weights of one process",
        machine(),
        ["game", *(f"{count} processes" for count in args.processes)],
        rows,
        {"distances": rows},
    )


if __name__ == "__main__":
    main()
