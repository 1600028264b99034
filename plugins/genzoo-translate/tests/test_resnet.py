"""The generators of CycleGAN: where the lattice on flat colour comes from, and that it can be left out."""

import pytest
import torch
from genzoo_translate.cyclegan import CycleGAN, CycleGANConfig
from torch import nn

import genzoo
from genzoo.layers import BalancedConvTranspose2d

KINDS = {"plain": nn.ConvTranspose2d, "balanced": BalancedConvTranspose2d}


def made(upsample):
    shape = (3, 32, 32)
    torch.manual_seed(0)
    return CycleGAN(
        CycleGANConfig(
            source_shape=shape, image_shape=shape, width=4, blocks=1, judge_width=4, upsample=upsample
        )
    )


def ups(net):
    return [module for module in net.generators.modules() if isinstance(module, nn.ConvTranspose2d)]


def test_balanced_layers_leave_flat_maps_flat_in_both_directions():
    for kind, flat in (("plain", False), ("balanced", True)):
        layers = ups(made(kind))
        assert [type(layer) for layer in layers] == [KINDS[kind]] * 4
        for layer in layers:
            maps = layer(torch.ones(1, layer.in_channels, 12, 12))[..., 4:-4, 4:-4]
            assert ((maps - maps.mean((2, 3), keepdim=True)).abs().max() < 1e-6) == flat


def test_weights_fit_both():
    plain, flat = made("plain"), made("balanced")
    assert list(flat.state_dict()) == list(plain.state_dict())
    assert all(torch.equal(flat.state_dict()[key], value) for key, value in plain.state_dict().items())


def test_others_are_refused():
    with pytest.raises(genzoo.GenzooError, match="upsample"):
        genzoo.create("cyclegan-horse2zebra", upsample="nearest")
