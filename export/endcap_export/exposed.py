"""Who is seen: the exposure of brands, sellers and products over the lists that shoppers were shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from endcap_rerank.errors import InvalidInputError
from endcap_rerank.events import Event
from endcap_rerank.product import CATEGORY_SEPARATOR, Product

from endcap_export.metrics import exposure, gini
from endcap_export.monitor.lists import shown_lists

NOBODY = ""
"""Value of products that have none of an attribute."""


@dataclass(frozen=True)
class Seen:
    """What one brand, seller … has.

    Attributes:
        share: of all exposure, in [0, 1].
        catalogue: of all products, in [0, 1].
    """

    value: str
    share: float
    catalogue: float


@dataclass(frozen=True)
class Exposure:
    """How exposure is spread over the values of one attribute.

    Attributes:
        attribute: ``brand``, ``category`` (its root), ``product``, or the name of an attribute.
        seen: every value of the catalogue, what is seen most first; of ``product`` those that are seen.
        gini: 0 where all values are seen alike, near 1 where one has everything.
    """

    attribute: str
    seen: tuple[Seen, ...]
    gini: float


def logged_lists(events: Iterable[Event]) -> list[tuple[str, ...]]:
    """The lists of a log by place, as far as it tells: places of which it says nothing have ``""``.

    Events need a query and a position. Views tell what was shown; where there are none, what was clicked or
    more is all that is known.

    Args:
        events: oldest first.
    """
    lists = []
    for one in shown_lists(events):
        places = {**one.taken, **one.shown}
        if places:
            lists.append(tuple(places.get(place, "") for place in range(max(places) + 1)))
    return lists


def exposures(
    lists: Sequence[Sequence[str]], products: Mapping[str, Product], attributes: Sequence[str]
) -> list[Exposure]:
    """How exposure, Σ 1/log2(1 + place), is spread over products and over the values of each attribute.

    Args:
        lists: item ids by place; ``""`` and products that are gone are seen by nobody.
        products: the catalogue by id.
        attributes: ``brand``, ``category`` or names of attributes.

    Raises:
        InvalidInputError: no list shows a product, or no product has an attribute.
    """
    by_item = {str(item): amount for item, amount in exposure(lists).items() if item in products}
    total = sum(by_item.values())
    if total <= 0.0:
        raise InvalidInputError("lists", f"{len(lists)} lists", "lists that show products are expected")
    found = [_of_products(by_item, total, len(products))]
    for attribute in attributes:
        value_of = {item: value(product, attribute) for item, product in products.items()}
        having = Counter(value_of.values())
        if set(having) == {NOBODY}:
            raise InvalidInputError("by", attribute, "brand, category or a known attribute is expected")
        amounts: dict[str, float] = dict.fromkeys(having, 0.0)
        for item, amount in by_item.items():
            amounts[value_of[item]] += amount
        named = [amount for name, amount in amounts.items() if name != NOBODY]
        seen = [
            Seen(name, amount / total, having[name] / len(products))
            for name, amount in sorted(amounts.items(), key=lambda one: (-one[1], one[0]))
        ]
        found.append(Exposure(attribute, tuple(seen), gini(named)))
    return found


def value(product: Product, attribute: str) -> str:
    """The value of a product, NOBODY where it has none; of a category its root."""
    if attribute == "brand":
        return product.brand
    if attribute == "category":
        return product.category.split(CATEGORY_SEPARATOR, 1)[0]
    return product.attributes.get(attribute, NOBODY)


def _of_products(by_item: Mapping[str, float], total: float, count: int) -> Exposure:
    seen = [
        Seen(item, amount / total, 1.0 / count)
        for item, amount in sorted(by_item.items(), key=lambda one: (-one[1], one[0]))
    ]
    return Exposure("product", tuple(seen), gini(np.array(list(by_item.values())), count))
