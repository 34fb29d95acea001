import multiprocessing
import sqlite3
import time
from pathlib import Path

import pytest
from endcap_rerank.errors import InvalidInputError, StoreError
from endcap_rerank.events_store import MAX_CLOCK_SKEW, Event, SqliteEventStore


@pytest.fixture
def store(tmp_path):
    store = SqliteEventStore(tmp_path / "state" / "events.db")
    yield store
    store.close()


def click(item="i", at=100.0, user="u", event_id=""):
    return Event.validated(user, item, "click", at, event_id=event_id)


def test_latest_first_by_time_not_by_arrival(store):
    store.append([click("b", 200), click("c", 300)])
    store.append([click("late", 100), click("middle", 250)])
    assert [event.item for event in store.of_user("u", 10)] == ["c", "middle", "b", "late"]
    assert [event.item for event in store.of_user("u", 2)] == ["c", "middle"]
    assert store.of_user("someone else", 10) == []


def test_an_event_comes_back_as_it_was(store):
    event = Event.validated("u", "i", "cart", 12.5, query="红色 drill", position=3, event_id="e1")
    store.append([event])
    assert store.of_user("u", 1) == [event]


def test_a_repeated_report_counts_once(store):
    assert store.append([click(event_id="e1"), click("j", event_id="e2")]) == 2
    assert store.append([click(event_id="e1"), click("k", event_id="e3")]) == 1
    assert store.append([click(event_id="e4"), click(event_id="e4")]) == 1
    assert len(store.of_user("u", 10)) == 4


def test_events_without_id_are_all_kept(store):
    assert store.append([click(), click()]) == 2


@pytest.mark.parametrize("unusable", [None, object()])
def test_all_or_nothing(store, unusable):
    with pytest.raises(StoreError):
        store.append([click("good"), click()._replace(item=unusable)])
    assert store.of_user("u", 10) == []
    assert store.append([click("later")]) == 1


def test_forget(store):
    store.append([click("a"), click("b"), click("c", user="v")])
    assert store.forget("u") == 2
    assert store.of_user("u", 10) == []
    assert len(store.of_user("v", 10)) == 1
    assert store.forget("u") == 0


def test_import_is_repeatable(store):
    history = [Event.validated(f"u{n % 7}", f"i{n}", "purchase", float(n)) for n in range(2500)]
    assert store.import_events(iter(history), chunk=1000) == 2500
    assert store.import_events(history, chunk=1000) == 0
    assert len(store.of_user("u3", 1000)) == len([n for n in range(2500) if n % 7 == 3])
    assert store.item_totals()["i5"] == 4.0


def _write(path: str, name: str, count: int) -> None:
    store = SqliteEventStore(Path(path))
    for number in range(count):
        store.append([click(f"{name}-{number}", at=float(number), user="shared")])


def test_processes_write_at_once_and_see_each_other(store):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(str(store.path), name, 40)) for name in "abc"]
    for writer in writers:
        writer.start()
    for number in range(40):
        store.append([click(f"own-{number}", user="shared")])
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    assert len(store.of_user("shared", 1000)) == 160


def test_a_commit_of_another_connection_is_read_by_the_next_call(store):
    other = SqliteEventStore(store.path)
    for number in range(20):
        other.append([click(f"i{number}", at=float(number))])
        assert store.of_user("u", 1)[0].item == f"i{number}"


def test_a_locked_store_acknowledges_nothing(store):
    impatient = SqliteEventStore(store.path, timeout=0.05)
    holder = sqlite3.connect(store.path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match=r"events\.db"):
        impatient.append([click("lost")])
    holder.execute("ROLLBACK")
    assert store.of_user("u", 10) == []
    assert impatient.append([click("kept")]) == 1


def test_a_full_disk_acknowledges_nothing(store):
    store.append([click("before")])
    pages = store._connection().execute("PRAGMA page_count").fetchone()[0]
    store._connection().execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StoreError, match="full"):
        store.append([click(f"i{number}" * 20) for number in range(5000)])
    assert [event.item for event in store.of_user("u", 10)] == ["before"]


def test_a_path_that_cannot_be_a_store(tmp_path):
    (tmp_path / "events.db").write_text("this is no database, " * 100)
    with pytest.raises(StoreError):
        SqliteEventStore(tmp_path / "events.db")


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"user": ""}, "user"),
        ({"user": "  "}, "user"),
        ({"item": ""}, "item"),
        ({"item": "x" * 300}, "item"),
        ({"event": "klick"}, "event"),
        ({"event": ""}, "event"),
        ({"timestamp": float("nan")}, "timestamp"),
        ({"timestamp": float("inf")}, "timestamp"),
        ({"timestamp": -1.0}, "timestamp"),
        ({"timestamp": time.time() + MAX_CLOCK_SKEW * 2}, "timestamp"),
        ({"timestamp": time.time() * 1000}, "timestamp"),
        ({"position": -1}, "position"),
        ({"position": 1.5}, "position"),
        ({"query": "x" * 600}, "query"),
        ({"event_id": "x" * 300}, "event_id"),
    ],
)
def test_an_invalid_event_names_its_field(arguments, field):
    valid = {"user": "u", "item": "i", "event": "click", "timestamp": 1.0}
    with pytest.raises(InvalidInputError) as caught:
        Event.validated(**{**valid, **arguments})
    assert caught.value.field == field


def test_no_timestamp_takes_the_clock():
    before = time.time()
    assert before <= Event.validated("u", "i", "view").timestamp <= time.time()
