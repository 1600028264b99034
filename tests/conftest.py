"""What all tests share."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, settings

from genzoo.card import Card

# read when torch is loaded, here and in child processes: the tests' nets are smaller than a thread
os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parent))  # so that tests may import `toys`, and its cards may name it

# Whoever runs the tests in the background (`&`, nohup) has these ignored, and so would every process that a
# test starts.
for _number, _usual in (
    (signal.SIGINT, signal.default_int_handler),
    (getattr(signal, "SIGHUP", signal.SIGTERM), signal.SIG_DFL),
):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, _usual)

# A busy machine is no failure, and the same checkout gives the same verdict twice.
settings.register_profile(
    "genzoo",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],  # it measures by the clock
)
settings.load_profile("genzoo")


@pytest.fixture(scope="session", autouse=True)
def own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give the session a cache of its own, and none of the machine's GENZOO_* settings."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("GENZOO_")]:
            patch.delenv(name)
        patch.setenv("GENZOO_CACHE", str(tmp_path_factory.mktemp("session-cache")))
        # Most tests look at what the command line shows; tests/test_show.py has those of the library.
        patch.setattr("genzoo.show._is_program", True)
        yield


@pytest.fixture(scope="module")
def plug() -> Iterator[Callable[..., None]]:
    """Give a function that makes cards those of the only installed plugin, until the module's last test."""
    from genzoo import hookimpl, registry
    from genzoo.hookspecs import API_VERSION

    with pytest.MonkeyPatch.context() as patch:

        def plug(*cards: Card, distribution: str = "genzoo-toys") -> None:
            plugin = SimpleNamespace(
                genzoo_api=API_VERSION, genzoo_cards=hookimpl(lambda: list(cards), specname="genzoo_cards")
            )
            about = SimpleNamespace(name=distribution, version="1.0")
            entry = SimpleNamespace(
                name="toys", value="toys", group="genzoo", dist=about, load=lambda: plugin
            )
            patch.setattr(registry, "discover", lambda: [entry])
            registry.installed.cache_clear()

        yield plug
    registry.installed.cache_clear()
