"""Images being drawn: the frames are the drawing as it stood, the last one is the sample."""

import pixel_toys as toys
import pytest
import torch
from toys import gan

from genzoo.errors import ArgumentError
from genzoo.explore.drawing import FRAMES, HIDDEN, conditionals, drawing, unveiled, watched


def made(**config):
    return toys.ToyCNN(toys.PixelConfig(**config)).eval()


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 4, 5), (1, 1, 2)])
def test_the_last_frame_is_the_sample_and_each_goes_on_from_the_one_before(shape):
    model = made(image_shape=shape, levels=4)
    frames = list(drawing(model, 3, seed=5))
    assert torch.equal(frames[-1], model.sample(3, seed=5))
    pixels = shape[1] * shape[2]
    assert len(frames) == min(FRAMES, pixels + 1)
    before = -1
    for frame in frames:
        assert frame.shape == (3, *shape)
        undrawn = (frame == HIDDEN).all(1).all(0).flatten()
        drawn = int((~undrawn).sum())
        assert drawn > before and not undrawn[:drawn].any()  # in raster order, a little more each time
        assert torch.equal(frame.flatten(2)[..., :drawn], frames[-1].flatten(2)[..., :drawn])
        before = drawn
    assert (frames[0] == HIDDEN).all()


def test_a_frame_is_the_state_of_the_sampler(monkeypatch):
    """After t pixels the sampler's own picture is what the frame shows."""
    states, plain = [], toys.ToyCNN._predict

    def watched(self, x):
        states.append(x.clone())
        return plain(self, x)

    monkeypatch.setattr(toys.ToyCNN, "_predict", watched)
    *frames, _ = drawing(made(image_shape=(1, 3, 4)), 2, seed=0, frames=100)
    assert len(frames) == len(states) == 12
    for pixel, (frame, state) in enumerate(zip(frames, states, strict=True)):
        assert torch.equal(frame.flatten(2)[..., :pixel], state[:2].flatten(2)[..., :pixel])


def test_the_number_of_frames_is_kept():
    for frames in (2, 3, 10, 65, 300):
        assert len(list(drawing(made(), 1, seed=0, frames=frames))) == min(frames, 65)


def test_what_was_there_is_shown_from_the_beginning():
    images = torch.rand(2, 3, 4, 5)
    mask = torch.zeros(4, 5, dtype=torch.bool)
    mask[1:3, 2] = mask[0] = True
    frames = list(unveiled(images, mask))
    assert len(frames) == 20 - 7 + 1
    for frame in frames:
        assert torch.equal(frame[..., mask], images[..., mask])
    assert (frames[0][..., ~mask] == HIDDEN).all() and torch.equal(frames[-1], images)
    assert [torch.equal(frame, images) for frame in unveiled(images, torch.ones(4, 5, dtype=torch.bool))] == [
        True
    ]


def test_progress_is_told_in_pixels():
    told = []
    list(drawing(made(), 2, seed=0, progress=lambda *state: told.append(state)))
    assert told[0] == (2, 128) and told[-1] == (128, 128)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"model": gan()},
            (
                r"ToyGAN does not generate an image pixel by pixel — pixel models do: genzoo list --family "
                r"tractable"
            ),
        ),
        ({"n": 0}, "n must be"),
        ({"seed": -1}, "seed must"),
        ({"frames": 1}, "frames must be at least 2"),
        ({"frames": 0}, "frames must be"),
        ({"progress": "loud"}, "progress must be"),
    ],
)
def test_what_cannot_be_drawn_is_refused_at_once(change, words):
    with pytest.raises(ArgumentError, match=words):
        drawing(**{"model": made(), "n": 2, "seed": 0, **change})


@pytest.mark.parametrize("mask", [torch.ones(4, 4, dtype=torch.bool), torch.ones(4, 5)])
def test_a_mask_that_does_not_fit_is_refused(mask):
    with pytest.raises(ArgumentError, match=r"mask must be bool of the shape \(4, 5\)"):
        unveiled(torch.rand(2, 1, 4, 5), mask)


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 2, 3)])
def test_each_value_is_told_as_it_is_drawn_with_its_probability(shape):
    model = made(image_shape=shape, levels=4)
    told = []
    image = watched(model, lambda *value: told.append(value), seed=5)
    assert torch.equal(image, model.sample(1, seed=5))
    assert [place for place, _, _ in told] == list(range(image.numel()))
    levels = image[0].movedim(0, -1).flatten() * 3  # raster order, channels in turn
    assert [level for _, level, _ in told] == levels.round().int().tolist()
    p = torch.tensor([p for _, _, p in told])
    assert float(p.log().sum()) == pytest.approx(float(model.log_prob(image)), 1e-4)


def test_a_temperature_changes_the_image_and_not_what_its_probability_means():
    model = made(levels=4)
    told = []
    image = watched(model, lambda *value: told.append(value[2]), seed=5, temperature=0.5)
    assert torch.equal(image, model.sample(1, seed=5, temperature=0.5))
    assert float(torch.tensor(told).log().sum()) == pytest.approx(float(model.log_prob(image)), 1e-4)


def test_an_error_in_tell_ends_the_drawing_and_leaves_the_model_as_it_was():
    model = made()

    def stop(place, level, p):
        if place == 3:
            raise KeyError("enough")

    with pytest.raises(KeyError):
        watched(model, stop, seed=1)
    assert "_level" not in vars(model)
    assert torch.equal(model.sample(1, 1), made().sample(1, 1))


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 2, 3)])
def test_conditionals_sum_to_one_and_multiply_to_the_likelihood(shape):
    model = made(image_shape=shape, levels=4)
    x = model.sample(1, 2)
    p = conditionals(model, x)
    assert p.shape == (*shape, 4)
    assert torch.allclose(p.sum(-1), torch.ones(shape), atol=1e-5)
    drawn = p.gather(-1, (x[0] * 3).round().long()[..., None])
    assert float(drawn.log().sum()) == pytest.approx(float(model.log_prob(x)), 1e-4)


def test_only_pixel_models_are_watched():
    for ask in (lambda: watched(gan(), print), lambda: conditionals(gan(), torch.zeros(1, 1, 8, 8))):
        with pytest.raises(ArgumentError, match="pixel by pixel"):
            ask()
