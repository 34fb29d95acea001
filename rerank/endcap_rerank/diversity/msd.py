"""Max-sum diversification (Borodin, Lee & Ye, PODS 2012)."""

from __future__ import annotations

import numpy as np

from endcap_rerank.diversity.kernel import SimilarityKernel
from endcap_rerank.diversity.selection import (
    Doubles,
    Floats,
    Rules,
    Selection,
    greedy,
    weighted,
)
from endcap_rerank.diversity.strategy import strategy


@strategy
def select_msd(
    relevance: Doubles, kernel: SimilarityKernel, k: int, diversity: float, rules: Rules
) -> Selection:
    """Greedily maximize (1-θ)·Σ r_i + θ·2/(k-1)·Σ_{i<j} (1 - S_ij) over the selected ones.

    Each of k products stands in k-1 pairs, hence the factor: both sums count each product once, and θ
    means the same at every k. Section 4 of the paper takes the candidate of the largest
    (1-θ)/2·r_i + θ·2/(k-1)·Σ_{j selected} (1 - S_ij): relevance counts half, which makes the greedy list
    worth at least half of the best one where 1 - S is a metric. The gains here are twice that.
    """
    weight = 4.0 * diversity / max(min(k, len(kernel)) - 1, 1)
    return greedy(weighted(relevance, diversity, weight), _Distances(kernel), k, weight, rules)


class _Distances:
    """Sum of distances to the selected ones."""

    def __init__(self, kernel: SimilarityKernel) -> None:
        self._kernel = kernel
        self._row: Floats = np.empty(len(kernel), np.float32)
        self._similar: Floats = np.zeros(len(kernel), np.float32)
        self.common = 0.0

    def take(self, position: int, base: Floats, gains: Floats) -> None:
        np.add(self._similar, self._kernel.row(position, self._row), self._similar)
        np.subtract(base, self._similar, gains)
        self.common += 1.0  # of 1 - S, the 1 is the same for all

    def spread(self) -> Floats:
        return -self._similar
