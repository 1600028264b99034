"""Take one protection away and see a test turn red: each mutant is a fork of this process in which named
small tests are run.

python tests/mutants.py [MUTANT ...]       prints as JSON what pytest returned for each: 1 where tests failed,
0 where it survives
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 120  # seconds for one mutant


@dataclass(frozen=True)
class Mutant:
    """A protection that is taken away.

    Attributes:
        tests: node ids that must turn red.
        take_away: does it, in the process that will run them.
    """

    tests: tuple[str, ...]
    take_away: Callable[[], object]


def put(module: str, name: str, new: object) -> None:
    """Let `name` of a module be `new`, wherever it has been imported to."""
    import importlib

    old = getattr(importlib.import_module(module), name)
    for other in [found for key, found in sys.modules.items() if key.partition(".")[0] == "genzoo"]:
        for key in [key for key, value in vars(other).items() if value is old]:
            setattr(other, key, new)


@contextlib.contextmanager
def nothing(*arguments: object, **options: object) -> Any:
    """Guard nothing."""
    yield


def _unflushed(source: Path, target: Path) -> None:
    from genzoo import files

    os.replace(source, target)
    files._flush_folder(target.parent)


def _no_average(module: Any, state: Any) -> None:
    if type(module).__name__ != "AveragedModel":
        module.load_state_dict(state)


def _loaded_bare(plugin: Any, timeout: float) -> Any:
    from genzoo.hookspecs import read_plugin

    return read_plugin(plugin.load())


COUNT = itertools.count()
SCENES = "tests/test_figures.py::TestFaults"
RESUMED = (
    "tests/training/test_checkpoint.py::TestResumed::test_the_bits_are_those_of_the_uninterrupted_run[fp32]"
)
CONDITIONAL = "tests/testing/test_conditional.py::"
MUTANTS = {
    "the digest of weights": Mutant(
        ("tests/hub/test_pull.py::test_a_damaged_package_file_is_passed_over",),
        lambda: put("genzoo.hub.fetch", "_require", lambda *told: None),
    ),
    "the digest of a checkpoint": Mutant(
        ("tests/training/test_checkpoint.py::TestFacts::test_a_forged_step_is_not_played",),
        lambda: put("genzoo.training.checkpoint", "_digest", lambda tensors, facts: "0" * 64),
    ),
    "the flush of a file": Mutant(
        (f"{SCENES}::test_a_row_through_power_cuts",), lambda: put("genzoo.files", "put_in_place", _unflushed)
    ),
    "the flush of a folder": Mutant(
        (f"{SCENES}::test_a_push_through_power_cuts",),
        lambda: put("genzoo.files", "_flush_folder", lambda folder: None),
    ),
    "the rename": Mutant(
        (f"{SCENES}::test_a_row_through_power_cuts",),
        lambda: put(
            "genzoo.files", "put_in_place", lambda source, target: target.write_bytes(source.read_bytes())
        ),
    ),
    "the lock of a ledger": Mutant(
        ("tests/test_figures.py::TestLocks::test_a_row_waits_for_the_lock",),
        lambda: put("genzoo.locks", "locked", nothing),
    ),
    "the lock of a run": Mutant(
        ("tests/test_figures.py::TestLocks::test_a_run_holds_its_folder",),
        lambda: put("genzoo.locks", "locked", nothing),
    ),
    "the filter": Mutant(
        ("tests/test_errors.py::TestSafeText",),
        lambda: put("genzoo.errors", "safe_text", lambda text, limit=500: str(text)),
    ),
    "the isolation: stdout": Mutant(
        ("tests/test_figures.py::TestIsolation::test_what_a_plugin_prints",),
        lambda: put("genzoo.isolation", "isolated", nothing),
    ),
    "the isolation: the deadline": Mutant(
        ("tests/test_figures.py::TestIsolation::test_a_plugin_that_sleeps",),
        lambda: put("genzoo.isolation", "deadline", nothing),
    ),
    "the isolation: one for all": Mutant(
        ("tests/test_figures.py::TestIsolation::test_a_plugin_that_raises",),
        lambda: put("genzoo.registry", "load", _loaded_bare),
    ),
    "the restoring of optimisers": Mutant(
        (RESUMED,), lambda: put("genzoo.training.slots", "restore", lambda optimiser, tensors: None)
    ),
    "the restoring of averages": Mutant(
        (RESUMED,), lambda: put("genzoo.training.checkpoint", "_refill", _no_average)
    ),
    "the restoring of generators": Mutant(
        (RESUMED,), lambda: put("genzoo.rng", "mix", lambda *parts: next(COUNT))
    ),
    "the sweep of left-overs": Mutant(
        ("tests/test_figures.py::TestLeftOvers::test_a_push_sweeps",),
        lambda: put("genzoo.files", "sweep", lambda *folders: 0),
    ),
    "the law that a condition is heard": Mutant(
        (f"{CONDITIONAL}TestBugs::test_each_is_seen[a generator without the label]",),
        lambda: put("genzoo.testing.conditional", "_hears", lambda answers, question: [True]),
    ),
    "the law that a row has its own condition": Mutant(
        (f"{CONDITIONAL}TestBugs::test_each_is_seen[one label for a batch of samples]",),
        lambda: put("genzoo.testing.conditional", "_check_answers", lambda *asked: None),
    ),
    "the law that z has no condition": Mutant(
        (f"{CONDITIONAL}TestBugs::test_each_is_seen[a seed for each label]",),
        lambda: put("genzoo.testing.conditional", "_check_streams", lambda *asked: None),
    ),
    "the law that p sums to 1 for each label": Mutant(
        (f"{CONDITIONAL}TestDensity::test_one_label_in_three_that_does_not_sum_to_1_is_named",),
        lambda: put("genzoo.evaluation.laws", "check_sum", lambda *asked: 1),
    ),
    "the law that a loss has conditions row by row": Mutant(
        (f"{CONDITIONAL}TestGame::test_conditions_of_other_rows_are_seen",),
        lambda: put("genzoo.testing.rows", "check_own_rows", lambda *asked: None),
    ),
    "the door for links": Mutant(
        ("tests/test_safe_open.py",), lambda: put("genzoo.safe_open", "real_path", Path)
    ),
}


def verdict(mutant: Mutant | None, tests: tuple[str, ...]) -> tuple[int, str]:
    """Return what pytest says of `tests` in a fork in which the protection is gone, and its last lines."""
    import tempfile

    with tempfile.TemporaryFile() as told:
        number = os.fork()
        if not number:
            status = 70
            try:
                os.dup2(told.fileno(), 1)
                os.dup2(told.fileno(), 2)
                status = _tested(mutant, tests)
            except BaseException:  # noqa: BLE001 - told with the verdict
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        deadline = time.monotonic() + PATIENCE
        while os.waitid(os.P_PID, number, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if time.monotonic() > deadline:
                os.kill(number, signal.SIGKILL)
            time.sleep(0.01)
        status = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
        told.seek(0)
        return status, told.read().decode("utf-8", "replace")[-1500:]


def _tested(mutant: Mutant | None, tests: tuple[str, ...]) -> int:
    import pytest

    if mutant is not None:
        mutant.take_away()
    return int(
        pytest.main(
            ["-q", "-x", "--assert=plain", "-p", "no:cacheprovider", *(str(ROOT / test) for test in tests)]
        )
    )


def main(names: list[str]) -> int:
    """Try the mutants and, first, their tests without any; print as JSON what came of it."""
    sys.path.insert(0, str(ROOT / "tests"))
    os.chdir(ROOT)
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch._dynamo  # noqa: F401  what is slow, once for all

    import genzoo.registry
    import genzoo.training.train  # noqa: F401

    chosen = {name: MUTANTS[name] for name in names or MUTANTS}
    told = {
        "none": verdict(
            None, tuple(dict.fromkeys(test for mutant in chosen.values() for test in mutant.tests))
        )
    }
    told |= {name: verdict(mutant, mutant.tests) for name, mutant in chosen.items()}
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
