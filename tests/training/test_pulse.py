"""Which process a silence is blamed on."""

from __future__ import annotations

import threading
import time

import pytest

from genzoo.training.pulse import Pulse

LIMIT = 2.0  # seconds, so a beat is half a second, which a busy machine does not miss twice


class Store:
    """A store that this process shares with a process 0, whose count stands still once `silent` is set; after
    `hangs` has been set, no call returns."""

    def __init__(self):
        self.silent, self.hangs = threading.Event(), threading.Event()
        self.values, self.count = {}, 0

    def clone(self):
        return self

    def set(self, key, value):
        self._hang()
        self.values[key] = value.encode()

    def multi_get(self, keys):
        self._hang()
        self.count += not self.silent.is_set()
        return [b"%d" % self.count, self.values[keys[1]]]

    def _hang(self):
        if self.hangs.is_set():
            threading.Event().wait()


def complaint(pulse):
    """Return what the pulse raises first."""
    until = time.monotonic() + 30
    with pytest.raises(RuntimeError) as raised:
        while time.monotonic() < until:
            pulse.check()
            time.sleep(0.002)
    return str(raised.value)


def test_a_process_whose_own_calls_hang_blames_itself():
    store = Store()
    pulse = Pulse(store, 1, 2, LIMIT)
    time.sleep(0.6 * LIMIT)
    store.silent.set()  # a cable breaks: the other was last heard a beat before this process hung
    time.sleep(0.25 * LIMIT)
    store.hangs.set()
    assert "this one could not reach the others" in complaint(pulse)


def test_a_process_that_works_blames_the_one_that_is_silent():
    store = Store()
    pulse = Pulse(store, 1, 2, LIMIT)
    time.sleep(0.6 * LIMIT)
    store.silent.set()
    assert "nothing was heard of process 0" in complaint(pulse)
