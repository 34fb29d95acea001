"""Novelty: how little known the products of a list are (Zhou et al., PNAS 2010)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from endcap_rerank.errors import InvalidInputError


def novelty(items: Sequence[str], interactions: Mapping[str, int], shoppers: int) -> float:
    """Mean self-information of a list's products: -1/k·Σ log2(shoppers who know i / all shoppers), in bits.

    A product that nobody knows counts as known by one.

    Args:
        items: the list.
        interactions: how many shoppers interacted with each product.
        shoppers: how many there are.

    Raises:
        InvalidInputError: fewer shoppers than a product has.
    """
    if not items:
        return 0.0
    known = np.array([max(1, interactions.get(item, 0)) for item in items], np.float64)
    if shoppers < known.max():
        raise InvalidInputError("shoppers", shoppers, f"at least {known.max():g} is expected")
    return float(-np.log2(known / shoppers).mean() + 0.0)
