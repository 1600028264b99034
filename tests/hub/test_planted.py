"""What others planted in the cache or in a hub's folder: nothing elsewhere is touched, and everything is one
line."""

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from strangers import NOBODY, as_nobody

from genzoo.errors import GenzooError, HubError, StorageError
from genzoo.files import sha256_of
from genzoo.hub import find_local, pull, pull_bytes, push, store, verify_digest
from genzoo.ledger import Row

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links, pipes and owners of POSIX")
two_users = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs two users")


@pytest.fixture
def victim(tmp_path):
    """Give a file that nothing may touch, and hold that nothing did."""
    folder = tmp_path / "home"
    folder.mkdir()
    path = folder / "precious"
    path.write_bytes(b"precious")
    yield path
    assert path.read_bytes() == b"precious" and os.listdir(folder) == ["precious"]


def make(kind, path, victim):
    """Plant something at `path`."""
    if kind == "link":
        path.symlink_to(victim)
    elif kind == "dangling":
        path.symlink_to(victim.parent / "new")
    elif kind == "hard link":
        os.link(victim, path)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()


KINDS = ("link", "dangling", "hard link", "pipe", "folder")


@pytest.mark.parametrize("mode", [0o755, 0o777])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".part", ".lock", ".safetensors"])
def test_planted_in_the_cache(hub, row, cache, weights, victim, suffix, kind, mode):
    cache.mkdir(parents=True)
    cache.chmod(mode)
    planted = cache / f"{row.sha256}{suffix}"
    make(kind, planted, victim)
    try:
        assert pull_bytes(row) == weights
    except GenzooError as error:
        assert "\n" not in str(error) and str(planted) in str(error)
    else:
        assert suffix != ".part" and (suffix, kind) not in (
            (".lock", "link"),
            (".lock", "dangling"),
            (".lock", "pipe"),
        )


@pytest.mark.parametrize("where", ["cache/weights", "cache"])
def test_a_planted_folder_of_weights(hub, row, victim, tmp_path, where):
    (tmp_path / where).parent.mkdir(exist_ok=True)
    (tmp_path / where).parent.chmod(0o777)
    (tmp_path / where).symlink_to(victim.parent)
    with pytest.raises(StorageError, match="someone else may have created"):
        pull(row)
    assert hub.log == []


def test_a_cache_that_is_a_link_of_our_own(hub, row, weights, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "cache").symlink_to("disk")
    assert pull_bytes(row) == weights
    assert sorted(path.suffix for path in (tmp_path / "disk" / "weights").iterdir()) == [
        ".lock",
        ".safetensors",
    ]


def publish(folder, weights):
    row = Row(name="dcgan-bedrooms", sha256=sha256_of(weights), bytes=len(weights), sources=("folder:none",))
    return push(folder, name="dcgan-bedrooms", weights=weights, row=row, card_text="# card\n")


@pytest.mark.parametrize("kind", KINDS)
def test_planted_in_the_folder_of_a_hub(tmp_path, weights, victim, kind):
    """Whatever names a push writes to: first they are looked at, then each is planted in a folder of its
    own."""
    publish(tmp_path / "plain", weights)
    for name in sorted(path.name for path in (tmp_path / "plain").iterdir()):
        folder = tmp_path / f"hub-{name}"
        folder.mkdir()
        folder.chmod(0o777)
        make(kind, folder / name, victim)
        try:
            publish(folder, weights)
        except GenzooError as error:
            assert "\n" not in str(error) and str(folder / name) in str(error)
        else:
            # a file that is replaced as a whole, or a lock that is not written into
            assert kind == "hard link", name


def test_a_folder_source_that_is_no_file(tmp_path, rows, victim):
    for kind in ("pipe", "folder", "dangling"):
        make(kind, tmp_path / kind, victim)
        with pytest.raises(HubError, match=r"cannot read|does not exist|not a regular file"):
            pull(rows(f"folder:{kind}"))


@pytest.mark.parametrize("call", [pull, pull_bytes, find_local, verify_digest])
def test_a_cache_whose_name_is_too_long(rows, monkeypatch, tmp_path, call):
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / ("x" * 300)))
    try:
        assert call(rows("folder:none")) is None
    except GenzooError as error:
        assert "\n" not in str(error)
    with pytest.raises(StorageError, match="the name is too long"):
        pull(rows("folder:none"))


@pytest.mark.parametrize(
    "source", ["folder:" + "y" * 300, "package:json/" + "y" * 300, "folder:" + "d/" * 3000 + "x"]
)
def test_a_source_whose_name_is_too_long(rows, source):
    with pytest.raises(HubError, match="cannot pull 'dcgan-bedrooms'"):
        pull(rows(source))


@pytest.fixture
def theirs(monkeypatch):
    """Give a shared cache that belongs to root, where nobody may get in."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        (Path(name) / "cache" / "weights").mkdir(parents=True)
        monkeypatch.setenv("GENZOO_CACHE", str(Path(name) / "cache"))
        yield Path(name) / "cache" / "weights"


def refusal(row):
    """Return the weights' first bytes or the one line why they could not be had."""
    try:
        return pull_bytes(row, offline=True)[:4].hex()
    except GenzooError as error:
        return f"{type(error).__name__}: {error}"


