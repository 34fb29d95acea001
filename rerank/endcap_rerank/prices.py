"""How dear a product is among its category."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from endcap_rerank.index import Index, LiveIndex

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

BANDS = 4
"""Price bands of a category: as many products in each."""

FEW = 5
"""Prices that a category must have before a level among them says anything."""


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
    bands = np.minimum(price_levels(rows, index) * np.float32(BANDS), np.float32(BANDS - 1))
    bands[np.isnan(bands)] = -1.0
    return bands.astype(np.int32)


def levels_within(categories: npt.NDArray[np.int32], prices: npt.NDArray[np.float64]) -> Floats:
    """The levels of products among one another, all categories at once: float32 [n], NaN where unknown."""
    levels = np.full(len(prices), np.nan, np.float32)
    known = np.flatnonzero(~np.isnan(prices) & (categories >= 0))
    if not len(known):
        return levels
    known = known[np.lexsort((prices[known], categories[known]))]
    category, price = categories[known], prices[known]
    other = np.diff(category, prepend=category[0] - 1) != 0
    starts, begins = np.flatnonzero(other), np.flatnonzero(other | (np.diff(price, prepend=np.nan) != 0.0))
    sizes, lengths = np.diff(starts, append=len(known)), np.diff(begins, append=len(known))
    # Of equal prices half count as cheaper, as in ``price_levels``.
    middle = np.repeat(begins + lengths / 2.0, lengths)
    middle -= np.repeat(starts, sizes)
    size = np.repeat(sizes, sizes)
    enough = size >= FEW
    levels[known[enough]] = middle[enough] / size[enough]
    return levels


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
