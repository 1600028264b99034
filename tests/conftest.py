"""What all tests share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is loaded, here and in child processes: the tests' nets are smaller than a thread
sys.path.insert(0, str(Path(__file__).parent))  # so that tests may import `toys`, and its cards may name it

# A busy machine is no failure, and the same checkout gives the same verdict twice.
settings.register_profile("genzoo", deadline=None, derandomize=True, database=None)
settings.load_profile("genzoo")


@pytest.fixture(scope="session", autouse=True)
def own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give the session a cache of its own, and none of the machine's GENZOO_* settings."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("GENZOO_")]:
            patch.delenv(name)
        patch.setenv("GENZOO_CACHE", str(tmp_path_factory.mktemp("session-cache")))
        yield
