"""Hugging Face repositories, as `huggingface_hub` names them: addresses, tokens, its cache, the offline
switch.

The library is imported only when a repository is meant (0.2 s), and transfers nothing here: it checks neither
digest nor speed and starts over after a kill. The environment is read when it is needed, not when something
is imported.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from genzoo.ledger import RepoSource

_YES = ("1", "ON", "YES", "TRUE")


def is_offline() -> bool:
    """Whether HF_HUB_OFFLINE forbids the network."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in _YES


def endpoint() -> str:
    """Return the address of the Hub: HF_ENDPOINT, else the public one, without a slash at its end."""
    from huggingface_hub import constants

    # Not constants.ENDPOINT alone: that is read when the library is imported.
    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def file_url(source: RepoSource, at: str) -> str:
    """Return the address of a pinned file on the Hub `at`."""
    from huggingface_hub import hf_hub_url

    return hf_hub_url(source.repo, source.file, revision=source.revision, endpoint=at)


def token_for_reading() -> str | None:
    """Return the user's token (HF_TOKEN, or that of `hf auth login`), or None if there is none or it is not
    to be sent by itself.
    """
    from huggingface_hub import constants, get_token

    # The same switch as in huggingface_hub: a user who set it does not want the token sent to every endpoint.
    return None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()


def in_hub_cache(source: RepoSource) -> Path | None:
    """Return the file if `huggingface_hub` has it in its own cache already; no request is made."""
    from huggingface_hub import try_to_load_from_cache

    found = None
    with contextlib.suppress(OSError):  # another user's cache
        found = try_to_load_from_cache(source.repo, source.file, revision=source.revision)
    return Path(found) if isinstance(found, str) else None
