"""What pytest loads with every run where genzoo is installed: a broken law is shown as law, seen and place,
not as a traceback.

It costs other people's runs the import of `genzoo.law`: no torch, no registry, no plugin is loaded. The laws
themselves come with `genzoo.testing.laws`, in the test files that ask for them. `pytest --tb=long` shows the
whole way to a broken law.
"""

from __future__ import annotations

import traceback
from collections.abc import Generator
from typing import Any

import pytest

from genzoo.errors import GenzooError
from genzoo.law import LawError


class BrokenLaw:
    """What stands in pytest's report of a broken law."""

    def __init__(self, error: LawError, crash: Any) -> None:
        self.reprcrash = crash  # where pytest's summary takes its one line from
        self._error = error

    def __str__(self) -> str:
        error, cause = self._error, self._error.__cause__
        lines = [f"law broken: {error.law}", f"      seen: {error.seen}", f"   look at: {error.where}"]
        if cause is not None and not isinstance(cause, GenzooError):
            lines += ["", *"".join(traceback.format_exception(cause)).splitlines()]
        return "\n".join(lines)

    def toterminal(self, tw: Any) -> None:
        """Write it to pytest's terminal."""
        for line in str(self).splitlines():
            tw.line(line, red=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    """Show a LawError in three lines, unless a style of tracebacks was asked for."""
    outcome = yield
    error = call.excinfo.value if call.excinfo is not None else None
    if isinstance(error, LawError) and item.config.getoption("tbstyle", "auto") == "auto":
        report = outcome.get_result()
        if report.failed:
            report.longrepr = BrokenLaw(error, getattr(report.longrepr, "reprcrash", None))
