"""The fast ways against the papers' plain nets: values and gradients; and who takes which way."""

import pytest
import torch
from genzoo_pixel.fast import cnn, gated, rnn
from genzoo_pixel.fast.swap import faster, run, way_of

SHAPES = [(1, 5, 6), (3, 6, 4), (1, 1, 4), (1, 4, 1)]
WAYS = {"pixelcnn": (cnn, "block"), "gated-pixelcnn": (gated, "layer")}
WAYS |= {"pixelrnn-row": (rnn, "row"), "pixelrnn-diagonal": (rnn, "diagonal")}


def images(shape, dtype=torch.float64):
    return 2 * torch.rand(3, *shape, dtype=dtype, generator=torch.Generator().manual_seed(0)) - 1


def learned(model, outputs):
    """Return the gradients of all weights under a fixed slope."""
    slope = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(1)).to(outputs.dtype)
    return torch.autograd.grad(outputs, list(model.parameters()), slope)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_fast_way_is_the_plain_net_in_float64(make, kind, shape):
    model = make(kind, image_shape=shape, layers=3, head="bernoulli").double()
    plain, fast = model._network(images(shape)), run(model._network, images(shape))
    torch.testing.assert_close(fast, plain, rtol=1e-10, atol=1e-10)
    for ours, theirs in zip(learned(model, fast), learned(model, plain), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("shape", SHAPES[:2], ids=str)
def test_the_fast_way_is_close_in_float32(make, kind, shape):
    model = make(kind, image_shape=shape, layers=3, head="bernoulli")
    x = images(shape, torch.float32)
    torch.testing.assert_close(run(model._network, x), model._network(x), rtol=1e-4, atol=1e-4)


def test_the_machine_draws_from_the_plain_net(make, kind):
    """Pixel by pixel it gives the parameters that the plain net gives of the whole image."""
    model = make(kind, image_shape=(3, 4, 5), head="softmax").double()
    machine, x = model._machine(3), images((3, 4, 5))
    whole = model._network(x).unflatten(1, (3, model.outputs)).detach()  # (N, C, P, H, W)
    for row in range(4):
        machine.begin(row)
        for column in range(5):
            for channel in range(3):
                found = machine.step(column, channel)
                torch.testing.assert_close(found, whole[:, channel, :, row, column], rtol=1e-10, atol=1e-10)
                machine.put(column, channel, x[:, channel, row, column])


def test_likelihoods_take_the_fast_way(make, kind, monkeypatch):
    module, name = WAYS[kind]
    model = make(kind, image_shape=(1, 4, 4), layers=3, head="bernoulli")
    way, calls = getattr(module, name), []
    assert all(way_of(layer) is way for layer in layers(model))
    forward = type(layers(model)[0]).forward
    monkeypatch.setattr(forward, "faster", lambda *given: calls.append(given[0]) or way(*given))
    model.log_prob(torch.zeros(1, 1, 4, 4))
    # the first gated layer reads the image, which has too few channels for the fast way
    assert calls == layers(model)[1 if kind == "gated-pixelcnn" else 0 :]


def test_a_hook_or_another_forward_is_called(make, kind):
    model, seen = make(kind, image_shape=(1, 4, 4), head="bernoulli").double(), []
    x = images((1, 4, 4))
    expected = model._network(x)
    layer = layers(model)[-1]
    for part in (layer, layer.out if kind == "gated-pixelcnn" else layer.up):
        hook = part.register_forward_hook(lambda *given: seen.append(1))
        assert way_of(layer) is None
        torch.testing.assert_close(run(model._network, x), expected, rtol=1e-10, atol=1e-10)
        hook.remove()
    assert len(seen) == 2


def test_a_replaced_method_is_run_as_it_is():
    class Base:
        @faster(lambda self, x: ("fast", x))
        def plain(self, x):
            return "plain", x

    class Other(Base):
        def plain(self, x):
            return "other", x

    assert run(Base().plain, 1) == ("fast", 1) and Base().plain(1) == ("plain", 1)
    assert run(Other().plain, 1) == ("other", 1)


def layers(model):
    return list(
        next(getattr(model, name) for name in ("blocks", "gated", "recurrent") if hasattr(model, name))
    )
