"""The layers' own forward and backward passes against plain formulas that autograd follows."""

import pytest
import torch
from genzoo_pixel.equations import gate
from genzoo_pixel.fast.layers import block, gated
from torch.nn import functional as F

N, HEIGHT, WIDE, P = 2, 3, 4, 2


def numbers(*shape):
    return torch.randn(
        *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape))
    ).requires_grad_()


def gated_inputs(dtype=torch.float64):
    v = F.pad(numbers(N, HEIGHT, WIDE, P).detach(), (0, 0, 0, 0, 1, 0))
    affine = [
        numbers(2 * P, P, 2, 3),
        numbers(2 * P),
        numbers(4 * P, 2 * P),
        numbers(2 * P),
        numbers(P, P),
        numbers(P),
    ]
    return [part.detach().to(dtype).requires_grad_() for part in (v, numbers(N, HEIGHT, WIDE, P), *affine)]


def block_inputs(dtype=torch.float64):
    affine = [
        numbers(2 * P, P),
        numbers(P),
        numbers(P, P, 2, 3),
        numbers(P),
        numbers(P, 2 * P),
        numbers(2 * P),
    ]
    return [part.detach().to(dtype).requires_grad_() for part in (numbers(N, HEIGHT, WIDE, 2 * P), *affine)]


def fast_gated(v, h, vertical, vbias, joint, jbias, out, obias):
    return gated(v, h, (vertical, vbias), (joint, jbias), (out, obias))


def fast_block(x, down, dbias, mix, mbias, up, ubias):
    return (block(x, (down, dbias), (mix, mbias), (up, ubias)),)


def plain_gated(v, h, vertical, vbias, joint, jbias, out, obias):
    told = F.conv2d(v.permute(0, 3, 1, 2), vertical, vbias, padding=(0, 1)).permute(0, 2, 3, 1)
    left, above = F.pad(h, (0, 0, 1, -1)), F.pad(told, (0, 0, 0, 0, 1, -1))
    mixed = gate(torch.cat([left, h, above], 3) @ joint + jbias, 3)
    return F.pad(gate(told, 3), (0, 0, 0, 0, 1, 0)), h + mixed @ out + obias


def plain_block(x, down, dbias, mix, mbias, up, ubias):
    inner = F.pad((x.relu() @ down + dbias).relu(), (0, 0, 0, 0, 1, 0)).permute(0, 3, 1, 2)
    return (x + F.conv2d(inner, mix, mbias, padding=(0, 1)).permute(0, 2, 3, 1).relu() @ up + ubias,)


KINDS = {"gated": (fast_gated, plain_gated, gated_inputs), "block": (fast_block, plain_block, block_inputs)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_is_its_formula(kind):
    """Values, and every gradient under a random slope."""
    fast, plain, make = KINDS[kind]
    inputs = make()
    ours, theirs = fast(*inputs), plain(*inputs)
    slopes = [numbers(*part.shape).detach() for part in theirs]
    torch.testing.assert_close(ours, theirs)
    of_ours, of_theirs = (torch.autograd.grad(found, inputs, slopes) for found in (ours, theirs))
    for a, b in zip(of_ours, of_theirs, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_a_layer_are_right(kind):
    fast, _, make = KINDS[kind]
    assert torch.autograd.gradcheck(fast, make())


@pytest.mark.parametrize("kind", KINDS)
def test_autocast_computes_in_half_precision_and_learns_in_full(kind):
    fast, plain, make = KINDS[kind]
    inputs = make(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        ours = fast(*inputs)
    torch.testing.assert_close([part.float() for part in ours], list(plain(*inputs)), rtol=0.1, atol=0.2)
    assert all(part.dtype == torch.bfloat16 for part in ours)
    gradients = torch.autograd.grad([part.float().sum() for part in ours], inputs)
    assert all(g.dtype == torch.float32 and torch.isfinite(g).all() for g in gradients)
