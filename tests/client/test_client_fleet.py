"""Several servers: balance, repetition, hedging, circuit breakers."""

import time

import pytest
from endcap_client import (
    AccessDenied,
    CertificateError,
    IncompatibleServer,
    InvalidRequest,
    Overloaded,
    ServerError,
    Timeout,
    Unavailable,
    WrongProtocol,
)
from endcap_client.attempts import Attempts
from endcap_client.breaker import Breaker
from endcap_client.connection import ClientOptions
from endcap_client.fleet import Fleet
from endcap_client.operations import delete, search

FAILED = Unavailable("gone")


def options(*urls, **keywords):
    return ClientOptions(urls, "grpc", **keywords)


def test_a_circuit_opens_after_failures_in_a_row_and_admits_one_probe():
    breaker = Breaker(failures=2, pause=10.0)
    for reached in (False, True, False):
        breaker.begin()
        breaker.end(reached, 0.0)
    assert breaker.state(0.0) == "closed"
    breaker.end(False, 1.0)
    assert (breaker.state(10.9), breaker.state(11.0)) == ("open", "half-open")
    assert not breaker.admits(10.9)
    assert breaker.wait(5.0) == 6.0
    breaker.begin()
    assert not breaker.admits(12.0)
    breaker.end(False, 12.0)
    assert breaker.state(21.9) == "open"
    breaker.begin()
    breaker.end(None, 23.0)  # given up: nothing learnt, the next may probe
    assert breaker.admits(23.0)
    breaker.begin()
    breaker.end(True, 24.0)
    assert breaker.state(24.0) == "closed"


def test_the_server_with_the_fewest_calls_in_flight_is_next_and_equals_take_turns():
    fleet = Fleet(options("a:1", "b:1", "c:1"))
    order = [fleet.begin() for _ in range(3)]
    assert [server.url for server in order] == ["a:1", "b:1", "c:1"]
    fleet.end(order[1], None)
    assert fleet.begin().url == "b:1"
    assert [state.in_flight for state in fleet.states()] == [1, 1, 1]


def test_a_server_that_fails_is_left_alone_and_a_slow_or_full_one_is_not():
    fleet = Fleet(options("a:1", "b:1", breaker_failures=2, breaker_pause=60.0))
    a, b = fleet.servers
    for outcome in (Timeout("late"), Timeout("late"), Overloaded("full"), Overloaded("full")):
        fleet.begin_at(a)
        fleet.end(a, outcome)
    assert fleet.states()[0].circuit == "closed"
    for server in (a, a, b, b):
        fleet.begin_at(server)
        fleet.end(server, FAILED)
        if server is a:
            assert fleet.begin_other(()) in (a, b)
            fleet.servers[0].in_flight = fleet.servers[1].in_flight = 0
    assert [state.circuit for state in fleet.states()] == ["open", "open"]
    with pytest.raises(Unavailable, match=r"a:1, b:1: left alone for another [56]\d\.\d s.*gone"):
        fleet.begin()


