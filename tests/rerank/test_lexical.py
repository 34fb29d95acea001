import csv
import math

import numpy as np
import pytest
from endcap_rerank.index.analyzer import analyze
from endcap_rerank.index.lexical import LexicalDelta, LexicalIndex, query_terms, standing_in, write_lexical
from endcap_rerank.index.words import Words
from endcap_rerank.product import Product
from endcap_rerank.settings import Settings
from small_catalog import PRODUCTS

ROWS = {product.id: row for row, product in enumerate(PRODUCTS)}


def index_of(directory, products):
    average = write_lexical(directory, products)
    return LexicalIndex(directory, count=len(products), average_length=average)


def search(index, query, count=10, passing=None):
    scores = index.scores(query_terms(query))
    return index.best(scores, count, passing).tolist()


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return index_of(tmp_path_factory.mktemp("lexical"), PRODUCTS)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Drills DRILL drilling", ["drill", "drill", "drill"]),
        ("18V", ["18", "v"]),
        ("18-Volt", ["18", "volt"]),
        ("1/2 in. x 2.5 ft.", ["1/2", "in", "x", "2.5", "ft"]),
        ("2x4", ["2", "x", "4"]),
        ("5gallon", ["5", "gallon"]),
        ("１８Ｖ", ["18", "v"]),
        ("SC141", ["sc141", "sc", "141"]),
        ("SC-141", ["sc", "141"]),
        ("红米手机", ["红", "米", "手", "机", "红米", "米手", "手机"]),
        ("红米5G手机", ["红", "米", "红米", "5", "g", "手", "机", "手机"]),
        ("men's café", ["men", "café"]),
        ("naïve_name", ["naïv", "name"]),
        ("  -- !! ", []),
        ("", []),
    ],
)
def test_terms(text, terms):
    assert analyze(text) == terms


def test_scores_are_bm25(tmp_path):
    products = [
        Product(id=str(n), title=t) for n, t in enumerate(["red shoe", "red red hat", "blue lamp stand"])
    ]
    index = index_of(tmp_path, products)
    idf = math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    average = (2 + 3 + 3) / 3
    expected = [
        idf * tf * 2.2 / (tf + 1.2 * (1 - 0.75 + 0.75 * length / average)) if tf else 0.0
        for tf, length in ((1, 2), (2, 3), (0, 3))
    ]
    np.testing.assert_allclose(index.scores(query_terms("red")), expected, rtol=1e-6)
    np.testing.assert_allclose(index.scores(query_terms("red red")), np.array(expected) * 2, rtol=1e-6)


def test_title_brand_category_and_attributes_are_found(index):
    assert search(index, "cordless") == [ROWS["drill"]]
    assert search(index, "makita") == [ROWS["driver"]]
    assert search(index, "drivers")[0] == ROWS["driver"]
    assert set(search(index, "yellow")) == {ROWS["drill"], ROWS["toolbelt"]}
    assert search(index, "手机") == [ROWS["phone"]]
    assert search(index, "小米")[0] == ROWS["phone"]


def test_a_unit_is_found_however_it_is_written(index):
    assert search(index, "18 v drill")[0] == search(index, "18v drill")[0] == ROWS["drill"]


def test_only_the_leaf_of_a_category_counts(index):
    assert ROWS["drill"] not in search(index, "power")


def test_unknown_words_find_nothing(index):
    assert search(index, "zzz qqq") == []
    assert search(index, "") == []


def test_only_passing_rows_are_returned(index):
    passing = np.ones(len(PRODUCTS), bool)
    passing[ROWS["drill"]] = False
    assert search(index, "yellow", passing=passing) == [ROWS["toolbelt"]]


def test_equal_scores_are_ordered_by_row(tmp_path):
    index = index_of(tmp_path, [Product(id=str(n), title="same title") for n in range(300)])
    assert search(index, "same", 7) == list(range(7))


def test_changed_products_score_as_in_the_base(index):
    delta = LexicalDelta(index)
    for slot, product in enumerate(PRODUCTS):
        delta.put(slot, Words.of(product))
    terms = query_terms("yellow cordless drill 手机")
    np.testing.assert_allclose(delta.scores(terms, len(PRODUCTS)), index.scores(terms), rtol=1e-5)


def test_a_replaced_product_loses_its_old_words(index):
    delta = LexicalDelta(index)
    delta.put(0, Words.of(Product(id="a", title="garden hose")))
    assert delta.scores(query_terms("hose"), 1)[0] > 0
    delta.put(0, Words.of(Product(id="a", title="garden gnome")))
    assert delta.scores(query_terms("hose"), 1)[0] == 0
    assert delta.scores(query_terms("gnome"), 1)[0] > 0
    delta.remove(0)
    assert delta.scores(query_terms("garden gnome"), 1)[0] == 0


@pytest.mark.data
def test_words_order_judged_products_better_than_chance(tmp_path):
    folder = Settings.from_environment().data / "homedepot"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent; set ENDCAP_DATA")
    with (folder / "products.csv").open(encoding="utf-8") as stream:
        products = [Product.from_mapping(row) for row in csv.DictReader(stream)]
    judged: dict[str, dict[str, float]] = {}
    with (folder / "judgments.dev.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            judged.setdefault(row["query"], {})[row["item_id"]] = float(row["relevance"])
    index = index_of(tmp_path, products)
    rows = {product.id: row for row, product in enumerate(products)}
    recalled = []
    for query, grades in judged.items():
        relevant = [rows[item] for item, grade in grades.items() if grade >= 2.5]
        if relevant:
            found = search(index, query, 200)
            recalled.append(len(set(relevant) & set(found)) / len(relevant))
    # Measured: 0.84; unjudged products may be relevant too, so this is a lower bound of the truth.
    assert np.mean(recalled) > 0.8


@pytest.mark.parametrize("having", [[], [4], [0, 3, 9], [2, 5, 6, 7]])
def test_rows_are_found_among_postings_in_any_order_and_beyond_the_last(having):
    rows = np.array([9, 0, 3, 12, 5, 4, 7, 2**31 - 1])
    found = standing_in(np.array(having, np.int32), rows)
    assert found.tolist() == [row in having for row in rows.tolist()]
