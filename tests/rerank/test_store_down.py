"""A shop whose store of events is down sells on; what shoppers do is acknowledged by nobody."""

import json
import logging
import math
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from endcap_rerank.catalog_changes import CHANGES_UNREADABLE
from endcap_rerank.catalog_store import CatalogStore
from endcap_rerank.errors import InvalidInputError, StoreError
from endcap_rerank.events import EVENTS_FILE, Event, Limits, SqliteEventStore
from endcap_rerank.events.clock import SteadyClock
from endcap_rerank.index import Index
from endcap_rerank.index.compaction import compact
from endcap_rerank.index.segments import SegmentFolder
from endcap_rerank.product import Product
from endcap_rerank.ranker import CATALOG_FILE, Ranker
from endcap_rerank.requests import RecommendRequest
from endcap_rerank.settings import Settings
from ranking_shop import open_ranker, search_request
from redis_server import RedisServer

NOTE = "The store of events cannot be read; the answer is not fitted to the shopper."


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return open_ranker(tmp_path_factory.mktemp("release")).release


def purchases(*items, user="u"):
    return [Event.validated(user, item, "purchase", 1000.0 + at) for at, item in enumerate(items)]


def info(ranked):
    return json.loads(ranked.query_info)


def answers(ranker, user="u"):
    return [
        ranker.search(search_request("kettle", user=user, k=10)),
        ranker.recommend(RecommendRequest.validated(user=user, k=10)),
        ranker.recommend(RecommendRequest.validated(user=user, item="p3", k=10)),
    ]


def check_down(ranker):
    for ranked, anonymous in zip(answers(ranker), answers(ranker, user=""), strict=True):
        assert NOTE in info(ranked)["notes"]
        assert info(ranked)["personalized"] is False
        assert ranked.item_ids == anonymous.item_ids
        assert len(ranked.item_ids) == 10
        assert NOTE not in info(anonymous)["notes"]


