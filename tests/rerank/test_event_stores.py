"""What every store of events does, whichever database is behind it."""

import multiprocessing
import time

import pytest
from endcap_rerank.errors import StoreError
from endcap_rerank.events import Event, Limits, RedisEventStore, SqliteEventStore
from endcap_rerank.events.hashed import HashedUsers
from endcap_rerank.privacy import UserKey
from redis_server import RedisServer

DAY = 86_400.0


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory):
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture(params=["sqlite", "redis"])
def opened(request, tmp_path):
    """Opens the same store again, as another process would; keywords are those of the store."""
    stores = []
    if request.param == "redis":
        server = request.getfixturevalue("redis_server")
        RedisEventStore(server.url)._client.flushall()

    def open_store(**keywords):
        if request.param == "sqlite":
            store = SqliteEventStore(tmp_path / "events.db", **keywords)
        else:
            store = RedisEventStore(server.url, **keywords)
        stores.append(store)
        return store

    yield open_store
    for store in stores:
        store.close()


@pytest.fixture
def store(opened):
    return opened()


def click(item="i", at=100.0, user="u", event_id=""):
    return Event.validated(user, item, "click", at, event_id=event_id)


def items(store, user="u", limit=100):
    return [event.item for event in store.of_user(user, limit)]


def test_latest_first_by_time_not_by_arrival(store):
    store.append([click("b", 200), click("c", 300)])
    store.append([click("late", 100.25), click("middle", 250)])
    assert items(store) == ["c", "middle", "b", "late"]
    assert items(store, limit=2) == ["c", "middle"]
    assert items(store, "someone else") == []
    assert items(store, limit=0) == []


def test_equal_times_have_one_order(store):
    store.append([click(f"i{at}", event_id=f"e{at}") for at in (3, 1, 2)])
    store.append([click("ten", event_id="e10")])
    assert items(store) == ["i3", "i2", "ten", "i1"]


def test_taste_is_made_of_the_same_events(opened):
    limited, everything = opened(limits=Limits(events=3)), opened()
    hashed = HashedUsers(everything, UserKey(b"k" * 32))
    for store, name in ((everything, "e"), (hashed, "h")):
        store.append([click(f"i{at}", 100 + at % 3, event_id=f"{name}{at}") for at in range(5)])
    for store in (limited, everything, hashed):
        for limit in (0, 2, 9):
            expected = [(one.item, one.event, one.timestamp) for one in store.of_user("u", limit)]
            assert store.interactions("u", limit) == expected
    assert len(everything.interactions("u", 9)) == len(hashed.interactions("u", 9)) == 5


def test_an_event_comes_back_as_it_was(store):
    event = Event.validated(
        "用户 1", 'i"\\\n', "cart", 1_700_000_000.123456, query="红色 drill", position=3, event_id="e1"
    )
    plain = Event.validated("用户 1", "j", "view", 0.1 + 0.2, event_id="e2")
    store.append([event, plain])
    assert store.of_user("用户 1", 9) == [event, plain]


def test_many_events_of_one_shopper(store):
    store.append([click(f"i{at}", float(at)) for at in range(2500)])
    assert items(store, limit=100_000) == [f"i{at}" for at in reversed(range(2500))]


def test_a_repeated_report_counts_once(store):
    assert store.append([click(event_id="e1"), click("j", event_id="e2")]) == 2
    assert store.append([click(event_id="e1"), click("k", event_id="e3")]) == 1
    assert store.append([click(event_id="e4"), click(event_id="e4")]) == 1
    assert store.append([click("other", user="v", event_id="e1")]) == 0
    assert len(store.of_user("u", 10)) == 4
    assert store.of_user("v", 10) == []


def test_events_without_id_are_all_kept(store):
    assert store.append([click(), click()]) == 2
    assert store.append([]) == 0


@pytest.mark.parametrize("unusable", [None, object()])
def test_all_or_nothing(store, unusable):
    with pytest.raises(StoreError):
        store.append([click("good"), click()._replace(item=unusable)])
    assert store.of_user("u", 10) == []
    assert list(store.every()) == []
    assert store.append([click("later")]) == 1


def test_forget(store):
    store.append([click("a"), click("b"), click("c", user="v"), click("d", user="u2")])
    assert store.forget("u") == 2
    assert items(store) == []
    assert items(store, "v") == ["c"]
    assert {event.user for event in store.every()} == {"v", "u2"}
    assert store.forget("u") == 0
    assert store.append([click("new")]) == 1
    assert items(store) == ["new"]


