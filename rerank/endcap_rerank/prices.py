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

BANDS = 4
"""Price bands of a category: as many products in each."""

FEW = 5
"""Prices that a category must have before a level among them says anything."""


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
    levels = _LEVELS.get(index.index)
    if levels is None:
        levels = _LEVELS[index.index] = _Levels(index.index)
    released = rows < index.index.count
    if released.all():
        return levels.of(rows)
    found = np.empty(len(rows), np.float32)
    found[released] = levels.of(rows[released])
    changed = rows[~released]
    found[~released] = [
        levels.of_price(category, price)
        for category, price in zip(
            index.category_codes(changed).tolist(), index.prices(changed).tolist(), strict=True
        )
    ]
    return found


def price_bands(rows: Rows, index: LiveIndex) -> npt.NDArray[np.int32]:
    """The quarter of its category's prices that each product lies in: int32 [n], -1 where unknown.

    Bands are counted within a category, so that a cheap tent and a cheap lamp are of one band.
    """
    levels = price_levels(rows, index)
    known = ~np.isnan(levels)
    bands = np.full(len(levels), -1, np.int32)
    bands[known] = np.minimum((levels[known] * BANDS).astype(np.int32), BANDS - 1)
    return bands


def price_taste(rows: Rows, weights: Floats, index: LiveIndex) -> PriceTaste | None:
    """The price taste behind items of a taste, disliked ones left out; None where no level is known."""
    levels = price_levels(rows, index)
    liked = (weights > 0.0) & ~np.isnan(levels)
    if not liked.any():
        return None
    return PriceTaste(levels[liked], weights[liked] / weights[liked].sum())


class _Levels:
    """The levels of a release's products, computed by category when one is first asked for."""

    def __init__(self, index: Index) -> None:
        columns = index.catalog.columns
        self._prices, self._categories = columns.price, columns.category
        self._levels = np.full(index.count, np.nan, np.float32)
        self._done = np.zeros(int(self._categories.max(initial=-1)) + 2, bool)
        self._done[-1] = True  # code -1: no category
        self._sorted: dict[int, npt.NDArray[np.float64]] = {}

    def of(self, rows: Rows) -> Floats:
        """Levels of released rows: float32 [n]."""
        categories = self._categories[rows]
        missing = categories[~self._done[categories]]
        for category in set(missing.tolist()):
            self._compute(category)
        return self._levels[rows]

    def of_price(self, category: int, price: float) -> float:
        """The level that a price has in a category."""
        if not 0 <= category < len(self._done) - 1 or np.isnan(price):
            return np.nan
        if not self._done[category]:
            self._compute(category)
        known = self._sorted[category]
        if len(known) < FEW:
            return np.nan
        return float(known.searchsorted(price, "left") + known.searchsorted(price, "right")) / (
            2.0 * len(known)
        )

    def _compute(self, category: int) -> None:
        rows = np.flatnonzero(self._categories == category)
        prices = np.asarray(self._prices[rows], np.float64)
        rows, prices = rows[~np.isnan(prices)], prices[~np.isnan(prices)]
        known = np.sort(prices)
        if len(known) >= FEW:
            below, up_to = known.searchsorted(prices, "left"), known.searchsorted(prices, "right")
            self._levels[rows] = (below + up_to) / (2.0 * len(known))
        self._sorted[category] = known
        self._done[category] = True


_LEVELS: WeakKeyDictionary[Index, _Levels] = WeakKeyDictionary()
"""By index: one of a process."""
