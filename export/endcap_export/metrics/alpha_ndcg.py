"""α-nDCG (Clarke et al., SIGIR 2008): relevance that repetition wears out."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import numpy as np
from endcap_rerank.errors import InvalidInputError


def alpha_ndcg(
    ranked: Sequence[AbstractSet[str]], judged: Sequence[AbstractSet[str]], k: int, *, alpha: float = 0.5
) -> float:
    """α-DCG@k of a list over that of the best list.

    α-DCG = Σ_{i ≤ k} 1/log2(1 + i)·Σ_{a of the i-th} (1 - α)^(how often a came before). The best list is made
    greedily, as the paper does, since finding it is NP-hard.

    Args:
        ranked: of each product of the list, in order, the aspects it is relevant to (brands, categories,
            intents); empty for a product that is not relevant.
        judged: the same of every product that might have been ranked.
        k: how many of the list count.
        alpha: from 0 (repetition costs nothing) to 1 (a second product of an aspect is worthless).

    Returns:
        From 0 to 1; 0 where nothing is relevant.

    Raises:
        InvalidInputError: ``alpha`` or ``k`` is out of range.
    """
    if not 0.0 <= alpha <= 1.0:
        raise InvalidInputError("alpha", alpha, "a number from 0 to 1 is expected")
    if k < 1:
        raise InvalidInputError("k", k, "at least 1 is expected")
    left = [aspects for aspects in judged if aspects]
    best: list[AbstractSet[str]] = []
    seen: dict[str, int] = {}
    while left and len(best) < k:
        place = max(range(len(left)), key=lambda each: _gain(left[each], seen, alpha))
        best.append(left.pop(place))
        _count(best[-1], seen)
    ideal = _dcg(best, k, alpha)
    return _dcg(ranked, k, alpha) / ideal if ideal > 0.0 else 0.0


def _dcg(ranked: Sequence[AbstractSet[str]], k: int, alpha: float) -> float:
    seen: dict[str, int] = {}
    total = 0.0
    for place, aspects in enumerate(ranked[:k]):
        total += _gain(aspects, seen, alpha) / float(np.log2(2 + place))
        _count(aspects, seen)
    return total


def _gain(aspects: AbstractSet[str], seen: dict[str, int], alpha: float) -> float:
    return sum((1.0 - alpha) ** seen.get(aspect, 0) for aspect in aspects)


def _count(aspects: AbstractSet[str], seen: dict[str, int]) -> None:
    for aspect in aspects:
        seen[aspect] = seen.get(aspect, 0) + 1
