import math

import numpy as np
import pytest
from endcap_rerank.errors import InvalidInputError, ReleaseError
from endcap_rerank.index import Index, LiveIndex, build_index
from endcap_rerank.product import Product
from small_catalog import ENCODER, PRODUCTS, small_index, unit_vectors


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    return LiveIndex(small_index(tmp_path_factory.mktemp("index")))


def test_every_product_comes_back_as_it_was(live):
    for row, product in enumerate(PRODUCTS):
        assert live.row(product.id) == row
        assert live.product(row).as_mapping() == product.as_mapping()
    assert live.item_ids(np.array([5, 0, 0])) == ["phone", "drill", "drill"]
    assert live.row("no such id") is None


def test_columns_hold_the_values_and_nan_where_a_shop_left_them_out(live):
    rows = np.arange(len(PRODUCTS))
    np.testing.assert_array_equal(live.prices(rows), [99.99, 149.0, 19.99, math.nan, 35.0, 1999.0])
    np.testing.assert_array_equal(live.in_stock(rows), [True, False, True, True, True, True])
    assert live.ratings(rows)[0] == 4.5
    assert np.isnan(live.ratings(rows)[1:]).all()
    assert live.review_counts(rows)[0] == 120
    assert live.created_at(rows)[0] == 1.7e9
    assert live.popularity(rows).tolist() == [1.0, 0, 0, 0, 0, 0]


def test_brands_that_differ_in_case_share_a_code(live):
    codes = live.brand_codes(np.arange(6))
    assert codes[0] == codes[2]
    assert codes[3] == -1
    assert live.vocabulary("brand")[codes[5]] == "小米"
    assert live.code("brand", " dewalt ") == codes[0]
    assert live.code("brand", "Bosch") == -1


def test_categories_know_their_path_and_their_root(live):
    names = live.vocabulary("category")
    rows = np.arange(6)
    assert names[live.category_codes(rows)[0]] == "Tools > Power tools > Drills"
    assert [names[code] for code in live.top_category_codes(rows)] == [
        "Tools", "Tools", "Tools", "Toolsmith", "Lighting", "数码",
    ]  # fmt: skip


def test_a_product_without_category_has_no_root(tmp_path):
    live = LiveIndex(small_index(tmp_path, [Product(id="a", title="A"), *PRODUCTS]))
    assert live.category_codes([0])[0] == -1
    assert live.top_category_codes([0, 1]).tolist()[0] == -1
    assert live.brand_codes([0])[0] == -1


def test_popularity_follows_the_interactions_when_given(tmp_path):
    counts = np.array([0, 3, 100, 0, 10, 1])
    build_index(tmp_path, PRODUCTS, unit_vectors(6), encoder_id=ENCODER, interactions=counts)
    popularity = LiveIndex(Index.open(tmp_path)).popularity(np.arange(6))
    assert popularity[2] == 1.0
    assert np.argsort(-popularity, kind="stable").tolist() == [2, 4, 1, 5, 0, 3]


def test_columns_are_mapped_not_copied(tmp_path):
    index = small_index(tmp_path)
    for array in (index.dense.vectors, index.catalog.columns.price, index.catalog.columns.brand):
        assert not array.flags.owndata
        assert not array.flags.writeable


def test_an_empty_catalogue_answers_with_nothing(tmp_path):
    live = LiveIndex(small_index(tmp_path, [], np.zeros((0, 8), np.float32)))
    assert len(live) == 0
    assert len(live.retrieve("drill", unit_vectors(1)[0], count=10)) == 0
    assert len(live.nearest(unit_vectors(1)[0], 10)) == 0
    assert live.row("drill") is None


def test_ids_with_equal_beginnings_and_odd_characters_are_told_apart(tmp_path):
    ids = ["a", "aa", "A", " a", "a\x00", "ä", "名", "x" * 256]
    live = LiveIndex(small_index(tmp_path, [Product(id=item_id, title="t") for item_id in ids]))
    assert [live.row(item_id) for item_id in ids] == list(range(len(ids)))


def test_a_duplicate_id_is_refused_by_name(tmp_path):
    with pytest.raises(InvalidInputError, match=r"^id: got 'drill'"):
        build_index(tmp_path, [*PRODUCTS, PRODUCTS[0]], unit_vectors(7), encoder_id=ENCODER)


@pytest.mark.parametrize(
    "vectors",
    [
        unit_vectors(5),
        unit_vectors(6)[:, 0],
        unit_vectors(6) * 2,
        np.zeros((6, 8), np.float32),
        unit_vectors(6) * np.nan,
    ],
    ids=["too few", "one number each", "not normalized", "zero", "NaN"],
)
def test_unusable_vectors_are_refused(tmp_path, vectors):
    with pytest.raises(InvalidInputError, match=r"^embeddings: "):
        build_index(tmp_path, PRODUCTS, vectors, encoder_id=ENCODER)


def test_what_is_not_an_index_is_named(tmp_path):
    with pytest.raises(ReleaseError, match=r"no index\.json"):
        Index.open(tmp_path)


def test_a_missing_part_is_named(tmp_path):
    small_index(tmp_path)
    (tmp_path / "column.price.npy").unlink()
    with pytest.raises(ReleaseError, match=r"column\.price\.npy"):
        Index.open(tmp_path)


def test_a_truncated_part_is_named(tmp_path):
    small_index(tmp_path)
    file = tmp_path / "vectors.npy"
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(ReleaseError, match=r"vectors\.npy"):
        Index.open(tmp_path)
