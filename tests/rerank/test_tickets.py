"""Searches that are under way are counted, and none is counted for good."""

import threading

import numpy as np
import pytest
from endcap_rerank import tickets as module
from endcap_rerank.tickets import FILE, LEASE, Tickets


class Clock:
    """Seconds that pass when they are told to, and a little whenever they are asked for."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        self.now += 1e-6
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_as_many_are_taken_as_there_are(tmp_path, clock):
    first, last = Tickets(tmp_path, 3, clock=clock), Tickets(tmp_path, clock=clock)
    assert first.take(2).tolist() == [0, 1]
    assert first.take(2).tolist() == [2, -1]
    last.give_back(np.array([1, -1]))
    assert first.take(2).tolist() == [1, -1]


def test_processes_share_them(tmp_path, clock):
    one, other = (Tickets(tmp_path, 3, clock=clock) for _ in range(2))
    assert one.take(2).tolist() == [0, 1]
    assert other.take(2).tolist() == [2, -1]


def test_waits_until_enough_are_given_back(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LEASE", 60.0)
    first, last = Tickets(tmp_path, 2), Tickets(tmp_path)
    taken = first.take(2)
    done = threading.Event()
    waiting = threading.Thread(target=lambda: (first.wait(2), done.set()), daemon=True)
    waiting.start()
    last.give_back(taken[:1])
    assert not done.wait(0.05)
    last.give_back(taken[1:])
    assert done.wait(5.0)


def test_more_than_there_are_is_waited_for_as_all_of_them(tmp_path, clock):
    began = clock.now
    Tickets(tmp_path, 2, clock=clock).wait(32)
    assert clock.now - began < LEASE


def test_a_lost_one_is_free_again_after_its_lease(tmp_path, clock):
    tickets = Tickets(tmp_path, 1, clock=clock)
    tickets.take(1)
    clock.now += 0.9 * LEASE
    assert tickets.take(1).tolist() == [-1]
    clock.now += 0.2 * LEASE
    assert tickets.take(1).tolist() == [0]


def test_those_of_before_a_restart_of_the_machine_are_free(tmp_path, clock):
    Tickets(tmp_path, 2, clock=clock).take(2)
    clock.now = 5.0
    assert Tickets(tmp_path, 2, clock=clock).take(2).tolist() == [0, 1]


@pytest.mark.parametrize("number", [-1, 2, 10**6])
def test_what_is_none_is_passed_over(tmp_path, clock, number):
    """Whoever calls `rerank` can send any number."""
    tickets = Tickets(tmp_path, 2, clock=clock)
    size = (tmp_path / FILE).stat().st_size
    tickets.give_back([number])
    assert (tmp_path / FILE).stat().st_size == size
    assert tickets.take(2).tolist() == [0, 1]


def test_nothing_is_held_back_where_the_file_cannot_be_used(tmp_path, clock):
    (tmp_path / "file").write_text("not a folder")
    tickets = Tickets(tmp_path / "file", 2, clock=clock)
    tickets.wait(5)
    assert tickets.take(2).tolist() == [-1, -1]
    tickets.give_back([0, -1])
