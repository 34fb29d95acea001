from dataclasses import replace

import pytest
from endcap_rerank.catalog_store import CatalogStore
from endcap_rerank.filters import Filters
from endcap_rerank.index import LiveIndex
from endcap_rerank.product import Product
from small_catalog import small_index, unit_vectors

QUERY = unit_vectors(1, seed=11)[0]
SAW = Product(id="saw", title="Circular saw", brand="Bosch", price=79.0, attributes={"Color": "Green"})


@pytest.fixture
def live(tmp_path):
    live = LiveIndex(small_index(tmp_path / "index"), CatalogStore(tmp_path / "catalog.db"))
    live.upsert([(SAW, QUERY)])
    return live


def worded(live, query):
    found = live.retrieve(query, QUERY, count=10)
    return [i for i, score in zip(live.item_ids(found.rows), found.lexical, strict=True) if score > 0]


def test_a_new_price_leaves_words_and_attributes_findable(live):
    live.upsert([(replace(SAW, price=5.0, in_stock=False), QUERY)])
    assert worded(live, "circular") == ["saw"]
    assert live.prices([live.row("saw")]) == [5.0]
    assert live.in_stock([live.row("saw")]) == [False]
    assert live.item_ids(live.nearest(QUERY, 9, Filters(attributes={"color": ("green",)})).rows) == ["saw"]


@pytest.mark.parametrize("change", [{"title": "Band saw"}, {"attributes": {"Color": "Red", "shape": "band"}}])
def test_new_words_take_the_place_of_the_old(live, change):
    live.upsert([(replace(SAW, price=5.0), QUERY)])
    live.upsert([(replace(SAW, price=5.0, **change), QUERY)])
    assert "saw" in worded(live, "band")
    assert worded(live, "circular") == ([] if "title" in change else ["saw"])


def test_what_returns_from_deletion_with_the_same_words_is_found_by_them(live):
    live.delete(["saw"])
    assert worded(live, "circular") == []
    live.upsert([(replace(SAW, price=5.0), QUERY)])
    assert worded(live, "circular") == ["saw"]
    assert live.item_ids(live.nearest(QUERY, 9, Filters(attributes={"color": ("green",)})).rows) == ["saw"]
