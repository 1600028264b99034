"""Which place is asked when: packages, the cache, folders, the Hub's own cache, the network; and what a
broken place does."""

import os
import sys
import zipfile

import pytest

from genzoo.errors import HubError, StorageError, WeightsError
from genzoo.files import sha256_of
from genzoo.hub import find_local, pull, pull_bytes, transfer, verify_digest

HF = "hf:owner/repo@" + "a" * 40 + ":dcgan-bedrooms.safetensors"


@pytest.fixture
def plugin(tmp_path, monkeypatch, weights):
    """An installed plugin with the weights inside, whose code must not run."""
    folder = tmp_path / "site" / "zoo_hub_plugin"
    (folder / "weights").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise SystemExit('imported')")
    path = folder / "weights" / "x.safetensors"
    path.write_bytes(weights)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return path


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """A cache that even root cannot write to."""
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "file" / "cache"))


PACKAGE = "package:zoo_hub_plugin/weights/x.safetensors"


def test_a_package_needs_no_cache_and_no_network(plugin, rows, nowhere, monkeypatch, weights):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    row = rows(HF, PACKAGE)
    assert (
        pull(row) == plugin
        and pull_bytes(row) == weights
        and verify_digest(row) == plugin
        and find_local(row) == plugin
    )
    assert "zoo_hub_plugin" not in sys.modules


def test_a_damaged_package_file_is_passed_over(plugin, rows, hub, cache, weights):
    plugin.write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    row = rows(PACKAGE, HF)
    assert pull(row) == cache / f"{row.sha256}.safetensors" and pull_bytes(row) == weights
    with pytest.raises(
        WeightsError, match=r"zoo_hub_plugin.*has sha256 [0-9a-f]{64}, not [0-9a-f]{64} as .*zoo.toml pins"
    ):
        verify_digest(row)


def test_a_package_in_a_zip(tmp_path, monkeypatch, rows, weights):
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.writestr("zoo_hub_zipped/__init__.py", "raise SystemExit('imported')")
        archive.writestr("zoo_hub_zipped/x.safetensors", weights)
    monkeypatch.syspath_prepend(str(tmp_path / "p.zip"))
    assert pull(rows("package:zoo_hub_zipped/x.safetensors")).read_bytes() == weights


def test_a_folder_beside_the_ledger(tmp_path, rows, cache, weights):
    (tmp_path / "x.safetensors").write_bytes(weights)
    row = rows("folder:x.safetensors")
    assert find_local(row) is None
    assert pull(row).parent == cache and pull_bytes(row) == weights
    (tmp_path / "x.safetensors").unlink()
    assert pull_bytes(row) == weights


