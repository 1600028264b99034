"""The pytest plugin: shows a broken law as three lines (the law, what was observed, where to look) instead of
a traceback.

pytest loads it in every run where genzoo is installed, so it imports `genzoo.law` alone: no torch, no
registry, no plugin. The laws themselves are in `genzoo.testing.laws`, which test files import. `pytest
--tb=long` shows the full traceback.
"""

from __future__ import annotations

import traceback
from collections.abc import Generator
from typing import Any

import pytest

from genzoo.errors import GenzooError
from genzoo.law import LawError


class BrokenLaw:
    """The report of a broken law."""

    def __init__(self, error: LawError, crash: Any) -> None:
        self.reprcrash = crash  # pytest's short summary prints this
        self._error = error

    def __str__(self) -> str:
        error, cause = self._error, self._error.__cause__
        lines = [f"law broken: {error.law}", f"      seen: {error.seen}", f"   look at: {error.where}"]
        if cause is not None and not isinstance(cause, GenzooError):
            lines += ["", *"".join(traceback.format_exception(cause)).splitlines()]
        return "\n".join(lines)

    def toterminal(self, tw: Any) -> None:
        """Write the report to pytest's terminal."""
        for line in str(self).splitlines():
            tw.line(line, red=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    """Show a LawError in three lines, unless the user chose a traceback style."""
    outcome = yield
    error = call.excinfo.value if call.excinfo is not None else None
    if isinstance(error, LawError) and item.config.getoption("tbstyle", "auto") == "auto":
        report = outcome.get_result()
        if report.failed:
            report.longrepr = BrokenLaw(error, getattr(report.longrepr, "reprcrash", None))
