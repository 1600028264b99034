"""The ledger of a Hugging Face repository: its zoo.toml at one commit, as rows that pin that commit."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

from genzoo.deadlines import PATIENT, Deadlines
from genzoo.errors import HubError, LedgerError
from genzoo.hub.repo import endpoint, is_offline, token_for_reading
from genzoo.ledger import LEDGER_CAP, FolderSource, Ledger, Row, parse_rows, parse_source
from genzoo.ledger.sources import REVISION

FILE = "zoo.toml"
_ANSWER_CAP = 1 << 24  # bytes of the Hub's description of a repository, which lists its files
_MISSING = (401, 403, 404)  # the Hub does not say which of the three it is


def commit_of(repo: str, revision: str, deadlines: Deadlines = PATIENT) -> str:
    """Return the id of the commit that `revision` (a branch, a tag or an id) of `repo` is now.

    Raises:
        HubError: offline mode, no such repository or revision, or a server that does not answer as the Hub.
    """
    if REVISION.fullmatch(revision):
        return revision
    what = f"hf:{repo}@{revision}"
    if is_offline():
        raise HubError(f"{what} cannot be looked up, offline mode is on", "unset HF_HUB_OFFLINE")
    address = f"{endpoint()}/api/models/{repo}/revision/{quote(revision, safe='')}"
    status, data = read_url(address, token_for_reading(), _ANSWER_CAP, deadlines)
    if status in _MISSING:
        raise HubError(
            f"there is no {what}, or it may not be read",
            "check the name; of a private repository, log in: hf auth login",
        )
    try:
        found = json.loads(data)["sha"] if status == 200 else ""
    except (ValueError, KeyError, TypeError, RecursionError):
        found = ""
    if not isinstance(found, str) or not REVISION.fullmatch(found):
        raise HubError(f"{what}: the server does not name a commit (status {status})", "check HF_ENDPOINT")
    return found


def rows_of(repo: str, commit: str, deadlines: Deadlines = PATIENT) -> Ledger:
    """Return the rows of the zoo.toml of `repo` at `commit`; their sources pin files of that commit.

    Raises:
        HubError: there is none, so that nothing pins the weights; or it cannot be read.
        LedgerError: it is broken.
    """
    what = f"hf:{repo}@{commit}"
    if is_offline():
        raise HubError(f"the ledger of {what} is not on this machine, and offline mode is on")
    data = read_ledger(endpoint(), repo, commit, token_for_reading(), deadlines)
    if not data:
        raise HubError(
            f"hf:{repo} has no {FILE} at {commit[:8]}, so nothing pins the sha256 of its weights",
            "name a repository that genzoo push wrote, or download the file and name it",
        )
    found = parse_rows(data, Path(f"hf:{repo}@{commit}") / FILE)
    rows: dict[str, Row] = {}
    problems = list(found.problems)
    for name, row in found.items():
        try:
            rows[name] = _pinned(row, repo, commit)
        except LedgerError as error:
            problems.append(f"{row.origin}: [{name}] {error.message}")
    return Ledger(rows, problems)


def _pinned(row: Row, repo: str, commit: str) -> Row:
    """Return `row` with files beside the zoo.toml as files of the repository; folders of the author's machine
    are left out.
    """
    sources = []
    for text in row.sources:
        source = parse_source(text, Path())
        if not isinstance(source, FolderSource):
            sources.append(text)
        elif not source.path.is_absolute():
            sources.append(f"hf:{repo}@{commit}:{source.path.as_posix()}")
    return row.replace(sources=tuple(sources), card="")


def read_ledger(
    at: str, repo: str, revision: str | None, token: str | None, deadlines: Deadlines = PATIENT
) -> bytes:
    """Return the zoo.toml of `repo` on the Hub `at`, b"" if it has none.

    Raises:
        HubError: it cannot be read, or is larger than a ledger may be.
    """
    from huggingface_hub import hf_hub_url

    url = hf_hub_url(repo, FILE, revision=revision, endpoint=at)
    status, data = read_url(url, token, LEDGER_CAP, deadlines)
    if status == 404:
        return b""
    if status != 200:
        raise HubError(
            f"the {FILE} of hf:{repo} cannot be read: status {status}", "check that the token may read it"
        )
    if len(data) > LEDGER_CAP:
        raise HubError(f"the {FILE} of hf:{repo} is larger than {LEDGER_CAP:,} bytes", "clean it up by hand")
    return data


def read_url(url: str, token: str | None, cap: int, deadlines: Deadlines = PATIENT) -> tuple[int, bytes]:
    """Return the status of `url` and at most `cap` + 1 bytes of its body; HubError as `genzoo.http.get`."""
    from genzoo.http import get

    data = b""
    with get(url, token=token, offset=0, size=cap, deadlines=deadlines) as answer:
        while len(data) <= cap and (chunk := answer.read(cap + 1 - len(data))):
            data += chunk
        return answer.status, data
