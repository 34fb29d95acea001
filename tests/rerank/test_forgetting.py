"""A shopper who is forgotten is nowhere in the files; one who is hashed never was."""

import random
import sqlite3
import string

import pytest
from endcap_rerank.errors import InvalidInputError, StoreError
from endcap_rerank.events import Event, RedisEventStore, SqliteEventStore, open_events
from endcap_rerank.privacy import UserKey
from endcap_rerank.settings import Settings
from ranking_shop import open_ranker
from redis_server import RedisServer

PLANTED = "planted-shopper-4711"


def click(item="i", user="u", at=100.0, event_id=""):
    return Event.validated(user, item, "click", at, event_id=event_id)


def holding(folder, text=PLANTED):
    return [file.name for file in folder.rglob("*") if file.is_file() and text.encode() in file.read_bytes()]


def churned(count=6000, planted=900, seed=3):
    """Events in random order, so that pages of the file split with the planted ones in them."""
    rng = random.Random(seed)
    users = [PLANTED] * planted + [f"{rng.choice(string.ascii_letters)}{n}" for n in range(count - planted)]
    rng.shuffle(users)
    return [click(f"item-{n}", user, at=float(rng.randrange(10**6))) for n, user in enumerate(users)]


def test_forgotten_in_the_file_and_in_its_log(tmp_path):
    store, other = (SqliteEventStore(tmp_path / "events.db") for _ in range(2))
    events = churned()
    for start in range(0, len(events), 500):
        store.append(events[start : start + 500])
    assert other.of_user("u", 1) == []
    assert {"events.db", "events.db-wal"} <= set(holding(tmp_path))
    assert other.forget(PLANTED) == 900
    assert holding(tmp_path) == []
    assert store.of_user(PLANTED, 10) == []
    assert len(list(store.every())) == 5100
    assert other.forget(PLANTED) == 0


def test_forgotten_where_an_earlier_release_left_pages_unwiped(tmp_path):
    store = SqliteEventStore(tmp_path / "events.db")
    store._connection().execute("PRAGMA secure_delete=OFF")
    events = churned()
    for start in range(0, len(events), 500):
        store.append(events[start : start + 500])
    store._connection().execute("DELETE FROM events WHERE user = ?", (PLANTED,))
    store.close()
    assert holding(tmp_path) == ["events.db"]
    assert SqliteEventStore(tmp_path / "events.db").forget(PLANTED) == 0
    assert holding(tmp_path) == []


def test_a_reader_that_holds_the_log_is_told_of(tmp_path):
    store = SqliteEventStore(tmp_path / "events.db", timeout=0.1)
    store.append([click(user=PLANTED)])
    reader = sqlite3.connect(tmp_path / "events.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT COUNT(*) FROM events").fetchone()
    with pytest.raises(StoreError, match="try again"):
        store.forget(PLANTED)
    assert store.of_user(PLANTED, 1) == []
    reader.execute("COMMIT")
    assert store.forget(PLANTED) == 0
    assert holding(tmp_path) == []


def test_expired_events_leave_no_trace(tmp_path):
    SqliteEventStore(tmp_path / "events.db").append([click(user=PLANTED)] * 3 + [click(user="v", at=9.0)])
    limited = open_events(Settings(state=tmp_path, keep_days=1))
    assert limited.prune() == 4
    limited._empty_log()
    assert holding(tmp_path) == []


# Keyed hashes ----------------------------------------------------------------------------------------


@pytest.fixture
def key_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("keys") / "users.key"
    file.write_text("a secret of more than sixteen bytes\n")
    return file


@pytest.fixture(params=["sqlite", "redis"])
def hashed(request, tmp_path, key_file):
    """(store with a key, the folder of its files, the same store without a key)."""
    if request.param == "sqlite":
        settings = Settings(state=tmp_path, user_key_file=key_file)
        yield open_events(settings), tmp_path, SqliteEventStore(tmp_path / "events.db")
        return
    server = RedisServer(tmp_path)
    settings = Settings(events=server.url, user_key_file=key_file)
    yield open_events(settings), tmp_path, RedisEventStore(server.url)
    server.kill()


def test_ids_are_never_stored(hashed):
    store, folder, bare = hashed
    assert store.append([click("a", PLANTED)]) == 1
    assert store.import_events([click("b", PLANTED, at=200.0), click("c", "v")]) == 2
    assert [event.item for event in store.of_user(PLANTED, 10)] == ["b", "a"]
    assert bare.of_user(PLANTED, 10) == []
    (stored,) = {event.user for event in bare.every() if event.item != "c"}
    assert stored.startswith("hmac:")
    assert holding(folder) == []
    assert store.forget(PLANTED) == 2
    assert {event.item for event in bare.every()} == {"c"}
    assert holding(folder, stored) == []


