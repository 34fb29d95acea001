"""Maximal marginal relevance (Carbonell & Goldstein, SIGIR 1998)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from endcap_rerank.diversity.caps import Cap
from endcap_rerank.diversity.kernel import SimilarityKernel
from endcap_rerank.diversity.selection import TIE_BREAK, Doubles, Selection, check, greedy, scaled


def select_mmr(
    relevance: npt.NDArray[np.floating[Any]],
    kernel: SimilarityKernel,
    k: int,
    diversity: float,
    *,
    caps: Sequence[Cap] = (),
    first: Sequence[int] = (),
) -> Selection:
    """Greedily maximize (1-θ)·r_i - θ·max_{j selected} S_ij.

    Args:
        relevance: float [n], any scale; rescaled by :func:`scaled`.
        kernel: similarities of the n candidates.
        k: how many to select; all n, reordered, when k > n.
        diversity: θ. 0 gives the order of relevance; at 1 relevance decides only between equals.
        caps: most candidates per code; kept while any candidate can keep them.
        first: positions to take first, in this order.

    Raises:
        InvalidInputError: an argument does not fit the others.
    """
    check(relevance, len(kernel), k, diversity, caps, first)
    criterion = _MarginalRelevance(relevance, kernel, diversity)
    return greedy(criterion, len(kernel), k, caps, first)


class _MarginalRelevance:
    def __init__(
        self, relevance: npt.NDArray[np.floating[Any]], kernel: SimilarityKernel, diversity: float
    ) -> None:
        self._relevance: Doubles = scaled(relevance) * max(1.0 - diversity, TIE_BREAK)
        self._kernel = kernel
        self._diversity = diversity
        self._nearest: npt.NDArray[np.float32] | None = None

    def gains(self) -> Doubles:
        if self._nearest is None:
            return self._relevance.copy()
        return self._relevance - self._diversity * self._nearest

    def take(self, position: int) -> None:
        if self._diversity == 0.0:
            return
        row = self._kernel.row(position)
        if self._nearest is None:
            self._nearest = row
        else:
            np.maximum(self._nearest, row, out=self._nearest)
