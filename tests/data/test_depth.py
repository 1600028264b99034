"""Deep images, pages and frames: what a whole folder says of each of its files."""

import numpy as np
import pytest
from PIL import Image

from genzoo.data import open_data
from genzoo.data.decode import Skip, decode
from genzoo.data.depth import Scale
from genzoo.errors import ArgumentError, DataError

SHAPE = (1, 16, 20)
RAMP = np.arange(320).reshape(16, 20) / 319  # 0..1


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def values(folder, **options):
    images = open_data(folder, image_shape=SHAPE, val_split=0, **options)
    return sorted(int(image.max()) for image in images.pixels)


def save(folder, name, array, **options):
    Image.fromarray(array).save(folder / name, **options)


@pytest.mark.parametrize("form", ["png", "tif"])
@pytest.mark.parametrize(
    ("high", "bits"), [(4095, 12), (1023, 10), (16383, 14), (255, 8), (3000, 12), (60000, 16)]
)
def test_the_largest_number_of_a_folder_says_which_is_white(folder, form, high, bits, capsys):
    save(folder, f"bright.{form}", (RAMP * high).astype(np.uint16))
    # stays dark: no image is stretched by itself
    save(folder, f"dark.{form}", (RAMP * high / 4).astype(np.uint16))
    white = 2**bits - 1
    assert values(folder) == [round(int(high / 4) * 255 / white), round(high * 255 / white)]
    said = capsys.readouterr().err
    if bits < 16:
        assert (
            f"values up to {high:,}: read as {bits}-bit, white is {white:,}; GENZOO_BITS=16 reads them "
            "as 16-bit"
        ) in said
    else:
        assert not said


def test_bits_can_be_said(folder, monkeypatch, capsys):
    save(folder, "a.png", (RAMP * 4095).astype(np.uint16))
    assert values(folder) == [255]
    monkeypatch.setenv("GENZOO_BITS", "16")
    # not from the cache, and no guess to tell of
    assert values(folder) == [16] and capsys.readouterr().err.count("\n") == 1
    monkeypatch.setenv("GENZOO_BITS", "10")
    with pytest.raises(DataError, match=r"1 with values above 1,023 \(GENZOO_BITS=10\)"):
        values(folder)
    for odd in ("17", "0", "twelve", "-1"):
        monkeypatch.setenv("GENZOO_BITS", odd)
        with pytest.raises(ArgumentError, match="GENZOO_BITS must be a whole number of bits from 1 to 16"):
            values(folder)


def test_what_files_declare_is_believed(folder):
    # 12 bits, and dark
    (folder / "a.pgm").write_bytes(b"P5 20 16 4095\n" + (RAMP * 2000).astype(">u2").tobytes())
    assert values(folder) == [round(2000 * 255 / 4095)]


def test_eight_bits_are_never_stretched(folder, capsys):
    save(folder, "dark.png", (RAMP * 15).astype(np.uint8))
    assert values(folder) == [15] and not capsys.readouterr().err


def test_floats_of_a_folder_have_one_white(folder, capsys):
    save(folder, "a.tif", (RAMP * 200).astype(np.float32))
    save(folder, "b.tif", RAMP.astype(np.float32))  # nearly black among these
    assert values(folder) == [1, 200]
    assert "images of floats up to 200: white is 255" in capsys.readouterr().err


def test_floats_alone_run_to_one(folder):
    save(folder, "b.tif", RAMP.astype(np.float32))
    save(folder, "c.tif", (RAMP / 2).astype(np.float32))
    assert values(folder) == [128, 255]


@pytest.mark.parametrize(
    ("array", "why"),
    [
        ((RAMP - 0.5).astype(np.float32), "below 0: shift and scale"),
        ((RAMP * 1.3).astype(np.float32), "floats a little above 1: clip"),
        ((RAMP * 1e6).astype(np.int32), "above 65,535"),
        (np.full((16, 20), np.nan, np.float32), "NaN or infinite"),
    ],
)
def test_numbers_without_a_known_white_are_told(folder, array, why):
    save(folder, "a.tif", array)
    with pytest.raises(DataError, match=f"1 of an unknown range .*{why}"):
        values(folder)


def test_a_negative_of_sixteen_bits_is_turned_round():
    import io

    buffer = io.BytesIO()
    Image.fromarray((RAMP * 65535).astype(np.uint16)).save(buffer, "TIFF", tiffinfo={262: 0})  # MinIsWhite
    assert np.array_equal(
        decode(buffer.getvalue(), SHAPE)[0], 255 - np.rint((RAMP * 65535).astype(np.uint16) / 257)
    )
    for photometric in (0, 1):  # of one bit Pillow turns them round itself, on both ways
        buffer = io.BytesIO()
        Image.fromarray(RAMP > 0.5).save(buffer, "TIFF", tiffinfo={262: photometric})
        assert np.array_equal(decode(buffer.getvalue(), SHAPE)[0], (RAMP > 0.5) * 255)


def test_a_scale_is_for_whole_numbers_of_the_folder():
    import io

    buffer = io.BytesIO()
    Image.fromarray((RAMP * 4095).astype(np.uint16)).save(buffer, "PNG")
    assert (
        decode(buffer.getvalue(), SHAPE, Scale(12)).max() == 255
        and decode(buffer.getvalue(), SHAPE).max() == 16
    )
    with pytest.raises(Skip, match="above 1,023"):
        decode(buffer.getvalue(), SHAPE, Scale(10))


