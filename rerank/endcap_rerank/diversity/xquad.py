"""Explicit query aspect diversification, xQuAD (Santos, Macdonald & Ounis, WWW 2010)."""

from __future__ import annotations

import numpy as np

from endcap_rerank.diversity.kernel import SimilarityKernel
from endcap_rerank.diversity.selection import (
    Doubles,
    Floats,
    Rules,
    Selection,
    by_relevance,
    greedy,
    weighted,
)
from endcap_rerank.diversity.strategy import strategy

SATISFACTION = 0.5
"""Chance that the best product of an aspect ends the search for it. At 1 a second one would be worthless."""


@strategy
def select_xquad(
    relevance: Doubles, kernel: SimilarityKernel, k: int, diversity: float, rules: Rules
) -> Selection:
    """Greedily maximize (1-θ)·r_i + θ·Σ_a P(a)·P(i|a)·Π_{j selected} (1 - P(j|a)).

    The aspects a of a query are the groups of the kernel: each brand, each category. P(i|a) is
    SATISFACTION·exp(r_i - r of its best member) for the members of a and 0 for others, as a search for it
    alone would rate them. P(a) is the same for every aspect of a group (the uniform choice of section 4.2)
    and the group's share of the group weights: how likely an aspect is, relevance says already. A candidate
    of unknown brand covers no brand. Without groups in the kernel the order is that of relevance.
    """
    if not kernel.groups:
        return by_relevance(relevance, k, rules)
    criterion = _Coverage(kernel, relevance)
    return greedy(weighted(relevance, diversity), criterion, k, diversity, rules)


class _Coverage:
    """What each candidate adds to the coverage of its aspects."""

    common = 0.0

    def __init__(self, kernel: SimilarityKernel, values: Doubles) -> None:
        size, total = len(kernel), sum(float(weight) for _, weight in kernel.groups)
        self._codes = [codes for codes, _ in kernel.groups]
        # One row a group: what a candidate leaves open of its aspect, and what it would cover of it now.
        self._left = np.ones((len(kernel.groups), size), np.float32)
        self._open: Floats = np.zeros((len(kernel.groups), size), np.float32)
        for row, (codes, weight) in enumerate(kernel.groups):
            known = codes >= 0
            _, aspects = np.unique(codes[known], return_inverse=True)
            best = np.full(size, -np.inf)
            np.maximum.at(best, aspects, values[known])
            chances = SATISFACTION * np.exp(values[known] - best[aspects])
            self._left[row, known] = 1.0 - chances
            self._open[row, known] = float(weight) / total * chances

    def take(self, position: int, base: Floats, gains: Floats) -> None:
        for row, codes in enumerate(self._codes):
            code = codes[position]
            if code >= 0:
                covered = self._open[row]
                np.multiply(covered, self._left[row, position], covered, where=codes == code)
        np.add(base, self.spread(), gains)

    def spread(self) -> Floats:
        spread: Floats = self._open.sum(axis=0)
        return spread
