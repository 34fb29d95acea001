"""Sliding spectrum decomposition (Huang, Wang, Peng & Jin, KDD 2021)."""

from __future__ import annotations

import numpy as np

from endcap_rerank.diversity.kernel import SimilarityKernel
from endcap_rerank.diversity.narrow import narrowed
from endcap_rerank.diversity.orthogonal import Residual
from endcap_rerank.diversity.selection import (
    Doubles,
    Floats,
    Rules,
    Selection,
    weighted,
)
from endcap_rerank.diversity.strategy import Strategy, strategy
from endcap_rerank.errors import InvalidInputError

WINDOW = 10
"""How many products a shopper sees together, about: a page of a phone or two rows of a desktop."""


def sliding(window: int) -> Strategy:
    """The strategy that looks at any ``window`` consecutive products: greedily, (1-θ)·r_i + θ·d_i.

    A shopper scrolls: what stood a page above no longer makes the next product dull. d_i is the length of
    i outside the span of the last ``window - 1`` selected ones, by modified Gram-Schmidt with a circular
    queue (algorithm 2 of the paper, in its stable form without the product of earlier volumes, eq. 12). It
    is computed from similarities (:class:`Residual`), O(n·(d + window)) a step, where the paper's updates
    n vectors of d numbers.

    Raises:
        InvalidInputError: a window of less than 2.
    """
    if window < 2:
        raise InvalidInputError("window", window, "at least 2 is expected")

    @strategy
    def select(
        relevance: Doubles, kernel: SimilarityKernel, k: int, diversity: float, rules: Rules
    ) -> Selection:
        return narrowed(
            weighted(relevance, diversity),
            kernel,
            lambda near: _Volume(near, k, window),
            k,
            diversity,
            rules,
            ceiling=1.0,
            slack=1.0,
        )

    return select


class _Volume:
    """d."""

    common = 0.0

    def __init__(self, kernel: SimilarityKernel, k: int, window: int) -> None:
        self._residual = Residual(kernel, k, window - 1)

    def take(self, position: int, base: Floats, gains: Floats) -> None:
        self._residual.take(position, gains)
        np.sqrt(gains, gains)
        np.add(base, gains, gains)

    def spread(self) -> Floats:
        spread: Floats = np.sqrt(self._residual.floored())
        return spread


select_ssd = sliding(WINDOW)
"""With a window of WINDOW."""
