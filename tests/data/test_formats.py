"""Formats that are not read are named, with what to do about them."""

import io
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from genzoo.data import open_data
from genzoo.data.decode import Skip, decode
from genzoo.errors import DataError

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)
SHAPE = (3, 16, 20)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.heic", HEIC, r"HEIC \(convert to JPEG or PNG\)"),
        ("IMG_1.JPG", HEIC, r"HEIC \(convert"),  # as telephones export them
        ("a.jxl", b"\xff\x0a" + bytes(9), "JPEG XL"),
        ("a.psd", b"8BPS" + bytes(9), "Photoshop"),
        ("a.svg", b"<svg/>", "SVG"),
        ("a.pdf", b"%PDF-1.7", "PDF"),
        ("a.mp4", b"\0\0\0\x18ftypisom" + bytes(9), r"video \(save its frames"),
        ("a.mov", b"", "video"),
        ("a.dcm", bytes(128) + b"DICM", "DICOM"),
        ("a.exr", b"v/1\x01", "OpenEXR"),
        ("a.hdr", b"#?RADIANCE\n", "Radiance HDR"),
        ("a.zip", b"PK\x03\x04", r"archive \(unpack it\)"),
        ("a.tar.gz", b"\x1f\x8b", r"archive \(unpack it\)"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c", "archive"),
        ("a.rar", b"Rar!", "archive"),
        ("a.npy", b"\x93NUMPY", "single array"),
        ("a.md", b"hello", "not an image"),
        ("a.jpg", b"hello", "corrupt"),
    ],
)
def test_a_file_in_a_folder_has_its_reason(tmp_path, name, data, reason):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(Skip, match=f"^{reason}"):
        decode(tmp_path / name, SHAPE)
    with pytest.raises(DataError, match=f"holds no readable image; skipped 1: 1 {reason}"):
        open_data(tmp_path)


def test_a_camera_raw_is_not_its_thumbnail(tmp_path):
    Image.new("RGB", (160, 120)).save(tmp_path / "a.tif")
    (tmp_path / "a.tif").rename(tmp_path / "a.NEF")
    with pytest.raises(Skip, match=r"camera raw \(develop to JPEG, PNG or TIFF\)"):
        decode(tmp_path / "a.NEF", SHAPE)


@pytest.mark.parametrize(("suffix", "options"), [("tga", {}), ("jp2", {"irreversible": False}), ("j2k", {})])
def test_tga_and_jpeg_2000_are_read(tmp_path, make, suffix, options):
    photo = make.photo()
    Image.fromarray(photo).save(tmp_path / f"a.{suffix}", **options)
    assert np.array_equal(decode(tmp_path / f"a.{suffix}", SHAPE), photo.transpose(2, 0, 1))


def test_no_other_file_is_taken_for_a_tga(tmp_path, make):
    buffer = io.BytesIO()
    Image.fromarray(make.photo()).save(buffer, "TGA")
    (tmp_path / "a.dat").write_bytes(buffer.getvalue())
    with pytest.raises(Skip, match="not an image"):
        decode(tmp_path / "a.dat", SHAPE)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_the_size_limit_is_told(make):
    data = bytearray(make.encoded(make.photo()))
    data[16:24] = (12_000).to_bytes(4, "big") * 2
    import struct
    import zlib

    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    with pytest.raises(Skip, match=r"too large \(more than 89,478,485 pixels\)"):
        decode(bytes(data), SHAPE)


def packed(path):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.txt", "hello")
    elif ".tar" in path.suffixes:
        with tarfile.open(path, "w:gz") as archive:
            archive.add(__file__, "a.py")
    else:
        path.write_bytes(b"7z\xbc\xaf\x27\x1c")


@pytest.mark.parametrize("name", ["photos.zip", "photos.tar.gz", "photos.7z", "photos.rar", "photos.tgz"])
def test_an_archive_as_data_says_unpack_it(tmp_path, name):
    packed(tmp_path / name)
    with pytest.raises(DataError, match=r"is not a form of data that genzoo reads \(archive\) — unpack it"):
        open_data(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "kind", "what"),
    [
        ("a.npy", "single array", r"numpy\.savez\(path, images=\.\.\.\)"),
        ("a.heic", "HEIC", "convert to JPEG or PNG"),
        ("a.pt", "Python objects", "never loaded"),
        ("a.arrow", "table", "save the images as files"),
        ("a.mp4", "video", "save its frames"),
    ],
)
def test_other_files_as_data_say_what_to_do(tmp_path, name, kind, what):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DataError, match=rf"\({kind}\) — .*{what}"):
        open_data(tmp_path / name)
