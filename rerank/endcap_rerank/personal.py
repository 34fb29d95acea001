"""What is known of a shopper, held against each candidate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from endcap_rerank.profile import SMOOTHING, Taste

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Affinity:
    """How the items of a taste speak for each candidate.

    Attributes:
        values: float32 [n] in (-1, 1).
        likeness: float32 [m, n], of each item of the taste to each candidate, before the item's weight.
    """

    values: Floats
    likeness: Floats


TYPICAL_LIKENESS = 0.05
"""Cosine by which a candidate must exceed the others before likeness to an item is more than noise."""


def affinity(embeddings: Floats, taste: Taste) -> Affinity:
    """Likeness of candidates to the items of a taste.

    a_c = Σ_i w_i·max(0, cos(c, i) - mean_c' cos(c', i)), then a / (max |a| + TYPICAL_LIKENESS). The mean
    over the request's candidates is taken off because embeddings of one query's products are all alike;
    the constant keeps differences that are mere noise from being blown up.

    Args:
        embeddings: float32 [n, D] of the candidates.
    """
    likeness: Floats = embeddings @ taste.vectors.T  # sooner done with the larger matrix first
    if count := len(embeddings):
        likeness -= np.full(count, 1.0 / count, np.float32) @ likeness  # sooner than ``mean``
    np.maximum(likeness, 0.0, out=likeness)
    raw = likeness @ taste.weights
    largest = float(np.abs(raw).max(initial=0.0))
    return Affinity(raw / np.float32(largest + TYPICAL_LIKENESS), likeness.T)


TYPICAL_CHANCE = 0.01
"""Chance of being taken next below which differences are more noise than affinity."""


def chance_values(chances: Floats) -> Floats:
    """Chances as values in [0, 1): c / (max c + TYPICAL_CHANCE)."""
    return chances / np.float32(float(chances.max(initial=0.0)) + TYPICAL_CHANCE)


TYPICAL_SHARE = 0.2
"""Share of a shopper's events at which a brand or a category is half as dear as it can be."""


def leaning(shares: Floats) -> Floats:
    """Shares of events as values in [0, 1): s / (s + TYPICAL_SHARE).

    A shopper of four brands loves each of them no less than one who has but one.
    """
    return shares / (shares + np.float32(TYPICAL_SHARE))


def knowledge(strength: float) -> float:
    """How far a shopper's taste is believed, in [0, 1): strength / (strength + SMOOTHING)."""
    return strength / (strength + SMOOTHING)
