"""Nothing stale: whatever is changed on a net, likelihoods and samples are the changed net's. Each change is
followed by the plain net, which computes with what it finds."""

import copy
import types

import pytest
import torch
from genzoo_pixel.fast.swap import faster, run, way_of
from genzoo_pixel.masks import MaskedConv2d
from torch import nn
from torch.nn.utils import prune

from genzoo.rng import Rng

SHAPE = (3, 4, 3)


@pytest.fixture
def model(make, kind):
    return make(kind, image_shape=SHAPE, levels=4, layers=3)


@pytest.fixture
def x():
    return torch.randint(0, 4, (3, *SHAPE), generator=torch.Generator().manual_seed(0)) / 3


def plainly(model, x):
    """Return log p(x) by the plain net alone."""
    with torch.no_grad():
        params = model._network(2 * x - 1).unflatten(1, (3, -1)).transpose(1, 2)
        return model._log_mass(params, (3 * x).round().long()).sum((1, 2, 3))


def follows(model, x):
    """Whether likelihoods and samples of `model` are those of its plain net, as it is now."""
    torch.testing.assert_close(model.log_prob(x), plainly(model, x), rtol=1e-4, atol=1e-3)
    nothing = torch.zeros(2, *SHAPE)
    with torch.inference_mode():
        drawn = [
            way(nothing, nothing.bool(), Rng(0, 0, 2)) for way in (model._complete, model._complete_naively)
        ]
    return torch.equal(*drawn)


def layers(model):
    return next(getattr(model, name) for name in ("blocks", "gated", "recurrent") if hasattr(model, name))


def parts(model):
    return [part for part in model.modules() if isinstance(part, MaskedConv2d)]


def test_every_weight_counts_at_once(model, x):
    """Each parameter, changed through .data between two questions, changes what both ways give."""
    told, noise = model.log_prob(x), torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        kept = parameter.data.clone()
        parameter.data.add_(torch.randn(parameter.shape, generator=noise))
        assert not torch.equal(model.log_prob(x), told), name
        torch.testing.assert_close(model.log_prob(x), plainly(model, x), rtol=1e-4, atol=1e-3)
        parameter.data.copy_(kept)
    assert torch.equal(model.log_prob(x), told) and follows(model, x)