def test_redis_stopped_and_started_again(release, tmp_path, caplog):
    server = RedisServer(tmp_path)
    ranker = Ranker.open(release, Settings(state=tmp_path / "state", events=server.url))
    try:
        assert ranker.feedback(purchases("p1", "p7")) == 2
        assert all(info(ranked)["personalized"] for ranked in answers(ranker))
        server.kill()
        with caplog.at_level(logging.WARNING):
            check_down(ranker)
            check_down(ranker)
        assert len([text for text in caplog.messages if "no personalization" in text]) == 1
        with pytest.raises(StoreError):
            ranker.feedback(purchases("p9"))
        session = RecommendRequest.validated(user="u", k=5, options='{"recent": ["p3"]}')
        assert info(ranker.recommend(session))["personalized"] is True
        server.start()
        deadline = time.monotonic() + 10
        while NOTE in info(answers(ranker)[0])["notes"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert all(info(ranked)["personalized"] for ranked in answers(ranker))
        assert {event.item for event in ranker.events.of_user("u", 10)} == {"p1", "p7"}
    finally:
        server.kill()


def test_a_server_of_models_starts_while_redis_is_down(release, tmp_path):
    server = RedisServer(tmp_path)
    server.kill()
    check_down(Ranker.open(release, Settings(state=tmp_path / "state", events=server.url)))


def test_a_search_does_not_wait_for_an_unreachable_host(release, tmp_path):
    pytest.importorskip("redis", reason="the package redis is not installed")
    # TEST-NET-1: packets to it lead nowhere, or are refused by a router.
    ranker = Ranker.open(release, Settings(state=tmp_path, events="redis://192.0.2.1:6379/0"))
    answers(ranker)
    began = time.monotonic()
    for _ in range(5):
        assert NOTE in info(ranker.search(search_request("kettle", user="u", k=5)))["notes"]
    assert time.monotonic() - began < 5.0, "every search waited for the connection"


def test_a_damaged_file_and_a_restored_one(release, tmp_path):
    ranker = Ranker.open(release, Settings(state=tmp_path))
    ranker.feedback(purchases("p1", "p7"))
    assert info(answers(ranker)[0])["personalized"] is True
    ranker.events.close()
    file = tmp_path / EVENTS_FILE
    whole = file.read_bytes()
    file.write_bytes(b"this is no database, " * 500)
    check_down(ranker)
    with pytest.raises(StoreError):
        ranker.feedback(purchases("p9"))
    file.write_bytes(whole)
    assert info(answers(ranker)[0])["personalized"] is True
    assert {event.item for event in ranker.events.of_user("u", 10)} == {"p1", "p7"}


def test_a_file_that_is_gone_for_good(release, tmp_path):
    ranker = Ranker.open(release, Settings(state=tmp_path))
    ranker.events.close()
    for file in tmp_path.glob(EVENTS_FILE + "*"):
        file.unlink()
    (tmp_path / EVENTS_FILE).mkdir()
    check_down(ranker)
    with pytest.raises(StoreError):
        ranker.feedback(purchases("p9"))


FULL_DISK = """
import json, resource, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from ranking_shop import open_ranker, search_request
from endcap_rerank.catalog_changes import CHANGES_UNREADABLE
from endcap_rerank.catalog_store import CatalogStore
from endcap_rerank.errors import InvalidInputError, StoreError
from test_store_down import info, purchases

ranker = open_ranker(Path({release!r}), state={state!r})
ranker.feedback(purchases("p1"))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
used = max(file.stat().st_size for file in Path({state!r}).iterdir())
resource.setrlimit(resource.RLIMIT_FSIZE, (used + 40_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
acknowledged, refused = 1, 0
for number in range(60):
    try:
        acknowledged += ranker.feedback(purchases(*["p7"] * 20))
    except StoreError:
        refused += 1
ranked = ranker.search(search_request("kettle", user="u", k=5))
print(json.dumps([acknowledged, refused, len(ranked.item_ids), info(ranked)["personalized"]]))
"""


def test_a_full_disk_refuses_events_and_serving_goes_on(release, tmp_path):
    script = FULL_DISK.format(
        tests=str(Path(__file__).parent), release=str(release.path), state=str(tmp_path / "state")
    )
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {folders!r}\n{script}"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    acknowledged, refused, found, personalized = json.loads(done.stdout)
    assert refused > 0
    assert (found, personalized) == (5, True)
    ranker = Ranker.open(release, Settings(state=tmp_path / "state"))
    assert len(ranker.events.of_user("u", 10_000)) == acknowledged
    assert ranker.feedback(purchases("p9")) == 1


def test_a_locked_file_acknowledges_nothing_and_is_read_all_the_same(release, tmp_path):
    ranker = Ranker.open(release, Settings(state=tmp_path))
    ranker.feedback(purchases("p1", "p7"))
    ranker = Ranker(release, ranker.index, SqliteEventStore(tmp_path / EVENTS_FILE, timeout=0.05))
    holder = sqlite3.connect(tmp_path / EVENTS_FILE, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="locked"):
        ranker.feedback(purchases("p9"))
    assert info(answers(ranker)[0])["personalized"] is True
    holder.execute("ROLLBACK")
    assert ranker.feedback(purchases("p9")) == 1


def test_a_server_of_models_starts_while_the_file_cannot_be_opened(release, tmp_path):
    (tmp_path / EVENTS_FILE).mkdir()
    ranker = Ranker.open(release, Settings(state=tmp_path))
    check_down(ranker)
    with pytest.raises(StoreError):
        ranker.feedback(purchases("p9"))
    (tmp_path / EVENTS_FILE).rmdir()
    assert ranker.feedback(purchases("p1", "p7")) == 2
    assert info(answers(ranker)[0])["personalized"] is True


class Clocks:
    """A machine's clock that can be set, and the time that passes."""

    wall = 1_700_000_000.0
    passed = 50.0

    def steady(self):
        return SteadyClock(lambda: self.wall, lambda: self.passed)


def test_a_clock_set_years_ahead_deletes_nothing(tmp_path):
    clocks = Clocks()
    store = SqliteEventStore(tmp_path / EVENTS_FILE, limits=Limits(days=30, clock=clocks.steady()))
    then = clocks.wall - 86_400.0
    store.append([Event.validated("u", "p1", "click", then)])
    clocks.wall += 10 * 365 * 86_400.0
    store.append([Event.validated("u", "p2", "click", then + 1.0)])
    assert [event.item for event in store.of_user("u", 10)] == ["p2", "p1"]
    clocks.wall, clocks.passed = clocks.wall - 20 * 365 * 86_400.0, clocks.passed + 60.0
    assert len(store.of_user("u", 10)) == 2
    # Time that has really passed counts, the machine's sleep included.
    clocks.wall, clocks.passed = then + 32 * 86_400.0, clocks.passed + 32 * 86_400.0
    assert store.of_user("u", 10) == []


def test_events_of_the_future_are_refused_and_those_of_a_clock_set_back_are_ranked(release, tmp_path):
    now = 1_700_000_000.0
    with pytest.raises(InvalidInputError, match="timestamp: got"):
        Event.validated("u", "p1", "click", now + 2 * 86_400.0, now=now)
    ranker = Ranker.open(release, Settings(state=tmp_path))
    # Stored before the clock was set back: by now its time lies in the future.
    late = Event.validated("u", "p1", "purchase", now + 3600.0, now=now)
    ranker.feedback([late, Event.validated("u", "p7", "purchase", now - 9 * 86_400.0, now=now)])
    ranked = ranker.search(search_request("kettle", user="u", k=5))
    assert info(ranked)["personalized"] is True
    assert all(math.isfinite(score) for score in ranked.scores)


def test_damaged_changes_of_the_catalogue_leave_what_is_known(release, tmp_path):
    ranker = Ranker.open(release, Settings(state=tmp_path))
    vector = ranker.index.embeddings([0])[0]
    new = Product(id="new", title="a kettle that came later")
    ranker.upsert([(new, vector)])
    assert ranker.recommend(RecommendRequest.validated(item="new", k=1)).item_ids
    file = tmp_path / CATALOG_FILE
    other = sqlite3.connect(file)
    other.execute("ALTER TABLE changes RENAME TO hidden")
    other.commit()
    ranked = ranker.recommend(RecommendRequest.validated(item="new", k=1))
    assert ranked.item_ids
    assert CHANGES_UNREADABLE in info(ranked)["notes"]
    with pytest.raises(StoreError):
        ranker.upsert([(new, vector)])
    other.execute("ALTER TABLE hidden RENAME TO changes")
    other.commit()
    other.close()
    assert CHANGES_UNREADABLE not in info(ranker.search(search_request("kettle", k=3)))["notes"]


def kettles(ranker, k=5):
    ranked = ranker.search(search_request("kettle", k=k, diversity=0.0))
    return ranked.item_ids, CHANGES_UNREADABLE in info(ranked)["notes"]


def changes(ranker, *ids):
    """Kettles that are nearer to the query than any other."""
    vector = search_request("kettle").embedding
    ranker.upsert([(Product(id=item, title="kettle"), vector) for item in ids])


def mended(ranker):
    """Wait until the file is opened anew, which is tried once a second."""
    deadline = time.monotonic() + 10
    while kettles(ranker)[1]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("damage", ["all", "pages"])
def test_a_catalogue_damaged_at_the_start_serves_and_stays_as_it_is(release, tmp_path, damage, caplog):
    writer = Ranker.open(release, Settings(state=tmp_path))
    usual, _ = kettles(writer)
    changes(writer, *(f"new {number}" for number in range(40)))
    writer.index._store.close()
    file = tmp_path / CATALOG_FILE
    whole = file.read_bytes()
    half = b"no page" * 600 if damage == "all" else b"\0" * (len(whole) - 4096)
    broken = half if damage == "all" else whole[:4096] + half
    file.write_bytes(broken)
    with caplog.at_level(logging.WARNING):
        ranker = Ranker.open(release, Settings(state=tmp_path))
        assert [kettles(ranker), kettles(ranker)] == [(usual, True)] * 2
    assert len([text for text in caplog.messages if "stays as it is until" in text]) == 1
    for refused in (lambda: changes(ranker, "later"), lambda: ranker.delete(["p1"])):
        with pytest.raises(StoreError, match=r"catalog\.db.*is damaged.*backup"):
            refused()
    assert file.read_bytes() == broken
    assert ranker.feedback(purchases("p1")) == 1
    file.write_bytes(whole)
    mended(ranker)
    assert all(item.startswith("new") for item in kettles(ranker)[0])
    changes(ranker, "later")
    assert "later" in Ranker.open(release, Settings(state=tmp_path)).index.item_ids(range(288, 329))


def test_a_catalogue_that_is_begun_anew_goes_on_from_what_segments_hold(release, tmp_path):
    file = tmp_path / CATALOG_FILE
    store = CatalogStore(file)
    for item in ("first", "second", "third"):
        store.upsert([(Product(id=item, title="kettle"), search_request("kettle").embedding)], "encoder-a")
    assert compact(Index.open(release.index), store, SegmentFolder(tmp_path, release.id)) is not None
    store.delete(["p1"])
    store.close()
    file.write_bytes(b"no database " * 1000)
    ranker, other = (Ranker.open(release, Settings(state=tmp_path)) for _ in range(2))
    assert set(kettles(ranker)[0]) >= {"first", "second", "third"}
    assert ranker.index.row("p1") is not None
    file.rename(tmp_path / "damaged.db")
    mended(ranker)
    changes(ranker, "again")
    ranker.delete(["second"])
    mended(other)
    for one in (ranker, other, Ranker.open(release, Settings(state=tmp_path))):
        found, unread = kettles(one)
        assert not unread
        assert {"first", "third", "again"} <= set(found)
        assert "second" not in found
