from weakref import WeakKeyDictionary

import numpy as np
import pytest
from endcap_rerank import price_class
from endcap_rerank.price_class import CLASSES, PRIOR, SAMPLE, price_classes, price_taste
from endcap_rerank.prices import price_levels
from endcap_rerank.product import Product
from ranking_shop import embed, open_ranker

BRANDS = ("Budget", "Middle", "Grand")


def product(brand: str, category: str, at: int, price: float) -> Product:
    return Product(
        id=f"{brand or 'plain'}-{category}-{at}",
        title=f"{brand} {category} {at}",
        brand=brand,
        category=category,
        price=price,
    )


@pytest.fixture(scope="module")
def ranker(tmp_path_factory):
    """Three brands, each ten times as dear as the one before, in two categories; pens of Grand only."""
    shop = [
        product(brand, category, at, 10.0**tier * (5.0 + at))
        for tier, brand in enumerate(BRANDS)
        for category in ("Lamps", "Desks")
        for at in range(8)
    ]
    shop += [product("Grand", "Pens", at, 1.0 + at) for at in range(8)]
    shop += [product("", "Lamps", 0, 1.0), product("", "Lamps", 1, 1e5), product("", "Pens", 2, float("nan"))]
    return open_ranker(tmp_path_factory.mktemp("classes"), shop)


def rows(ranker, *items):
    return np.array([ranker.index.row(item) for item in items])


def of(ranker, *items):
    return price_classes(rows(ranker, *items), ranker.index).tolist()


def taste(ranker, *items, weight=1.0):
    return price_taste(rows(ranker, *items), np.full(len(items), weight, np.float32), ranker.index)


def test_products_of_a_brand_are_of_one_class_or_nearly(ranker):
    budget = of(ranker, *(f"Budget-Lamps-{at}" for at in range(8)))
    middle = of(ranker, *(f"Middle-Desks-{at}" for at in range(8)))
    assert max(budget) - min(budget) <= 1
    assert max(middle) - min(middle) <= 1
    assert max(budget) < min(middle)


def test_without_a_brand_the_products_own_price_decides(ranker):
    low, high, unknown = of(ranker, "plain-Lamps-0", "plain-Lamps-1", "plain-Pens-2")
    assert (low, high, unknown) == (0, CLASSES - 1, -1)
    assert taste(ranker, "plain-Pens-2") is None


def test_who_chooses_dear_brands_is_shown_dear_brands_of_other_categories(ranker):
    found = taste(ranker, "Grand-Desks-1", "Grand-Desks-4")
    values = found.of(
        np.array(of(ranker, "Budget-Lamps-3", "Middle-Lamps-3", "Grand-Lamps-3", "plain-Pens-2"))
    )
    assert values[0] < values[1] < values[2]
    assert values[2] > 0.0 == values[3]
    assert np.abs(found.values).max() < 1.0


def test_what_alone_was_to_be_had_says_little(ranker):
    """Every pen is of one brand: who takes it did not choose it among others."""
    grand = np.array(of(ranker, "Grand-Lamps-3"))
    forced, chosen = taste(ranker, "Grand-Pens-3").of(grand), taste(ranker, "Grand-Desks-3").of(grand)
    assert abs(forced[0]) < 0.2 * chosen[0]


def test_more_choices_say_more(ranker):
    grand = np.array(of(ranker, "Grand-Lamps-3"))
    values = [taste(ranker, "Grand-Desks-3", weight=PRIOR * times).of(grand)[0] for times in (0.1, 1.0, 10.0)]
    assert values == sorted(values)


def test_a_brand_that_came_later_has_its_products_own_price(ranker):
    new = product("Novel", "Desks", 0, 1e6)
    ranker.upsert([(new, embed(new.title))])
    assert of(ranker, new.id) == [CLASSES - 1]


@pytest.mark.parametrize("sample", [SAMPLE, 20])
def test_kept_classes_are_those_that_would_be_computed(ranker, monkeypatch, sample):
    monkeypatch.setattr(price_class, "SAMPLE", sample)
    monkeypatch.setattr(price_class, "_OFFERS", WeakKeyDictionary())
    every = np.arange(ranker.index.index.count)
    offer = price_class._offer(ranker.index)
    computed = offer.classes(price_levels(every, ranker.index), ranker.index.brand_codes(every))
    for _ in "first", "again":
        assert price_classes(every, ranker.index).tolist() == computed.tolist()
    assert len(set(computed.tolist())) > 3
