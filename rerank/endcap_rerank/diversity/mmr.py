"""Maximal marginal relevance (Carbonell & Goldstein, SIGIR 1998)."""

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
from endcap_rerank.diversity.selection import (
    NEGLIGIBLE,
    Floats,
    Rules,
    Selection,
    by_relevance,
    check,
    weighted,
)


def select_mmr(
    relevance: npt.NDArray[np.floating[Any]],
    kernel: SimilarityKernel,
    k: int,
    diversity: float,
    *,
    caps: Sequence[Cap] = (),
    first: Sequence[int] = (),
    calibration: Calibration | None = None,
    exploration: Exploration | None = None,
) -> Selection:
    """Greedily maximize (1-θ)·r_i - θ·max_{j selected} S_ij.

    Args:
        relevance: float [n], any scale; rescaled by :func:`scaled`.
        kernel: similarities of the n candidates.
        k: how many to select; all n, reordered, when k > n.
        diversity: θ. 0 gives the order of relevance; at 1 relevance decides only between equals.
        caps: most candidates per code; kept while any candidate can keep them.
        first: positions to take first, in this order.
        calibration: the mix that the list should have.
        exploration: places for new products.

    Raises:
        InvalidInputError: an argument does not fit the others.
    """
    rules = Rules(caps, first, calibration, exploration)
    check(relevance, len(kernel), k, diversity, rules)
    if diversity <= NEGLIGIBLE:
        return by_relevance(relevance, k, rules)
    return narrowed(weighted(relevance, diversity), kernel, _Nearest, k, diversity, rules, slack=SLACK)


SLACK = 0.5
"""By how much the nearest of twenty taken exceeds the first of them in similarity, seldom more."""


class _Nearest:
    """The similarity to the nearest of the selected ones, taken off."""

    common = 0.0

    def __init__(self, kernel: SimilarityKernel) -> None:
        self._kernel = kernel
        self._row: Floats = np.empty(len(kernel), np.float32)
        self._nearest: Floats | None = None

    def take(self, position: int, base: Floats, gains: Floats) -> None:
        if self._nearest is None:
            self._nearest = self._kernel.row(position)
        else:
            np.maximum(self._nearest, self._kernel.row(position, self._row), self._nearest)
        np.subtract(base, self._nearest, gains)

    def spread(self) -> Floats:
        return np.zeros_like(self._row) if self._nearest is None else -self._nearest
