"""What the machine decides."""

from __future__ import annotations

import contextlib
import dataclasses

import pytest
import torch

from genzoo import Recipe
from genzoo.errors import ArgumentError
from genzoo.layers.folding import fast_bf16
from genzoo.training.hardware import Hardware, choose, find_device


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


def test_bf16_on_a_gpu_that_has_it_itself(monkeypatch):
    """Older ones emulate it, which is slower than float32; Apple's and others are not asked."""
    for native in (True, False):

        def supported(including_emulation=True, native=native):
            return native or including_emulation

        monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
        assert fast_bf16(torch.device("cuda")) == native
    assert not fast_bf16(torch.device("mps"))


class TestTorchsSwitches:
    def now(self):
        cudnn = torch.backends.cudnn
        matmul = torch.get_float32_matmul_precision()
        return cudnn.allow_tf32, matmul, cudnn.benchmark, cudnn.deterministic

    def inside(self, device="cuda", **keys):
        settings = dataclasses.replace(choose(Recipe(**keys), "cpu"), device=torch.device(device))
        before = self.now()
        with settings.switches():
            inside = self.now()
        assert self.now() == before
        return inside

    def test_they_are_set_for_a_turn_and_put_back(self):
        usual = self.now()
        assert self.inside() == usual
        assert self.inside(tf32="on")[:2] == (True, "high")
        assert self.inside(tf32="off")[:2] == (False, "highest")
        assert self.inside(tf32="off")[2:] == usual[2:]
        assert self.inside(cudnn="benchmark") == (*usual[:2], True, False)
        assert self.inside(cudnn="deterministic") == (*usual[:2], False, True)

    def test_they_are_put_back_after_an_error(self):
        settings = dataclasses.replace(choose(Recipe(tf32="on"), "cpu"), device=torch.device("cuda"))
        before = self.now()
        with contextlib.suppress(RuntimeError), settings.switches():
            raise RuntimeError
        assert self.now() == before

    def test_a_cpu_has_neither(self):
        assert self.inside("cpu", tf32="off", cudnn="deterministic") == self.now()

    def test_a_turn_is_played_with_them(self, start, monkeypatch):
        run, seen = start(), []
        switches = Hardware.switches

        def spy(settings):
            seen.append(settings)
            return switches(settings)

        monkeypatch.setattr(Hardware, "switches", spy)
        run.play_round()
        assert seen == [run.settings] * 2
