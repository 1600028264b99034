"""One file of every make: the right pixels in the right places, or a reason."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from genzoo.data.decode import Skip, decode

RGB, GREY = (3, 16, 20), (1, 16, 20)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, colour, rows):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def test_a_lossless_picture_keeps_every_pixel(make):
    photo = make.photo()
    for form in ("PNG", "BMP", "TIFF", "PPM"):
        assert np.array_equal(decode(make.encoded(photo, form), RGB), photo.transpose(2, 0, 1)), form
    assert np.array_equal(decode(make.encoded(photo, "WEBP", lossless=True), RGB), photo.transpose(2, 0, 1))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_a_jpeg_is_near_to_its_picture(make, options):
    photo = make.photo()
    assert (
        abs(
            decode(make.encoded(photo, "JPEG", quality=95, **options), RGB)
            - photo.transpose(2, 0, 1).astype(float)
        ).mean()
        < 3
    )


def test_grey_becomes_three_equal_channels_and_colours_luminance(make):
    grey = np.arange(320, dtype=np.uint16).reshape(16, 20).astype(np.uint8)
    assert (decode(make.encoded(grey), RGB) == grey).all()
    red = np.zeros((16, 20, 3), np.uint8)
    red[..., 0] = 200
    assert (decode(make.encoded(red), GREY) == 60).all()  # 0.299 x 200


def test_cmyk_has_its_colours(make):
    picture = Image.new("CMYK", (20, 16), (0, 255, 255, 0))  # no cyan, all magenta and yellow: red
    red = decode(make.encoded(picture, "JPEG", quality=95), RGB).astype(int)
    assert (red[0] > 230).all() and (red[1:] < 25).all()


def test_sixteen_bits_are_scaled_not_clipped():
    deep = (np.arange(320).reshape(16, 20) * 200).astype(">u2")  # 0..63,800
    rows = b"".join(b"\0" + row.tobytes() for row in deep)
    expected = np.rint(deep / 257).astype(np.uint8)
    assert np.array_equal(decode(png(20, 16, 16, 0, rows), GREY)[0], expected)
    dark = (np.arange(320).reshape(16, 20) % 200).astype(">u2")  # all below 256 and still sixteen bits
    assert decode(png(20, 16, 16, 0, b"".join(b"\0" + row.tobytes() for row in dark)), GREY).max() <= 1
    colour = np.repeat(deep[..., None], 3, -1)
    three = decode(png(20, 16, 16, 2, b"".join(b"\0" + row.tobytes() for row in colour)), RGB).astype(int)
    assert abs(three - expected).max() <= 1


def test_sixteen_bit_tiff_and_pgm(make):
    deep = (np.arange(320).reshape(16, 20) * 200).astype(np.uint16)
    expected = np.rint(deep / 257).astype(np.uint8)
    assert np.array_equal(decode(make.encoded(deep, "TIFF"), GREY)[0], expected)
    assert np.array_equal(decode(b"P5 20 16 65535\n" + deep.astype(">u2").tobytes(), GREY)[0], expected)


def test_floats_and_wide_numbers_in_tiff(make):
    ramp = np.linspace(0, 1, 320, dtype=np.float32).reshape(16, 20)
    assert np.array_equal(
        decode(make.encoded(ramp, "TIFF"), GREY)[0], np.rint(ramp.astype(np.float64) * 255).astype(np.uint8)
    )
    assert np.array_equal(
        decode(make.encoded(np.float32(200) * ramp, "TIFF"), GREY)[0], np.rint(200 * ramp.astype(np.float64))
    )
    assert decode(make.encoded((ramp * 255).astype(np.int32), "TIFF"), GREY).max() == 255
    for odd in (ramp - 2, ramp * np.float32("nan"), ramp * np.float32(1e9)):
        with pytest.raises(Skip, match="of an unknown range"):
            decode(make.encoded(odd, "TIFF"), GREY)


def test_one_bit_and_palette(make):
    bits = np.arange(320).reshape(16, 20) % 3 == 0
    assert np.array_equal(decode(make.encoded(Image.fromarray(bits)), GREY)[0], bits * 255)
    palette = Image.new("P", (20, 16), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    for form in ("PNG", "GIF"):
        assert decode(make.encoded(palette, form), RGB)[:, 3, 3].tolist() == [10, 20, 30]


@pytest.mark.parametrize(("mode", "colour"), [("RGBA", (200, 0, 0, 0)), ("LA", (0, 0))])
def test_what_is_transparent_is_white(make, mode, colour):
    assert (decode(make.encoded(Image.new(mode, (20, 16), colour)), RGB) == 255).all()


def test_half_transparent_is_half_white_and_palettes_have_holes(make):
    assert (
        abs(int(decode(make.encoded(Image.new("RGBA", (20, 16), (0, 0, 0, 128))), GREY)[0, 0, 0]) - 127) <= 1
    )
    palette = Image.new("P", (20, 16), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    assert (decode(make.encoded(palette, "PNG", transparency=1), RGB) == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_rotated_photograph_stands_upright(make, orientation):
    """The colours of the corners tell where each of them ended: EXIF 2.3, table of orientations."""
    corners = np.full((16, 16), 128, np.uint8)
    corners[:8, :8], corners[:8, 8:], corners[8:, :8], corners[8:, 8:] = 10, 80, 160, 240
    turned = {
        1: corners,
        2: corners[:, ::-1],
        3: corners[::-1, ::-1],
        4: corners[::-1],
        5: corners.T,
        6: np.rot90(corners),
        7: corners[::-1, ::-1].T,
        8: np.rot90(corners, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(turned[orientation])
    for form in ("JPEG", "PNG", "WEBP"):
        options = {"lossless": True} if form == "WEBP" else {"quality": 100}
        found = decode(make.encoded(stored, form, exif=exif, **options), (1, 16, 16))[0].astype(int)
        assert [
            abs(found[y, x] - v) <= 3 for y, x, v in ((3, 3, 10), (3, 12, 80), (12, 3, 160), (12, 12, 240))
        ] == [True] * 4, form


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_exif_is_no_reason_to_lose_a_photograph(make):
    assert decode(make.encoded(make.photo(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"), RGB).shape == RGB


def test_the_shorter_side_is_resized_and_the_middle_cut_out(make):
    wide = np.zeros((32, 96), np.uint8)
    wide[:, 32:64] = 255  # the middle square is white
    resized = Image.fromarray(wide).resize((48, 16), Image.Resampling.LANCZOS).crop((16, 0, 32, 16))
    assert np.array_equal(decode(make.encoded(wide), (1, 16, 16))[0], np.asarray(resized))
    assert np.array_equal(
        decode(make.encoded(np.ascontiguousarray(wide.T)), (1, 16, 16))[0], np.asarray(resized).T
    )
    whole = decode(make.encoded(wide), (1, 8, 24))[0]  # same aspect: nothing is cut
    assert (whole[:, 9:15] > 240).all() and (whole[:, :6] < 15).all() and (whole[:, 18:] < 15).all()
    assert decode(make.encoded(wide[:1, :1]), (3, 5, 9)).shape == (3, 5, 9)


def test_resizing_averages_instead_of_picking_pixels(make):
    fine = np.indices((64, 64)).sum(0) % 2 * np.uint8(255)
    assert abs(decode(make.encoded(fine.astype(np.uint8)), (1, 8, 8)).astype(int) - 127).max() <= 4


def test_large_jpegs_decoded_at_a_fraction_look_the_same(make):
    photo = make.photo(width=1600, height=1200)
    data = make.encoded(photo, "JPEG", quality=95)
    full = np.asarray(
        Image.fromarray(photo).resize((32, 32), Image.Resampling.LANCZOS, box=(200, 0, 1400, 1200))
    )
    assert abs(decode(data, (3, 32, 32)).transpose(1, 2, 0) - full.astype(float)).mean() < 2


def test_an_animation_gives_its_first_frame(make):
    first, second = Image.new("L", (20, 16), 40), Image.new("L", (20, 16), 200)
    for form in ("GIF", "PNG", "TIFF"):
        assert (decode(make.encoded(first, form, save_all=True, append_images=[second]), GREY) == 40).all(), (
            form
        )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "corrupt"),
        (b"\x89PNG\r\n\x1a\n", "corrupt"),
        (b"\xff\xd8\xff\xe0 no jpeg", "corrupt"),
        (png(20, 16, 8, 2, b"\0"), "corrupt"),
        (png(60_000, 60_000, 8, 2, b"\0"), "too large"),
        (png(12_000, 12_000, 8, 2, b"\0"), "too large"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "corrupt"),
    ],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_is_no_image_has_a_reason(data, reason):
    with pytest.raises(Skip, match=reason):
        decode(data, RGB)


def test_a_truncated_photograph_is_not_half_used(make):
    for form in ("JPEG", "PNG", "WEBP"):
        data = make.encoded(make.photo(200, 160), form)
        with pytest.raises(Skip, match="corrupt"):
            decode(data[: len(data) // 2], RGB)


def test_other_files_are_told_from_broken_images(tmp_path):
    for name, reason in (
        ("notes.txt", "not an image"),
        ("photo.jpg", "corrupt"),
        ("absent.png", "unreadable"),
    ):
        if name != "absent.png":
            (tmp_path / name).write_text("dear diary")
        with pytest.raises(Skip, match=reason):
            decode(tmp_path / name, RGB)
