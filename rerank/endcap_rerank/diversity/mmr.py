"""Maximal marginal relevance (Carbonell & Goldstein, SIGIR 1998)."""

from __future__ import annotations

import numpy as np

from endcap_rerank.diversity.kernel import SimilarityKernel
from endcap_rerank.diversity.narrow import narrowed
from endcap_rerank.diversity.selection import (
    Doubles,
    Floats,
    Rules,
    Selection,
    weighted,
)
from endcap_rerank.diversity.strategy import strategy


@strategy
def select_mmr(
    relevance: Doubles, kernel: SimilarityKernel, k: int, diversity: float, rules: Rules
) -> Selection:
    """Greedily maximize (1-θ)·r_i - θ·max_{j selected} S_ij."""
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
