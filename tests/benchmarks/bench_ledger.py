"""What a growing ledger costs: `genzoo list` with no scores, with today's, and with a thousand.

    python tests/benchmarks/bench_ledger.py [--rounds 20] [--scores 1000]

Each ledger has the rows of today's zoo.toml; the thousand are its own scores again and again. Besides wall
time there is the time of the processor, which a busy machine changes less.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import machine, median, paired, report

# the command line as it is, but for where the core's ledger lies
LIST = """
import sys
from pathlib import Path
from genzoo.ledger import load
ledger = Path(sys.argv[1])
load.find_ledger = lambda: ledger
from genzoo.cli import main
sys.argv[1:] = ["list"]
main()
"""


def write(path: Path, count: int) -> None:
    """Write a ledger with the rows of today's and `count` scores, shared out among the rows."""
    from genzoo.ledger import find_ledger, format_row, read_rows

    rows = list(read_rows(find_ledger()).values())
    scores = itertools.cycle([score for row in rows for score in row.scores])
    shares = [count // len(rows) + (index < count % len(rows)) for index in range(len(rows))]
    new = [
        row.replace(scores=tuple(itertools.islice(scores, share)))
        for row, share in zip(rows, shares, strict=True)
    ]
    path.write_text("\n".join(map(format_row, new)), "utf-8")


def timed(ledger: Path) -> dict[str, float]:
    """List the models with `ledger` in a process of its own; return its wall and processor time."""
    begun = time.perf_counter()
    command = [sys.executable, "-c", LIST, str(ledger)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"genzoo list failed: {status}")
    return {"wall": time.perf_counter() - begun, "cpu": used.ru_utime + used.ru_stime}


def main() -> None:
    """Measure the three ledgers in turn."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--scores", type=int, default=1000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        from genzoo.ledger import find_ledger

        os.environ["GENZOO_CACHE"] = str(Path(name) / "cache")
        ledgers = {
            "no scores": Path(name) / "none.toml",
            "today's": find_ledger(),
            f"{args.scores:,} scores": Path(name) / "many.toml",
        }
        write(ledgers["no scores"], 0)
        write(Path(name) / "many.toml", args.scores)
        results: dict[str, list[dict[str, float]]] = {key: [] for key in ledgers}
        for number in range(args.rounds + 1):
            for key, ledger in ledgers.items():
                result = timed(ledger)
                if number:  # the first round probes the plugins and fills the disk's cache
                    results[key].append(result)
    base = results["no scores"]
    ratios = {
        key: {kind: 1 / paired(results[key], base, kind) for kind in ("wall", "cpu")} for key in ledgers
    }
    rows = [
        (
            key,
            median(results[key], "wall"),
            ratios[key]["wall"],
            median(results[key], "cpu"),
            ratios[key]["cpu"],
        )
        for key in ledgers
    ]
    columns = ("ledger", "wall, s", "times none", "processor, s", "times none")
    report("Ledger", machine("cpu"), columns, rows, {"ratios": ratios, "rounds": results})


if __name__ == "__main__":
    main()
