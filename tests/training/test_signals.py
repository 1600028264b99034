"""Signals that ask for the end of a run."""

import os
import signal
import threading

import pytest

from genzoo.training.signals import Wish, ignore_repetitions, listening

POLITE = [
    getattr(signal, name)
    for name in ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU")
    if hasattr(signal, name)
]


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)


@pytest.fixture(params=[signal.SIGINT, *POLITE], ids=lambda number: number.name)
def number(request):
    return request.param


def test_the_first_is_a_wish_and_handlers_come_back(number, capsys):
    before = signal.getsignal(number)
    with listening() as wish:
        assert not wish.is_set()
        signal.raise_signal(number)
        assert wish.is_set() and wish.number == number
    assert signal.getsignal(number) == before
    assert f"{number.name}: finishing this step and saving" in capsys.readouterr().err


def test_only_a_second_ctrl_c_cancels():
    with listening() as wish:
        for number in POLITE * 3:
            signal.raise_signal(number)
        signal.raise_signal(signal.SIGINT)
        for number in POLITE:
            signal.raise_signal(number)
        assert wish.number == POLITE[0]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("grouped", ["several processes", "torchrun of one"])
def test_under_torchrun_ctrl_c_may_come_twice(monkeypatch, grouped):
    """The terminal sends it to every process, and the launcher passes it on."""
    if grouped == "torchrun of one":
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    with listening(group=grouped == "several processes") as wish:
        for _ in range(3):
            signal.raise_signal(signal.SIGINT)
        assert wish.number == signal.SIGINT


def test_when_all_is_saved_the_first_ends_and_the_rest_is_ignored(number):
    with listening() as wish:
        wish.all_is_saved()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        signal.raise_signal(signal.SIGTERM)
        assert wish.number == number


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no such signal here")
def test_what_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with listening() as wish:
            signal.raise_signal(signal.SIGHUP)
            assert not wish.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="no such signal here")
def test_a_program_that_handles_usr1_itself_goes_on_doing_so():
    heard = []
    before = signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))
    try:
        with listening() as wish:
            signal.raise_signal(signal.SIGUSR1)
        assert heard == [1] and not wish.is_set()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_in_another_thread_nothing_is_heard_and_nothing_fails():
    before, wishes = signal.getsignal(signal.SIGTERM), []

    def listen():
        with listening() as wish:
            wishes.append((wish.is_set(), signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert wishes == [(False, before)]


def test_a_system_without_these_signals(monkeypatch):
    for name in ("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU"):
        monkeypatch.delattr(signal, name, raising=False)
    with listening() as wish:
        signal.raise_signal(signal.SIGTERM)
        assert wish.number == signal.SIGTERM


def test_silent_where_another_process_talks(capsys):
    Wish(talks=False).hear(signal.SIGTERM, None)
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_repetitions_are_ignored_until_the_process_ends():
    child = os.fork()
    if not child:
        ignore_repetitions()
        for number in POLITE:
            signal.raise_signal(number)
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