@two_users
class TestAnotherUser:
    def test_a_cache_that_cannot_be_entered(self, rows, theirs):
        theirs.parent.chmod(0o700)
        words = as_nobody(lambda: refusal(rows("folder:none")))
        assert (
            words.startswith("StorageError: cannot create ")
            and "permission denied" in words
            and "\n" not in words
        )

    def test_a_cache_that_cannot_be_written(self, rows, theirs):
        words = as_nobody(lambda: refusal(rows("folder:none")))
        assert words.startswith("StorageError: cannot lock ") and "permission denied" in words
        assert words.endswith("check who owns it; or set GENZOO_CACHE to a folder of your own")

    def test_weights_that_can_be_read_are_used(self, rows, theirs, weights):
        row = rows("folder:none")
        (theirs / f"{row.sha256}.safetensors").write_bytes(weights)
        assert as_nobody(lambda: refusal(row)) == weights[:4].hex()

    def test_weights_that_cannot_be_read_are_fetched(self, rows, theirs, weights, tmp_path):
        theirs.chmod(0o777)
        source = theirs.parent / "x.safetensors"
        source.write_bytes(weights)
        source.chmod(0o644)
        row = rows("folder:x.safetensors").replace(origin=theirs.parent / "zoo.toml")
        kept = theirs / f"{row.sha256}.safetensors"
        kept.write_bytes(b"secret")
        kept.chmod(0o600)
        assert as_nobody(lambda: refusal(row)) == weights[:4].hex()
        assert kept.stat().st_uid == NOBODY

    def test_the_unfinished_transfer_of_another_is_left_alone(self, rows, theirs, weights):
        theirs.chmod(0o1777)
        source = theirs.parent / "x.safetensors"
        source.write_bytes(weights)
        row = rows("folder:x.safetensors").replace(origin=theirs.parent / "zoo.toml")
        (theirs / f"{row.sha256}.part").write_bytes(b"x" * 100)
        os.chown(theirs / f"{row.sha256}.part", 4321, 4321)
        assert as_nobody(lambda: refusal(row)) == weights[:4].hex()
        assert (theirs / f"{row.sha256}.part").read_bytes() == b"x" * 100
        assert not (theirs / f"{row.sha256}.{NOBODY}.part").exists()

    def test_a_cache_whose_size_is_asked(self, theirs):
        theirs.chmod(0o700)

        def ask():
            try:
                return store.entries()
            except StorageError as error:
                return error

        assert "permission denied" in as_nobody(ask)
        theirs.chmod(0o755)
        (theirs.parent / "photos").mkdir(mode=0o700)  # of no concern to us
        assert as_nobody(ask) == "[]"

    def test_a_damaged_file_in_a_cache_that_cannot_be_written(self, rows, theirs):
        row = rows("folder:none")
        (theirs / f"{row.sha256}.safetensors").write_bytes(b"x")
        words = as_nobody(lambda: refusal(row))
        assert (
            words.startswith("StorageError: the cached file ")
            and "is damaged" in words
            and "permission denied" in words
        )

    def test_a_hub_cache_that_cannot_be_entered(self, rows, theirs, monkeypatch):
        from huggingface_hub import constants

        theirs.chmod(0o777)
        snapshots = theirs.parent / "hf" / "models--owner--repo" / "snapshots"
        snapshots.mkdir(parents=True)
        snapshots.chmod(0o700)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(theirs.parent / "hf"))
        assert "offline mode is on" in as_nobody(
            lambda: refusal(rows(f"hf:owner/repo@{'a' * 40}:x.safetensors"))
        )


LIMITED = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (9999, 9999))
"""
PULL = """
import sys
from pathlib import Path
from genzoo.hub import pull
from genzoo.ledger import read_rows
pull(read_rows(Path(sys.argv[1]))["dcgan-bedrooms"])
"""


def test_a_disk_that_takes_no_more(hub, row, tmp_path, cache):
    from genzoo.ledger import add_row

    add_row(tmp_path / "zoo.toml", row)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED + PULL, str(tmp_path / "zoo.toml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "StorageError: cannot write" in done.stderr.splitlines()[-1]
    assert not list(cache.glob("*.safetensors"))


def test_what_lies_in_the_cache_is_never_followed(cache, victim):
    cache.mkdir(parents=True)
    (cache / f"{'a' * 64}.safetensors").symlink_to(victim)
    (cache / f"{'b' * 64}.part").symlink_to(victim)
    os.mkfifo(cache / f"{'c' * 64}.part")
    assert store.entries() == []
    assert stat.S_ISFIFO(os.lstat(cache / f"{'c' * 64}.part").st_mode)


def test_a_ledger_whose_name_is_too_long_is_left_out(tmp_path):
    from genzoo.ledger import load_ledgers

    (problem,) = load_ledgers(extra=[tmp_path / ("x" * 300)]).problems
    assert "the name is too long" in problem
