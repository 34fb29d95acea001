"""Changes of price and stock alone: the product stays where the release put it."""

from dataclasses import replace

import numpy as np
import pytest
from endcap_rerank.catalog_store import CatalogStore
from endcap_rerank.filters import Filters
from endcap_rerank.index import LiveIndex
from small_catalog import PRODUCTS, small_index, unit_vectors

QUERY = unit_vectors(1, seed=11)[0]
DRILL = PRODUCTS[0]


@pytest.fixture
def live(tmp_path):
    return LiveIndex(small_index(tmp_path / "index"), CatalogStore(tmp_path / "catalog.db"))


def put(live, product, vector=None):
    live.upsert([(product, live.index.dense.vectors[0] if vector is None else vector)])


def ids(live, filters=None):
    return live.item_ids(live.nearest(QUERY, 10, filters).rows)


def test_a_new_price_keeps_row_words_and_vector(live):
    before = live.retrieve("cordless drill", QUERY, count=10)
    new = replace(DRILL, price=4.3, in_stock=False, rating=4.3, review_count=9, created_at=5.0)
    put(live, new)
    after = live.retrieve("cordless drill", QUERY, count=10)
    np.testing.assert_array_equal(before.rows, after.rows)
    np.testing.assert_array_equal(before.fused, after.fused)
    assert live.row("drill") == 0
    assert live.product(0) == new
    assert live.prices([0]) == [4.3]
    assert live.in_stock([0]) == [False]
    assert len(live) == len(PRODUCTS)


def test_filters_go_by_the_new_price_also_when_asked_before(live):
    cheap = Filters(price_max=5.0)
    assert "drill" not in ids(live, cheap)
    put(live, replace(DRILL, price=4.0))
    assert "drill" in ids(live, cheap)
    put(live, replace(DRILL, price=400.0))
    assert "drill" not in ids(live, cheap)


def test_the_files_of_the_release_and_other_instances_keep_the_old_price(live):
    other = LiveIndex(live.index)
    put(live, replace(DRILL, price=4.0))
    assert other.prices([0]) == [DRILL.price]
    assert live.index.catalog.columns.price[0] == DRILL.price


def test_a_vector_encoded_again_stays_one_of_another_text_moves(live):
    own = live.index.dense.vectors[0]
    noisy = own + 0.05 * QUERY / np.linalg.norm(QUERY)
    put(live, replace(DRILL, price=4.0), (noisy / np.linalg.norm(noisy)).astype(np.float32))
    np.testing.assert_array_equal(live.embeddings([live.row("drill")])[0], own)
    put(live, replace(DRILL, price=4.0), QUERY)
    np.testing.assert_array_equal(live.embeddings([live.row("drill")])[0], QUERY)


def test_a_product_goes_from_its_row_and_comes_back(live):
    put(live, replace(DRILL, title="Hammer drill", price=4.0))
    assert live.row("drill") >= len(PRODUCTS)
    put(live, replace(DRILL, price=6.0))
    assert live.row("drill") == 0
    assert ids(live).count("drill") == 1
    assert live.product(0).price == 6.0
    live.delete(["drill"])
    assert live.row("drill") is None
    assert "drill" not in ids(live)
    assert "drill" not in ids(live, Filters(price_max=9.0))
    put(live, replace(DRILL, price=7.0))
    assert live.row("drill") == 0
    assert ids(live, Filters(price_min=7.0, price_max=7.0)) == ["drill"]
    assert len(live) == len(PRODUCTS)


def test_a_kept_filter_is_not_spoilt_by_an_excluded_product(live):
    filters = Filters(brands=(DRILL.brand,))
    before = ids(live, filters)
    assert "drill" not in ids(live, replace(filters, exclude=frozenset({"drill"})))
    assert ids(live, filters) == before
