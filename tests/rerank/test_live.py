import multiprocessing
from dataclasses import replace

import numpy as np
import pytest
from endcap_rerank.catalog_store import CatalogStore
from endcap_rerank.errors import InvalidInputError, StoreError
from endcap_rerank.filters import Filters
from endcap_rerank.index import LiveIndex
from endcap_rerank.index.dense import EXACT_LIMIT
from endcap_rerank.product import Product
from small_catalog import ENCODER, PRODUCTS, clustered_vectors, small_index, unit_vectors

NEW = Product(
    id="saw",
    title="Circular saw",
    brand="Bosch",
    category="Tools > Power tools > Saws",
    price=79.0,
    attributes={"Color": "Green"},
)
QUERY = unit_vectors(1, seed=11)[0]


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return small_index(tmp_path_factory.mktemp("index"))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "catalog.db"


@pytest.fixture
def live(index, path):
    return LiveIndex(index, CatalogStore(path))


def ids(live, found):
    return live.item_ids(found.rows)


def test_without_changes_candidates_carry_both_true_scores(index):
    live = LiveIndex(index)
    found = live.retrieve("cordless drill", QUERY, count=10)
    np.testing.assert_allclose(found.dense, index.dense.vectors[found.rows] @ QUERY, atol=1e-6)
    assert len(found) == len(PRODUCTS)
    assert ids(live, found)[int(np.argmax(found.lexical))] == "drill"
    assert (np.diff(found.fused) <= 0).all()


def test_a_product_that_only_words_find_is_a_candidate(index):
    live = LiveIndex(index)
    farthest = live.nearest(QUERY, 10).rows[-1]
    title = live.product(farthest).title
    found = live.retrieve(title, QUERY, count=2, lexical_weight=0.9)
    assert found.rows[0] == farthest
    assert found.dense[0] == pytest.approx(float(index.dense.vectors[farthest] @ QUERY), abs=1e-6)


def test_an_upserted_product_is_found_by_vector_and_by_words(live):
    before = len(live)
    live.upsert([(NEW, QUERY)])
    assert len(live) == before + 1
    assert ids(live, live.nearest(QUERY, 3))[0] == "saw"
    far = live.retrieve("circular saw", -QUERY, count=3, lexical_weight=0.9)
    assert ids(live, far)[0] == "saw"
    row = live.row("saw")
    assert live.product(row) == NEW
    np.testing.assert_array_equal(live.embeddings([row])[0], QUERY)
    assert live.prices([0, row]).tolist() == [99.99, 79.0]
    assert live.vocabulary("brand")[live.brand_codes([row])[0]] == "Bosch"
    assert live.vocabulary("category")[live.category_codes([row])[0]] == "Tools > Power tools > Saws"
    assert live.vocabulary("category")[live.top_category_codes([row])[0]] == "Tools"
    assert live.code("brand", "bosch") == live.brand_codes([row])[0]


def test_a_whole_new_category_tree_gets_codes(live):
    live.upsert([(replace(NEW, category="Garden > Plants > Trees"), QUERY)])
    row = live.row("saw")
    assert live.vocabulary("category")[live.top_category_codes([row])[0]] == "Garden"
    assert ids(live, live.nearest(QUERY, 10, Filters(categories=("garden > plants",)))) == ["saw"]


def test_an_update_hides_the_old_product(live):
    updated = replace(PRODUCTS[0], title="Hammer drill", price=120.0)
    live.upsert([(updated, QUERY)])
    found = live.retrieve("drill", QUERY, count=10)
    assert ids(live, found).count("drill") == 1
    assert live.product(live.row("drill")).price == 120.0
    assert len(live) == len(PRODUCTS)
    assert "drill" not in ids(live, live.nearest(QUERY, 10, Filters(price_max=110.0)))
    # The old words find it no longer.
    words = live.retrieve("cordless", QUERY, count=10)
    assert words.lexical.max() == 0


