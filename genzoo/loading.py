"""Loading one plugin: in a child process first where it is new, then here, with a deadline, and with stdout
kept clean of what it prints.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Iterator

from genzoo.discovery import Plugin
from genzoo.errors import OutdatedPluginError, PluginError
from genzoo.hookspecs import OLDEST_API, UNSTATED_API, Offer, outdated, read_plugin
from genzoo.isolation import Interrupt, TooSlowError, describe, isolated
from genzoo.names import COMPLETE
from genzoo.probing import PATIENCE, can_probe, probe
from genzoo.show import tell

# seconds a plugin may take; without torch, which it must not import here, it needs a fraction of one
TIMEOUT = 5.0
_COMPLETION_BUDGET = 1.0  # seconds then, for all that was not seen before
_LOCK = threading.RLock()
_loading: list[str] = []  # the plugin being loaded now, guarded by _LOCK
# threads that plugins started at import; the program does not wait for them
left_behind: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold the lock of loading: two threads in `isolated` would each restore the other's stdout.

    Raises:
        PluginError: a plugin calls for the models while it is being loaded.
    """
    with _LOCK:
        if _loading:
            raise PluginError(
                f"the plugin {_loading[0]!r} asks for the models while it is being loaded",
                "move that call into a function",
            )
        yield


def verdicts(plugins: list[Plugin], timeout: float, again: bool) -> dict[Plugin, str]:
    """Return why each plugin cannot be loaded here, as far as a child process shows; "" where it can."""
    asked = [plugin for plugin in plugins if can_probe(plugin)] if timeout else []
    if not os.environ.get(COMPLETE):
        return probe(asked, timeout, _tell_slow, again)
    found = probe(asked, _COMPLETION_BUDGET, lambda plugin: None, budget=_COMPLETION_BUDGET)
    return {
        **dict.fromkeys(asked, "it was not seen before, and a shell that completes does not wait"),
        **found,
    }


def load(plugin: Plugin, timeout: float) -> Offer:
    """Import the plugin and read its hooks; whatever happens comes out as PluginError, but for a person's
    Ctrl-C.
    """
    _loading.append(plugin.name)
    patience = threading.Timer(PATIENCE, _tell_slow, [plugin])
    patience.daemon = True
    patience.start()
    before, interrupt = set(threading.enumerate()), Interrupt()
    found: object = None
    try:
        with interrupt, isolated(timeout):
            found = plugin.load()
            return read_plugin(found)
    except TooSlowError:
        raise PluginError(
            f"it did not load within {timeout:g} s", "GENZOO_PLUGIN_TIMEOUT=SECONDS gives it longer"
        ) from None
    except BaseException as error:  # a plugin may raise SystemExit, KeyboardInterrupt, or a kind of its own
        if isinstance(error, KeyboardInterrupt) and interrupt.sent:
            raise
        raise _reason(plugin, error, imported=found is not None) from error
    finally:
        patience.cancel()
        left_behind.update(thread for thread in threading.enumerate() if thread not in before)
        _loading.clear()


def _reason(plugin: Plugin, error: BaseException, *, imported: bool) -> PluginError:
    """Return why `plugin` is left out. One that is too old may fail at import already, on a name that has
    changed since; its author needs the whole list of changes then.
    """
    if isinstance(error, OutdatedPluginError):
        return error
    if not imported and not isinstance(error, PluginError):
        stated = plugin.stated_interface()
        if stated is not None and (stated or UNSTATED_API) < OLDEST_API:
            return outdated(stated or UNSTATED_API, describe(error))
    return PluginError(describe(error))


def _tell_slow(plugin: Plugin) -> None:
    """Say on stderr which plugin is still loading."""
    tell(f"genzoo: still loading the plugin {plugin.name!r} of {plugin.distribution} {plugin.version} …")
