"""Greedy MAP inference of a determinantal point process (Chen, Zhang & Zhou, NeurIPS 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from endcap_rerank.diversity.caps import Cap
from endcap_rerank.diversity.kernel import SimilarityKernel
from endcap_rerank.diversity.selection import TIE_BREAK, Doubles, Selection, check, greedy, scaled

FLOOR = 1e-5
"""Least share of a candidate that counts as new. Below it float32 similarities are noise: what the
selection spans already is worth log(FLOOR) whatever it is, and relevance decides."""


def select_dpp(
    relevance: npt.NDArray[np.floating[Any]],
    kernel: SimilarityKernel,
    k: int,
    diversity: float,
    *,
    caps: Sequence[Cap] = (),
    first: Sequence[int] = (),
) -> Selection:
    """Greedily maximize (1-θ)·Σ r_i + θ·log det S_selected.

    This is the MAP of the DPP with L = diag(exp(αr))·S·diag(exp(αr)), α = (1-θ)/2θ, the trade-off of
    section 4.2 of the paper, scaled by θ so that θ = 0 is defined. The gain of i is
    (1-θ)·r_i + θ·log d_i², where d_i² is the share of i that the selected ones do not span: the diagonal
    of a Cholesky factor which grows by one row a step, O(n·(d + k)) each, O(k²n) in all.

    Args:
        relevance: float [n], any scale; rescaled by :func:`scaled`.
        kernel: similarities of the n candidates, positive semi-definite with unit diagonal.
        k: how many to select; all n, reordered, when k > n.
        diversity: θ. 0 gives the order of relevance; at 1 relevance decides only between equals.
        caps: most candidates per code; kept while any candidate can keep them.
        first: positions to take first, in this order.

    Raises:
        InvalidInputError: an argument does not fit the others.
    """
    check(relevance, len(kernel), k, diversity, caps, first)
    criterion = _LogDeterminant(relevance, kernel, k, diversity)
    return greedy(criterion, len(kernel), k, caps, first)


class _LogDeterminant:
    def __init__(
        self, relevance: npt.NDArray[np.floating[Any]], kernel: SimilarityKernel, k: int, diversity: float
    ) -> None:
        size = len(kernel)
        self._relevance: Doubles = scaled(relevance) * max(1.0 - diversity, TIE_BREAK)
        self._kernel = kernel
        self._diversity = diversity
        # One row of the Cholesky factor for each selected candidate that added something new.
        self._factor = np.empty((min(k, size), size), dtype=np.float64)
        self._filled = 0
        self._remaining = np.ones(size, dtype=np.float64)

    def gains(self) -> Doubles:
        if not self._filled:
            return self._relevance.copy()
        gains = np.maximum(self._remaining, FLOOR)
        np.log(gains, out=gains)
        gains *= self._diversity
        gains += self._relevance
        return gains

    def take(self, position: int) -> None:
        share = self._remaining[position]
        if self._diversity == 0.0 or share <= FLOOR:
            return
        filled = self._filled
        row = self._factor[filled]
        row[:] = self._kernel.row(position)
        if filled:
            known = self._factor[:filled]
            row -= known[:, position] @ known
        row /= np.sqrt(share)
        self._remaining -= row * row
        self._filled = filled + 1
