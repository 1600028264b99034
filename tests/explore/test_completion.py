"""Completions: the kept half stays, the rest is drawn."""

import pixel_toys as toys
import pytest
import torch
from PIL import Image
from toys import gan

from genzoo.errors import ArgumentError, DataError
from genzoo.explore.completion import HIDDEN, KEEPS, completed, completions, keep_mask, read_mask


@pytest.mark.parametrize("keep", KEEPS)
def test_each_half_is_a_half(keep):
    assert keep_mask(keep, 4, 6).float().mean() == 0.5
    first = keep_mask(keep, 4, 6)[0, 0]
    assert bool(first) is (keep in ("top", "left"))


def test_opposite_halves_are_the_whole():
    for one, other in (("top", "bottom"), ("left", "right")):
        assert torch.equal(keep_mask(one, 5, 7), ~keep_mask(other, 5, 7))


def test_a_row_shows_what_is_seen_the_completions_and_the_image():
    model = toys.ToyCNN(toys.PixelConfig(image_shape=(1, 4, 6)))
    images = (torch.rand(2, 1, 4, 6, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    mask = keep_mask("top", 4, 6)
    rows = completed(model, images, mask, 3, seed=5)
    assert rows.shape == (2, 5, 1, 4, 6)
    assert torch.equal(rows[:, -1], images) and (rows[:, 0, :, ~mask] == HIDDEN).all()
    assert (rows[..., mask] == images[:, None][..., mask]).all()
    assert torch.equal(rows[:, 1:-1], model.complete(images, mask, 3, seed=5))


def toy(**config):
    return toys.ToyCNN(toys.PixelConfig(**{"image_shape": (1, 4, 6), **config})).eval()


def noise(n, *shape):
    return (torch.rand(n, *shape, generator=torch.Generator().manual_seed(0)) < 0.5).float()


@pytest.mark.parametrize("keep", KEEPS)
def test_each_completion_comes_with_its_log_probability(keep):
    model, images, mask = toy(), noise(2, 1, 4, 6), keep_mask(keep, 4, 6)
    done = completions(model, images, mask, 3, seed=5)
    assert torch.equal(done.drawn, model.complete(images, mask, 3, seed=5))
    assert torch.equal(done.rows, completed(model, images, mask, 3, seed=5))
    every = torch.cat([done.drawn, images[:, None]], 1)
    torch.testing.assert_close(done.log_prob, model.log_prob(every.flatten(0, 1)).view(2, 4))
    torch.testing.assert_close(
        done.log_prob_drawn, model.completion_log_prob(every.flatten(0, 1), mask).view(2, 4)
    )
    assert (done.log_prob_drawn > done.log_prob).all() and (done.log_prob_drawn < 0).all()
    assert done.conditional is (keep == "top")


def test_a_prefix_ranks_alike_by_the_rest_and_by_the_whole():
    mask = torch.zeros(4, 6, dtype=torch.bool)
    mask.view(-1)[:9] = True
    done = completions(toy(), noise(3, 1, 4, 6), mask, 5, seed=0)
    share = done.log_prob - done.log_prob_drawn  # log p of what is kept
    torch.testing.assert_close(share, share[:, :1].expand_as(share))
    assert done.conditional


def test_masks_of_everything_and_of_nothing():
    model, images = toy(), noise(2, 1, 4, 6)
    done = completions(model, images, torch.ones(4, 6, dtype=torch.bool), 2, seed=0)
    assert (
        torch.equal(done.drawn, images[:, None].expand(2, 2, 1, 4, 6))
        and not done.log_prob_drawn.any()
        and done.conditional
    )
    assert [frame.shape for frame in done.frames()] == [(2, 4, 1, 4, 6)]
    done = completions(model, images, torch.zeros(4, 6, dtype=torch.bool), 2, seed=0)
    assert torch.equal(done.drawn.flatten(0, 1), model.sample(4, seed=0)) and done.conditional
    torch.testing.assert_close(done.log_prob_drawn, done.log_prob)


def test_a_temperature_changes_the_drawing_and_not_the_probabilities():
    model, images, mask = toy(), noise(2, 1, 4, 6), keep_mask("top", 4, 6)
    done = completions(model, images, mask, 3, seed=5, temperature=0.05)
    assert torch.equal(done.drawn, model.complete(images, mask, 3, seed=5, temperature=0.05))
    plain = completions(model, images, mask, 3, seed=5)
    assert not torch.equal(done.drawn, plain.drawn)
    every = torch.cat([done.drawn, images[:, None]], 1)
    torch.testing.assert_close(done.log_prob, model.log_prob(every.flatten(0, 1)).view(2, 4))
    assert (done.log_prob_drawn[:, :3].mean(1) > plain.log_prob_drawn[:, :3].mean(1)).all()


def test_frames_lead_to_the_rows():
    done = completions(toy(), noise(2, 1, 4, 6), keep_mask("left", 4, 6), 3, seed=0)
    *frames, last = done.frames()
    assert torch.equal(last, done.rows) and len(frames) == 12
    for frame in frames:
        assert torch.equal(frame[:, [0, -1]], done.rows[:, [0, -1]])
    assert (frames[0][:, 1:-1, :, ~done.mask] == HIDDEN).all()


def test_images_may_be_arrays_of_bytes():
    model, images, mask = toy(), noise(2, 1, 4, 6), keep_mask("top", 4, 6)
    done = completions(model, (255 * images).to(torch.uint8).numpy(), mask.numpy(), 2, seed=0)
    assert torch.equal(done.rows, completed(model, images, mask, 2, seed=0))


def test_progress_is_told_in_pixels():
    told = []
    completions(
        toy(),
        noise(2, 1, 4, 6),
        keep_mask("top", 4, 6),
        3,
        seed=0,
        progress=lambda *state: told.append(state),
    )
    assert told[-1] == (6 * 24, 6 * 24) and len(told) > 20


def picture(tmp_path, values, mode="L"):
    Image.fromarray(torch.tensor(values, dtype=torch.uint8).numpy()).convert(mode).save(tmp_path / "mask.png")
    return tmp_path / "mask.png"


def clear(tmp_path, values, alpha, mode="RGBA"):
    grey, opacity = (
        Image.fromarray(torch.tensor(side, dtype=torch.uint8).numpy()) for side in (values, alpha)
    )
    Image.merge("LA", (grey, opacity)).convert(mode).save(tmp_path / "mask.png")
    return tmp_path / "mask.png"


ALPHA = [[0, 255, 255], [255, 255, 0]]


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("below", [0, 255])  # what is under a hole says nothing
def test_a_transparent_hole_is_drawn(tmp_path, mode, below):
    opaque = [[below, 255, 255], [255, 0, below]]
    assert read_mask(clear(tmp_path, opaque, ALPHA, mode), 2, 3).tolist() == [
        [False, True, True],
        [True, False, False],
    ]
    photograph = [[below, 10, 200], [255, 90, below]]  # of which all that is there is kept
    assert read_mask(clear(tmp_path, photograph, ALPHA, mode), 2, 3).tolist() == [
        [False, True, True],
        [True, True, False],
    ]
    assert not read_mask(clear(tmp_path, opaque, [[0] * 3] * 2, mode), 2, 3).any()


def test_a_palette_with_a_hole_and_masks_of_other_depths(tmp_path):
    palette = Image.new("P", (3, 2), 1)
    palette.putpalette([0, 0, 0, 255, 255, 255])
    palette.putpixel((0, 0), 0)
    palette.save(tmp_path / "mask.png", transparency=0)
    assert read_mask(tmp_path / "mask.png", 2, 3).tolist() == [[False, True, True], [True] * 3]
    # False and True, as arrays of them are saved
    for values in ([[0, 1, 1], [0, 0, 1]], [[0, 255, 255], [0, 0, 255]]):
        assert read_mask(picture(tmp_path, values), 2, 3).tolist() == [
            [False, True, True],
            [False, False, True],
        ]
    Image.fromarray((65535 * torch.tensor([[0, 1, 1], [0, 0, 1]])).numpy().astype("uint16")).save(
        tmp_path / "mask.png"
    )
    assert read_mask(tmp_path / "mask.png", 2, 3).tolist() == [[False, True, True], [False, False, True]]


@pytest.mark.parametrize("mode", ["L", "1", "RGB", "RGBA", "P"])
def test_a_mask_is_read_from_a_picture(tmp_path, mode):
    kept = read_mask(picture(tmp_path, [[255, 0, 255], [0, 0, 255]], mode), 2, 3)
    assert kept.dtype == torch.bool and kept.tolist() == [[True, False, True], [False, False, True]]


def test_a_picture_that_is_no_mask_is_refused(tmp_path):
    with pytest.raises(
        ArgumentError, match=r"mask .*mask\.png is 1x2, and the images 2x3 — draw it in that size"
    ):
        read_mask(picture(tmp_path, [[0, 255]]), 2, 3)
    with pytest.raises(
        ArgumentError,
        match=(
            r"mask\.png has 2 pixels that are neither white nor black — white pixels "
            r"are kept"
        ),
    ):
        read_mask(picture(tmp_path, [[0, 255, 7], [0, 254, 0]]), 2, 3)
    with pytest.raises(
        ArgumentError,
        match=(
            r"mask\.png has 1 pixels that are neither opaque nor transparent — white "
            r"pixels are kept"
        ),
    ):
        read_mask(clear(tmp_path, [[255] * 3] * 2, [[0, 255, 255], [128, 0, 0]]), 2, 3)
    with pytest.raises(
        ArgumentError,
        match=(
            r"mask\.png is black with transparent holes, and both mean drawn pixels — "
            r"paint the pixels to keep white"
        ),
    ):
        read_mask(clear(tmp_path, [[0] * 3] * 2, [[0, 255, 255], [255, 0, 0]]), 2, 3)
    (tmp_path / "mask.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"mask .*mask\.png cannot be read: corrupt"):
        read_mask(tmp_path / "mask.png", 2, 3)


@pytest.mark.parametrize(
    ("images", "mask", "words"),
    [
        (
            torch.full((1, 1, 4, 6), 0.4),
            torch.ones(4, 6, dtype=torch.bool),
            "images holds values that are not among the 2 levels.*binarise first",
        ),
        (
            torch.full((1, 1, 4, 6), torch.nan),
            torch.ones(4, 6, dtype=torch.bool),
            "images must lie in .0, 1., but holds NaN",
        ),
        (
            torch.zeros(1, 1, 6, 4),
            torch.ones(4, 6, dtype=torch.bool),
            r"images must have shape \(N, 1, 4, 6\)",
        ),
        (
            torch.zeros(1, 1, 4, 6),
            torch.ones(6, 4, dtype=torch.bool),
            r"mask must have the shape \(4, 6\), not \(6, 4\)",
        ),
        (torch.zeros(1, 1, 4, 6), torch.ones(4, 6), "mask must be bool"),
        (torch.zeros(1, 1, 4, 6), "top", "mask must be a torch tensor"),
    ],
)
def test_bad_input_is_refused_by_its_name(images, mask, words):
    with pytest.raises(ArgumentError, match=words):
        completions(toy(), images, mask)


def test_what_cannot_be_completed_is_refused():
    with pytest.raises(ArgumentError, match="ToyGAN cannot complete images"):
        completed(gan(), torch.zeros(1, 1, 8, 8), keep_mask("top", 8, 8))
    with pytest.raises(ArgumentError, match="keep must be one of top, bottom"):
        keep_mask("middle", 8, 8)
    with pytest.raises(ArgumentError, match="no top half"):
        keep_mask("top", 1, 8)
