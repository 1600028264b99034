"""Where the files of named data sets are on this machine: in the folder GENZOO_DATA."""

from __future__ import annotations

import os
from pathlib import Path

from genzoo.datasets import NAMES
from genzoo.errors import DataError
from genzoo.homes import HOMES, maker_of


def under_data(file: str) -> Path | None:
    """Return the path of `file` under GENZOO_DATA, if it is there."""
    root = os.environ.get("GENZOO_DATA")
    path = Path(root).expanduser() / file if root else None
    return path if path is not None and os.path.isfile(path) else None


def at_home(name: str, file: str) -> Path:
    """Return the path of `file`, which the data set `name` needs and which is never fetched.

    Raises:
        DataError: it is not under GENZOO_DATA; the hint says where it is public and what to type.
    """
    if path := under_data(file):
        return path
    raise DataError(f"the data set {name!r} needs {file}, and {whereabouts(file)}", advice(name, file))


def whereabouts(file: str) -> str:
    """Return in words that `file` is not under GENZOO_DATA."""
    root = os.environ.get("GENZOO_DATA")
    return f"GENZOO_DATA={root} has no {file}" if root else "GENZOO_DATA is not set"


def advice(name: str, file: str) -> str:
    """Return what to do where `file` of the data set `name` is missing."""
    if maker := maker_of(file):
        return HOMES[maker].advice(maker)
    every = " and ".join(NAMES[name].files)
    return f"set GENZOO_DATA to the folder that holds {every}, or give a folder of images"
