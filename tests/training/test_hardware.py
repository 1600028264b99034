"""What the machine decides."""

from __future__ import annotations

import contextlib

import pytest
import torch

from genzoo import Recipe
from genzoo.errors import ArgumentError
from genzoo.training.hardware import choose, find_device


@pytest.mark.parametrize(("amx", "avx"), [(True, False), (False, True), (False, False)])
def test_bf16_where_the_processor_has_instructions_for_it(monkeypatch, amx, avx):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx, raising=False)
    assert choose(Recipe(), "cpu").bf16 == (amx or avx)
    assert choose(Recipe(precision="bf16"), "cpu").bf16
    assert not choose(Recipe(precision="fp32"), "cpu").bf16


def test_switches():
    chosen = choose(Recipe(precision="bf16", channels_last="off", compile="on"), "cpu")
    assert chosen.words() == "cpu, bf16, channels_first, compiled"
    assert chosen.memory_format == torch.contiguous_format
    default = choose(Recipe(precision="fp32"), "cpu")
    assert default.words() == "cpu, fp32, channels_last"
    assert (default.memory_format, default.compile) == (torch.channels_last, False)


def test_autocast():
    assert isinstance(choose(Recipe(precision="fp32"), "cpu").autocast(), contextlib.nullcontext)
    with choose(Recipe(precision="bf16"), "cpu").autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "", "cpu:x", 1.5, [], "xla", "mps:7"])
def test_a_device_that_is_not_there_is_named(device):
    with pytest.raises(ArgumentError, match="cannot be used") as caught:
        find_device(device)
    assert repr(str(device)) in caught.value.message
    assert str(caught.value).isprintable()


def test_devices():
    assert find_device("cpu") == torch.device("cpu")
    assert find_device(None).type in ("cpu", "cuda")
    assert choose(Recipe(), "cpu").on(torch.device("meta")).device == torch.device("meta")