def test_a_deleted_product_is_gone_and_may_return(live):
    live.delete(["drill", "never there"])
    assert live.row("drill") is None
    assert "drill" not in ids(live, live.retrieve("drill", QUERY, count=10))
    assert "drill" not in ids(live, live.nearest(QUERY, 10))
    assert len(live) == len(PRODUCTS) - 1
    live.upsert([(PRODUCTS[0], QUERY)])
    assert ids(live, live.nearest(QUERY, 10))[0] == "drill"
    live.delete(["drill"])
    assert "drill" not in ids(live, live.retrieve("drill", QUERY, count=10))
    assert live.row("drill") is None


def test_an_updated_product_keeps_its_row_and_its_popularity(live):
    live.upsert([(replace(PRODUCTS[0], price=1.0), QUERY)])
    row = live.row("drill")
    assert live.popularity([row])[0] == 1.0
    live.upsert([(replace(PRODUCTS[0], price=2.0), QUERY)])
    assert live.row("drill") == row
    assert live.prices([row])[0] == 2.0


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        ({"price_max": 80.0}, True),
        ({"price_max": 70.0}, False),
        ({"brands": ("BOSCH",)}, True),
        ({"brands": ("makita",)}, False),
        ({"categories": ("Tools > Power tools",)}, True),
        ({"categories": ("Lighting",)}, False),
        ({"attributes": {"color": ("green",)}}, True),
        ({"attributes": {"color": ("yellow",)}}, False),
        ({"in_stock": True}, True),
        ({"exclude": frozenset({"saw"})}, False),
    ],
    ids=str,
)
def test_filters_hold_for_changed_products(live, conditions, found):
    live.upsert([(NEW, QUERY)])
    filters = Filters(**conditions)
    assert ("saw" in ids(live, live.retrieve("circular saw", QUERY, count=10, filters=filters))) is found
    assert ("saw" in ids(live, live.nearest(QUERY, 10, filters))) is found


def test_attributes_of_a_replaced_product_no_longer_admit_it(live):
    live.upsert([(NEW, QUERY)])
    live.upsert([(replace(NEW, attributes={"Color": "Red"}), QUERY)])
    assert ids(live, live.nearest(QUERY, 10, Filters(attributes={"color": ("green",)}))) == []
    assert ids(live, live.nearest(QUERY, 10, Filters(attributes={"color": ("red",)}))) == ["saw"]


def test_a_product_of_another_encoder_is_found_by_words_only(live, path):
    CatalogStore(path).upsert([(NEW, unit_vectors(1, dimension=5)[0])], "another encoder")
    assert live.refresh()
    assert "saw" not in ids(live, live.nearest(QUERY, 10))
    found = live.retrieve("circular saw", QUERY, count=10)
    place = ids(live, found).index("saw")
    assert found.lexical[place] > 0
    assert found.dense[place] == 0
    assert not live.embeddings([live.row("saw")]).any()


def test_a_price_change_of_another_encoder_keeps_the_vector_of_this_release(live, path, index):
    CatalogStore(path).upsert([(replace(PRODUCTS[0], price=5.0), QUERY[:4])], "another encoder")
    live.refresh()
    row = live.row("drill")
    assert live.prices([row])[0] == 5.0
    np.testing.assert_array_equal(live.embeddings([row])[0], index.dense.vectors[0])
    assert "drill" in ids(live, live.nearest(QUERY, 10))


def test_refresh_tells_whether_something_changed(live, path):
    other = CatalogStore(path)
    assert not live.refresh()
    other.upsert([(NEW, QUERY)], ENCODER)
    assert live.row("saw") is None  # not before the next refresh
    assert live.refresh()
    assert not live.refresh()
    assert live.row("saw") is not None


def _upsert(path, count):
    vectors = unit_vectors(count, seed=2)
    CatalogStore(path).upsert(
        [(Product(id=f"n{n}", title="novelty"), vectors[n]) for n in range(count)], ENCODER
    )


def test_another_process_s_batch_becomes_visible_whole(live, path):
    writer = multiprocessing.get_context("spawn").Process(target=_upsert, args=(path, 200))
    writer.start()
    seen = set()
    while writer.is_alive():
        live.refresh()
        seen.add(len(live))
    writer.join()
    assert writer.exitcode == 0
    live.refresh()
    seen.add(len(live))
    assert seen <= {len(PRODUCTS), len(PRODUCTS) + 200}
    assert len(live) == len(PRODUCTS) + 200