def test_ids_made_of_an_event_do_not_tell_the_shopper(hashed):
    store, _, bare = hashed
    event = click("a", PLANTED)
    store.import_events([event])
    assert event.identified().event_id not in {stored.event_id for stored in bare.every()}


def test_an_exported_log_can_be_imported_again(hashed):
    store, _, _ = hashed
    store.import_events([click("a", PLANTED), click("b", "v")])
    assert store.import_events(list(store.every())) == 0
    assert len(store.of_user(PLANTED, 10)) == 1


def test_what_was_stored_before_there_was_a_key_is_forgotten_too(hashed):
    store, folder, bare = hashed
    bare.append([click("before", PLANTED)])
    store.append([click("after", PLANTED)])
    assert PLANTED not in {event.user for event in store.every()}
    assert store.forget(PLANTED) == 2
    assert holding(folder) == []


def test_another_key_knows_nobody(tmp_path, key_file):
    open_events(Settings(state=tmp_path, user_key_file=key_file)).append([click("a", PLANTED)])
    key_file.write_text("another secret of sixteen bytes and more")
    assert open_events(Settings(state=tmp_path, user_key_file=key_file)).of_user(PLANTED, 10) == []


def test_the_hash_is_hmac_sha256():
    # RFC 4231, test case 6: a key longer than a block.
    key = UserKey(b"\xaa" * 131)
    text = "Test Using Larger Than Block-Size Key - Hash Key First"
    assert key.hashed(text) == "hmac:60e431591ee0b67f0d8a26aacbf5b77f"
    assert key.hashed(key.hashed(text)) == key.hashed(text)
    assert key.hashed("") == ""
    assert "aa" not in repr(key)


@pytest.mark.parametrize("content", [None, b"", b"  short  \n", b"x" * 15])
def test_a_key_file_that_cannot_be_used_names_the_setting_not_the_key(tmp_path, content):
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InvalidInputError, match="ENDCAP_USER_KEY_FILE") as caught:
        open_events(Settings(state=tmp_path, user_key_file=file))
    assert "short" not in str(caught.value)


# Where the store is ----------------------------------------------------------------------------------


def test_the_url_chooses_the_store(tmp_path):
    assert open_events(Settings(state=tmp_path)).path == tmp_path / "events.db"
    for url in (f"sqlite://{tmp_path}/of/mine.db", f"sqlite:///{tmp_path}/of/mine.db"):
        assert open_events(Settings(state=tmp_path, events=url)).path == tmp_path / "of" / "mine.db"
    pytest.importorskip("redis")
    for scheme in ("redis", "rediss", "valkey"):
        store = open_events(Settings(state=tmp_path, events=f"{scheme}://host:1/3", keep_events=5))
        assert isinstance(store, RedisEventStore)
        assert store.limits.events == 5


@pytest.mark.parametrize("url", ["events.db", "mysql://u:secret@h/d", "sqlite:", "sqlite://", "sqlite:///"])
def test_another_url_is_refused_without_telling_its_password(tmp_path, url):
    with pytest.raises(InvalidInputError, match="ENDCAP_EVENTS") as caught:
        open_events(Settings(state=tmp_path, events=url))
    assert "secret" not in str(caught.value)


def test_settings_of_events():
    settings = Settings.from_environment(
        {
            "ENDCAP_EVENTS": "redis://h/0",
            "ENDCAP_USER_KEY_FILE": "/k",
            "ENDCAP_KEEP_EVENTS": "9",
            "ENDCAP_KEEP_DAYS": "30",
        }
    )
    assert (settings.events, str(settings.user_key_file)) == ("redis://h/0", "/k")
    assert (settings.keep_events, settings.keep_days) == (9, 30)
    with pytest.raises(InvalidInputError, match="ENDCAP_KEEP_DAYS"):
        Settings.from_environment({"ENDCAP_KEEP_DAYS": "-1"})


def test_a_forgotten_shopper_leaves_the_profiles_in_memory(tmp_path):

    ranker = open_ranker(tmp_path / "release")
    ranker.feedback([click("p1", PLANTED)])
    assert ranker._profiles.of(PLANTED).known
    ranker.events.forget(PLANTED)
    assert not ranker._profiles.of(PLANTED).known
    assert PLANTED not in ranker._profiles._cache
