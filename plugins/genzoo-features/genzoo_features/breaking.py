"""Break images of faces, so that a classifier learns what a whole one is.

Each way makes a new image from an image and another: halves of two people, patches moved, halves mirrored
about a wrong axis, two faces laid over each other, faces melted by a smooth warp, bands that slipped. What is
wrong is the shape of the face. Texture gives nothing away: `texture` blurs images and adds noise and lattices
to both kinds alike, and a gentle warp, which leaves a face whole, resamples both.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate, pad

Way = Callable[[Tensor, Tensor, torch.Generator], Tensor]  # images and others, (N, C, H, W) each


def broken(images: Tensor, rng: torch.Generator) -> Tensor:
    """Return `images` (N, C, H, W) in [0, 1], N at least 2, each broken in one of the ways, which take turns.

    Sizes are shares of the image's; distances are given for 64 × 64 pixels.
    """
    others, made = images.roll(1, 0), images.clone()
    for place, way in enumerate(WAYS):
        rows = slice(place, None, len(WAYS))
        if len(images[rows]):
            made[rows] = way(images[rows], others[rows], rng)
    return made


def texture(images: Tensor, rng: torch.Generator) -> Tensor:
    """Return `images` gently warped, then blurred, with noise, with a lattice, each as strongly as chance
    says, and none in some.
    """
    images = _warped(images, _waves(images, 3, rng) * _uniform(images, 0, 0.8, rng))
    soft = _blurred(_blurred(images))
    images = torch.lerp(images, soft, _uniform(images, -0.5, 1, rng).clamp(min=0))
    noise = torch.randn(images.shape, generator=rng, device=images.device)
    images = images + noise * _uniform(images, -0.02, 0.02, rng).clamp(min=0)
    rows, columns = _places(images)
    lattice = 1 - 2 * ((rows + columns) % 2) + torch.cos(torch.pi * rows) + torch.cos(torch.pi * columns)
    return images + lattice * _uniform(images, -0.01, 0.01, rng)


def halves(images: Tensor, others: Tensor, rng: torch.Generator) -> Tensor:
    """Return one half of each face and the other half of another's, along an edge in any direction, hard or
    soft.
    """
    angle = _uniform(images, 0, 2 * torch.pi, rng)
    rows, columns = _centred(images)
    edge = rows * angle.sin() + columns * angle.cos() - _uniform(images, -6, 6, rng) * _scale(images)
    moved = _moved(others, _uniform(images, -4, 4, rng), _uniform(images, -4, 4, rng))
    return torch.lerp(images, moved, _step(images, edge, rng))


def patches(images: Tensor, others: Tensor, rng: torch.Generator) -> Tensor:
    """Return faces with two patches from elsewhere in the same face, or in another's."""
    for _ in range(2):
        own = _uniform(images, 0, 1, rng) < 0.5
        angle, far = _uniform(images, 0, 2 * torch.pi, rng), _uniform(images, 9, 22, rng)
        source = _moved(torch.where(own, images, others), far * angle.sin(), far * angle.cos())
        rows, columns = _centred(images)
        scale = _scale(images)
        high, wide = (_uniform(images, 7, 14, rng) * scale for _ in range(2))
        down, right = (_uniform(images, -14, 14, rng) * scale for _ in range(2))
        inside = torch.minimum(high - (rows - down).abs(), wide - (columns - right).abs())
        images = torch.lerp(images, source, _step(images, inside, rng))
    return images


def mirrored(images: Tensor, others: Tensor, rng: torch.Generator) -> Tensor:
    """Return faces one side of which is the mirror image of the other, about an axis beside the nose, or one
    that lies across the face.
    """
    rows, columns = _centred(images)
    side = torch.sign(_uniform(images, -1, 1, rng))
    across = _uniform(images, 0, 1, rng) < 0.4
    axis = side * torch.where(across, _uniform(images, -10, 10, rng), _uniform(images, 5, 14, rng))
    axis = axis * _scale(images)
    keep = torch.sign(_uniform(images, -1, 1, rng))  # the side that stays
    place = torch.where(across, rows, columns)
    back = torch.where((place - axis) * keep < 0, 2 * (axis - place), torch.zeros_like(place))
    nothing = torch.zeros_like(back)
    shift = torch.cat([torch.where(across, back, nothing), torch.where(across, nothing, back)], 1)
    return _warped(images, shift, pixels=True)