def test_import_is_repeatable(store):
    history = [Event.validated(f"u{n % 7}", f"i{n}", "purchase", float(n)) for n in range(2500)]
    assert store.import_events(iter(history), chunk=1000) == 2500
    assert store.import_events(history, chunk=1000) == 0
    assert len(store.of_user("u3", 1000)) == len([n for n in range(2500) if n % 7 == 3])
    assert store.item_totals()["i5"] == 4.0


def test_every_event_oldest_first(store):
    times = [float(n // 1300) for n in range(3000)] + [float(n) for n in range(10, 2000)]
    store.append([click(f"i{n}", at, event_id=f"e{n:05}") for n, at in enumerate(times)])
    found = list(store.every())
    assert [event.timestamp for event in found] == sorted(times)
    assert len({event.event_id for event in found}) == len(times)


def test_what_one_wrote_the_other_reads_at_once(opened):
    one, other = opened(), opened()
    for number in range(20):
        other.append([click(f"i{number}", at=float(number))])
        assert one.of_user("u", 1)[0].item == f"i{number}"
    other.forget("u")
    assert one.of_user("u", 1) == []


def test_the_version_changes_with_every_change_and_only_then(opened):
    one, other = opened(), opened()
    seen = [one.version()]
    for change in (
        lambda: other.append([click(event_id="e")]),
        lambda: one.append([click(event_id="f")]),
        lambda: other.forget("u"),
    ):
        assert one.version() == seen[-1]
        one.of_user("u", 5)
        assert one.version() == seen[-1]
        change()
        seen.append(one.version())
        assert seen[-1] not in seen[:-1]


def test_no_more_than_the_limit_is_kept_of_a_shopper(opened):
    store = opened(limits=Limits(events=3))
    for at in range(10):
        store.append([click(f"i{at}", at=float(at)), click(f"j{at}", at=float(at), user="v")])
        assert len(list(store.every())) <= 6
    store.append([click("late", at=0.5)])
    assert items(store) == ["i9", "i8", "i7"]
    assert items(store, "v") == ["j9", "j8", "j7"]
    assert {event.item for event in opened().every()} == {"i9", "i8", "i7", "j9", "j8", "j7"}


def test_no_older_than_the_limit(opened):
    now = time.time()
    unlimited, store = opened(), opened(limits=Limits(days=2))
    unlimited.append(
        [click("old", now - 3 * DAY, event_id="old"), click("recent", now - DAY), click("w", 5.0, user="w")]
    )
    assert items(store) == ["recent"]
    assert [event.item for event in store.every()] == ["recent"]
    # It may still lie there, but goes as soon as anything is added.
    assert store.append([click("now", now), click("too old", now - 5 * DAY)]) == 1
    assert items(unlimited) == ["now", "recent"]
    assert items(unlimited, "w") == []


def test_prune_applies_limits_to_what_is_there(opened):
    now = time.time()
    opened().append([click(f"i{at}", now - at * DAY) for at in range(10)])
    opened().append([click(f"j{at}", now - at * DAY, user="v") for at in range(2)])
    opened().append([click(f"k{at}", 10.0 + at, user="w") for at in range(2500)])
    store = opened(limits=Limits(events=4, days=5.5))
    assert store.prune() == 6 + 2500
    assert store.prune() == 0
    assert [items(opened(), user) for user in "uvw"] == [["i0", "i1", "i2", "i3"], ["j0", "j1"], []]
    assert opened().prune() == 0


def _write(opening, name: str, count: int) -> None:
    kind, where = opening
    store = kind(where)
    for number in range(count):
        store.append([click(f"{name}-{number}", at=float(number), user="shared", event_id=f"{name}{number}")])
        store.append([click("same", user="shared", event_id=f"same{number}")])


def test_processes_write_at_once(opened):
    store = opened()
    opening = (type(store), store.path) if isinstance(store, SqliteEventStore) else (type(store), None)
    if opening[1] is None:
        settings = store._client.connection_pool.connection_kwargs
        opening = (type(store), f"redis://{settings['host']}:{settings['port']}/0")
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(opening, name, 30)) for name in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    assert len(store.of_user("shared", 1000)) == 120
