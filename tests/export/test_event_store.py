"""A build's events go where the settings say."""

import pytest
from endcap_export.build import import_events
from endcap_export.shop import Shop, ShopFiles
from endcap_rerank.events import EVENTS_FILE, RedisEventStore, SqliteEventStore
from redis_server import RedisServer

PLANTED = "planted-shopper-4711"


@pytest.fixture
def shop(tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "products.jsonl").write_text(
        "".join(f'{{"id": "i{n}", "title": "drill {n}"}}\n' for n in range(3))
    )
    lines = [f"{PLANTED},i{n},click,{n}" for n in range(3)]
    (folder / "events.csv").write_text("\n".join(["user_id,item_id,event,timestamp", *lines]) + "\n")
    return Shop.load(ShopFiles.find(folder))


def test_into_redis_and_not_into_the_state_folder(shop, tmp_path, monkeypatch):
    (tmp_path / "redis").mkdir()
    server = RedisServer(tmp_path / "redis")
    try:
        monkeypatch.setenv("ENDCAP_EVENTS", server.url)
        assert import_events(shop, tmp_path / "state") == 3
        assert import_events(shop, tmp_path / "state") == 0
        assert len(RedisEventStore(server.url).of_user(PLANTED, 9)) == 3
        assert not (tmp_path / "state").exists()
    finally:
        server.kill()


def test_ids_are_hashed_and_limits_kept(shop, tmp_path, monkeypatch):
    (tmp_path / "key").write_text("a secret of more than sixteen bytes")
    monkeypatch.setenv("ENDCAP_USER_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("ENDCAP_KEEP_EVENTS", "2")
    import_events(shop, tmp_path / "state")
    stored = list(SqliteEventStore(tmp_path / "state" / EVENTS_FILE).every())
    assert [event.item for event in stored] == ["i1", "i2"]
    files = [file for file in (tmp_path / "state").iterdir() if PLANTED.encode() in file.read_bytes()]
    assert files == []
