"""How dear a product is among its category, and what a shopper is used to pay."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from endcap_rerank.index import Index, LiveIndex

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

WIDTH = 0.2
"""Distance in price levels at which two products are still of much the same price."""

FEW = 5
"""Prices that a category must have before a level among them says anything."""

_SORTED: WeakKeyDictionary[Index, dict[int, npt.NDArray[np.float64]]] = WeakKeyDictionary()
"""The prices of each category that was asked for, ascending, by index: computed once a process."""


@dataclass(frozen=True)
class PriceTaste:
    """Price levels of what a shopper liked.

    Attributes:
        levels: float32 [m] in [0, 1], see ``price_levels``.
        weights: float32 [m], summing to 1.
    """

    levels: Floats
    weights: Floats

    def of(self, levels: Floats) -> Floats:
        """How near products are to what the shopper is used to pay, against the other candidates.

        Σ_i w_i·exp(-((l - l_i) / WIDTH)² / 2) less its mean over the known levels; 0 where unknown.

        Args:
            levels: float32 [n], NaN where unknown.

        Returns:
            float32 [n] in (-1, 1).
        """
        known = ~np.isnan(levels)
        if not known.any():
            return np.zeros(len(levels), np.float32)
        distances = (levels[known][None, :] - self.levels[:, None]) / np.float32(WIDTH)
        nearness = self.weights @ np.exp(-0.5 * distances**2)
        values = np.zeros(len(levels), np.float32)
        values[known] = nearness - nearness.mean()
        return values


def price_levels(rows: Rows, index: LiveIndex) -> Floats:
    """Share of the released products of the same category that are cheaper: float32 [n] in [0, 1].

    NaN where price or category is unknown, or the category has fewer than FEW prices.
    """
    prices, categories = index.prices(rows), index.category_codes(rows)
    levels = np.full(len(rows), np.nan, np.float32)
    for category in np.unique(categories[categories >= 0]).tolist():
        known = _prices_of(category, index)
        if len(known) < FEW:
            continue
        at = np.flatnonzero((categories == category) & ~np.isnan(prices))
        below, up_to = known.searchsorted(prices[at], "left"), known.searchsorted(prices[at], "right")
        levels[at] = (below + up_to) / (2.0 * len(known))
    return levels


def price_taste(rows: Rows, weights: Floats, index: LiveIndex) -> PriceTaste | None:
    """The price taste behind items of a taste, disliked ones left out; None where no level is known."""
    levels = price_levels(rows, index)
    liked = (weights > 0.0) & ~np.isnan(levels)
    if not liked.any():
        return None
    return PriceTaste(levels[liked], weights[liked] / weights[liked].sum())


def _prices_of(category: int, index: LiveIndex) -> npt.NDArray[np.float64]:
    kept = _SORTED.setdefault(index.index, {})
    if category not in kept:
        columns = index.index.catalog.columns
        prices = np.asarray(columns.price[np.flatnonzero(columns.category == category)], np.float64)
        kept[category] = np.sort(prices[~np.isnan(prices)])
    return kept[category]
