import multiprocessing
import sqlite3
from itertools import pairwise

import numpy as np
import pytest
from endcap_rerank.catalog_store import CatalogStore
from endcap_rerank.errors import InvalidInputError, StoreError
from endcap_rerank.index import LiveIndex
from endcap_rerank.product import Product
from small_catalog import ENCODER, PRODUCTS, small_index, unit_vectors


@pytest.fixture
def store(tmp_path):
    store = CatalogStore(tmp_path / "state" / "catalog.db")
    yield store
    store.close()


def test_a_change_comes_back_as_it_was_given(store):
    vector = unit_vectors(1)[0]
    assert store.upsert([(PRODUCTS[5], vector)], ENCODER) == 1
    assert store.delete(["old"]) == 1
    upserted, deleted = store.changes_since(0)
    assert upserted.product.as_mapping() == PRODUCTS[5].as_mapping()
    assert upserted.encoder_id == ENCODER
    np.testing.assert_array_equal(upserted.embedding, vector)
    assert (deleted.id, deleted.product, deleted.embedding) == ("old", None, None)


def test_only_the_latest_state_of_a_product_is_kept(store):
    vector = unit_vectors(1)[0]
    for price in (1.0, 2.0, 3.0):
        store.upsert([(Product(id="a", title="A", price=price), vector)], ENCODER)
    (change,) = store.changes_since(0)
    assert change.product.price == 3.0
    assert len(store) == 1
    assert store.changes_since(change.seq) == []


def test_a_deleted_product_that_returns_is_a_new_change(store):
    vector = unit_vectors(1)[0]
    store.delete(["a"])
    (deleted,) = store.changes_since(0)
    store.upsert([(Product(id="a", title="A"), vector)], ENCODER)
    (again,) = store.changes_since(deleted.seq)
    assert again.product is not None
    assert again.seq > deleted.seq


def test_changes_outlive_the_store_object(store):
    store.upsert([(PRODUCTS[0], unit_vectors(1)[0])], ENCODER)
    assert [change.id for change in CatalogStore(store.path).changes_since(0)] == ["drill"]


def test_a_batch_with_one_bad_vector_changes_nothing(store):
    bad = np.full(8, np.nan, np.float32)
    with pytest.raises(InvalidInputError, match=r"^embedding: "):
        store.upsert([(PRODUCTS[0], unit_vectors(1)[0]), (PRODUCTS[1], bad)], ENCODER)
    assert store.changes_since(0) == []


def test_the_version_tells_of_own_and_of_foreign_writes(store):
    other = CatalogStore(store.path)
    before = store.version()
    assert store.version() == before
    store.delete(["a"])
    own = store.version()
    assert own != before
    other.delete(["b"])
    assert store.version() != own
    other.close()


def test_a_locked_database_is_a_store_error_and_nothing_is_stored(tmp_path):
    store = CatalogStore(tmp_path / "catalog.db", timeout=0.05)
    blocker = sqlite3.connect(store.path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        store.delete(["a"])
    blocker.execute("ROLLBACK")
    assert store.changes_since(0) == []
    assert store.delete(["a"]) == 1  # and the store works on
    blocker.close()


def test_a_full_disk_is_a_store_error_and_nothing_is_stored(store):
    store._file.connection().execute("PRAGMA max_page_count = 20")  # SQLite's own way to run out of space
    many = [(Product(id=str(n), title="t" * 2000), unit_vectors(1)[0]) for n in range(200)]
    with pytest.raises(StoreError, match="full"):
        store.upsert(many, ENCODER)
    assert len(store) == 0
    assert store.delete(["a"]) == 1


def test_what_is_not_a_database_is_a_store_error(tmp_path):
    file = tmp_path / "catalog.db"
    file.write_bytes(b"this is not a database" * 100)
    with pytest.raises(StoreError, match=r"catalog\.db"):
        CatalogStore(file)


def _write_many(path, name, count):
    store = CatalogStore(path)
    for number in range(count):
        store.upsert([(Product(id=f"{name}-{number}", title="t"), unit_vectors(1)[0])], ENCODER)


def test_several_processes_open_and_write_at_once(tmp_path):
    path = tmp_path / "new" / "catalog.db"
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_write_many, args=(path, f"w{n}", 15)) for n in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    changes = CatalogStore(path).changes_since(0)
    assert len({change.id for change in changes}) == 45
    assert all(a.seq < b.seq for a, b in pairwise(changes))


def test_a_store_of_an_older_version_opens_and_its_changes_are_taken_in(tmp_path):
    file = tmp_path / "catalog.db"
    old = sqlite3.connect(file)
    old.execute(
        "CREATE TABLE changes (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, "
        "document TEXT, embedding BLOB, encoder_id TEXT)"
    )
    document = '{"id":"old","title":"Old saw"}'
    vector = unit_vectors(1)[0]
    old.execute("INSERT INTO changes VALUES (1, 'old', ?, ?, ?)", (document, vector.tobytes(), ENCODER))
    old.commit()
    old.close()
    live = LiveIndex(small_index(tmp_path / "index"), CatalogStore(file))
    live.upsert([(Product(id="new", title="New saw"), vector)])
    found = live.retrieve("saw", vector, count=5)
    worded = np.array(live.item_ids(found.rows))[found.lexical > 0]
    assert set(worded) == {"old", "new"}
