"""Nothing is left behind: threads, files, calls in flight; and a deadline holds."""

import gc
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from endcap_client import ClientClosed, Timeout


def open_files():
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def our_threads():
    """Threads of this process but for those of the stand-ins."""
    theirs = ("ThreadPoolExecutor", "process_request_thread", "serve_forever", "_serve")
    return len(
        [thread for thread in threading.enumerate() if not any(name in thread.name for name in theirs)]
    )


def settled(measure, expected, seconds=10.0):
    """The measure once it is at most what is expected, or at the end of the time."""
    end = time.monotonic() + seconds
    while measure() > expected and time.monotonic() < end:
        time.sleep(0.05)
    return measure()


@pytest.mark.parametrize("hedge_after", [None, 0.005])
def test_a_closed_client_leaves_no_thread_and_no_file(stand_in, new_client, hedge_after):
    slow, quick = stand_in(), stand_in()
    slow.delay = 0.03

    def use():
        with new_client([slow.url, quick.url], hedge_after=hedge_after, timeout=20.0) as client:
            for _ in range(4):
                client.search("drill")

    use()  # what gRPC and asyncio keep for the whole process
    threads, files = our_threads(), open_files()
    for _ in range(3):
        use()
    # The stand-ins' own connections and threads end a moment later.
    assert settled(our_threads, threads) <= threads
    assert settled(open_files, files) <= files


def test_the_number_of_connections_does_not_grow_with_the_calls(stand_in, open_client):
    server = stand_in()
    client = open_client(server.url)
    for _ in range(5):
        client.search("drill")
    before = open_files()
    for _ in range(100):
        client.search("drill")
    assert open_files() <= before


def test_a_deadline_holds_for_all_attempts_together(stand_in, open_client):
    first, second = stand_in(), stand_in()
    first.refuse = ("UNAVAILABLE", "going down")
    second.delay = 30.0
    client = open_client([first.url, second.url], timeout=60.0)
    for _ in range(2):
        start = time.monotonic()
        with pytest.raises(Timeout):
            client.search("drill", timeout=0.1)
        assert time.monotonic() - start < 5.0  # neither 30 s nor 60 s


def test_threads_that_share_a_client_do_not_disturb_each_other(stand_in, flavour):
    from endcap_client import Client

    protocol, _, kind = flavour.partition("-")
    if kind:
        pytest.skip("an async client belongs to one loop")
    first, second = stand_in(), stand_in()
    with Client([first.url, second.url], protocol, timeout=20.0) as client:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: client.search("drill").ids, range(80)))
        assert found == [["p1"]] * 80
        assert [state.in_flight for state in client.servers] == [0, 0]
        assert min(len(first.calls), len(second.calls)) > 10
    with pytest.raises(ClientClosed):
        client.ready()
