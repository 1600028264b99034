"""`genzoo plugins`: which plugins are loaded, which are not, and why."""

from __future__ import annotations

from typing import Any

from genzoo.cli.options import command, json_option
from genzoo.cli.output import note, say, say_json, say_table
from genzoo.errors import safe_text
from genzoo.hookspecs import API_VERSION
from genzoo.names import to_install
from genzoo.registry import PluginReport, look_again


@command("plugins")
@json_option
def plugins_command(as_json: bool) -> None:
    """List plugins: which are loaded, which are not, and why.

    A plugin that hung when it was last loaded is tried again.
    """
    # Not `installed()`: a plugin that hung is only skipped elsewhere, and this is where people look after a
    # fix.
    reports = look_again().reports
    if as_json:
        say_json([entry(report) for report in reports])
        return
    say_table(["PLUGIN", "DISTRIBUTION", "VERSION", "STATE", "MODELS, OR THE REASON"], map(line, reports))
    for report in reports:
        if report.changes:
            say(f"\n{report.name}: to move to plugin interface {API_VERSION}, its author must change:")
            say("\n".join(f"  - {safe_text(change)}" for change in report.changes))
    if not reports:
        note(f"no plugins are installed; for the bedrooms: {to_install('genzoo-dcgan')}")


def line(report: PluginReport) -> list[str]:
    """Return what the table says of a plugin."""
    return [
        report.name,
        report.distribution,
        report.version,
        state(report),
        report.reason or ", ".join(report.cards),
    ]


def state(report: PluginReport) -> str:
    """Return one word on a plugin: loaded, broken, or left out by GENZOO_PLUGINS."""
    return "loaded" if report.loaded else "broken" if report.broken else "left out"


def entry(report: PluginReport) -> dict[str, Any]:
    """Return what JSON says of a plugin."""
    return {
        "plugin": report.name,
        "distribution": report.distribution,
        "version": report.version,
        "state": state(report),
        "loaded": report.loaded,
        "reason": report.reason,
        "cards": list(report.cards),
        "hooks": list(report.hooks),
        "changes": list(report.changes),
    }