def test_a_folder_transfer_goes_on(tmp_path, rows, cache, weights):
    (tmp_path / "x.safetensors").write_bytes(weights)
    row = rows("folder:x.safetensors")
    cache.mkdir(parents=True)
    (cache / f"{row.sha256}.part").write_bytes(weights[:1000])
    seen = []
    assert pull(row, progress=lambda done, total: seen.append(done)).read_bytes() == weights
    assert seen == [len(weights)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "does not exist"),
        (b"", "nothing of 0 bytes, but .*zoo.toml says 300000"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"PK\x03\x04", "a zip archive"),
        (b"\x80\x02}q\x00.", "a Python pickle"),
        (b"\x10" + bytes(7) + b'{"a":1}', "a safetensors file"),
        (bytes(300_000), "a file of 300000 bytes whose sha256 is not the one in"),
    ],
)
def test_a_wrong_file_in_a_folder_is_described(tmp_path, rows, cache, content, words):
    if content is not None:
        (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(HubError, match=f"cannot pull 'dcgan-bedrooms': folder .*: .*{words}") as caught:
        pull(rows("folder:x.safetensors"))
    assert caught.value.hint and not list(cache.glob("*.safetensors")) + list(cache.glob("*.part"))


def test_sources_are_tried_in_order_and_all_reasons_told(tmp_path, rows, hub):
    hub.fault = "broken"
    row = rows("package:zoo_hub_absent/x", "folder:none", HF)
    with pytest.raises(HubError) as caught:
        pull(row)
    words = str(caught.value)
    assert (
        words.index("not installed") < words.index("does not exist") < words.index("status 503")
        and "\n" not in words
    )


def test_the_next_source_is_tried(tmp_path, rows, hub, weights):
    (tmp_path / "x.safetensors").write_bytes(bytes(300_000))
    assert pull_bytes(rows("package:zoo_hub_absent/x", "folder:x.safetensors", HF)) == weights


def test_a_part_of_one_source_is_finished_by_the_next(tmp_path, rows, hub, weights, monkeypatch):
    monkeypatch.setattr(transfer, "TRIES", 1)
    hub.fault = "half"
    (tmp_path / "x.safetensors").write_bytes(weights)
    seen = []
    pull(rows(HF, "folder:x.safetensors"), progress=lambda done, total: seen.append(done))
    assert seen[-1] == 300_000 and seen == sorted(seen)


@pytest.mark.parametrize("take", [pull, pull_bytes])
@pytest.mark.parametrize("damage", [b"", b"short", bytes(300_000), bytes(300_001)])
def test_a_damaged_cache_is_fetched_again(hub, row, weights, take, damage):
    path = pull(row)
    path.write_bytes(damage)
    with pytest.raises(WeightsError):
        verify_digest(row)
    take(row)
    assert path.read_bytes() == weights and len(hub.gets()) == 2


@pytest.mark.parametrize("take", [pull, pull_bytes])
@pytest.mark.parametrize("size", [1, 299_999, 300_001, 2**31])
def test_a_row_with_a_wrong_size_costs_nobody_the_cached_file(hub, row, weights, take, size):
    path = pull(row)
    with pytest.raises(WeightsError, match=f"says {size} bytes .* are 300000 bytes"):
        take(row.replace(bytes=size))
    assert path.read_bytes() == weights and pull_bytes(row, offline=True) == weights and len(hub.gets()) == 1


def test_a_damaged_cache_is_refused_when_nothing_can_replace_it(hub, row, weights):
    path = pull(row)
    path.write_bytes(bytes(300_000))
    with pytest.raises(HubError, match="offline"):
        pull_bytes(row, offline=True)


def test_offline(hub, row, monkeypatch, weights):
    for value in ("1", "true", "ON"):
        monkeypatch.setenv("HF_HUB_OFFLINE", value)
        with pytest.raises(HubError, match=r"offline mode is on.*unset HF_HUB_OFFLINE"):
            pull(row)
    assert hub.log == []
    assert pull_bytes(row, offline=False) == weights
    assert pull_bytes(row) == weights


def test_the_cache_of_huggingface_hub_is_used_in_place(tmp_path, row, monkeypatch, weights):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    snapshot = tmp_path / "hf" / "models--owner--repo" / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "dcgan-bedrooms.safetensors").write_bytes(weights)
    assert pull(row) == snapshot / "dcgan-bedrooms.safetensors"
    (snapshot / "dcgan-bedrooms.safetensors").write_bytes(bytes(300_000))
    with pytest.raises(HubError, match="offline"):
        pull(row)


def test_what_huggingface_hub_has_wrong_is_fetched(tmp_path, hub, row, weights):
    snapshot = tmp_path / "hf" / "models--owner--repo" / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "dcgan-bedrooms.safetensors").write_bytes(bytes(300_000))
    assert pull_bytes(row) == weights


def test_a_cache_that_cannot_be_written(row, hub, nowhere):
    with pytest.raises(StorageError, match=r"cannot create .*cache.weights: .*is a file") as caught:
        pull(row)
    assert "\n" not in str(caught.value) and hub.log == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file system that nobody writes to")
def test_a_read_only_cache(row, hub, monkeypatch):
    monkeypatch.setenv("GENZOO_CACHE", "/proc/genzoo")
    with pytest.raises(StorageError, match="cannot create /proc/genzoo/weights"):
        pull_bytes(row)


def test_no_home(row, hub, monkeypatch):
    for name in ("GENZOO_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(StorageError, match="no home folder"):
        pull(row)


def test_nothing_is_verified_that_is_not_here(row):
    with pytest.raises(
        HubError, match=r"'dcgan-bedrooms' are not on this machine.*genzoo pull dcgan-bedrooms"
    ):
        verify_digest(row)


def test_the_bytes_that_were_checked_are_the_bytes_returned(tmp_path, plugin, rows, weights, monkeypatch):
    from genzoo.hub import fetch

    def read_then_overwrite(path, cap):
        data = plugin.read_bytes()
        plugin.write_bytes(bytes(len(data)))
        return data

    monkeypatch.setattr(fetch, "read_capped", read_then_overwrite)
    data = pull_bytes(rows(PACKAGE))
    assert sha256_of(data) == sha256_of(weights) and plugin.read_bytes() != weights


def test_a_digest_never_leads_out_of_the_cache(row, hub, tmp_path):
    object.__setattr__(row, "sha256", "../../../" + row.sha256[9:])
    with pytest.raises(HubError, match="not a sha256"):
        pull(row)
    assert hub.log == [] and not (tmp_path / "cache").exists()


def test_huggingface_hub_is_not_imported_for_local_weights(plugin, rows):
    import subprocess

    heavy = ("torch", "numpy", "huggingface_hub", "ssl", "http", "socket")
    code = f"import sys; import genzoo.hub; print([m for m in {heavy} if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )
