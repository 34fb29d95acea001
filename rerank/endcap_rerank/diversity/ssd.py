"""Sliding spectrum decomposition (Huang, Wang, Peng & Jin, KDD 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from endcap_rerank.diversity.calibration import Calibration
from endcap_rerank.diversity.caps import Cap
from endcap_rerank.diversity.exploration import Exploration
from endcap_rerank.diversity.kernel import SimilarityKernel
from endcap_rerank.diversity.narrow import narrowed
from endcap_rerank.diversity.orthogonal import Residual
from endcap_rerank.diversity.selection import (
    NEGLIGIBLE,
    Floats,
    Rules,
    Selection,
    by_relevance,
    check,
    weighted,
)
from endcap_rerank.errors import InvalidInputError

WINDOW = 10
"""How many products a shopper sees together, about: a page of a phone or two rows of a desktop."""


def select_ssd(
    relevance: npt.NDArray[np.floating[Any]],
    kernel: SimilarityKernel,
    k: int,
    diversity: float,
    *,
    caps: Sequence[Cap] = (),
    first: Sequence[int] = (),
    calibration: Calibration | None = None,
    exploration: Exploration | None = None,
    window: int = WINDOW,
) -> Selection:
    """Greedily maximize (1-θ)·r_i + θ·d_i, where d_i is what is new of i in its window.

    A shopper scrolls: what stood a page above no longer makes the next product dull. d_i is the length of
    i outside the span of the last ``window - 1`` selected ones, by modified Gram-Schmidt with a circular
    queue (algorithm 2 of the paper, in its stable form without the product of earlier volumes, eq. 12). It
    is computed from similarities (:class:`Residual`), O(n·(d + window)) a step, where the paper's updates
    n vectors of d numbers.

    Args:
        relevance: float [n], any scale; rescaled by :func:`scaled`.
        kernel: similarities of the n candidates, positive semi-definite with unit diagonal.
        k: how many to select; all n, reordered, when k > n.
        diversity: θ. 0 gives the order of relevance; at 1 relevance decides only between equals.
        caps: most candidates per code; kept while any candidate can keep them.
        first: positions to take first, in this order.
        calibration: the mix that the list should have.
        exploration: places for new products.
        window: at least 2 consecutive products that are to differ.

    Raises:
        InvalidInputError: an argument does not fit the others.
    """
    rules = Rules(caps, first, calibration, exploration)
    check(relevance, len(kernel), k, diversity, rules)
    if window < 2:
        raise InvalidInputError("window", window, "at least 2 is expected")
    if diversity <= NEGLIGIBLE:
        return by_relevance(relevance, k, rules)
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