def blended(images: Tensor, others: Tensor, rng: torch.Generator) -> Tensor:
    """Return two faces laid over each other, 4 to 9 pixels apart."""
    angle, far = _uniform(images, 0, 2 * torch.pi, rng), _uniform(images, 4, 9, rng)
    share = _uniform(images, 0.35, 0.65, rng)
    return torch.lerp(images, _moved(others, far * angle.sin(), far * angle.cos()), share)


def melted(images: Tensor, others: Tensor, rng: torch.Generator) -> Tensor:
    """Return faces after a smooth warp by 2.5 to 6 pixels."""
    waves = torch.where(_uniform(images, 0, 1, rng) < 0.5, _waves(images, 4, rng), _waves(images, 6, rng))
    return _warped(images, waves * _uniform(images, 2.5, 6, rng))


def slipped(images: Tensor, others: Tensor, rng: torch.Generator) -> Tensor:
    """Return faces cut into four bands, across or along, which slip against each other."""
    bands = torch.randn(len(images), 1, 4, 1, generator=rng, device=images.device)
    bands = bands - bands.mean(2, keepdim=True)
    bands = bands * _uniform(images, 5, 8, rng) / bands.std(2, keepdim=True)
    height, width = images.shape[2:]
    across = interpolate(bands, (height, width), mode="nearest")
    along = interpolate(bands.transpose(2, 3), (height, width), mode="nearest")
    nothing = torch.zeros_like(across)
    lying = _uniform(images, 0, 1, rng) < 0.5
    shift = torch.cat([torch.where(lying, nothing, along), torch.where(lying, across, nothing)], 1)
    return _warped(images, shift)


WAYS: tuple[Way, ...] = (halves, patches, mirrored, blended, melted, slipped)


def _uniform(images: Tensor, low: float, high: float, rng: torch.Generator) -> Tensor:
    """Return a number for each image, (N, 1, 1, 1)."""
    shape = (len(images), 1, 1, 1)
    return low + (high - low) * torch.rand(shape, generator=rng, device=images.device)


def _scale(images: Tensor) -> float:
    """Return how many pixels one of 64 × 64 is."""
    return min(images.shape[2:]) / 64


def _places(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the row (1, 1, H, W) and the column of each pixel."""
    height, width = images.shape[2:]
    rows = torch.arange(height, device=images.device, dtype=torch.float32)
    columns = torch.arange(width, device=images.device, dtype=torch.float32)
    return rows.view(1, 1, -1, 1).expand(1, 1, -1, width), columns.view(1, 1, 1, -1).expand(1, 1, height, -1)


def _centred(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows and columns counted from the centre of the image."""
    rows, columns = _places(images)
    return rows - (images.shape[2] - 1) / 2, columns - (images.shape[3] - 1) / 2


def _step(images: Tensor, edge: Tensor, rng: torch.Generator) -> Tensor:
    """Return 0 where `edge`, in pixels, is below 0 and 1 where it is above, over a border of any softness."""
    return torch.sigmoid(edge / (0.3 * 12 ** _uniform(images, 0, 1, rng)))


def _waves(images: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """Return smooth random displacements (N, 2, H, W) of deviation about 1, with `count` nodes on a side."""
    nodes = torch.randn(len(images), 2, count, count, generator=rng, device=images.device)
    size = (images.shape[2], images.shape[3])
    return interpolate(nodes, size, mode="bicubic", align_corners=True)


def _moved(images: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Return `images` moved by `down` and `right` (N, 1, 1, 1), repeating the edge."""
    shift = torch.cat([-down, -right], 1).expand(-1, -1, *images.shape[2:])
    return _warped(images, shift)


def _warped(images: Tensor, shift: Tensor, pixels: bool = False) -> Tensor:
    """Return `images`, each pixel taken from `shift` (N, 2, H, W) further down and right, in pixels of
    64 × 64 or of the image.
    """
    rows, columns = _centred(images)
    scale = 1.0 if pixels else _scale(images)
    down, right = (rows + scale * shift[:, :1], columns + scale * shift[:, 1:])
    height, width = images.shape[2:]
    grid = torch.cat([2 * right / width, 2 * down / height], 1).permute(0, 2, 3, 1)
    return grid_sample(images.float(), grid, padding_mode="border", align_corners=False)


def _blurred(images: Tensor) -> Tensor:
    """Return `images` after the filter 1 2 1 along both axes."""
    for axis, border in ((2, (0, 0, 1, 1)), (3, (1, 1, 0, 0))):
        wide, size = pad(images, border, mode="replicate"), images.shape[axis]
        sides = wide.narrow(axis, 0, size) + wide.narrow(axis, 2, size)
        images = sides / 4 + wide.narrow(axis, 1, size) / 2
    return images
