"""Fast PixelRNNs: maps as (features, cells, N), with cells in the order of the recurrence."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from genzoo_pixel.fast.scan import Course, by_diagonals, by_rows, scan
from genzoo_pixel.fast.swap import way_of
from genzoo_pixel.fast.turns import Turn, moved, turns
from genzoo_pixel.masks import MaskedConv2d, pointwise_weight

if TYPE_CHECKING:
    from genzoo_pixel.pixelrnn import DiagonalBiLSTM, PixelRNN, RowLSTM


def network(model: PixelRNN, x: Tensor) -> Tensor:
    """Return `PixelRNN._network(x)` for images (N, C, H, W) in [-1, 1], in float32 or better.

    Sums over hundreds of steps need full precision; matrix products may use half precision.
    """
    size = (x.shape[2], x.shape[3])
    image, features = wide_floats(x), wide_floats(model.stem(x))  # (N, C, H, W) and (N, 2h, H, W)
    order = torch.tensor(course_of(model, size).order, device=x.device)
    laid, again = Turn(order, order.argsort()), Turn(order.argsort(), order)

    def inside(maps: Tensor) -> Tensor:
        return moved(maps.flatten(2).permute(1, 2, 0), laid)

    def outside(cells: Tensor) -> Tensor:
        maps: Tensor = moved(cells, again).permute(2, 0, 1).unflatten(2, size)
        return maps

    cells, seen = inside(features), inside(image)
    for layer in model.recurrent:
        way = way_of(layer)
        cells = way(layer, cells, seen, size) if way else inside(layer(outside(cells), image))
    return model.outputs_of(outside(cells))


def course_of(model: PixelRNN, size: tuple[int, int]) -> Course:
    """Return the order of the cells of a map (H, W) in a model's recurrence."""
    return by_rows(*size) if model.goes == "rows" else by_diagonals(*size)


def row(layer: RowLSTM, x: Tensor, image: Tensor, size: tuple[int, int]) -> Tensor:
    """Return `RowLSTM.forward` on (2h, H · W, N), cells row by row; the image is not read."""
    width, (_, cells, n) = layer.start.shape[1], x.shape
    left = F.pad(x.unflatten(1, size), (0, 0, 1, -1)).flatten(1, 2)  # the left neighbour of each cell
    # (4h, 2 · 2h): from the left, from here
    weight = layer.inputs.masked[:, :, 0, :2].transpose(1, 2).flatten(1)
    z = products(layer.inputs.bias, weight[None], torch.cat([left, x])[None])  # (1, 4h, cells · N)
    first = layer.start[0].expand(1, 3, width)
    h = scan(z, layer.states, first, layer.start[1:], by_rows(*size), n)
    return residual(x, layer.up, h[0].view(width, cells, n))


def diagonal(layer: DiagonalBiLSTM, x: Tensor, image: Tensor, size: tuple[int, int]) -> Tensor:
    """Return `DiagonalBiLSTM.forward` on (2h, H · W, N), cells diagonal by diagonal from the upper left
    corner; `image` is (C, H · W, N).
    """
    mirrored, lowered = turns(*size)
    weight = layer.inputs.masked[:, :, 0, 0].unflatten(0, (2, -1))  # (direction, 4h, 2h)
    # (direction, 4h, cells · N)
    z = products(layer.inputs.bias, weight, torch.stack([x, moved(x, mirrored)]))
    if layer.image is not None:
        seen = pointwise_weight(layer.image) @ moved(image, mirrored).flatten(1)
        z = torch.stack([z[0], z[1] + seen])
    width, (_, cells, n) = layer.start.shape[2], x.shape
    h = scan(z, layer.states, layer.start[:, [0, 2]], layer.start[:, 1], by_diagonals(*size), n)
    right, left = h.view(2, width, cells, n)
    return residual(x, layer.up, right + moved(left, lowered))


def products(bias: Tensor | None, weight: Tensor, x: Tensor) -> Tensor:
    """Return bias + weight · x, (D, outs, cells · N), for D directions: bias (D · outs), weight (D, outs,
    ins), x (D, ins, cells, N).
    """
    return torch.baddbmm(cast(Tensor, bias).view(len(weight), -1, 1), weight, x.flatten(2))


def residual(x: Tensor, up: MaskedConv2d, h: Tensor) -> Tensor:
    """Return x + up(h) for x (2h, cells, N) and h (h, cells, N)."""
    weight = up.masked[:, :, 0, 0]
    return x + torch.addmm(cast(Tensor, up.bias)[:, None], weight, h.flatten(1)).view_as(x)


def wide_floats(x: Tensor) -> Tensor:
    """Return `x` in float32 or better."""
    return x if x.dtype == torch.float64 else x.float()
