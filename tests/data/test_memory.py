"""Memory: how much is free, how much pictures may take together, and what is said where it is not enough."""

import gzip
import os
import struct
import subprocess
import sys
import textwrap
import threading
import time
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from genzoo.data import decode as decoding
from genzoo.data import depth, growing, memory, npz, open_data
from genzoo.data.decode import Skip, decode
from genzoo.data.survey import Stacks, survey
from genzoo.errors import DataError

MB = 10**6


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def plain_png(side, colour, channels, extra=b""):
    """Return a PNG of side x side zeros: a few bytes that become many."""
    pack, row = zlib.compressobj(1), bytes(1 + side * channels)
    data = b"".join(pack.compress(row) for _ in range(side)) + pack.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def peak(script, *arguments):
    """Return by how many bytes the memory of a fresh process grew at most while it ran `script` after its
    imports."""
    head = """
        import os, resource, sys
        from concurrent.futures import ThreadPoolExecutor
        from pathlib import Path
        from PIL import Image
        from genzoo.data import open_data
        from genzoo.data.decode import decode
        Image.init()
        def used():
            try:  # not ru_maxrss, which on Linux begins with the peak of the process that started this one
                return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
            except OSError:
                unit = 1 if sys.platform == "darwin" else 1024
                return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        before = used()
    """
    code = textwrap.dedent(head) + textwrap.dedent(script) + "\nprint(used() - before)"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, timeout=300
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return int(done.stdout)


