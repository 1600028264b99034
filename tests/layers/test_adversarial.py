"""Layers that see more than their input: the batch around it, or z."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from genzoo.errors import ArgumentError
from genzoo.layers import LatentDropout, LatentSequential, MinibatchDiscrimination


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


class TestMinibatchDiscrimination:
    def test_equation_by_hand(self):
        """One kernel of one component, T = 1: o_i is the mean over the others of exp(-|f_i - f_j|)."""
        layer = MinibatchDiscrimination(1, kernels=1, size=1)
        nn.init.ones_(layer.project.weight)
        f = torch.tensor([[0.0], [0.0], [1.0]])
        e = torch.tensor(-1.0).exp()
        expected = torch.stack([(1 + e) / 2, (1 + e) / 2, e])
        torch.testing.assert_close(layer(f), torch.cat([f, expected[:, None]], 1))

    def test_a_collapsed_batch_is_told_from_a_varied_one(self):
        layer = MinibatchDiscrimination(6, kernels=3)
        varied, collapsed = torch.randn(16, 6), torch.randn(1, 6).expand(16, 6)
        assert (layer(collapsed)[:, 6:] > 0.999).all()
        assert (layer(varied)[:, 6:] < 0.5).all()

    def test_its_size_does_not_grow_with_the_batch(self):
        layer = MinibatchDiscrimination(2, kernels=4, size=2)
        few, many = (layer(torch.randn(n, 2))[:, 2:].mean() for n in (8, 512))
        assert abs(few - many) < 0.15

    def test_alone_in_a_batch_an_image_is_close_to_nobody(self):
        assert (MinibatchDiscrimination(2)(torch.randn(1, 2))[:, 2:] == 0).all()

    def test_in_evaluation_an_answer_depends_on_its_own_image_alone(self):
        layer = MinibatchDiscrimination(3, kernels=2)
        for _ in range(60):
            told = layer(torch.randn(64, 3))[:, 3:].mean(0)
        layer.eval()
        f = torch.randn(9, 3)
        assert torch.equal(layer(f)[:1], layer(f[:1]))
        torch.testing.assert_close(layer(f)[0, 3:], told, rtol=0.3, atol=0.02)  # what is usual in training
        mean = layer.mean.clone()
        layer(f)
        assert torch.equal(layer.mean, mean)

    def test_gradients_pass_between_the_images_of_a_batch(self):
        f = torch.randn(4, 3, requires_grad=True)
        (slope,) = torch.autograd.grad(MinibatchDiscrimination(3)(f)[0, 3:].sum(), f)
        assert (slope[1:].abs().sum(1) > 0).all()


class TestLatentDropout:
    @pytest.mark.parametrize("rate", [0.2, 0.5, 0.8])
    @pytest.mark.parametrize("training", [True, False])
    def test_the_share_that_is_dropped(self, rate, training):
        layer = LatentDropout(64, 50, rate).train(training)
        kept = layer(torch.ones(500, 64, 2, 2), torch.randn(500, 50))
        assert sorted(kept.unique().tolist()) == pytest.approx([0, 1 / (1 - rate)])
        assert (kept == 0).float().mean().item() == pytest.approx(rate, abs=0.03)
        assert (kept.amax((2, 3)) == kept.amin((2, 3))).all()  # whole channels
        assert kept.mean().item() == pytest.approx(1, abs=0.06)

    def test_in_sampling_z_decides_alone_or_in_a_batch(self):
        layer, x, z = LatentDropout(32, 8).eval(), torch.ones(6, 32), torch.randn(6, 8)
        whole = layer(x, z)
        assert torch.equal(layer(x, z), whole) and torch.equal(layer(x[2:3], z[2:3]), whole[2:3])
        assert len({tuple(row) for row in whole.tolist()}) == 6  # each image its own

    def test_in_training_the_masks_are_drawn_anew_from_the_generator_that_the_loop_seeds(self):
        layer, x, z = LatentDropout(32, 8).train(), torch.ones(6, 32), torch.randn(6, 8)
        torch.manual_seed(1)
        first, second = layer(x, z), layer(x, z)
        torch.manual_seed(1)
        assert torch.equal(layer(x, z), first) and not torch.equal(first, second)

    def test_a_walk_in_z_switches_channels_one_after_the_other(self):
        """Masks from a hash of z would flicker: neighbours would share half of their channels."""
        layer = LatentDropout(64, 20).eval()
        a, b = torch.randn(2, 20)
        masks = layer(torch.ones(101, 64), torch.lerp(a, b, torch.linspace(0, 1, 101)[:, None])) > 0
        switched = (masks[1:] != masks[:-1]).sum(1)
        assert switched.max() <= 5 and switched.sum() >= 10

    @pytest.mark.parametrize("rate", [0, 1, -0.1, 1.5])
    def test_a_rate_that_makes_no_sense(self, rate):
        with pytest.raises(ArgumentError, match="between 0 and 1"):
            LatentDropout(4, 4, rate)


def test_layers_in_a_row_show_z_to_those_that_ask():
    net = LatentSequential(
        nn.ConvTranspose2d(5, 8, 3), LatentDropout(8, 5), nn.ReLU(), LatentDropout(8, 5)
    ).eval()
    z = torch.randn(4, 5)
    x = net[0](z[:, :, None, None])
    expected = net[3](net[1](x, z).relu(), z)
    assert torch.equal(net(z[:, :, None, None]), expected) and (expected == 0).any()
