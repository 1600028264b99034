"""Where weights may come from, as one line of text each: inside a package, in a folder, or in a Hugging Face
repository.

    package:genzoo_dcgan/weights/dcgan-bedrooms.safetensors
    folder:/mnt/zoo/dcgan-bedrooms.safetensors        (relative paths start at the zoo.toml that holds them)
    hf:owner/repo@<40 hexadecimal digits>:dcgan-bedrooms.safetensors

A revision is a whole commit id, never a branch: what a branch holds can change after the row was written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from genzoo.errors import HubError, LedgerError
from genzoo.files import relative_parts

REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
# A full commit id: branches and tags can move, and a short id can become ambiguous.
REVISION = re.compile(r"[0-9a-f]{40}")
_PACKAGE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FORMS = "package:NAME/path, folder:PATH or hf:OWNER/REPO@REVISION:path"


@dataclass(frozen=True)
class PackageSource:
    """A file inside an installed package: `resource` is `package/path/to/file`."""

    resource: str


@dataclass(frozen=True)
class FolderSource:
    """A file on this machine or a share."""

    path: Path


@dataclass(frozen=True)
class RepoSource:
    """A file of a Hugging Face model repository at a pinned commit."""

    repo: str
    revision: str
    file: str


Source = PackageSource | FolderSource | RepoSource


def parse_source(text: str, base: Path) -> Source:
    """Read one source of a row; `base` is the folder where relative paths start.

    Raises:
        LedgerError: an unknown form, a revision that is not a commit id, or a path that leads out of its
            place.
    """
    kind, _, rest = text.partition(":")
    try:
        if kind == "package":
            return _package(text, rest)
        if kind == "folder":
            return FolderSource(_folder(text, rest, base))
        if kind == "hf":
            return _repo(text, rest)
    except HubError as error:
        raise LedgerError(error.message) from error
    raise LedgerError(f"source {text!r} must start with package:, folder: or hf:", f"write {_FORMS}")


def _package(text: str, rest: str) -> PackageSource:
    package, *inside = relative_parts(rest, "source")
    if not inside or not _PACKAGE.fullmatch(package):
        raise LedgerError(f"source {text!r} must read package:NAME/path/to/file")
    return PackageSource("/".join((package, *inside)))


def _folder(text: str, rest: str, base: Path) -> Path:
    # Windows would send the user's name and a hash of the password to that host
    if re.match(r"[/\\]{2}", rest):
        raise LedgerError(
            f"source {text!r} names another host or a device", "mount the share, and name a path in it"
        )
    if PurePosixPath(rest).is_absolute() or PureWindowsPath(rest).is_absolute():
        if ".." in re.split(r"[/\\]", rest) or "\0" in rest:
            raise LedgerError(f"source {text!r} must not contain '..'")
        # never relative to the current folder
        return Path(rest) if Path(rest).is_absolute() else base / rest
    return base.joinpath(*relative_parts(rest, "source"))


def _repo(text: str, rest: str) -> RepoSource:
    place, _, file = rest.partition(":")
    repo, _, revision = place.partition("@")
    if not REPO.fullmatch(repo):
        raise LedgerError(f"source {text!r} must name a repository as OWNER/REPO", f"write {_FORMS}")
    if not REVISION.fullmatch(revision):
        raise LedgerError(
            f"source {text!r} must pin a commit of 40 lower-case hexadecimal digits, not {revision!r}",
            "a branch or a tag can move",
        )
    return RepoSource(repo, revision, "/".join(relative_parts(file, "source")))
