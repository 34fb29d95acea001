import math

import pytest
from endcap_rerank.errors import InvalidInputError
from endcap_rerank.filters import Filters
from endcap_rerank.index import LiveIndex
from small_catalog import PRODUCTS, small_index, unit_vectors

ALL = {product.id for product in PRODUCTS}


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    return LiveIndex(small_index(tmp_path_factory.mktemp("index")))


def passing(live, **conditions):
    filters = Filters(**conditions)
    found = live.retrieve("tools", unit_vectors(1)[0], count=10, filters=filters)
    near = live.nearest(unit_vectors(1)[0], 10, filters)
    assert set(live.item_ids(near.rows)) == set(live.item_ids(found.rows))
    return set(live.item_ids(found.rows))


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, ALL),
        ({"price_max": 99.99}, {"drill", "hammer", "lamp"}),
        ({"price_min": 19.99, "price_max": 19.99}, {"hammer"}),
        ({"price_min": 0.0}, ALL - {"toolbelt"}),
        ({"brands": ("dewalt",)}, {"drill", "hammer"}),
        ({"brands": ("小米", "PHILIPS")}, {"phone", "lamp"}),
        ({"brands": ("nobody",)}, set()),
        ({"categories": ("Tools",)}, {"drill", "driver", "hammer"}),
        ({"categories": ("tools>power tools",)}, {"drill", "driver"}),
        ({"categories": ("Lighting", "数码 > 手机")}, {"lamp", "phone"}),
        ({"categories": ("Power tools",)}, set()),
        ({"in_stock": True}, ALL - {"driver"}),
        ({"attributes": {"color": ("yellow",)}}, {"drill", "toolbelt"}),
        ({"attributes": {"COLOR": ("Yellow", "blue")}}, {"drill", "driver", "toolbelt"}),
        ({"attributes": {"color": ("yellow",), "size": ("L",)}}, set()),
        ({"exclude": frozenset({"drill", "unknown"})}, ALL - {"drill"}),
        ({"brands": ("DeWalt",), "price_max": 50.0, "categories": ("Tools",)}, {"hammer"}),
    ],
    ids=str,
)
def test_exactly_the_products_that_meet_every_condition(live, conditions, expected):
    assert passing(live, **conditions) == expected


def test_a_product_without_brand_meets_no_brand(live):
    assert "toolbelt" not in passing(live, brands=("nobody", "Makita"))


@pytest.mark.parametrize(
    ("conditions", "field"),
    [
        ({"price_min": math.nan}, "filters.price_min"),
        ({"price_max": math.nan}, "filters.price_max"),
        ({"price_min": 10.0, "price_max": 5.0}, "filters.price_max"),
    ],
)
def test_impossible_prices_are_refused_by_name(conditions, field):
    with pytest.raises(InvalidInputError) as caught:
        Filters(**conditions)
    assert caught.value.field == field