def deep_png(path, array):
    """Write colours (H, W, 3) uint16 as a PNG of 16 bits, which Pillow cannot."""
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.tobytes() for row in array.astype(">u2"))
    header = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], 16, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def test_dark_colours_of_sixteen_bits_are_told(folder, capsys):
    deep_png(folder / "a.png", np.repeat((RAMP * 4095)[..., None], 3, -1))
    values(folder)
    assert "colour images of 16 bits that use only 12 come out dark" in capsys.readouterr().err
    deep_png(folder / "b.png", np.repeat((RAMP * 65535)[..., None], 3, -1))
    values(folder)
    assert not capsys.readouterr().err


# pages and frames


@pytest.mark.parametrize("compression", [None, "tiff_deflate"])
def test_every_page_of_a_tiff_is_an_image(folder, compression, capsys, monkeypatch):
    pages = [Image.new("L", (20, 16), 5 * i) for i in range(50)]
    pages[0].save(folder / "stack.tif", save_all=True, append_images=pages[1:], compression=compression)
    Image.new("L", (20, 16), 255).save(folder / "other.png")
    assert values(folder) == [*range(0, 250, 5), 255]
    assert "1 file of several pages: each page is an image, 50 together" in capsys.readouterr().err
    # from the cache
    train, test = (open_data(folder, image_shape=SHAPE, split=split) for split in ("train", "test"))
    assert len(train) + len(test) == 51 and len(test) > 0
    assert not {image.tobytes() for image in train.pixels} & {image.tobytes() for image in test.pixels}
    assert sorted(int(image.max()) for part in (train, test) for image in part.pixels) == [
        *range(0, 250, 5),
        255,
    ]


def test_pages_of_many_files_and_of_other_sizes_and_depths(folder):
    for name in range(12):  # more than stay open
        pages = [
            Image.fromarray((RAMP * 4095).astype(np.uint16)),
            Image.new("L", (40, 32), name),
            Image.new("RGB", (20, 16), "white"),
        ]
        pages[0].save(folder / f"{name}.tif", save_all=True, append_images=pages[1:])
    assert values(folder) == [*range(12), *[255] * 24]


def test_thumbnails_and_masks_among_pages_are_no_images(folder):
    pages = [Image.new("L", (20, 16), 5 * i) for i in range(4)]
    for page, kind in zip(pages[1:], (1, 4, 2), strict=True):  # reduced, mask, a page
        page.encoderinfo = {"tiffinfo": {254: kind}}
    pages[0].save(folder / "stack.tif", save_all=True, append_images=pages[1:])
    assert values(folder) == [0, 15]


def test_a_stack_that_breaks_off_gives_the_pages_before(folder, capsys):
    pages = [Image.new("L", (20, 16), 5 * i) for i in range(4)]
    pages[0].save(folder / "stack.tif", save_all=True, append_images=pages[1:])
    data = (folder / "stack.tif").read_bytes()
    (folder / "stack.tif").write_bytes(data[: len(data) // 2])
    Image.new("L", (20, 16), 255).save(folder / "other.png")
    found = values(folder)
    assert found[-1] == 255 and found[:-1] == [5 * i for i in range(len(found) - 1)]


@pytest.mark.parametrize("form", ["gif", "png", "webp"])
def test_of_what_moves_the_first_frame_is_read_and_told(folder, form, capsys):
    frames = [Image.new("L", (20, 16), value) for value in (40, 200)]
    frames[0].save(
        folder / f"a.{form}",
        save_all=True,
        append_images=frames[1:],
        **({"lossless": True} if form == "webp" else {}),
    )
    frames[1].save(folder / f"still.{form}", **({"lossless": True} if form == "webp" else {}))
    assert values(folder) == [40, 200]
    assert f"1 animated: of each the first is read (one of them: a.{form})" in capsys.readouterr().err


def stack(path, *values, size=(20, 16)):
    pages = [Image.new("L", size, value) for value in values]
    pages[0].save(path, save_all=True, append_images=pages[1:])


def test_pages_of_one_file_lie_on_one_side(folder):
    for first in range(0, 120, 10):
        stack(folder / f"{first}.tif", *range(first, first + 10))
    train, test = (
        {int(image.max()) // 10 for image in open_data(folder, image_shape=SHAPE, split=s).pixels}
        for s in ("train", "test")
    )
    assert train | test == set(range(12)) and not train & test and test


def test_the_pages_of_one_file_alone_are_not_divided(folder):
    stack(folder / "stack.tif", *range(30))
    assert len(open_data(folder, image_shape=SHAPE)) == 30
    with pytest.raises(DataError, match="the pages of its one file stay together — give it more files"):
        open_data(folder, image_shape=SHAPE, split="test")


def test_bits_are_part_of_what_is_kept_for_the_pages_of_a_stack(folder, monkeypatch):
    pages = [Image.fromarray((RAMP * high).astype(np.uint16)) for high in (4095, 2000)]
    pages[0].save(folder / "stack.tif", save_all=True, append_images=pages[1:])
    assert values(folder) == [125, 255]
    monkeypatch.setenv("GENZOO_BITS", "16")
    assert values(folder) == [8, 16]
