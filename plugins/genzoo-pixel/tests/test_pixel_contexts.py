"""What each net sees of each pixel, against the set that its kernels give on paper: odd sizes, one row, one
column, one pixel, and colour."""

import itertools

import pytest
import torch

SIZES = [(7, 9), (6, 13), (9, 4), (1, 8), (8, 1), (1, 1)]


def whole(up, right, layers):
    """All that is earlier in the scan."""
    return up > 0 or right < 0


def blind_spot(up, right, layers):
    """PixelCNN: 3 pixels by the 7×7, 1 more by each 3×3; a 3×3 goes right only where it goes up, and the
    stem's part of the way takes a row as well."""
    reach = layers + 3
    if up == 0:
        return -reach <= right < 0
    return up <= reach and -reach <= right <= 3 + min(up - 1, layers)


def rectangle(up, right, layers):
    """Gated PixelCNN: the vertical stack's square, one row higher; to the left as far as it is wide."""
    reach = layers + 2
    return -reach <= right < 0 if up == 0 else up <= reach + 1 and -reach <= right <= reach


def triangle(up, right, layers):
    """Row LSTM: a pixel to both sides for each row up, however many; the stem and each layer's input go
    further to the left."""
    return -(up + layers + 3) <= right <= up + 2 if up else -(layers + 3) <= right < 0


SEEN = {
    "pixelcnn": blind_spot,
    "gated-pixelcnn": rectangle,
    "pixelrnn-row": triangle,
    "pixelrnn-diagonal": whole,
}


def contexts(model, places):
    """Return what the conditionals of `places` depend on, (place, channel, channel, H, W) bool, over some
    noise: one copy of it per conditional, so that one pass back tells them all apart."""
    noise = torch.Generator().manual_seed(0)
    asked = list(itertools.product(places, range(model.image_shape[0])))
    images = torch.rand(12, 1, *model.image_shape, dtype=torch.float64, generator=noise)
    x = images.repeat(1, len(asked), 1, 1, 1).requires_grad_()  # (noise, conditional, C, H, W)
    params = model._predict(x.flatten(0, 1)).unflatten(0, x.shape[:2])  # (noise, conditional, P, C, H, W)
    told = [params[:, j, :, channel, row, column] for j, ((row, column), channel) in enumerate(asked)]
    slope = torch.randn(params.shape[2], dtype=torch.float64, generator=noise)
    (found,) = torch.autograd.grad((torch.stack(told) * slope).sum(), x)
    return (found != 0).any(0).unflatten(0, (len(places), -1))


def drawn(model, kind, row, column):
    """Return the same from the set on paper: all channels of earlier pixels, and the pixel's own before."""
    channels, height, width = model.image_shape
    found = torch.zeros(channels, channels, height, width, dtype=torch.bool)
    for up, at in itertools.product(range(row + 1), range(width)):
        found[:, :, row - up, at] = SEEN[kind](up, at - column, model.config.layers)
    for own, other in itertools.product(range(channels), repeat=2):
        found[own, other, row, column] = other < own
    return found


def corners(height, width):
    """Return the places worth asking about: the corners, their neighbours and the middle, each once."""
    rows, columns = {0, 1, height // 2, height - 1}, {0, 1, width // 2, width - 2, width - 1}
    return [
        (row, column)
        for row, column in itertools.product(sorted(rows), sorted(columns))
        if 0 <= row < height and 0 <= column < width
    ]


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_pixel_sees_just_the_set_on_paper(make, kind, size, layers):
    model = make(kind, image_shape=(1, *size), layers=layers, head="bernoulli").double()
    places = corners(*size)
    for place, found in zip(places, contexts(model, places), strict=True):
        assert torch.equal(found, drawn(model, kind, *place)), place


@pytest.mark.parametrize("size", [(5, 7), (1, 3), (3, 1), (1, 1)], ids=str)
@pytest.mark.parametrize("width", [12, 13])
def test_a_channel_sees_whole_earlier_pixels_and_earlier_channels_of_its_own(make, kind, size, width):
    """Also where 13 features make groups of unequal sizes."""
    model = make(kind, image_shape=(3, *size), layers=1, width=width, levels=3).double()
    places = corners(*size)
    for place, found in zip(places, contexts(model, places), strict=True):
        assert torch.equal(found, drawn(model, kind, *place)), place


@pytest.mark.parametrize("layers", [1, 2, 3, 5])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_net_claims_a_full_context_only_where_the_set_has_all(make, kind, size, layers):
    """The gated net and the diagonal one claim just what they have, the others never do."""
    model = make(kind, image_shape=(1, *size), layers=layers, head="bernoulli")
    height, width = size
    complete = all(
        SEEN[kind](row - up, at - column, layers)
        for row, column, up, at in itertools.product(range(height), range(width), range(height), range(width))
        if (up, at) < (row, column)
    )
    assert model.full_context == (complete and kind in ("gated-pixelcnn", "pixelrnn-diagonal"))


def test_the_first_pixel_depends_on_nothing(make, kind, channels):
    model = make(kind, image_shape=(channels, 3, 4), levels=3)
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        params = model._predict(torch.rand(5, channels, 3, 4, generator=noise))[:, :, 0, 0, 0]
    assert torch.equal(params, params[:1].expand_as(params)) and params.any()
