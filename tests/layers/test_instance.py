"""Instance norm of one image: torch's gradients are wrong where the gradient of its output is laid out
channels last."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from torch import nn

from genzoo.layers import InstanceNorm2d, compact

LAYOUTS = (torch.channels_last, torch.contiguous_format)


def gradients(norm, x, g, layouts=(torch.contiguous_format, torch.contiguous_format)):
    """Return the output, and the gradients by the input, scale and shift, and by the input of a slope."""
    x = x.contiguous(memory_format=layouts[0]).requires_grad_()
    y = norm(x)
    (slope,) = torch.autograd.grad(y, x, g.contiguous(memory_format=layouts[1]), create_graph=True)
    found = torch.autograd.grad(slope.square().sum() + (y * g).sum(), [x, norm.weight])
    first = torch.autograd.grad(norm(x), [x, norm.weight, norm.bias], g.contiguous(memory_format=layouts[1]))
    return [y.detach(), *first, *found]


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("layouts", list(itertools.product(LAYOUTS, LAYOUTS)))
def test_gradients_do_not_depend_on_the_layout(n, layouts):
    torch.manual_seed(0)
    norm = InstanceNorm2d(16, affine=True).double()
    nn.init.normal_(norm.weight)
    x, g = torch.randn(2, n, 16, 5, 6, dtype=torch.float64)
    exact = gradients(norm, x, g)
    for found, expected in zip(gradients(norm, x, g, layouts), exact, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_the_gradient_of_one_image_is_its_share_of_that_of_many():
    """The right value itself, in a net that is laid out channels last, as training has it."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3), InstanceNorm2d(8, affine=True), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.Tanh()
    ).to(memory_format=torch.channels_last)
    x = torch.rand(4, 3, 9, 9).contiguous(memory_format=torch.channels_last)
    together = torch.autograd.grad(net(x).square().mean(), net.parameters())
    alone = [torch.autograd.grad(net(one[None]).square().mean(), net.parameters()) for one in x]
    for whole, *parts in zip(together, *alone, strict=True):
        torch.testing.assert_close(sum(parts) / 4, whole, rtol=1e-4, atol=1e-6)


def test_it_is_the_same_layer_otherwise():
    torch.manual_seed(0)
    stock, x = nn.InstanceNorm2d(3, affine=True), torch.rand(1, 3, 4, 4)
    ours = InstanceNorm2d(3, affine=True)
    ours.load_state_dict(stock.state_dict())
    assert torch.equal(ours(x), stock(x)) and torch.equal(ours(x[0]), stock(x[0]))
    assert copy.deepcopy(ours)(x).requires_grad
    net = nn.Sequential(nn.Conv2d(3, 3, 3), ours, nn.Tanh()).eval()
    assert compact(net) is not net  # it is known to the faster way