@pytest.mark.parametrize(
    ("outcome", "counts"),
    [
        (Unavailable("gone"), True),
        (CertificateError("expired"), True),
        (WrongProtocol("speaks HTTP"), True),
        (Overloaded("full"), False),
        (Timeout("late"), False),
        (InvalidRequest("k: got 0", "k"), False),
        (AccessDenied("another key"), False),
        (IncompatibleServer("no release"), False),
        (ServerError("out of order"), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_only_what_says_that_a_server_cannot_be_used_counts(outcome, counts):
    fleet = Fleet(options("a:1", breaker_failures=1))
    server = fleet.begin()
    fleet.end(server, outcome)
    assert (fleet.states()[0].circuit == "open") == counts


def test_a_server_that_is_left_alone_is_reported_with_the_last_failure():
    fleet = Fleet(options("a:1", breaker_failures=2, breaker_pause=60.0))
    server = fleet.begin()
    fleet.end(server, Unavailable("socket closed"))
    fleet.explained(server, CertificateError("a:1: expired"))
    # The next attempt sees no more than a broken connection again.
    fleet.end(fleet.begin(), Unavailable("socket closed"))
    with pytest.raises(
        CertificateError, match=r"a:1: left alone for another .* the last: a:1: expired"
    ) as one:
        fleet.begin()
    assert (type(one.value.__cause__), str(one.value.__cause__)) == (CertificateError, "a:1: expired")
    assert one.value.__cause__.__traceback__ is None


def test_the_call_that_opens_the_circuit_fails_with_its_own_error(open_client, free_port, flavour):
    client = open_client(f"127.0.0.1:{free_port}", breaker_failures=2, breaker_pause=60.0, timeout=20.0)
    with pytest.raises(Unavailable, match=str(free_port)) as first:
        client.search("drill")
    assert "left alone" not in str(first.value)
    with pytest.raises(Unavailable, match="left alone") as second:
        client.search("drill")
    assert not second.value.may_have_run
    assert str(second.value.__cause__) in str(second.value)


def test_elsewhere_at_once_then_after_a_pause_and_never_beyond_the_deadline():
    fleet = Fleet(options("a:1", "b:1"))
    operation = search(("x",), None, 5, None, {})
    attempts = Attempts(fleet, options("a:1", "b:1", retries=2, backoff=0.01), operation, 10.0)
    first = attempts.begin()
    assert attempts.after(FAILED) == 0.0
    assert attempts.begin() is not first
    assert 0.0 <= attempts.after(FAILED) <= 0.02
    attempts.begin()
    with pytest.raises(Unavailable):
        attempts.after(FAILED)
    hurried = Attempts(Fleet(options("a:1")), options("a:1", backoff=1e9), operation, 1.0)
    hurried.begin()
    with pytest.raises(Unavailable):
        hurried.after(FAILED)


def test_a_change_of_the_catalogue_is_repeated_only_when_it_did_not_run():
    for error, repeated in ((FAILED, False), (Unavailable("refused", may_have_run=False), True)):
        attempts = Attempts(Fleet(options("a:1", "b:1")), options("a:1", "b:1"), delete("x")[0], 5.0)
        attempts.begin()
        if repeated:
            assert attempts.after(error) == 0.0
        else:
            with pytest.raises(Unavailable):
                attempts.after(error)


def test_calls_are_spread_over_the_servers(stand_in, open_client):
    first, second = stand_in(), stand_in()
    client = open_client([first.url, second.url])
    for _ in range(6):
        assert client.search("drill").ids == ["p1"]
    assert (len(first.calls), len(second.calls)) == (3, 3)


def test_a_server_that_is_gone_costs_no_call_and_is_used_again_when_it_is_back(
    stand_in, open_client, flavour
):
    first, second = stand_in(), stand_in()
    client = open_client([first.url, second.url], breaker_failures=2, breaker_pause=0.05, timeout=20.0)
    client.search("drill")
    client.search("drill")
    first.stop()
    for _ in range(8):
        assert client.search("drill").ids == ["p1"]
        assert client.feedback({"user": "ada", "item": "p1"}) == 1
    assert client.ready()
    assert client.servers[0].circuit != "closed"
    assert client.servers[1].circuit == "closed"
    back = stand_in(port=first.port)
    end = time.monotonic() + 15
    while not back.calls and time.monotonic() < end:
        client.search("drill")
        time.sleep(0.02)
    assert back.calls
    assert client.servers[0].circuit == "closed"
    assert [state.in_flight for state in client.servers] == [0, 0]


def test_a_full_server_is_asked_elsewhere_and_says_so_when_all_are_full(stand_in, open_client):
    first, second = stand_in(), stand_in()
    client = open_client([first.url, second.url], backoff=0.001, timeout=20.0)
    first.refuse = ("UNAVAILABLE", "Exceeds maximum queue size")
    for _ in range(4):
        assert client.search("drill").ids == ["p1"]
    second.refuse = first.refuse
    with pytest.raises(Overloaded, match="queue"):
        client.search("drill")


def test_other_errors_are_not_repeated(stand_in, open_client):
    first, second = stand_in(), stand_in()
    first.refuse = second.refuse = ("INVALID_ARGUMENT", "k: got 0; an integer from 1 to 200 is expected")
    client = open_client([first.url, second.url])
    with pytest.raises(InvalidRequest):
        client.search("drill", k=0)
    assert len(first.calls) + len(second.calls) == 1


def test_a_slow_server_is_hedged_by_another_and_its_call_cancelled(stand_in, open_client):
    first, second = stand_in(), stand_in()
    first.delay = 30.0
    client = open_client([first.url, second.url], hedge_after=0.02, timeout=20.0)
    start = time.monotonic()
    for _ in range(3):
        assert client.search("drill").ids == ["p1"]
    assert time.monotonic() - start < 10.0
    assert "search" in first.calls
    assert [state.in_flight for state in client.servers] == [0, 0]
    first.delay = 0.0
    first.released.set()
    end = time.monotonic() + 10
    while not first.cancelled and time.monotonic() < end:
        time.sleep(0.01)
    assert first.cancelled


def test_a_hedged_call_survives_the_failure_of_either_server(stand_in, open_client):
    first, second = stand_in(), stand_in()
    first.delay, first.refuse = 0.05, ("INTERNAL", "out of order")
    second.delay = 0.2
    client = open_client([first.url, second.url], hedge_after=0.01, timeout=20.0)
    for _ in range(2):
        assert client.search("drill").ids == ["p1"]


def test_feedback_is_never_hedged(stand_in, open_client):
    first, second = stand_in(), stand_in()
    first.delay = second.delay = 0.1
    client = open_client([first.url, second.url], hedge_after=0.01, timeout=20.0)
    assert client.feedback({"user": "ada", "item": "p1"}) == 1
    assert len(first.calls) + len(second.calls) == 1


def test_a_hedged_call_keeps_its_deadline(stand_in, open_client):
    first, second = stand_in(), stand_in()
    first.delay = second.delay = 30.0
    client = open_client([first.url, second.url], hedge_after=0.01)
    start = time.monotonic()
    with pytest.raises(Timeout):
        client.search("drill", timeout=0.1)
    assert time.monotonic() - start < 5.0
