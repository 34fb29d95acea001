"""Pairs of query and product to learn the embedding from: judged, clicked, or made of titles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from endcap_rerank.events_store import Event
from endcap_rerank.product import Product
from endcap_rerank.schema import EVENT_WEIGHTS
from endcap_rerank.tags import is_cjk

from endcap_export.batches import Pair
from endcap_export.data import Judgment
from endcap_export.shop import Shop

_UPPER_SHARE = 0.8
"""Grades in the upper fifth of the shop's scale are positives (2.6 and more of 1 to 3)."""


def training_pairs(shop: Shop, *, seed: int = 0, limit: int | None = None) -> tuple[tuple[Pair, ...], str]:
    """The best pairs that the shop's data allow.

    Judgments if there are any; else queries and what was clicked or bought after them; else a few words
    of each title as the query for it.

    Args:
        shop: the shop; its held-out judgments are not looked at.
        seed: of the choice of words and of ``limit``.
        limit: most pairs, chosen at random; all when None.

    Returns:
        The pairs, and which of ``judgments``, ``events``, ``titles`` they come from.
    """
    source, pairs = "judgments", judged_pairs(shop.judgments)
    if not pairs:
        source, pairs = "events", clicked_pairs(shop.events)
    if not pairs:
        source, pairs = "titles", title_pairs(shop.products, seed)
    if limit is not None and len(pairs) > limit:
        chosen = np.random.default_rng(seed).permutation(len(pairs))[:limit]
        pairs = [pairs[index] for index in sorted(chosen)]
    return tuple(pairs), source


def judged_pairs(judgments: Sequence[Judgment]) -> list[Pair]:
    """Pairs whose grade lies in the upper part of the scale that the judgments span."""
    if not judgments:
        return []
    grades = [judgment.relevance for judgment in judgments]
    threshold = min(grades) + _UPPER_SHARE * (max(grades) - min(grades))
    return [Pair(one.query, one.item) for one in judgments if one.relevance >= threshold]


def clicked_pairs(events: Sequence[Event]) -> list[Pair]:
    """Each query with the products that it led to; views say too little."""
    found = {
        Pair(event.query, event.item): None
        for event in events
        if event.query.strip() and EVENT_WEIGHTS[event.event] >= EVENT_WEIGHTS["click"]
    }
    return list(found)


def title_pairs(products: Sequence[Product], seed: int) -> list[Pair]:
    """Two to four neighbouring words of each title (of a Chinese one: characters) as a query for it."""
    generator = np.random.default_rng(seed)
    pairs = []
    for product in products:
        chinese = any(map(is_cjk, product.title))
        words = list(product.title) if chinese else product.title.split()
        size = int(generator.integers(2, 5))
        start = int(generator.integers(0, max(1, len(words) - size + 1)))
        query = ("" if chinese else " ").join(words[start : start + size]).strip()
        if query and query != product.title:
            pairs.append(Pair(query[:512], product.id))
    return pairs
