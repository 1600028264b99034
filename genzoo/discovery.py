"""Discovery: which plugins are installed, read from metadata alone; nothing of theirs is imported before
`Plugin.load`.

Metadata comes from outside too: a distribution without a name, or with an entry_points.txt that cannot be
parsed, must not hide the others (importlib's own `entry_points` stops at the first of these).
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from genzoo import __version__
from genzoo.card import fold
from genzoo.errors import PluginError
from genzoo.files import read_capped

GROUP = "genzoo"
_STATED = r"(?ma)^[ \t]*genzoo_api[ \t]*(?::[^=\n]*)?=[ \t]*([0-9]{1,9})\b"  # compiled where a plugin fails
_BOUND = r"\s*(?:>=|<)\s*[0-9]{1,9}(?:\.[0-9]{1,9}){0,3}\s*"
_BOUNDS = re.compile(rf"\s*genzoo\s*(?:{_BOUND}(?:,{_BOUND}){{0,3}})?", re.ASCII | re.IGNORECASE)
_CAP = 1 << 20  # bytes of a plugin's source
_ENTRY = re.compile(r"[\w.]+\s*(:\s*[\w.]+\s*)?(\[.*\])?\s*")


# Compared by identity: an entry point may be anything, even an object without a hash.
@dataclass(frozen=True, eq=False)
class Plugin:
    """An entry point, with what the metadata of its distribution says ("" where it cannot be read).

    Attributes:
        requires: the distribution's requirements on genzoo itself.
    """

    entry: Any
    name: str
    value: str
    distribution: str
    version: str
    requires: tuple[str, ...] = ()

    @classmethod
    def of(cls, entry: Any) -> Plugin:
        """Return the plugin of `entry`, which has `name`, `value`, `dist` and `load()`."""
        about = _parsed(getattr(entry, "dist", None))
        owner, version = _read(about, "name"), _read(about, "version")
        return cls(entry, str(entry.name), str(entry.value), owner, version, tuple(_requirements(about)))

    def load(self) -> object:
        """Import the plugin and return its module or object.

        Raises:
            PluginError: it cannot be named or its entry point is malformed. What its own code raises comes
                through.
        """
        if not self.distribution:
            raise PluginError(
                "its distribution has no name in its metadata", "reinstall the package that brings it"
            )
        self._check_requirement()
        if not _ENTRY.fullmatch(self.value):
            raise PluginError(
                f"its entry point {self.value!r} must read 'package.module' or 'package.module:object'"
            )
        return self.entry.load()

    def stated_interface(self) -> int | None:
        """Return the number after `genzoo_api =` in the plugin's source, without importing it; 0 where the
        source never speaks of it, None if that is unknown.
        """
        text = self._source()
        if text is None:
            return None
        found = re.search(_STATED, text)
        return int(found[1]) if found else None if "genzoo_api" in text else 0

    def _source(self) -> str | None:
        top, *inner = self.value.partition(":")[0].strip().split(".")
        # a broken finder, a name that is none, a file that cannot be read
        with contextlib.suppress(Exception):
            spec = importlib.util.find_spec(top)
            if spec is None or not spec.origin:
                return None
            places = [Path(spec.origin)] if not inner else []
            for folder in spec.submodule_search_locations or () if inner else ():
                path = Path(folder, *inner)
                places += [path.with_suffix(".py"), path / "__init__.py"]
            return next(read_capped(place, _CAP).decode() for place in places if os.path.isfile(place))
        return None

    def _check_requirement(self) -> None:
        """Refuse a plugin whose metadata requires another genzoo; pip checks that, a copied folder or
        `--no-deps` do not.
        """
        for text in self.requires:
            if _plainly_met(text):
                continue
            from packaging.requirements import InvalidRequirement, Requirement

            with contextlib.suppress(InvalidRequirement):
                wanted = Requirement(text)
                applies = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
                if (
                    fold(wanted.name) == GROUP
                    and applies
                    and not wanted.specifier.contains(__version__, prereleases=True)
                ):
                    raise PluginError(
                        f"it requires genzoo{wanted.specifier}, and this is genzoo {__version__}",
                        f"pip install 'genzoo{wanted.specifier}', or a version of {self.distribution} "
                        "made for this one",
                    )


def _parsed(about: Any) -> Any:
    """Return name, version and requirements of a distribution, from one reading of its metadata: importlib
    parses the file again for each of them.
    """
    try:
        head = about.metadata
        requires = head.get_all("Requires-Dist") or about.requires  # an egg keeps them in another file
        return SimpleNamespace(name=head["Name"], version=head["Version"], requires=requires)
    except Exception:  # noqa: BLE001 - whatever broken metadata raises, its parts are read one by one
        return about


def _requirements(about: Any) -> Iterator[str]:
    """Yield the requirements of a distribution that speak of genzoo itself, as far as its metadata can be
    read.
    """
    try:
        lines = list(about.requires or ())
    except Exception:  # noqa: BLE001
        return
    yield from (str(line) for line in lines if re.match(r"\s*genzoo\s*([^\w.-]|$)", str(line), re.IGNORECASE))


def _plainly_met(text: str) -> bool:
    """Say whether a requirement is met that only holds bounds, such as `genzoo>=0.1,<0.2`; all others
    are left to `packaging`, whose import takes a fourth of the time of `genzoo list`.
    """
    if not _BOUNDS.fullmatch(text) or not re.fullmatch(r"[0-9.]+", __version__, re.ASCII):
        return False
    here = _release(__version__)
    bounds = re.findall(r"(>=|<)\s*([0-9.]+)", text)
    return all((here >= _release(bound)) == (sign == ">=") for sign, bound in bounds)


def _release(text: str) -> tuple[int, ...]:
    """Return "1.10.0" as (1, 10): trailing zeros do not matter."""
    parts = [int(part) for part in text.split(".") if part]
    while parts and not parts[-1]:
        parts.pop()
    return tuple(parts)


class _Unreadable(NamedTuple):
    """Stands for the entry points of a distribution with unreadable metadata; `load` raises the reason."""

    dist: Any
    error: Exception
    name: str = "?"
    value: str = "unreadable"

    def load(self) -> object:
        raise PluginError(
            f"its entry_points.txt cannot be read ({type(self.error).__name__}: {self.error})", "reinstall it"
        )


def discover() -> list[Any]:
    """Return the entry points of the group `genzoo`."""
    try:
        return list(importlib.metadata.entry_points(group=GROUP))
    # some metadata cannot be parsed: look at one distribution at a time
    except Exception:  # noqa: BLE001
        return list(_one_by_one())


def _one_by_one() -> Iterator[Any]:
    seen = set()
    for about in _distributions():
        name = fold(_read(about, "name"))
        try:
            found: list[Any] = list(about.entry_points.select(group=GROUP))
        except Exception as error:  # noqa: BLE001
            found = [_Unreadable(about, error)] if _mentions_us(about, name) else []
        if not name or name not in seen:  # like importlib: the first copy on the path counts
            yield from found
        seen.add(name)


def _distributions() -> Iterator[importlib.metadata.Distribution]:
    # a foreign finder on sys.meta_path failed: what came before it still counts
    with contextlib.suppress(Exception):
        yield from importlib.metadata.distributions()


def _mentions_us(about: importlib.metadata.Distribution, name: str) -> bool:
    try:
        return GROUP in name or GROUP in (about.read_text("entry_points.txt") or "")
    except Exception:  # noqa: BLE001
        return False


def _read(about: Any, key: str) -> str:
    """Return `about.name` or `about.version`; broken metadata raises all sorts of things for them."""
    try:
        return str(getattr(about, key) or "")
    except Exception:  # noqa: BLE001
        return ""
