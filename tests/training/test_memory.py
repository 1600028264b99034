"""Keeping freed memory: what is asked of malloc, and of whom nothing can be asked."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from genzoo.training import memory
from genzoo.training import train as training
from genzoo.training.memory import keep_freed_memory


@pytest.fixture
def malloc(monkeypatch):
    """Give the list of what malloc is asked, which it grants."""
    asked = []
    library = SimpleNamespace(mallopt=lambda what, value: asked.append((what, value)) or 1)
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: library)
    monkeypatch.setattr(sys, "platform", "linux")
    return asked


def test_nothing_is_trimmed_and_nothing_mapped(malloc):
    assert keep_freed_memory()
    assert malloc == [(-1, -1), (-3, 2**30)]


def test_a_refusal_is_told(monkeypatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=lambda what, value: 0))
    assert not keep_freed_memory()


def test_other_systems_are_left_alone(malloc, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory() and malloc == []


def test_a_libc_without_it(monkeypatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: SimpleNamespace())
    assert not keep_freed_memory()


def test_training_on_a_cpu_asks(malloc, monkeypatch):
    class Enough(Exception):
        """Nothing more is wanted."""

    def stop(device):
        raise Enough

    monkeypatch.setattr(training, "plan", lambda card, settings, steps, data: (None, {}))
    monkeypatch.setattr(training, "enter", stop)
    for device, calls in (("cpu", 2), ("cuda", 0)):
        malloc.clear()
        monkeypatch.setattr(
            training.machine,
            "choose",
            lambda recipe, wanted: SimpleNamespace(device=SimpleNamespace(type=wanted)),
        )
        with pytest.raises(Enough):
            training.train(
                SimpleNamespace(name="toy"),
                None,
                None,
                None,
                resume=False,
                settings={},
                device=device,
                quiet=True,
            )
        assert len(malloc) == calls
