"""How popular each product is, by what shoppers did lately."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from endcap_rerank.events import Event
from endcap_rerank.product import Product
from endcap_rerank.schema import EVENT_WEIGHTS

HALF_LIFE_DAYS = 14.0
"""Days in which an event counts half. Measured on Online Retail, see docs/ranking.md."""

_DAY = 86_400.0


def popularity_counts(
    products: Sequence[Product], events: Sequence[Event], half_life_days: float = HALF_LIFE_DAYS
) -> npt.NDArray[np.float64]:
    """Interactions of each product, from which an index makes its popularity: float64 [products].

    reviews + m·Σ w·2^(-age / half-life) over its events: ages are counted from the latest event of all, w is
    the weight of the kind of event, and what shoppers disliked in sum gets nothing. m is the mean number of
    reviews of a product (1 where there are none), so that reviews count for as many events as there are
    products: they decide where events are few, and hardly matter where they are many.

    Args:
        half_life_days: days in which an event counts half; ``inf`` for no decay.
    """
    reviews = np.array([product.review_count for product in products], np.float64)
    rows = {product.id: row for row, product in enumerate(products)}
    known = [(rows[event.item], event) for event in events if event.item in rows]
    if not known:
        return reviews
    items = np.array([row for row, _ in known])
    weights = np.array([EVENT_WEIGHTS.get(event.event, 0.0) for _, event in known])
    times = np.array([event.timestamp for _, event in known])
    weights *= 2.0 ** (-(times.max() - times) / (half_life_days * _DAY))
    lately = np.maximum(0.0, np.bincount(items, weights, len(products)))
    return reviews + lately * (float(reviews.mean()) or 1.0)
