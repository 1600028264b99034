"""The image convention: what is accepted, what is refused and with which words, and the pictures made of
it."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from genzoo.errors import ArgumentError, StorageError
from genzoo.images import (
    check_images,
    grid,
    quantise,
    save_animation,
    save_grid,
    save_image,
    save_images,
    to_float,
)

BYTES = np.arange(256, dtype=np.uint8)


def test_every_byte_survives_the_way_to_float_and_back():
    floats = to_float(BYTES)
    assert floats.dtype == torch.float32 and floats[0] == 0 and floats[255] == 1
    assert torch.equal(quantise(floats), torch.from_numpy(BYTES.copy()))
    assert torch.equal(quantise(BYTES.copy()), torch.from_numpy(BYTES.copy()))


def test_quantise_rounds_half_to_even_and_clamps():
    x = torch.tensor([0.5, 1.5, 2.5, 254.5, -3.0, 300.0], dtype=torch.float64) / 255
    assert quantise(x).tolist() == [0, 2, 2, 254, 0, 255]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.uint8])
def test_accepted_dtypes_become_float32(dtype):
    x = torch.ones(2, 1, 3, 4).to(dtype) * (255 if dtype == torch.uint8 else 1)
    checked = check_images(x, (1, 3, 4))
    assert checked.dtype == torch.float32 and checked.shape == (2, 1, 3, 4) and bool((checked == 1).all())


def test_arrays_read_only_or_turned_round_are_accepted():
    array = np.zeros((2, 1, 3, 4), np.uint8)
    array[0, 0, 0, 0] = 255
    array.setflags(write=False)
    assert check_images(array)[0, 0, 0, 0] == 1
    assert check_images(array[:, :, ::-1])[0, 0, 2, 0] == 1
    assert check_images(array.astype(">f4") / np.float32(255))[0, 0, 0, 0] == 1


def test_gradients_flow_through_the_check():
    x = torch.full((1, 1, 2, 2), 0.5, requires_grad=True)
    check_images(x, (1, 2, 2)).sum().backward()
    assert x.grad is not None and bool((x.grad == 1).all())


@pytest.mark.parametrize(
    ("x", "words"),
    [
        ([[0.5]], "x must be a torch tensor or a numpy array of images, not list"),
        (np.array([["a"]]), "not <U1"),
        (torch.zeros(2, 3, 4), "x must have shape (N, 1, 3, 4), not (2, 3, 4)"),
        (torch.zeros(1, 3, 4), "for one image write x[None]"),
        (torch.zeros(2, 3, 4, 1), "channels come before height and width"),
        (torch.zeros(2, 3, 3, 4), "x must have shape (N, 1, 3, 4), not (2, 3, 3, 4)"),
        (torch.zeros(2, 1, 3, 4, dtype=torch.int64), "not int64"),
        (torch.zeros(2, 1, 3, 4, dtype=torch.bool), "not bool"),
        (torch.zeros(2, 1, 3, 4, dtype=torch.complex64), "not complex64"),
        (torch.full((1, 1, 3, 4), float("nan")), "holds NaN"),
        (torch.full((1, 1, 3, 4), float("inf")), "holds infinity"),
        (
            torch.linspace(-1, 1, 12).view(1, 1, 3, 4),
            "values in [-1, 1] — (x + 1) / 2 brings them into [0, 1]",
        ),
        (torch.linspace(0, 255, 12).view(1, 1, 3, 4), "values in [0, 255] — divide x by 255"),
        (torch.linspace(0, 1.01, 12).view(1, 1, 3, 4), "values in [0, 1.01]"),
        (torch.linspace(-7, 9, 12).view(1, 1, 3, 4), "values in [-7, 9]"),
    ],
)
def test_a_wrong_image_is_an_error_that_says_what_came(x, words):
    with pytest.raises(ArgumentError) as caught:
        check_images(x, (1, 3, 4))
    assert words in str(caught.value)


def test_one_nan_among_many_is_found():
    x = torch.zeros(4, 1, 8, 8)
    x[3, 0, 7, 7] = float("nan")
    with pytest.raises(ArgumentError, match="y must lie in"):
        check_images(x, (1, 8, 8), "y")


def test_no_images_at_all_pass_the_check():
    assert check_images(torch.zeros(0, 1, 8, 8), (1, 8, 8)).shape == (0, 1, 8, 8)


def test_grid_places_every_image_and_leaves_white_between():
    images = torch.stack([torch.full((3, 64, 64), k / 10) for k in range(5)])
    picture = grid(images)  # 3 columns, 2 rows
    assert picture.mode == "RGB" and picture.size == (3 * 66 + 2, 2 * 66 + 2)
    pixels = np.asarray(picture)
    for k in range(5):
        top, left = 2 + k // 3 * 66, 2 + k % 3 * 66
        assert (pixels[top : top + 64, left : left + 64] == round(k / 10 * 255)).all()
    assert (pixels[68:, 134:] == 255).all() and (pixels[:2] == 255).all()


def test_small_images_are_enlarged_by_a_whole_factor():
    image = torch.zeros(1, 1, 8, 8)
    image[0, 0, 0, 1] = 1
    picture = np.asarray(grid(image, padding=0))
    assert picture.shape == (64, 64) and (picture[:8, 8:16] == 255).all() and picture.sum() == 64 * 255
    assert grid(image, padding=0, upscale=1).size == (8, 8)
    assert grid(torch.zeros(1, 1, 28, 28), padding=0).size == (56, 56)
    assert grid(torch.zeros(1, 3, 100, 40), padding=0).size == (40, 100)


def test_columns_and_padding_are_kept():
    assert grid(torch.zeros(4, 1, 64, 64), columns=4, padding=1).size == (4 * 65 + 1, 66)
    assert grid(torch.zeros(2, 1, 64, 64), columns=9, padding=0).size == (128, 64)
    assert grid(np.zeros((4, 3, 64, 64), np.uint8)).getpixel((10, 10)) == (0, 0, 0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"columns": 0}, "columns must be a whole number of at least 1, not 0"),
        ({"columns": True}, "columns"),
        ({"padding": -1}, "padding must be a whole number of at least 0"),
        ({"upscale": 1.5}, "upscale"),
        ({"upscale": 10**6}, "too large"),
        ({"images": torch.zeros(0, 1, 8, 8)}, "at least one"),
        ({"images": torch.zeros(1, 2, 8, 8)}, "(N, 1, H, W) or (N, 3, H, W)"),
        ({"images": torch.zeros(8, 8)}, "(N, 1, H, W) or (N, 3, H, W)"),
    ],
)
def test_a_wrong_grid_is_an_error(change, words):
    with pytest.raises(ArgumentError) as caught:
        grid(**{"images": torch.zeros(1, 1, 8, 8), **change})
    assert words in str(caught.value)


def test_saved_pictures_are_png_of_the_same_pixels(tmp_path):
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 3, 5, 7), dtype=np.uint8))
    assert save_grid(images, tmp_path / "grid.png", columns=3) == tmp_path / "grid.png"
    assert Image.open(io.BytesIO((tmp_path / "grid.png").read_bytes())).format == "PNG"
    paths = save_images(images, tmp_path / "new" / "folder", "bed")
    assert [path.name for path in paths] == ["bed-0000.png", "bed-0001.png", "bed-0002.png"]
    for path, image in zip(paths, images, strict=True):
        with Image.open(path) as picture:
            assert np.array_equal(np.asarray(picture).transpose(2, 0, 1), image.numpy())


def test_saving_twice_gives_the_same_bytes(tmp_path):
    image = torch.rand(1, 9, 9)
    assert (
        save_image(image, tmp_path / "a.png").read_bytes() == save_image(image, tmp_path / "b").read_bytes()
    )


def test_pictures_are_not_written_where_they_cannot_be(tmp_path):
    with pytest.raises(ArgumentError, match=r"write to x\.png"):
        save_grid(torch.zeros(1, 1, 8, 8), tmp_path / "x.jpg")
    with pytest.raises(ArgumentError, match=r"\(C, H, W\)"):
        save_image(torch.zeros(1, 1, 8, 8), tmp_path / "x.png")
    with pytest.raises(StorageError, match="nowhere"):
        save_grid(torch.zeros(1, 1, 8, 8), tmp_path / "nowhere" / "x.png")
    assert not any(tmp_path.iterdir())


def frames_of(path):
    """Return every frame of an animation and how long it is shown, in milliseconds."""
    with Image.open(path) as film:
        assert film.format == "GIF" and film.info["loop"] == 0
        shown = []
        for number in range(film.n_frames):
            film.seek(number)
            shown.append((np.asarray(film.convert("RGB")), film.info["duration"]))
    return shown


def test_an_animation_of_grey_images_keeps_every_level(tmp_path):
    frames = torch.linspace(0, 1, 5 * 2 * 64).view(5, 2, 1, 8, 8)
    assert save_animation(frames, tmp_path / "x.gif", columns=2, seconds=1, hold=3) == tmp_path / "x.gif"
    shown = frames_of(tmp_path / "x.gif")
    assert [duration for _, duration in shown] == [200] * 4 + [3000]
    for (pixels, _), frame in zip(shown, frames, strict=True):
        assert np.array_equal(pixels[..., 0], np.asarray(grid(frame, columns=2)))


def test_an_animation_in_colour_is_near_and_does_not_flicker(tmp_path):
    last = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    half = last.clone()
    half[..., 4:, :] = 0.5
    shown = [
        pixels.astype(int)
        for pixels, _ in frames_of(save_animation([half, last], tmp_path / "x.gif", padding=0))
    ]
    assert np.abs(shown[1] - np.asarray(grid(last, padding=0))).max() < 24
    assert np.array_equal(shown[0][:32], shown[1][:32])
    assert np.abs(shown[0][32:] - 128).max() < 4


def test_an_image_of_an_animation_does_not_change_with_its_neighbours(tmp_path):
    last = torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(0))  # more colours than a GIF has
    first = last.clone()
    first[0] = 0.5
    path = save_animation([first, last], tmp_path / "x.gif", columns=1, padding=0, upscale=1)
    one, other = [pixels for pixels, _ in frames_of(path)]
    assert np.array_equal(one[24:], other[24:]) and not np.array_equal(one[:24], other[:24])


def test_an_animation_is_not_too_fast_for_viewers(tmp_path):
    frames = [torch.full((1, 1, 4, 4), step / 99) for step in range(100)]
    durations = [
        duration for _, duration in frames_of(save_animation(frames, tmp_path / "x.gif", seconds=0.1, hold=0))
    ]
    assert set(durations) == {20}


@pytest.mark.parametrize(
    ("frames", "name", "words"),
    [
        ([], "x.gif", "at least one frame"),
        ([torch.zeros(1, 1, 4, 4), torch.zeros(2, 1, 4, 4)], "x.gif", "every frame must be like the first"),
        ([torch.zeros(1, 1, 4, 4), torch.zeros(1, 3, 4, 4)], "x.gif", "every frame must be like the first"),
        ([torch.zeros(1, 1, 4, 4)], "x.png", "write to x.gif"),
        ([torch.full((1, 1, 4, 4), torch.nan)], "x.gif", "NaN"),
    ],
)
def test_an_animation_that_cannot_be_is_refused(tmp_path, frames, name, words):
    with pytest.raises(ArgumentError, match=words):
        save_animation(frames, tmp_path / name)
    assert not any(tmp_path.iterdir())


def test_an_animation_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("genzoo.images.MOST_PIXELS", 3 * 66 * 66)
    frames = (torch.zeros(1, 1, 64, 64) for _ in range(10**9))
    with pytest.raises(ArgumentError, match="frames of 68 x 68 pixels are too large"):
        save_animation(frames, tmp_path / "x.gif")
