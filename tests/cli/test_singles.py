"""Many images in a folder: named by their number, continued where they ended, shared by processes, and whole
or not there at all."""

import io
import json
import os
import tarfile
import time
from dataclasses import replace

import conditional_toys
import numpy as np
import pytest
import torch
import toys
from PIL import Image
from shell import one_line
from small_disks import enlarge, small_disk

from genzoo.cli import singles
from genzoo.cli.packs import packed
from genzoo.cli.samples import Order
from genzoo.cli.singles import SHARD, make, missing, parts_of, runs, share, write_single
from genzoo.data import open_data
from genzoo.errors import ArgumentError, StorageError
from genzoo.files import sweep
from genzoo.images import pngs, quantise

GAN = toys.gan()
ORDER = Order("toy-gan", 40, 3, weights="a" * 64)


def source_of(asked, model=GAN):
    """Return the source of images that the command uses, noting in `asked` what is drawn."""

    def draw(row, first, n):
        asked.append((row, first, n))
        return model.sample_batches(n, ORDER.seed, first=first, dtype=torch.uint8)

    return lambda total: draw


def write(out, order=ORDER, form="png", place=(0, 1)):
    """Write the files of an order and return what was drawn and what was said."""
    asked = []
    words = write_single(order, out, form, source_of(asked), (GAN, *place))
    return asked, words


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)))


class TestFirst:
    @pytest.mark.parametrize("first", [1, 15, 16, 37])
    def test_images_keep_their_bits(self, first):
        """Wherever a draw begins, an image is in the same place of the same chunk."""
        whole = GAN.sample(60, seed=3)
        assert torch.equal(GAN.sample(20, seed=3, first=first), whole[first : first + 20])
        sizes = [len(batch) for batch in GAN.sample_batches(20, 3, first=first)]
        assert sum(sizes) == 20 and sizes[0] == min(20, 16 - first % 16)

    def test_each_image_has_its_own_condition(self):
        net = conditional_toys.LabelGAN(conditional_toys.LabelConfig()).eval()
        labels = [i % 3 for i in range(40)]
        whole = net.sample(40, seed=1, condition=labels)
        assert torch.equal(net.sample(21, seed=1, first=5, condition=labels[5:26]), whole[5:26])

    def test_progress_ends_at_the_end(self):
        told = []
        list(GAN.sample_batches(20, 0, first=9, progress=lambda *at: told.append(at)))
        assert told[-1] == (20 * 64, 20 * 64) and told[0] == (7 * 64, 20 * 64) and told == sorted(told)

    @pytest.mark.parametrize("first", [-1, 1.5, True, "1", 2**63 - 1])
    def test_no_number_of_an_image(self, first):
        with pytest.raises(ArgumentError, match="first must be a whole number from 0"):
            GAN.sample(2, 0, first=first)


