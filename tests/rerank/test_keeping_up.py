"""Changes of the catalogue come in between searches, and never during one."""

import threading
import time

from endcap_rerank import keeping_up
from endcap_rerank.catalog_store import CatalogStore
from endcap_rerank.errors import StoreError
from endcap_rerank.keeping_up import KeepingUp
from endcap_rerank.ranker import CATALOG_FILE
from processes import wait_until
from ranking_shop import embed, open_ranker, products


def test_what_another_process_stores_is_taken_in_without_a_search(tmp_path):
    ranker = open_ranker(tmp_path)
    other = CatalogStore(tmp_path / "state" / CATALOG_FILE)
    keeping = ranker.keep_up()
    try:
        other.delete(["p1"])
        wait_until(lambda: ranker.index.row("p1") is None)
        product = products()[0]
        other.upsert([(product, embed(product.encoder_text()))], ranker.index.index.encoder_id)
        wait_until(lambda: ranker.index.row(product.id) is not None)
    finally:
        keeping.close()


def test_nothing_changes_while_a_search_has_the_turn(tmp_path):
    ranker = open_ranker(tmp_path)
    keeping = ranker.keep_up()
    try:
        with ranker.turn:
            CatalogStore(tmp_path / "state" / CATALOG_FILE).delete(["p1"])
            time.sleep(3 * keeping_up.IDLE_PAUSE)
            assert ranker.index.row("p1") is not None
        wait_until(lambda: ranker.index.row("p1") is None)
    finally:
        keeping.close()


def test_it_looks_often_while_there_are_changes_and_seldom_otherwise(monkeypatch):
    monkeypatch.setattr(keeping_up, "BUSY", 0.3)
    looks: list[float] = []
    changed = threading.Event()

    def take_in() -> bool:
        looks.append(time.monotonic())
        return changed.is_set()

    keeping = KeepingUp(take_in, threading.Lock())
    time.sleep(0.55)
    quiet = len(looks)
    changed.set()
    wait_until(lambda: len(looks) >= quiet + 20)
    changed.clear()
    time.sleep(0.6)
    since = len([look for look in looks if look > time.monotonic() - 0.25])
    keeping.close()
    assert quiet <= 6
    assert since <= 4
    ended = len(looks)
    time.sleep(0.15)
    assert len(looks) == ended


def test_a_store_that_cannot_be_read_does_not_end_it(tmp_path, monkeypatch):
    ranker = open_ranker(tmp_path)
    asked: list[int] = []

    def down(store):
        asked.append(1)
        raise StoreError("the disk is away")

    keeping = ranker.keep_up()
    try:
        with monkeypatch.context() as patch:
            patch.setattr(CatalogStore, "version", down)
            wait_until(lambda: len(asked) >= 2)
        CatalogStore(tmp_path / "state" / CATALOG_FILE).delete(["p1"])
        wait_until(lambda: ranker.index.row("p1") is None)
    finally:
        keeping.close()
