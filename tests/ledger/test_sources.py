"""Sources: three forms, each of which stays in its place."""

from pathlib import Path

import pytest

from genzoo.errors import LedgerError
from genzoo.ledger import FolderSource, PackageSource, RepoSource, parse_source

REVISION = "0a" * 20


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("package:genzoo_dcgan/weights/x.safetensors", PackageSource("genzoo_dcgan/weights/x.safetensors")),
        ("folder:x.safetensors", FolderSource(Path("/base/x.safetensors"))),
        ("folder:./a/x", FolderSource(Path("/base/a/x"))),
        ("folder:/mnt/zoo/x", FolderSource(Path("/mnt/zoo/x"))),
        (
            f"hf:owner/repo.v1@{REVISION}:a/x.safetensors",
            RepoSource("owner/repo.v1", REVISION, "a/x.safetensors"),
        ),
    ],
)
def test_forms(text, source):
    assert parse_source(text, Path("/base")) == source


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "http://example.com/x",
        "package:",
        "package:genzoo_dcgan",
        "package:../x",
        "package:a/../../x",
        "package:os.path/x",
        "package:/etc/passwd",
        "folder:",
        "folder:../x",
        "folder:a/../../x",
        "folder:/mnt/../etc/passwd",
        "folder:a\\..\\..\\x",
        "folder:C:x",
        "folder:\\\\host\\share\\x",
        "folder://host/share/x",
        "folder:\\/host/share/x",
        "folder:/\\host/share/x",
        "folder:\\\\.\\pipe\\x",
        "folder:\\\\?\\C:\\x",
        "folder:\\??\\C:\\x",
        "folder:C:\\zoo\\..\\x",
        "folder:a/x\0",
        "folder:a/x\n",
        "folder:a/nul. /x",
        f"hf:repo@{REVISION}:x",
        "hf:owner/repo@main:x",
        "hf:owner/repo:x",
        f"hf:owner/repo@{REVISION.upper()}:x",
        f"hf:owner/repo@{REVISION}0:x",
        f"hf:owner/repo@{REVISION}:",
        f"hf:owner/repo@{REVISION}:../x",
        f"hf:owner/repo@{REVISION}:a/../x",
        f"hf:owner/repo@{REVISION}:/x",
        f"hf:../repo@{REVISION}:x",
        f"hf:owner/repo/more@{REVISION}:x",
        f"hf:owner/re po@{REVISION}:x",
    ],
)
def test_everything_else_is_refused(text):
    with pytest.raises(LedgerError, match="source"):
        parse_source(text, Path("/base"))


def test_a_path_of_another_system_is_not_looked_for_in_the_working_folder():
    assert parse_source("folder:C:\\zoo\\x", Path("/base")).path.is_absolute()


def test_no_source_leads_to_another_host_on_windows():
    """Windows opens such a path with the user's name and a hash of the password."""
    for text in ("folder:\\\\host\\share\\x", "folder://host/share/x", "folder:///host/share/x"):
        with pytest.raises(LedgerError, match="names another host"):
            parse_source(text, Path("/base"))