def test_samples_follow_weights_changed_between_them(model, x):
    before = model.sample(4, seed=0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.data = parameter.data.flip(-1) if parameter.ndim == 1 else -parameter.data
    assert follows(model, x) and not torch.equal(model.sample(4, seed=0), before)


def test_a_loaded_state_is_the_present_one(make, kind, model, x):
    other = make(kind, seed=5, image_shape=SHAPE, levels=4, layers=3)
    told, images = other.log_prob(x), other.sample(2, seed=0)
    assert not torch.allclose(model.log_prob(x), told)
    model.sample(2, seed=0)
    model.load_state_dict(other.state_dict())
    assert torch.equal(model.log_prob(x), told) and torch.equal(model.sample(2, seed=0), images)


def test_a_mask_of_another_kind_is_used_at_once(model, x):
    """The mask is asked for at each use: a first layer that sees nothing makes pixels independent."""
    first = next(part for part in parts(model) if part.kind == "A")
    first.weight.data.zero_()
    assert follows(model, x)


@pytest.mark.parametrize("method", [prune.l1_unstructured, prune.random_unstructured])
def test_pruning_counts_and_can_be_changed_and_removed(model, x, method):
    told = model.log_prob(x)
    for part in parts(model):
        method(part, "weight", 0.3)
        method(part, "bias", 0.5)
    pruned = model.log_prob(x)
    assert not torch.allclose(pruned, told) and follows(model, x)
    for part in parts(model):
        part.bias_mask.fill_(0)  # without a call in between: the stored bias is old
    assert not torch.allclose(model.log_prob(x), pruned) and follows(model, x)
    for part in parts(model):
        prune.remove(part, "weight")
        prune.remove(part, "bias")
        assert not part.bias.any()
    assert follows(model, x)


@pytest.mark.parametrize("of", ["instance", "class", "subclass"])
def test_a_replaced_forward_is_called(model, x, monkeypatch, of):
    """Of a layer: on the object, on its class, or in a class of its own."""
    layer, calls = layers(model)[-1], []
    plain = type(layer).forward

    def forward(self, *given):
        calls.append(self)
        return plain(self, *given)

    told, images = model.log_prob(x), model.sample(2, seed=0)
    if of == "instance":
        monkeypatch.setattr(layer, "forward", types.MethodType(forward, layer))
    elif of == "class":
        monkeypatch.setattr(type(layer), "forward", forward)
    else:
        layer.__class__ = type("Other", (type(layer),), {"forward": forward})
    assert way_of(layer) is None
    torch.testing.assert_close(model.log_prob(x), told, rtol=1e-4, atol=1e-3)
    assert layer in calls and torch.equal(model.sample(2, seed=0), images)


@pytest.mark.parametrize("of", ["forward", "forward_pre", "full_backward"])
def test_hooks_of_every_kind_turn_the_fast_way_off(model, of):
    layer = layers(model)[-1]
    for part in (layer, *layer.children()):
        assert way_of(layer) is not None and model._unrolls()
        hook = getattr(part, f"register_{of}_hook")(lambda *given: None)
        assert way_of(layer) is None and not model._unrolls()
        hook.remove()
    assert way_of(layer) is not None and model._unrolls()


def test_a_global_hook_is_called_and_forgotten(model, x):
    seen, told = [], model.log_prob(x)
    hook = nn.modules.module.register_module_forward_hook(lambda part, *given: seen.append(part))
    try:
        assert not model._unrolls()
        torch.testing.assert_close(model.log_prob(x), told, rtol=1e-4, atol=1e-3)
    finally:
        hook.remove()
    assert set(parts(model)) <= set(seen) and model._unrolls()
    assert torch.equal(model.log_prob(x), told)


def test_a_part_of_another_class_is_called(model, x):
    """Put in place of the last convolution: its outputs count, in samples too."""

    class Doubled(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, features):
            return 2 * self.inner(features)

    expected = copy.deepcopy(model)
    for parameter in expected.tail[1].parameters():
        parameter.data.mul_(2)
    model.tail[1] = Doubled(model.tail[1])
    assert not model._unrolls() and expected._unrolls()
    torch.testing.assert_close(model.log_prob(x), expected.log_prob(x))
    assert torch.equal(model.sample(2, seed=0), expected.sample(2, seed=0))


def test_a_copy_is_a_net_of_its_own(model, x):
    told, twin = model.log_prob(x), copy.deepcopy(model)
    for parameter in twin.parameters():
        parameter.data.mul_(0.5)
    assert torch.equal(model.log_prob(x), told)
    assert follows(twin, x) and not torch.allclose(twin.log_prob(x), told)


def test_learning_goes_through_the_present_weights(model, x):
    """One step down the slope, by the fast way, makes the images it learned from more likely."""
    told = model.log_prob(x).sum()
    slopes = torch.autograd.grad(model._log_prob(x).sum(), list(model.parameters()))
    norm = torch.stack([slope.square().sum() for slope in slopes]).sum().sqrt()
    with torch.no_grad():
        for parameter, slope in zip(model.parameters(), slopes, strict=True):
            parameter.add_(slope / norm, alpha=1e-3)
    torch.testing.assert_close(model.log_prob(x).sum() - told, 1e-3 * norm, rtol=0.2, atol=0)


def test_a_function_without_an_object_is_run_as_it_is():
    assert run(lambda x: x + 1, 1) == 2
    marked = faster(lambda self, x: (self, x))(lambda x: x)
    assert run(marked, 3) == (None, 3) and marked(3) == 3
