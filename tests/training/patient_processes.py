"""Two processes whose collectives time out sooner than rank 0 decodes, writes and measures; each writes what
it saw to FOLDER/rank-N.json.

GENZOO_GROUP_TIMEOUT=2 torchrun --nproc-per-node 2 patient_processes.py FOLDER
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import toys

from genzoo import zoo
from genzoo.catalogue import Entry
from genzoo.training import train as training
from genzoo.training.parallel import leave, place

FOLDER, LONG = Path(sys.argv[1]), 3.5
told: dict[str, Any] = {}


def slowly(work: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Return `work`, which takes rank 0 longer than the timeout of the group."""

    def done(*arguments: Any, **options: Any) -> Any:
        if place().writes:
            told[name] = [path.name for path in sorted((FOLDER / "run").glob("*.safetensors"))]
            time.sleep(LONG)
        return work(*arguments, **options)

    return done


def main() -> None:
    zoo.find = lambda name: Entry(toys.CARDS[name], None)
    training.open_both = slowly(training.open_both, "decoding")
    training.rehearse = slowly(training.rehearse, "rehearsing")
    training.Report.checkpoint = slowly(lambda self: None, "saving")
    training.score_model = slowly(training.score_model, "measuring")
    outcome = zoo.train("toy-gan", "digits", FOLDER / "run", 3, device="cpu", quiet=True)
    told["records"] = len(outcome.records)
    (FOLDER / f"rank-{place().rank}.json").write_text(json.dumps(told))
    leave(0)


if __name__ == "__main__":
    main()
