"""What only a store behind a socket can do: go away and come back."""

import logging
import time

import pytest
from endcap_rerank.errors import InvalidInputError, StoreError
from endcap_rerank.events import Event, RedisEventStore
from redis_server import RedisServer


@pytest.fixture
def server(tmp_path):
    server = RedisServer(tmp_path)
    yield server
    server.kill()


def click(item="i", user="u", event_id=""):
    return Event.validated(user, item, "click", 100.0, event_id=event_id)


def test_acknowledged_events_outlive_a_crash_of_the_server(server):
    store = RedisEventStore(server.url)
    for number in range(50):
        assert store.append([click(event_id=f"e{number}")]) == 1
    server.kill()
    server.start()
    assert len(RedisEventStore(server.url).of_user("u", 100)) == 50


def test_a_server_that_is_down_is_an_error_at_once_and_forgiven_later(server):
    store = RedisEventStore(server.url)
    store.append([click("before")])
    server.kill()
    with pytest.raises(StoreError, match=r"127\.0\.0\.1"):
        store.of_user("u", 10)
    with pytest.raises(StoreError):
        store.append([click("lost")])
    with pytest.raises(StoreError):
        store.forget("u")
    server.start()
    deadline = time.monotonic() + 10
    while True:
        try:
            found = store.of_user("u", 10)
            break
        except StoreError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert [event.item for event in found] == ["before"]
    assert store.append([click("after")]) == 1


def test_a_store_can_be_opened_while_the_server_is_down(server):
    server.kill()
    store = RedisEventStore(server.url)
    with pytest.raises(StoreError):
        store.of_user("u", 1)
    server.start()
    assert store.append([click()]) == 1
    assert len(store.of_user("u", 1)) == 1


def test_a_full_server_stores_nothing(server):
    store = RedisEventStore(server.url)
    store.append([click("before")])
    store._client.config_set("maxmemory", "1")
    with pytest.raises(StoreError, match="memory"):
        store.append([click("a"), click("b")])
    assert [event.item for event in store.of_user("u", 9)] == ["before"]
    store._client.config_set("maxmemory", "0")
    assert store.append([click("c")]) == 1


def test_forgotten_also_in_the_files_of_the_server(server):
    store = RedisEventStore(server.url)
    planted = "planted-shopper-4711"
    store.append([click(f"i{number}", planted) for number in range(300)] + [click("kept", "other")])
    store._client.save()
    assert _holding(server.folder, planted)
    assert store.forget(planted) == 300
    assert _holding(server.folder, planted) == []
    server.kill()
    server.start()
    again = RedisEventStore(server.url)
    assert again.of_user(planted, 10) == []
    assert [event.item for event in again.of_user("other", 10)] == ["kept"]


def test_an_unsafe_server_is_told_of_once(server, caplog):
    RedisEventStore(server.url)._client.config_set("appendonly", "no")
    RedisEventStore(server.url)._client.config_set("maxmemory-policy", "allkeys-lru")
    store = RedisEventStore(server.url)
    with caplog.at_level(logging.WARNING):
        store.append([click()])
        store.append([click()])
    assert [("appendonly" in text, "maxmemory-policy" in text) for text in caplog.messages] == [
        (True, False),
        (False, True),
    ]


@pytest.mark.parametrize(
    "url", ["redis://", "redis://:secret-word@/0", "redis://:secret-word@host:99999999/0", "redis://h/x"]
)
def test_a_wrong_url_is_told_without_its_password(url):
    with pytest.raises(InvalidInputError, match="ENDCAP_EVENTS") as caught:
        RedisEventStore(url)
    assert "secret-word" not in str(caught.value)


def test_a_refused_password_is_not_told():
    store = RedisEventStore("redis://user:secret-word@127.0.0.1:1/0")
    with pytest.raises(StoreError) as caught:
        store.append([click()])
    assert "secret-word" not in str(caught.value)


def _holding(folder, text):
    return [file for file in folder.rglob("*") if file.is_file() and text.encode() in file.read_bytes()]


def test_a_server_that_hangs_holds_nobody_up_for_long(server):
    store = RedisEventStore(server.url, timeout=1.0)
    store.append([click("before", event_id="e1")])
    assert len(store.of_user("u", 10)) == 1
    server.hang()
    began = time.monotonic()
    for _ in range(20):
        with pytest.raises(StoreError):
            store.of_user("u", 10)
    waited = time.monotonic() - began
    with pytest.raises(StoreError):
        store.append([click("perhaps", event_id="e2")])
    server.resume()
    assert waited < 20 * 0.25, "every read waited for its own time-out"
    # What was sent may have arrived after all: the same report again counts once.
    store.append([click("perhaps", event_id="e2")])
    time.sleep(1.0)
    assert sorted(event.item for event in store.of_user("u", 10)) == ["before", "perhaps"]


def test_a_connection_that_the_server_closed_is_replaced(server):
    store = RedisEventStore(server.url)
    store.append([click("before")])
    assert len(store.of_user("u", 10)) == 1
    store._client.client_kill_filter(_type="normal", skipme=True)
    assert len(store.of_user("u", 10)) == 1
    store._reader.client_kill_filter(_type="normal", skipme=True)
    assert store.append([click("after")]) == 1


def test_a_user_of_the_server_who_may_not_ask_it_stores_all_the_same(server):
    admin = RedisEventStore(server.url)._client
    admin.execute_command(
        "ACL", "SETUSER", "shop", "on", ">word", "~endcap:*", "+@read", "+@write", "+@scripting", "-info"
    )
    store = RedisEventStore(server.url.replace("redis://", "redis://shop:word@"))
    assert store.append([click("a")]) == 1
    assert len(store.of_user("u", 10)) == 1
    with pytest.raises(StoreError, match="though they are deleted"):
        store.forget("u")
    assert store.of_user("u", 10) == []
