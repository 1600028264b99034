"""The thread that draws: turns, and work that nobody waits for."""

import threading

import pytest
from explorer_site import until
from genzoo_explorer.worker import Job, Worker, words_of

from genzoo.errors import ArgumentError


@pytest.fixture
def worker():
    made = Worker()
    yield made
    made.close()


class Log:
    def __init__(self):
        self.answers = []

    def job(self, client, work):
        return Job(client, work, lambda facts, values: self.answers.append((client, facts)))


def test_clients_take_turns_between_the_yields_of_long_work(worker):
    log, steps, gate = Log(), [], threading.Event()

    def blocked(job):
        gate.wait(10)

    def long(name):
        def work(job):
            for i in range(3):
                steps.append(f"{name}{i}")
                yield

        return work

    worker.put(log.job("gate", blocked))
    worker.put(log.job("a", long("a")))
    worker.put(log.job("b", long("b")))
    gate.set()
    until(lambda: len(log.answers) == 3)
    assert steps == ["a0", "b0", "a1", "b1", "a2", "b2"]
    assert worker.waiting == 0


def test_the_work_of_a_client_that_left_ends_at_its_next_yield(worker):
    log, closed, steps = Log(), threading.Event(), []

    def endless(job):
        try:
            while True:
                steps.append(1)
                yield
        finally:
            closed.set()

    worker.put(log.job("gone", endless))
    until(lambda: len(steps) > 2)
    worker.leave("gone")
    assert closed.wait(10) and worker.waiting == 0
    assert log.answers == []


def test_work_that_does_not_yield_ends_at_its_next_check(worker):
    log, entered, ended = Log(), threading.Event(), threading.Event()

    def work(job):
        entered.set()
        try:
            while True:
                job.check()
        finally:
            ended.set()

    worker.put(log.job("gone", work))
    assert entered.wait(10)
    worker.leave("gone")
    assert ended.wait(10)


def test_waiting_work_of_a_client_that_left_is_not_started(worker):
    log, gate, started = Log(), threading.Event(), []
    worker.put(log.job("gate", lambda job: gate.wait(10) and None))
    worker.put(log.job("gone", lambda job: started.append(1)))
    worker.leave("gone")
    gate.set()
    worker.put(log.job("last", lambda job: None))
    until(lambda: ("last", {"done": True}) in log.answers)
    assert started == []


def test_an_error_is_one_message_and_the_next_request_is_answered(worker):
    log = Log()

    def broken(job):
        raise RuntimeError("\x1b[31mred\nand more")

    worker.put(log.job("a", broken))
    worker.put(log.job("a", lambda job: job.tell({"fine": True})))
    until(lambda: len(log.answers) == 2)
    assert [facts for _, facts in log.answers] == [
        {"error": "RuntimeError: \ufffdred and more"}, {"fine": True, "done": True}
    ]  # fmt: skip


def test_the_last_answer_says_that_the_work_is_done(worker):
    log = Log()

    def parts(job):
        job.tell({"part": 1})
        yield
        job.tell({"part": 2})
        job.tell({"part": 3}, b"bytes")

    worker.put(log.job("a", parts))
    until(lambda: len(log.answers) == 3)
    assert [facts for _, facts in log.answers] == [{"part": 1}, {"part": 2}, {"part": 3, "done": True}]


def test_what_was_told_before_an_error_is_sent(worker):
    log = Log()

    def broken(job):
        job.tell({"part": 1})
        raise RuntimeError("broken")

    worker.put(log.job("a", broken))
    until(lambda: len(log.answers) == 2)
    assert [facts for _, facts in log.answers] == [{"part": 1}, {"error": "RuntimeError: broken"}]


def test_errors_are_put_into_words():
    assert words_of(ArgumentError("n must be 1", "n=1")) == "n must be 1 — n=1"
    assert "memory" in words_of(MemoryError())


def test_a_closed_worker_ends(worker):
    worker.close()
    assert not worker._thread.is_alive()
