import numpy as np
import pytest
from endcap_rerank.index import LiveIndex
from endcap_rerank.index.lexical import LexicalIndex, write_lexical
from endcap_rerank.index.reading import Correction, read_query
from endcap_rerank.product import Product
from small_catalog import small_index

TITLES = [
    *["Cordless drill"] * 20,
    *["Drip tray"] * 3,
    *["Kitchen sink faucet"] * 10,
    *["Wedding ring king size"] * 12,
    *["Dish washer hose"] * 4,
    "Cordlss lamp",
    "红米手机",
]


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lexical")
    products = [Product(id=str(n), title=title) for n, title in enumerate(TITLES)]
    average = write_lexical(folder, products)
    return LexicalIndex(folder, count=len(products), average_length=average)


def titles(index, reading, count=3):
    return [TITLES[row] for row in index.best(reading.scores, count)]


def test_an_unknown_word_is_read_as_its_neighbour(index):
    reading = read_query("cordless drlil", index)
    assert reading.corrections == (Correction("drlil", ("drill",)),)
    assert titles(index, reading) == ["Cordless drill"] * 3
    assert 0 < reading.terms["drill"] < 1 == reading.terms["cordless"]


def test_known_words_are_left_alone(index):
    reading = read_query("drip tray", index)
    assert reading.corrections == ()
    assert reading.terms == {"drip": 1.0, "tray": 1.0}


def test_the_rest_of_the_query_decides(index):
    assert read_query("kitchen xink", index).corrections[0].read_as[0] == "sink"
    assert read_query("wedding king sizf", index).corrections[0].read_as == ("size",)


def test_a_rare_word_beside_a_frequent_one_is_read_both_ways(index):
    reading = read_query("cordlss drill", index)
    assert reading.corrections == (Correction("cordlss", ("cordless",)),)
    assert reading.terms["cordlss"] == 1.0 > reading.terms["cordless"]


def test_the_last_word_may_be_unfinished(index):
    assert read_query("kitchen fau", index).corrections == (Correction("fau", ("faucet",)),)
    assert titles(index, read_query("kitchen fau", index)) == ["Kitchen sink faucet"] * 3
    assert read_query("fau kitchen", index).corrections == ()
    assert read_query("kitchen fau ", index).corrections == ()


def test_two_words_written_as_one(index):
    reading = read_query("dishwasher hose", index)
    assert reading.corrections == (Correction("dishwasher", ("dish", "washer")),)
    assert titles(index, reading) == ["Dish washer hose"] * 3


def test_off_means_off(index):
    reading = read_query("cordless drlil", index, tolerant=False)
    assert reading.corrections == ()
    assert "drill" not in reading.terms


def test_a_word_of_a_changed_product_is_a_word(index):
    assert read_query("grill stand", index).corrections == (Correction("grill", ("drill",)),)
    assert read_query("grill stand", index, {"grill"}.__contains__).corrections == ()


@pytest.mark.parametrize("query", ["", "!!", "红米手几", "123456", "zzzzzzzz"])
def test_nothing_to_read(index, query):
    reading = read_query(query, index)
    assert reading.corrections == ()
    assert reading.scores.shape == (len(TITLES),)


def test_a_misspelled_query_is_near_to_what_was_meant(tmp_path):
    vectors = np.eye(8, dtype=np.float32)[[0] * 4 + [1] * 4]
    titles = ["Cordless drill"] * 2 + ["Power tool"] * 2 + ["Garden hose"] * 4
    products = [Product(id=str(n), title=title) for n, title in enumerate(titles)]
    live = LiveIndex(small_index(tmp_path, products, vectors))
    strange = np.eye(8, dtype=np.float32)[1]  # as an encoder might read a word that it does not know
    found = live.retrieve("drlil", strange, count=8)
    assert found.corrections == (Correction("drlil", ("drill",)),)
    # Product 2 shares no word with the query, but lies where the drills lie.
    assert found.dense[found.rows.tolist().index(2)] > 0.7
    assert live.retrieve("drlil", strange, count=8, tolerant=False).dense[0] == 1.0
