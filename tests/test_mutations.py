"""The tests can fail: each protection is taken away in turn, and the small tests that hold it turn red."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

if not sys.platform.startswith("linux"):
    pytest.skip("needs fork, and the faults of Linux", allow_module_level=True)

from mutants import MUTANTS

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def told():
    """Give for each mutant, and for "none", what pytest returned and its last lines."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("GENZOO_", "PYTEST_"))}
    env |= {"PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE)]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(HERE / "mutants.py")], env=env, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_without_a_mutant_all_is_green(told):
    assert told["none"][0] == 0, told["none"][1]


@pytest.mark.parametrize("name", MUTANTS)
def test_a_test_turns_red_without(told, name):
    status, words = told[name]
    assert status == 1 and " failed" in words, f"{name} can be taken away and no test says so:\n{words}"


def test_every_protection_of_the_list_is_taken_away():
    words = (
        "digest",
        "flush",
        "lock",
        "filter",
        "isolation",
        "restoring of generators",
        "restoring of optimisers",
    )
    assert [word for word in words if not any(word in name for name in MUTANTS)] == []
