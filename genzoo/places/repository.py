"""Hugging Face repositories as places of a model's weights, pinned to a commit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from genzoo.errors import ArgumentError, HubError, WeightsError, safe_repr
from genzoo.hub import pins, remote
from genzoo.ledger import Row
from genzoo.ledger.sources import REPO, REVISION
from genzoo.places.disk import LEDGER, choose
from genzoo.show import tell

MAIN = "main"
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}")


class Repo(NamedTuple):
    """A repository, a branch, tag or commit of it, and which of its models is meant ("": the only one)."""

    repo: str
    revision: str
    name: str

    @property
    def words(self) -> str:
        """Return the place as it is typed."""
        at = "" if self.revision == MAIN else f"@{self.revision}"
        return f"hf:{self.repo}{at}" + (f"#{self.name}" if self.name else "")


def repo_of(text: str) -> Repo:
    """Return what `hf:owner/repo[@revision][#name]` says; ArgumentError if it does not read so."""
    rest, _, name = text.removeprefix("hf:").partition("#")
    repo, sign, revision = rest.partition("@")
    if not REPO.fullmatch(repo) or (sign and not _REVISION.fullmatch(revision)) or ".." in revision:
        raise ArgumentError(
            f"{safe_repr(text)} does not name a repository", "write hf:OWNER/REPO or hf:OWNER/REPO@REVISION"
        )
    return Repo(repo, revision or MAIN, name)


def in_repo(place: Repo, sha256: str) -> Row:
    """Return the row of a repository: of the commit that the user names, or of the one that its branch is
    now, if its weights are those of the first use.
    """
    before = pins.read(place.words)
    commit = _commit_of(place, before)
    if before is not None and (not commit or _is_of(before, place.repo, commit)):
        return _placed(before, place.repo)
    row = choose(remote.rows_of(place.repo, commit), place.name, place.words)
    if before is not None and row.sha256 != before.sha256 and row.sha256 != sha256:
        old = _commit_in(before, place.repo)
        raise WeightsError(
            f"{place.words} has moved: its weights had sha256 {before.sha256} when they were first used "
            f"(commit {old[:8]}), and have {row.sha256} (commit {commit[:8]})",
            f"the earlier ones: hf:{place.repo}@{old}; to use the new ones, once: --sha256 {row.sha256}",
        )
    if row.sha256 == sha256 or not sha256:
        pins.write(place.words, row)
    return row


def _commit_of(place: Repo, before: Row | None) -> str:
    """Return the commit that `place` is now; "" if the Hub cannot be asked and a pin answers instead."""
    if REVISION.fullmatch(place.revision):
        return place.revision
    try:
        return remote.commit_of(place.repo, place.revision)
    except HubError as error:
        if before is None:
            raise
        tell(f"{error.message}; the weights are those of its first use on this machine", level="INFO")
        return ""


def _commit_in(row: Row, repo: str) -> str:
    """Return the commit of `repo` that the sources of a pinned row name, or ""."""
    start = f"hf:{repo}@"
    found = (text.removeprefix(start).partition(":")[0] for text in row.sources if text.startswith(start))
    return next(found, "")


def _is_of(row: Row, repo: str, commit: str) -> bool:
    return _commit_in(row, repo) == commit


def _placed(row: Row, repo: str) -> Row:
    """Return a pinned row with the repository as its origin, not the file of the cache that keeps it."""
    return row.replace(origin=Path(f"hf:{repo}@{_commit_in(row, repo)}") / LEDGER)
