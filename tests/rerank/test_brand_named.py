"""A query that names a brand leaves nothing to the shopper's own."""

import json

import pytest
from endcap_rerank.events_store import Event
from endcap_rerank.product import Product
from endcap_rerank.understood import understand
from ranking_shop import open_ranker, search_request


@pytest.fixture(scope="module")
def ranker(tmp_path_factory):
    return open_ranker(tmp_path_factory.mktemp("named"))


def sure(ranker, query, **asked) -> float:
    return understand(search_request(query, **asked), ranker.index, labels=(), count=100).brand_named


@pytest.mark.parametrize("query", ["acme kettle", "kettle by ACME", "northwnid lamp"])
def test_the_words_of_a_brand_name_it_without_a_tag(ranker, query):
    assert sure(ranker, query) > 0.9


def test_other_words_name_none(ranker):
    assert sure(ranker, "red kettle") == 0.0
    assert sure(ranker, "acme kettle", options=json.dumps({"understand": False})) == 0.0


def test_a_tag_is_as_sure_as_it_says(ranker):
    labels = ranker.release.labels
    tagged = understand(search_request("acme kettle"), ranker.index, labels=labels, count=100)
    assert tagged.brand_named > 0.9


def test_a_word_that_few_of_its_products_have_as_brand_is_hardly_a_brand(tmp_path):
    shop = [Product(id=f"p{n}", title=f"home lamp {n}", brand="Vela") for n in range(19)]
    shop.append(Product(id="p19", title="home lamp 19", brand="Home"))
    assert sure(open_ranker(tmp_path, shop), "home lamp") == pytest.approx(0.05)


def test_brand_and_price_class_are_no_question_then(ranker):
    liked = next(one for one in map(ranker.index.product, range(40)) if one.brand == "Acme")
    ranker.feedback([Event.validated("ada", liked.id, "purchase", 1000.0)])

    def terms(query):
        ranked = ranker.search(search_request(query, user="ada", k=40, options=json.dumps({"explain": True})))
        return [json.loads(text)["terms"] for text in ranked.explanations]

    assert any(one.get("brand", 0.0) > 0.05 for one in terms("red kettle"))
    named = terms("vela kettle")
    assert all(abs(one.get(name, 0.0)) < 0.01 for one in named for name in ("brand", "price"))
    assert any(one.get("taste", 0.0) > 0.0 for one in named)
