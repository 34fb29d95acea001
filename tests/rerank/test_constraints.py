import pytest
from endcap_rerank.constraints import Constraints, read_price
from endcap_rerank.tags import Tag


def tag(label: str, query: str, text: str) -> Tag:
    start = query.index(text)
    return Tag(label, text, start, start + len(text), 0.9)


@pytest.mark.parametrize(
    ("query", "low", "high"),
    [
        ("shoes under $50", None, 50),
        ("under $19.99 lamp", None, 19.99),
        ("$20 or less mug", None, 20),
        ("cups between $5 and $10", 5, 10),
        ("$10-$20", 10, 20),
        ("lamp 50-100 dollars", 50, 100),
        ("tv over 1,000 dollars", 1000, None),
        ("sofa under $1k", None, 1000),
        ("4-6 in. pot $20 to $30", 20, 30),
        ("大衣200元以下", None, 200),
        ("不超过三百五十块的鞋", None, 350),
        ("100到200元 手机", 100, 200),
        ("一百到两百元", 100, 200),
        ("1万元以下的相机", None, 10_000),
        ("一千五百元以上", 1500, None),
    ],
)
def test_limits_that_name_a_currency(query, low, high):
    limit = read_price(query)
    assert limit is not None
    assert (limit.low, limit.high, limit.explicit) == (low, high, True)
    assert Constraints.read(query, ()).price == limit


@pytest.mark.parametrize(
    "query",
    [
        "under cabinet light",
        "2x4 lumber",
        "iphone 15",
        "$50 gift card",
        "100-50",
        "室内灯",
        "under 4ft ladder",
    ],
)
def test_no_limit(query):
    limit = read_price(query)
    assert limit is None or not limit.explicit
    assert Constraints.read(query, ()).price is None


def test_a_bare_number_is_a_price_only_where_it_is_tagged():
    query = "lamp under 50"
    assert Constraints.read(query, ()).price is None
    price = Constraints.read(query, [tag("price", query, "under 50")]).price
    assert price is not None
    assert price.high == 50
    elsewhere = "cheap breaker under 50"
    assert Constraints.read(elsewhere, [tag("price", elsewhere, "cheap")]).price is None


def test_labels_of_every_set_mean_the_same():
    query = "红色 牧王 大衣"
    read = Constraints.read(
        query, [tag("颜色", query, "红色"), tag("pp", query, "牧王"), tag("core_product_type", query, "大衣")]
    )
    assert [term.kind for term in read.terms] == ["color", "brand", "product_type"]
    assert read.as_mapping() == {"color": ["红色"], "brand": ["牧王"], "product_type": ["大衣"]}


def test_unknown_labels_stay_as_they_are():
    query = "patio for parties"
    assert Constraints.read(query, [tag("occasion", query, "parties")]).terms[0].kind == "occasion"


def test_words_that_state_the_price_are_no_other_demand():
    query = "drill under $50"
    read = Constraints.read(query, [tag("product", query, "drill"), tag("product", query, "$50")])
    assert [term.text for term in read.terms] == ["drill"]