def test_changes_apply_after_a_restart(index, live, path):
    live.upsert([(NEW, QUERY)])
    live.delete(["lamp"])
    again = LiveIndex(index, CatalogStore(path))
    assert again.row("lamp") is None
    assert ids(again, again.nearest(QUERY, 1)) == ["saw"]


def test_a_catalogue_that_began_empty_fills_up(tmp_path, path):
    empty = small_index(tmp_path / "empty", [], np.zeros((0, 8), np.float32))
    live = LiveIndex(empty, CatalogStore(path))
    live.upsert(list(zip(PRODUCTS, unit_vectors(6), strict=True)))
    assert len(live) == 6
    found = live.retrieve("cordless drill", QUERY, count=3, lexical_weight=1.0)
    assert ids(live, found)[0] == "drill"
    assert len(found) == 3


def test_a_large_catalogue_full_of_changes_answers_like_a_fresh_index(tmp_path, path):
    count = EXACT_LIMIT + 800
    vectors = clustered_vectors(count)
    products = [Product(id=str(n), title=f"thing {n % 50}", price=float(n)) for n in range(count)]
    live = LiveIndex(small_index(tmp_path / "index", products, vectors), CatalogStore(path))
    moved = clustered_vectors(300, seed=5)[:300][::-1].copy()
    live.upsert([(products[n], moved[n]) for n in range(300)])
    live.delete([str(n) for n in range(300, 400)])
    now = vectors.copy()
    now[:300] = moved
    for query in vectors[1000:1010]:
        scores = now @ query
        scores[300:400] = -2
        expected = {str(n) for n in np.argsort(-scores, kind="stable")[:50]}
        found = set(ids(live, live.nearest(query, 50)))
        assert len(found) == 50
        assert len(found & expected) >= 49


def test_asking_twice_gives_the_same(live):
    live.upsert([(NEW, QUERY)])
    first, second = (live.retrieve("power drill", QUERY, count=5) for _ in range(2))
    np.testing.assert_array_equal(first.rows, second.rows)
    np.testing.assert_array_equal(first.fused, second.fused)


@pytest.mark.parametrize("vector", [QUERY[:5], QUERY * np.nan, np.float32(1.0), QUERY[None]], ids=str)
def test_an_unusable_vector_is_refused_by_name(live, vector):
    for call in (
        lambda: live.retrieve("drill", vector, count=3),
        lambda: live.nearest(vector, 3),
        lambda: live.upsert([(NEW, vector)]),
    ):
        with pytest.raises(InvalidInputError, match=r"^embedding: "):
            call()
    assert len(live) == len(PRODUCTS)


def test_without_a_store_the_catalogue_cannot_be_changed(index):
    with pytest.raises(StoreError, match="without a store"):
        LiveIndex(index).delete(["drill"])


def test_an_unknown_vocabulary_is_refused(live):
    with pytest.raises(InvalidInputError, match=r"^vocabulary: got 'colour'"):
        live.vocabulary("colour")


