"""Publish to a Hugging Face repository: everything in one commit on top of the one that was read, so that no
other writer loses a row.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genzoo.errors import GenzooError, HubError, LedgerError
from genzoo.hub.folder import weights_name
from genzoo.hub.remote import read_ledger
from genzoo.hub.repo import endpoint, is_offline
from genzoo.ledger import FolderSource, Row, parse_rows, with_row
from genzoo.ledger.sources import REPO, REVISION

if TYPE_CHECKING:
    from huggingface_hub import HfApi, ModelInfo

Tell = Callable[[str], object]
_TRIES = 6  # to commit while others commit too
_PAUSE = 0.5  # seconds before the second try, twice as long before each further one
_LEDGER = Path("zoo.toml")


def publish_to_repo(
    repo: str,
    row: Row,
    weights: bytes,
    card_text: str,
    files: Mapping[str, bytes],
    *,
    public: bool,
    tell: Tell | None,
) -> Row:
    """Publish in the repository `repo`, made if it is missing: private unless `public`. Return the row,
    pinned to the commit.

    `tell` is called, before anything is uploaded, with one line that says who can read the repository.

    Raises:
        HubError: no such repository, offline mode, a server that refuses, or others who commit without end.
        LedgerError: the repository's zoo.toml is broken.
    """
    if not REPO.fullmatch(repo):
        raise HubError(f"'hf:{repo}' does not name a repository", "write hf:OWNER/REPO")
    if is_offline():
        raise HubError(f"cannot push to hf:{repo} while offline mode is on", "unset HF_HUB_OFFLINE")
    from huggingface_hub import HfApi

    from genzoo.http import check_url

    at = endpoint()
    check_url(at)
    content = {**files, weights_name(row): weights, "README.md": card_text.encode("utf-8", "replace")}
    try:
        api = HfApi(endpoint=at)
        _open_repo(api, repo, public, tell)
        revision = _commit(api, repo, row, content)
    except GenzooError:
        raise
    except (
        Exception
    ) as error:  # which classes the library lets through changes with its transport (requests, httpx)
        raise HubError(
            f"cannot push {row.name!r} to hf:{repo}: {type(error).__name__}: {error}",
            "log in with `hf auth login` or set HF_TOKEN to a token that may write",
        ) from error
    # A branch name here would make a source that can change under its row.
    if not REVISION.fullmatch(revision):
        raise HubError(
            f"hf:{repo} answered with the commit {revision!r}, which is not a commit id", "check HF_ENDPOINT"
        )
    # The returned row, unlike the one in the repository, can pin the commit.
    return row.replace(sources=(f"hf:{repo}@{revision}:{weights_name(row)}",), card="")


def _open_repo(api: HfApi, repo: str, public: bool, tell: Tell | None) -> None:
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        info, made = api.model_info(repo), False
    except RepositoryNotFoundError:
        api.create_repo(repo, private=not public, exist_ok=True)
        info, made = api.model_info(repo), True
    if tell is not None:
        tell(f"hf:{repo} is {_visibility(bool(info.private), made, public)}")


def _visibility(private: bool, made: bool, public: bool) -> str:
    if not private:
        return "public: everybody can read what is pushed to it"
    if made:
        return "new and private: only you and its members can read it; with --public everybody could"
    return (
        "private and stays so: make it public in its settings on the Hub"
        if public
        else "private: only its members can read it"
    )


def _commit(api: HfApi, repo: str, row: Row, content: Mapping[str, bytes]) -> str:
    """Commit `content` and the row on top of main as it is now, again if others came first; return the
    commit's id.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, get_token
    from huggingface_hub.errors import HfHubHTTPError

    for attempt in range(_TRIES):
        # Read again in every attempt: parent_commit makes the Hub refuse a commit that is not on top of it.
        info = api.model_info(repo)
        before = read_ledger(str(api.endpoint), repo, info.sha, get_token())
        ledger = _ledger_with(before, row, repo)
        operations: list[Any] = [
            CommitOperationAdd(path, data) for path, data in {**content, str(_LEDGER): ledger}.items()
        ]
        operations += [CommitOperationDelete(path) for path in _replaced(before, ledger, row, info)]
        try:
            message = f"Publish {row.name} with genzoo"
            return str(
                api.create_commit(repo, operations, commit_message=message, parent_commit=info.sha).oid
            )
        except HfHubHTTPError as error:
            # 409 and 412: another writer committed in between. Everything else is a real failure.
            if error.response is None or error.response.status_code not in (409, 412):
                raise
        time.sleep(_PAUSE * 2**attempt * (0.5 + random.random()))  # so that two who met do not meet again
    raise HubError(
        f"cannot push {row.name!r} to hf:{repo}: others committed first, {_TRIES} times", "try again later"
    )


def _ledger_with(before: bytes, row: Row, repo: str) -> bytes:
    """Return the repository's ledger with the row, which names the weights as lying beside it: no commit can
    name itself.
    """
    beside = row.replace(sources=(f"folder:{weights_name(row)}",), card="", origin=_LEDGER)
    try:
        return with_row(before, beside, _LEDGER)
    except LedgerError as error:
        raise LedgerError(f"hf:{repo}: {error.message}", error.hint) from error


def _replaced(before: bytes, ledger: bytes, row: Row, info: ModelInfo) -> list[str]:
    """Return the files of the replaced row that nothing names any more; older commits keep them."""
    if not before:
        return []
    old = parse_rows(before, _LEDGER).get(row.name)
    beside = (
        [place.path.as_posix() for place in old.places() if isinstance(place, FolderSource)] if old else []
    )
    there = {file.rfilename for file in info.siblings or ()}
    return [path for path in beside if path in there and path.encode() not in ledger]
