"""Streaming feedback: what is stored, what waits, what comes back."""

import logging
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from endcap_client import BufferFull, Client, ClientClosed, Event, FeedbackLost, InvalidRequest
from stand_ins import GrpcStandIn


@pytest.fixture
def shop_server():
    with GrpcStandIn() as server:
        yield server


@pytest.fixture
def shop(shop_server):
    with Client(shop_server.url, timeout=10.0, retries=0) as client:
        yield client


def event(number=0):
    return {"user": "ada", "item": f"p{number}"}


def stored(server):
    """How many events the server was sent without refusing."""
    return sum(contents[1].count(b"p") for contents in server.inputs)


def test_every_event_is_sent_by_the_end_of_the_block(shop, shop_server):
    with shop.feedback_stream() as feedback:
        for number in range(600):
            feedback.add(event(number))
    assert stored(shop_server) == 600
    assert len(shop_server.inputs) < 600
    assert len(feedback) == 0


def test_flush_waits_for_what_was_added(shop, shop_server):
    feedback = shop.feedback_stream()
    feedback.add(event())
    feedback.flush()
    assert stored(shop_server) == 1
    feedback.close()
    feedback.close()
    with pytest.raises(ClientClosed):
        feedback.add(event())


def test_an_event_that_cannot_be_sent_is_refused_at_once(shop):
    with shop.feedback_stream() as feedback:
        with pytest.raises(TypeError, match="user"):
            feedback.add({"user": 7, "item": "p1"})
        with pytest.raises(TypeError, match="item"):
            feedback.add({"user": "ada"})
        assert len(feedback) == 0


def test_a_full_buffer_makes_add_wait_and_then_raise(shop, shop_server):
    shop_server.delay = 30.0
    feedback = shop.feedback_stream(max_buffer=3)
    for number in range(3):
        feedback.add(event(number))
    with pytest.raises(BufferFull, match="3 events wait"):
        feedback.add(event(3), timeout=0.05)
    shop_server.delay = 0.0
    shop_server.released.set()
    feedback.add(event(4), timeout=10.0)
    feedback.close()
    assert stored(shop_server) >= 4


def test_events_wait_for_a_server_that_is_away(shop, shop_server):
    shop_server.refuse = ("UNAVAILABLE", "going down")
    feedback = shop.feedback_stream()
    feedback.add(event())
    time.sleep(0.1)
    assert len(feedback) == 1
    shop_server.refuse = None
    feedback.flush(10.0)
    feedback.close()


def test_what_could_not_be_stored_comes_back(shop, shop_server):
    shop_server.refuse = ("UNAVAILABLE", "going down")
    feedback = shop.feedback_stream()
    sent = [Event("ada", f"p{number}") for number in range(5)]
    for each in sent:
        feedback.add(each)
    with pytest.raises(FeedbackLost, match=r"5 events.*going down") as caught:
        feedback.close(timeout=0.1)
    assert list(caught.value.events) == sent


def test_one_bad_event_does_not_take_the_others_with_it(shop, shop_server, caplog):
    def judge(contents):
        if b"p13" in contents[1]:
            return "INVALID_ARGUMENT", "item (row 13): got 'p13'; a known item is expected"
        return None

    shop_server.judge = judge
    feedback = shop.feedback_stream()
    for number in range(40):
        feedback.add({"user": "ada", "item": f"p{number:02d}"})
    with caplog.at_level(logging.ERROR), pytest.raises(FeedbackLost) as caught:
        feedback.close()
    ((lost, error),) = caught.value.failures
    assert (lost.item, type(error)) == ("p13", InvalidRequest)


def test_an_error_of_the_block_is_seen_and_the_loss_noted(shop, shop_server):
    shop_server.refuse = ("INVALID_ARGUMENT", "item: got 'p0'; a known item is expected")
    feedback = shop.feedback_stream()
    feedback.add(event())
    ours = KeyError("ours")
    feedback.__exit__(KeyError, ours, None)
    assert "1 event was not stored" in ours.__notes__[0]


def test_closing_the_client_closes_its_streams_and_leaves_no_thread(shop_server):
    before = set(threading.enumerate())
    client = Client(shop_server.url)
    feedback = client.feedback_stream()
    feedback.add(event())
    assert {thread.name for thread in threading.enumerate()} >= {"endcap-feedback"}
    client.close()
    assert stored(shop_server) == 1
    assert not [t for t in set(threading.enumerate()) - before if t.name.startswith("endcap")]
    with pytest.raises(ClientClosed):
        client.feedback_stream()


@pytest.mark.parametrize("size", [0, -1])
def test_a_buffer_without_room_is_refused(shop, size):
    with pytest.raises(InvalidRequest, match="max_buffer"):
        shop.feedback_stream(max_buffer=size)


def test_a_program_that_ends_without_closing_still_sends(shop_server):
    program = (
        "from endcap_client import Client\n"
        f"feedback = Client({shop_server.url!r}).feedback_stream()\n"
        "[feedback.add({'user': 'ada', 'item': f'p{n}'}) for n in range(20)]\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, cwd=Path(__file__).parent
    )
    assert done.returncode == 0, done.stderr
    assert stored(shop_server) == 20


def test_the_stream_of_an_async_client_behaves_the_same(shop_server):
    import asyncio

    from endcap_client import AsyncClient

    async def run():
        async with AsyncClient(shop_server.url, timeout=10.0, retries=0) as client:
            async with client.feedback_stream() as feedback:
                for number in range(300):
                    await feedback.add(event(number))
            assert stored(shop_server) == 300
            shop_server.delay = 30.0
            full = client.feedback_stream(max_buffer=1)
            await full.add(event())
            with pytest.raises(BufferFull):
                await full.add(event(), timeout=0.05)
            shop_server.delay = 0.0
            shop_server.released.set()
            await full.flush()
            shop_server.refuse = ("UNAVAILABLE", "going down")
            await full.add(event(7))
            with pytest.raises(FeedbackLost, match="going down") as caught:
                await full.close(timeout=0.1)
            assert [each.item for each in caught.value.events] == ["p7"]

    asyncio.run(run())