# How much is free


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Give a function that writes the files of a system by their paths; there is no other system then."""
    monkeypatch.setattr(memory, "PROC", tmp_path / "proc")
    monkeypatch.setattr(memory, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "_own_limit", lambda: None)

    def write(**files):
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(str(text))

    return write


def test_what_the_machine_has_left(system):
    system(proc__meminfo="MemTotal:  9000 kB\nMemAvailable:  4000 kB\n")
    assert memory.available() == 4000 * 1024


def test_a_group_of_version_2_counts_its_own_files_as_free(system):
    system(proc__meminfo="MemAvailable: 4000 kB\n", proc__self__cgroup="0::/a/b\n")
    system(cgroup__a__memory_dot_max="900000", cgroup__a__memory_dot_current="500000")
    system(cgroup__a__memory_dot_stat="anon 1\ninactive_file 100000\nactive_file 50000\n")
    system(
        cgroup__a__b__memory_dot_max="max",
        cgroup__a__b__memory_dot_current="5",
        cgroup__a__b__memory_dot_stat="anon 1\n",
    )
    assert memory.available() == 550_000


def test_a_container_sees_its_group_at_the_root(system):
    system(proc__meminfo="MemAvailable: 4000 kB\n", proc__self__cgroup="0::/not/here\n")
    system(
        cgroup__memory_dot_max="700000", cgroup__memory_dot_current="800000", cgroup__memory_dot_stat="x 1\n"
    )
    assert memory.available() == 0


def test_a_group_of_version_1(system):
    system(
        proc__meminfo="MemAvailable: 4000 kB\n", proc__self__cgroup="9:cpu:/a\n4:hugetlb,memory:/a\n0::/\n"
    )
    system(
        cgroup__memory__a__memory_dot_limit_in_bytes="600000",
        cgroup__memory__a__memory_dot_usage_in_bytes="200000",
    )
    system(cgroup__memory__a__memory_dot_stat="inactive_file 0\n")
    assert memory.available() == 400_000


@pytest.mark.parametrize("text", ["", "nonsense", "MemAvailable:", "MemAvailable: x kB"])
def test_a_system_that_says_nothing_of_use(system, text, monkeypatch):
    system(proc__meminfo=text, proc__self__cgroup=text)
    assert memory.available() > MB  # what sysconf says
    monkeypatch.delattr(memory.os, "sysconf")
    assert memory.available() is None
    memory.check_memory(10**18, "all of it")


def test_this_system_says_something():
    assert MB < memory.available() < 1 << 60


def test_what_is_larger_is_one_line(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 2 * 10**9)
    memory.check_memory(2 * 10**9, "it")
    with pytest.raises(
        DataError, match=r"^it needs 2\.1 GB of memory, and 2\.0 GB are free — take fewer or smaller images"
    ):
        memory.check_memory(2_100_000_000, "it")


# How much is taken at once


def test_no_more_than_the_room_is_taken_at_once():
    room, lock, now, most = memory.Room(100), threading.Lock(), [0], [0]

    def work(size):
        for _ in range(50):
            with room.take(size, "x"):
                with lock:
                    now[0] += size
                    most[0] = max(most[0], now[0])
                time.sleep(0.0002)
                with lock:
                    now[0] -= size

    threads = [threading.Thread(target=work, args=(size,)) for size in (10, 30, 45, 60, 99)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads) and 60 <= most[0] <= 100


def test_what_is_larger_than_the_room_goes_alone_and_in_its_turn():
    room, order = memory.Room(100), []

    def take(size):
        with room.take(size, "x"):
            order.append(size)

    with room.take(50, "x"):
        threads = [threading.Thread(target=take, args=(size,)) for size in (1000, 10)]
        for thread in threads:
            thread.start()
            time.sleep(0.05)
        assert order == []  # the small one does not overtake the large one for ever
    for thread in threads:
        thread.join(60)
    assert sorted(order) == [10, 1000]


def test_what_was_taken_is_given_back_after_an_error():
    room = memory.Room(10)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), room.take(10, "x"):
            raise ZeroDivisionError


def test_large_pictures_are_decoded_one_at_a_time(tmp_path):
    for i in range(2):
        (tmp_path / f"{i}.png").write_bytes(plain_png(6000, 6, 4))
    alone = 8 * 6000**2
    script = """
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(lambda path: decode(path, (3, 8, 8)), Path(sys.argv[1]).iterdir()))
    """
    assert peak(script, tmp_path) < 1.25 * alone


@pytest.mark.parametrize(
    ("kinds", "factor"), [(("RGBA PNG", "LA PNG", "L PNG"), 1), (("I;16 TIFF", "RGB TIFF", "P GIF"), 2)]
)
def test_a_picture_takes_no_more_than_its_estimate(tmp_path, kinds, factor):
    for kind in kinds:
        mode, form = kind.split()
        Image.new(mode, (4000, 3000)).save(tmp_path / kind, form)
    script = "for path in Path(sys.argv[1]).iterdir(): decode(path, (3, 8, 8))"
    assert peak(script, tmp_path) < factor * decoding.PER_PIXEL * 4000 * 3000 + 20 * MB


def test_looking_into_deep_pictures_shares_the_room_of_decoding(tmp_path, monkeypatch):
    asked = []

    class Spy(memory.Room):
        def take(self, size, what):
            asked.append(size)
            return super().take(size, what)

    monkeypatch.setattr(decoding, "PICTURES", Spy(10**9))
    deep = Image.fromarray(np.full((300, 400), 4095, np.uint16))
    deep.save(tmp_path / "a.png")
    deep.save(tmp_path / "b.tif", save_all=True, append_images=[deep])
    seen = survey(2, [tmp_path / "a.png", tmp_path / "b.tif"].__getitem__, "two files")
    assert seen.scale.bits == 12 and len(asked) == 3 and min(asked) >= 10 * 300 * 400
    stacks = Stacks()
    stacks.decode(tmp_path / "b.tif", 1, (1, 8, 8), seen.scale)
    stacks.close()
    assert len(asked) == 4
    monkeypatch.setattr(memory, "available", lambda: 9 * MB)
    big = Image.fromarray(np.full((1500, 1500), 4095, np.uint16))
    big.save(tmp_path / "a.png")
    with pytest.raises(
        DataError, match=r"a picture of 1500x1500 pixels needs 22 MB of memory, and 9 MB are free"
    ):
        survey(1, lambda _: tmp_path / "a.png", "one file")


def test_stacks_that_stay_open_keep_no_pixels(tmp_path):
    page = Image.new("L", (4000, 4000))
    for i in range(7):
        page.save(tmp_path / f"{i}.tif", save_all=True, append_images=[page], compression="tiff_deflate")
    script = "open_data(Path(sys.argv[1]), image_shape=(1, 8, 8), cache=False)"
    assert peak(script, tmp_path) < 5 * 4000**2


def test_pictures_in_strips_are_those_in_one_piece(monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (61, 37, 4), dtype=np.uint8)
    clear = Image.fromarray(noise)
    deep = Image.fromarray(noise[..., :2].copy().view(np.uint16)[..., 0])
    palette = clear.convert("RGB").quantize(16)
    palette.info["transparency"] = 3
    pictures = [clear, deep, palette, clear.convert("LA")]
    whole = [decoding.fit(picture, (c, 20, 30)) for picture in pictures for c in (1, 3)]
    monkeypatch.setattr(decoding, "STRIP", 100)
    monkeypatch.setattr(depth, "STRIP", 100)
    parts = [decoding.fit(picture, (c, 20, 30)) for picture in pictures for c in (1, 3)]
    assert all(np.array_equal(a, b) for a, b in zip(whole, parts, strict=True))


# What is not enough


def test_a_picture_for_which_there_is_no_memory_ends_in_one_line(tmp_path, make, monkeypatch):
    folder = tmp_path / "big"
    folder.mkdir()
    (folder / "a.png").write_bytes(plain_png(1500, 2, 3))
    monkeypatch.setattr(memory, "available", lambda: 9 * MB)
    with pytest.raises(
        DataError, match=r"a picture of 1500x1500 pixels needs 22 MB of memory, and 9 MB are free"
    ):
        open_data(folder, image_shape=(3, 8, 8))


@pytest.mark.parametrize("error", [MemoryError(), OSError("out of memory error when reading image file")])
def test_want_of_memory_is_no_fault_of_the_picture(make, monkeypatch, error):
    def fails(*_):
        raise error

    monkeypatch.setattr(decoding, "fit", fails)
    file = make.encoded(make.photo())
    monkeypatch.setattr(decoding, "available", lambda: 100 * MB)
    with pytest.raises(DataError, match="there is not enough memory to decode a picture"):
        decode(file, (3, 8, 8))
    # there is enough: the file asks for more than its pixels can need
    monkeypatch.setattr(decoding, "available", lambda: 10**10)
    with pytest.raises(Skip, match="too large"):
        decode(file, (3, 8, 8))


def test_any_memory_error_is_one_line(monkeypatch, photos):
    def fails(*_, **__):
        raise MemoryError

    monkeypatch.setattr(growing.Growing, "keep", fails)
    with pytest.raises(
        DataError, match=r"there is not enough memory for these images — take fewer or smaller images"
    ):
        open_data(photos)


def test_a_system_that_gives_no_threads_is_one_line(monkeypatch, photos):
    def fails(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fails)
    with pytest.raises(DataError, match="the system gives no more threads"):
        open_data(photos)


# Small files that claim much


def test_tiles_larger_than_the_picture():
    tags = {256: 16, 257: 16, 258: 8, 259: 1, 262: 1, 277: 1, 322: 1 << 16, 323: 1 << 16, 324: 8, 325: 256}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    file = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + bytes(256)
    with pytest.raises(Skip, match="too large"):
        decode(file, (3, 8, 8))


def test_a_picture_with_much_text(tmp_path):
    note = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**6)))
    (tmp_path / "a.png").write_bytes(plain_png(8, 2, 3, note * 300))
    script = """
        from genzoo.data.decode import Skip
        try: decode(Path(sys.argv[1]), (3, 8, 8))
        except Skip as skip: assert str(skip) == "corrupt"
    """
    assert peak(script, tmp_path / "a.png") < 100 * MB


def deflated(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)


def array_file(shape, data=b"", version=1):
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return (
        b"\x93NUMPY"
        + bytes([version, 0])
        + struct.pack("<H" if version == 1 else "<I", len(text))
        + text
        + data
    )


def test_an_npz_of_more_than_is_free(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", images=np.zeros((50, 1000, 1000), np.uint8))
    monkeypatch.setattr(memory, "available", lambda: 40 * MB)
    with pytest.raises(DataError, match=r"a\.npz needs 50 MB of memory, and 40 MB are free"):
        open_data(tmp_path / "a.npz")


CLAIMS = {
    "v1.npz": "claims 1,000,000,000 bytes and has",
    "v2.npz": "claims 1,000,000,000 bytes and has",
    "head.npz": "header of 120,000,000 bytes",
    "less-idx3-ubyte.gz": "not 1,000",
    "more-idx3-ubyte.gz": "not more than 1,000",
    "junk.npz": "",
}


def test_small_files_that_claim_much(tmp_path):
    for version in (1, 2):
        deflated(tmp_path / f"v{version}.npz", images=array_file((10**4, 10**3, 10**2), bytes(1000), version))
    deflated(
        tmp_path / "head.npz", images=b"\x93NUMPY\x02\x00" + struct.pack("<I", 120 * MB) + b" " * (120 * MB)
    )
    np.savez_compressed(
        tmp_path / "junk.npz", images=np.zeros((9, 4, 4), np.uint8), junk=np.zeros(120 * MB, np.uint8)
    )
    for name, side, size in (("less", 1000, 1000), ("more", 10, 120 * MB)):
        data = struct.pack(">HBB3I", 0, 8, 3, side, side, side) + bytes(size)
        (tmp_path / f"{name}-idx3-ubyte.gz").write_bytes(gzip.compress(data, 1))
    script = f"""
        from genzoo.errors import DataError
        for name, words in {CLAIMS!r}.items():
            try:
                open_data(Path(sys.argv[1]) / name)
            except DataError as error:
                assert words and words in str(error), error
            else:
                assert not words, name
    """
    assert peak(script, tmp_path) < 50 * MB


def test_what_a_packed_array_becomes_is_counted(tmp_path, make, monkeypatch):
    np.savez_compressed(
        tmp_path / "b.npz",
        **{split: np.zeros((20_000, 98), np.uint8) for split in ("train", "valid", "test")},
    )
    mosaic = make.encoded(Image.new("RGB", (320, 3200)), "WEBP", lossless=True)
    np.savez(tmp_path / "w.npz", **make.end_to_end([mosaic] * 20, "webp"))
    monkeypatch.setattr(memory, "available", lambda: 20 * MB)
    with pytest.raises(
        DataError, match=r"what is packed in 'train' of b needs 31 MB of memory, and 20 MB are free"
    ):
        open_data(tmp_path / "b.npz")
    with pytest.raises(DataError, match=r"what the mosaics hold needs 123 MB of memory"):
        open_data(tmp_path / "w.npz")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_a_pipe_is_no_npz(tmp_path):
    os.mkfifo(tmp_path / "a.npz")
    with pytest.raises(DataError, match="it is a pipe, not a regular file"):
        open_data(tmp_path / "a.npz")


def test_files_end_to_end_are_taken_out_one_by_one():
    files = npz.Slices({"jpeg": np.arange(9, dtype=np.uint8), "offsets": np.array([0, 4, 4, 9])}, "jpeg")
    assert list(files) == [b"\0\1\2\3", b"", b"\4\5\6\7\10"] and len(files) == 3
    with pytest.raises(IndexError):
        files[3]


def test_want_of_memory_is_not_taken_for_the_want_of_test_images(monkeypatch):
    """Training without scores, because the held-out images did not fit, was silent."""
    from genzoo.data import opening
    from genzoo.data.memory import short_of_memory

    real = opening.open_data

    def greedy(spec, *, split="train", **options):
        if split == "test":
            raise short_of_memory("there is not enough memory for the test images")
        return real(spec, split=split, **options)

    monkeypatch.setattr(opening, "open_data", greedy)
    with pytest.raises(DataError, match="not enough memory for the test images"):
        opening.open_both("digits", image_shape=(1, 8, 8))