class TestContinued:
    def test_only_what_is_missing_is_drawn(self, tmp_path):
        write(tmp_path)
        whole = contents(tmp_path)
        for number in (3, 20, 21, 39):
            (tmp_path / f"sample-{number:06}.png").unlink()
        asked, words = write(tmp_path)
        assert asked == [(0, 3, 1), (0, 20, 2), (0, 39, 1)] and contents(tmp_path) == whole
        assert words == f"{tmp_path}/: 40 images (36 were there already)"
        assert write(tmp_path)[0] == []

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda data: b"",
            lambda data: data[:-1],
            lambda data: data[: len(data) // 2],
            lambda data: data[:100] + bytes(len(data) - 100),  # what a power cut may leave
        ],
    )
    def test_a_file_that_is_cut_short_is_made_again(self, tmp_path, spoil):
        write(tmp_path)
        whole, path = contents(tmp_path), tmp_path / "sample-000017.png"
        path.write_bytes(spoil(path.read_bytes()))
        assert write(tmp_path)[0] == [(0, 17, 1)] and contents(tmp_path) == whole

    @pytest.mark.parametrize("other", [{"seed": 4}, {"weights": "b" * 64}, {"name": "toy-gan-2"}])
    def test_images_of_another_order_are_not_taken_for_these(self, tmp_path, other):
        write(tmp_path, replace(ORDER, **other))
        assert write(tmp_path)[0] == [(0, 0, 40)]

    def test_more_images_are_added_and_numbers_count_from_the_seed(self, tmp_path):
        write(tmp_path, replace(ORDER, n=10, first=25))
        assert sorted(contents(tmp_path))[0] == "sample-000025.png"
        assert write(tmp_path)[0] == [(0, 0, 25), (0, 35, 5)]
        expected = quantise(GAN.sample(40, seed=3))[:, 0].numpy()
        for number in range(40):
            data = (tmp_path / f"sample-{number:06}.png").read_bytes()
            assert np.array_equal(pixels(data), expected[number])

    def test_nothing_has_its_name_before_it_is_whole(self, tmp_path, monkeypatch):
        """A write that fails at half, as on a full disk or with a kill, leaves no file with a name."""
        real = os.write

        def half(handle, data):
            real(handle, data[: len(data) // 2])
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "write", half)
        with pytest.raises(StorageError, match="the disk is full"):
            write(tmp_path)
        monkeypatch.undo()
        assert contents(tmp_path) == {}

    def test_a_real_disk_that_fills(self, tmp_path):
        """One line, whole files alone, and the same command draws what is missing."""
        (tmp_path / "all").mkdir()
        write(tmp_path / "all")
        whole = contents(tmp_path / "all")
        with small_disk(tmp_path / "disk", 120) as disk:  # each file takes four kilobytes
            with pytest.raises(StorageError, match="the disk is full") as refused:
                write(disk)
            assert "\n" not in str(refused.value)
            there = contents(disk)
            assert 20 < len(there) < 40 and there.items() <= whole.items()
            enlarge(disk, 400)
            asked, _ = write(disk)
            assert sum(n for _, _, n in asked) == 40 - len(there) and contents(disk) == whole

    def test_nothing_waits_for_the_disk(self, tmp_path, monkeypatch):
        """Two flushes per image took three quarters of the time."""
        monkeypatch.setattr(os, "fsync", lambda handle: pytest.fail("an image was flushed"))
        write(tmp_path)

    def test_what_a_killed_process_left_is_removed(self, tmp_path):
        (tmp_path / f".genzoo-{'0' * 16}.tmp").write_bytes(b"half of an image")
        write(tmp_path)
        assert len(contents(tmp_path)) == 40 and sweep(tmp_path) == 0


class TestShared:
    @pytest.mark.parametrize("size", [2, 3, 5])
    def test_processes_make_the_files_of_one(self, tmp_path, size):
        alone, together = tmp_path / "1", tmp_path / "n"
        for folder in (alone, together):
            folder.mkdir()
        write(alone)
        drawn = [write(together, place=(rank, size)) for rank in range(size)]
        assert contents(together) == contents(alone)
        assert sum(n for asked, _ in drawn for _, _, n in asked) == 40
        assert drawn[0][1].endswith(f"(process 0 of {size} made {sum(n for *_, n in drawn[0][0])} of them)")

    def test_shares_are_whole_chunks_whatever_is_there(self):
        (parts,) = parts_of(replace(ORDER, first=5, n=100), ROOM, "png")
        shares = [share(parts, rank, 3, 16) for rank in range(3)]
        assert [part for mine in shares for part in mine] == parts
        assert all(mine[0].first % 16 == 0 for mine in shares[1:])
        assert max(map(len, shares)) - min(map(len, shares)) <= 16 + 5

    def test_more_processes_than_chunks(self):
        (parts,) = parts_of(ORDER, ROOM, "png")
        shares = [share(parts, rank, 8, 16) for rank in range(8)]
        assert [part for mine in shares for part in mine] == parts and [] in shares


ROOM = singles.Path("samples")


class TestPacks:
    def test_shards_are_those_of_the_stream(self):
        (parts,) = parts_of(replace(ORDER, first=SHARD - 10, n=SHARD + 15), ROOM, "tar")
        assert [part.path.name for part in parts] == [
            "sample-000990-000999.tar",
            "sample-001000-001999.tar",
            "sample-002000-002004.tar",
        ]
        assert [part.count for part in parts] == [10, 1000, 5]

    @pytest.mark.parametrize("form", ["tar", "npz"])
    def test_they_hold_the_images_and_are_continued(self, tmp_path, monkeypatch, form):
        monkeypatch.setattr(singles, "SHARD", 16)
        write(tmp_path, form=form)
        whole = contents(tmp_path)
        names = [f"sample-{a:06}-{b:06}.{form}" for a, b in ((0, 15), (16, 31), (32, 39))]
        assert sorted(whole) == names
        expected = quantise(GAN.sample(40, seed=3))[:, 0].numpy()
        for name, first in zip(names, (0, 16, 32), strict=True):
            found = unpacked(tmp_path / name)
            assert np.array_equal(found, expected[first : first + 16])
        (tmp_path / names[1]).write_bytes(whole[names[1]][:200])
        time.sleep(0.01)
        assert write(tmp_path, form=form)[0] == [(0, 16, 16)] and contents(tmp_path) == whole
        assert write(tmp_path, replace(ORDER, seed=4), form=form)[0] == [(0, 0, 16), (0, 16, 16), (0, 32, 8)]

    @pytest.mark.parametrize("form", ["tar", "npz"])
    def test_one_file_of_all(self, tmp_path, form):
        path = tmp_path / f"all.{form}"
        assert write(path, form="")[1] == f"{path}: 40 images"
        assert np.array_equal(unpacked(path), quantise(GAN.sample(40, seed=3))[:, 0].numpy())
        assert packed(path) == {**ORDER.told_of(None), "first": "0", "n": "40"}
        assert write(path, form="") == ([], f"{path}: 40 images (40 were there already)")
        assert write(path, replace(ORDER, n=41), form="")[0] == [(0, 0, 41)]

    @pytest.mark.parametrize("name", ["x.tar", "x.npz"])
    @pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\0" * 1024, b"x" * 2000])
    def test_a_foreign_file_states_nothing(self, tmp_path, name, data):
        path = tmp_path / name
        path.write_bytes(data)
        assert not packed(path)
        assert packed(tmp_path / "absent.npz") is None

    def test_the_array_is_opened_as_data(self, tmp_path):
        write(tmp_path / "all.npz", form="")
        images = open_data(str(tmp_path / "all.npz"))
        assert images.shape == (1, 8, 8) and 0 < len(images) <= 40


def unpacked(path):
    if path.suffix == ".npz":
        with np.load(path) as file:
            return file["images"]
    with tarfile.open(path) as archive:
        members = archive.getmembers()
        assert all(member.name.startswith("sample-") for member in members)
        return np.stack([pixels(archive.extractfile(member).read()) for member in members])


def test_runs_are_consecutive():
    (parts,) = parts_of(ORDER, ROOM, "png")
    assert [len(run) for run in runs([*parts[:3], *parts[5:7], parts[9]])] == [3, 2, 1]
    assert list(runs([])) == []


def test_a_failure_in_a_thread_is_raised(tmp_path, monkeypatch):
    monkeypatch.setattr("genzoo.images.pngs", lambda images, told: 1 / 0)
    (parts,) = parts_of(ORDER, tmp_path, "png")
    with pytest.raises(ZeroDivisionError):
        make(parts, source_of([])(40))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("levels", [[0, 255], [0, 127, 128, 255], list(range(256))])
def test_pngs_are_the_pixels(channels, levels):
    chosen = torch.randint(len(levels), (40, channels, 6, 7), generator=torch.Generator())
    images = torch.tensor(levels, dtype=torch.uint8)[chosen]
    told = {"seed": "7", "labels": "IDAT, IEND"}
    for image, data in zip(images, pngs(images, told), strict=True):
        opened = Image.open(io.BytesIO(data))
        assert opened.text == told
        assert np.array_equal(np.asarray(opened).reshape(6, 7, channels), image.permute(1, 2, 0).numpy())


def test_what_is_missing_is_found_by_its_content(tmp_path):
    (parts,) = parts_of(ORDER, tmp_path, "png")
    assert missing(parts, GAN.image_shape) == parts
    write(tmp_path)
    assert missing(parts, GAN.image_shape) == []
    assert missing(parts, (3, 8, 8)) == parts


class TestCommand:
    def test_first_and_json(self, run):
        done = run("sample", "toy-gan", "-n", 4, "--first", 30, "--seed", 3, "-o", "out/", "--json")
        assert done.exit_code == 0 and json.loads(done.stdout)["first"] == 30
        assert done.stderr == "out/: 4 images of toy-gan, seed 3, from number 30\n"
        assert sorted(os.listdir("out")) == [f"sample-{i:06}.png" for i in range(30, 34)]
        assert run("sample", "toy-gan", "-n", 4, "--first", 30, "--seed", 3, "-o", "x.npz").exit_code == 0
        assert np.array_equal(
            unpacked(singles.Path("x.npz"))[0], np.asarray(Image.open("out/sample-000030.png"))
        )

    @pytest.mark.parametrize(
        ("args", "words"),
        [
            (("toy-gan", "--format", "tar"), ("--format tar is that of a folder", "-o toy-gan/")),
            (("coin", "--animate", "x.gif", "--first", 1), ("leave out --first",)),
            (("toy-gan", "--first", -1), ("--first",)),
        ],
    )
    def test_what_does_not_fit(self, run, args, words):
        done = run("sample", *args)
        assert done.exit_code == 2 and one_line(done.stderr, *words) and os.listdir() == []

    @pytest.mark.parametrize(
        ("out", "seed", "words"),
        [("x.png", 1, "-o samples/"), ("x.npz", 1, "-o samples/"), ("out/", None, "give --seed")],
    )
    def test_several_processes_need_a_folder_and_a_seed(self, run, monkeypatch, out, seed, words):
        for name, value in {"RANK": 1, "WORLD_SIZE": 2, "LOCAL_RANK": 1}.items():
            monkeypatch.setenv(name, str(value))
        for name, value in {"MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}.items():
            monkeypatch.setenv(name, value)
        done = run("sample", "toy-gan", "-o", out, *(() if seed is None else ("--seed", seed)))
        assert done.exit_code == 2 and one_line(done.stderr, words) and os.listdir() == []
        assert run("sample", "toy-gan", "-n", 40, "--seed", 0, "-o", "out/").stderr == ""
        assert sorted(os.listdir("out")) == [f"sample-{i:06}.png" for i in range(16, 40)]
