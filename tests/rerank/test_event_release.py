"""The release of an event is kept, and what was stored before events had one is read on."""

import json
import sqlite3

import pytest
from endcap_rerank.errors import InvalidInputError
from endcap_rerank.events import Event, RedisEventStore, SqliteEventStore
from redis_server import RedisServer

OLD = """
CREATE TABLE events (event_id TEXT PRIMARY KEY, user TEXT NOT NULL, item TEXT NOT NULL, event TEXT NOT NULL,
    timestamp REAL NOT NULL, query TEXT NOT NULL DEFAULT '', position INTEGER) WITHOUT ROWID;
INSERT INTO events VALUES ('one', 'ada', 'p1', 'click', 100.0, 'sofa', 3);
"""


def clicked(item, release):
    return Event.validated("ada", item, "click", 200.0, query="sofa", position=0, release=release)


def test_a_release_comes_back_and_none_is_empty(tmp_path):
    store = SqliteEventStore(tmp_path / "events.db")
    store.append([clicked("p1", "20261124-101500-ab12cd"), clicked("p2", None)])
    assert {event.item: event.release for event in store.every()} == {
        "p1": "20261124-101500-ab12cd",
        "p2": "",
    }
    store.close()


def test_a_file_of_an_older_version_is_read_and_written_on(tmp_path):
    connection = sqlite3.connect(tmp_path / "events.db")
    connection.executescript(OLD)
    connection.close()
    stores = [SqliteEventStore(tmp_path / "events.db") for _ in range(2)]
    stores[1].append([clicked("p2", "r2")])
    assert [(event.item, event.release) for event in stores[0].every()] == [("p1", ""), ("p2", "r2")]
    assert [event.item for event in stores[0].of_user("ada", 5)] == ["p2", "p1"]
    for store in stores:
        store.close()


def test_redis_reads_what_an_older_version_wrote(tmp_path):
    server = RedisServer(tmp_path)
    try:
        store = RedisEventStore(server.url)
        store.append([clicked("p2", "r2")])
        old = ["ada", "p1", "click", 100.0, "sofa", 3, "one"]
        store._client.hset("endcap:events", "one", json.dumps(old))
        store._client.zadd("endcap:times", {"one": 100.0})
        store._client.zadd("endcap:user:ada", {"one": 100.0})
        assert [(event.item, event.release) for event in store.every()] == [("p1", ""), ("p2", "r2")]
        assert [event.item for event in store.of_user("ada", 5)] == ["p2", "p1"]
        store.close()
    finally:
        server.kill()


def test_a_release_that_is_no_id_is_refused():
    with pytest.raises(InvalidInputError, match="release"):
        clicked("p1", "x" * 300)