def test_a_long_history_of_changes_ends_where_a_fresh_index_begins(index, tmp_path, path):
    rng = np.random.default_rng(8)
    live, store = LiveIndex(index, CatalogStore(path)), CatalogStore(path)
    vectors = unit_vectors(400, seed=9)
    truth = {product.id: (product, index.dense.vectors[row]) for row, product in enumerate(PRODUCTS)}
    names = [product.id for product in PRODUCTS] + [f"n{n}" for n in range(150)]
    for step in range(400):
        item = str(rng.choice(names))
        if rng.random() < 0.3:
            store.delete([item])
            truth.pop(item, None)
        else:
            product = Product(
                id=item,
                title=f"{rng.choice(['red', 'blue'])} {rng.choice(['chair', 'table', 'lamp'])}",
                brand=str(rng.choice(["A", "B", "", "C"])),
                category=str(rng.choice(["Home > Seats", "Home", "Garden > Seats"])),
                price=float(rng.integers(1, 100)),
                attributes={"finish": str(rng.choice(["oak", "steel"]))},
            )
            store.upsert([(product, vectors[step])], ENCODER)
            truth[item] = product, vectors[step]
        if rng.random() < 0.2:
            live.refresh()
    live.refresh()
    products = [product for product, _ in truth.values()]
    fresh = LiveIndex(small_index(tmp_path / "fresh", products, np.array([v for _, v in truth.values()])))
    assert len(live) == len(fresh) == len(truth)
    for filters in (
        None,
        Filters(price_max=40.0),
        Filters(brands=("a",), categories=("Home",)),
        Filters(attributes={"finish": ("OAK",)}, exclude=frozenset({"drill", "n3"})),
    ):
        ours, theirs = (one.nearest(QUERY, 25, filters) for one in (live, fresh))
        assert ids(live, ours) == ids(fresh, theirs)
        np.testing.assert_allclose(ours.dense, theirs.dense, atol=1e-6)
        ours, theirs = (one.retrieve("red chair", QUERY, count=200, filters=filters) for one in (live, fresh))
        assert set(ids(live, ours)) == set(ids(fresh, theirs))
        matching = {i for i, score in zip(ids(live, ours), ours.lexical, strict=True) if score > 0}
        assert matching == {
            i for i, score in zip(ids(fresh, theirs), theirs.lexical, strict=True) if score > 0
        }
    for item in truth:
        assert live.product(live.row(item)) == truth[item][0]


def test_the_most_popular_come_first_and_filters_hold(live):
    assert ids(live, live.popular(2)) == ["drill", "driver"]
    live.upsert([(replace(NEW, review_count=120), QUERY)])
    assert set(ids(live, live.popular(2))) == {"drill", "saw"}
    assert ids(live, live.popular(3, Filters(categories=("Lighting",)))) == ["lamp"]


def test_rows_are_held_against_filters_one_by_one(live):
    live.upsert([(NEW, QUERY)])
    live.delete(["lamp"])
    rows = [0, 1, 4, live.row("saw")]
    assert live.passes(rows, None).tolist() == [True, True, False, True]
    assert live.passes(rows, Filters(price_max=99.99)).tolist() == [True, False, False, True]
    assert live.contains(rows, "power saw").tolist() == [False] * 4
    assert live.contains(rows, "Saws bosch").tolist() == [False, False, False, True]
    assert live.contains(rows, "yellow drills").tolist() == [True, False, False, False]
    assert not live.contains(rows, "").any()


def test_a_batch_of_queries_answers_as_each_of_them_alone(live):
    live.upsert([(NEW, QUERY)])
    live.delete(["lamp"])
    queries = ["cordless drill", "circular saw", "dirll", "红米手机"]
    vectors = unit_vectors(4, seed=7)
    filters = [None, Filters(price_max=90.0), None, Filters(price_max=90.0)]
    together = live.retrieve_many(queries, vectors, count=4, filters=filters)
    for query, vector, each, found in zip(queries, vectors, filters, together, strict=True):
        alone = live.retrieve(query, vector, count=4, filters=each)
        np.testing.assert_array_equal(found.rows, alone.rows)
        np.testing.assert_allclose(found.fused, alone.fused, atol=1e-6)
        assert found.corrections == alone.corrections


def test_a_change_that_cannot_be_used_hides_its_product_and_nothing_else(index, path, caplog):
    """As another version may have stored it: today ``from_mapping`` refuses so many reviews."""
    store = CatalogStore(path)
    drill = next(product for product in PRODUCTS if product.id == "drill")
    for product in (NEW, replace(NEW, id="poison", review_count=10**30), replace(drill, review_count=10**30)):
        store.upsert([(product, unit_vectors(1, seed=12)[0])], ENCODER)
    live = LiveIndex(index, CatalogStore(path))
    assert live.row("saw") is not None
    assert live.row("poison") is live.row("drill") is None
    assert "product poison is hidden" in caplog.text
    live.upsert([(drill, unit_vectors(1, seed=13)[0])])
    assert live.row("drill") is not None
