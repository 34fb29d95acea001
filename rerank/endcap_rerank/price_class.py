"""How dear the brand of a product is, and which brands a shopper chooses where others are to be had.

One price says little of a shopper's purse: size, material and the day's offer move it too. The mean price
level of a brand says more, of products that the shopper never saw as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from endcap_rerank.index import Index, LiveIndex
from endcap_rerank.prices import levels_within, price_levels

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

CLASSES = 21
"""Price classes, from 0 (the cheapest brands) to 20; with 0.05 between two, fine enough for WIDTH."""

WIDTH = 0.15
"""Distance in price levels at which two brands are still about as dear."""

PRIOR = 2.0
"""Weight of what the shop offers on either side of the comparison: so much must be known of a shopper
before their choice counts half."""

SAMPLE = 200_000
"""Products from which the classes of a catalogue are learnt; a larger one is sampled evenly."""

_STEPS = np.linspace(0.0, 1.0, CLASSES)
NEAR: Floats = np.exp(-0.5 * ((_STEPS[:, None] - _STEPS) / WIDTH) ** 2).astype(np.float32)
"""How near two classes are, in (0, 1]."""


@dataclass(frozen=True)
class PriceTaste:
    """Which price classes a shopper chooses.

    Attributes:
        values: float32 [CLASSES] in (-1, 1), above 0 where the shopper chose more than was to be expected.
    """

    values: Floats

    def of(self, classes: Rows) -> Floats:
        """The value of each class, 0 for -1: float32 [n]."""
        found: Floats = np.where(classes >= 0, self.values[classes], np.float32(0.0))
        return found


def price_classes(rows: Rows, index: LiveIndex) -> Rows:
    """The price class of each product: that of its brand, whose products count one each beside its own.

    A product without a brand has the class of its own price level; -1 where neither is known. int64 [n].
    """
    offer = _offer(index)

    def computed(rows: Rows) -> Rows:
        return offer.classes(price_levels(rows, index), index.brand_codes(rows))

    if (rows >= index.index.count).any():
        return computed(rows)
    found = offer.of_row[rows].astype(np.int64)
    if (missing := found == _UNSET).any():
        found[missing] = computed(rows[missing])
        offer.of_row[rows[missing]] = found[missing]
    return found


def price_taste(rows: Rows, weights: Floats, index: LiveIndex) -> PriceTaste | None:
    """What the products that a shopper chose say of their price classes; None where no class is known.

    values = (chosen - expected) / (chosen + expected) for each class, where chosen counts what was taken
    near the class and expected what would have been, had the shopper taken products of the same categories
    blindly. Both hold PRIOR of the whole shop beside it, so that little knowledge moves little: the lift of a
    Gamma-Poisson model, kept between -1 and 1.

    Args:
        rows: int64 [m] of liked products.
        weights: float32 [m], how much each counts, above 0.
    """
    classes = price_classes(rows, index)
    known = classes >= 0
    if not known.any():
        return None
    offer, weights = _offer(index), weights[known]
    prior = np.float32(PRIOR) * offer.whole
    chosen = np.bincount(classes[known], weights, CLASSES).astype(np.float32) @ NEAR + prior
    expected = weights @ offer.within(index.category_codes(rows[known])) + prior
    values: Floats = ((chosen - expected) / (chosen + expected)).astype(np.float32)
    return PriceTaste(values)


_UNSET = -2


class _Offer:
    """What a release offers: the mean price level of each brand, the mix of classes in each category.

    Attributes:
        of_row: int8, the class of each released product; of a catalogue that is sampled, of those that were
            asked for, _UNSET of the others.
    """

    def __init__(self, index: Index) -> None:
        columns = index.catalog.columns
        step = -(-index.count // SAMPLE) or 1
        brands, categories = columns.brand[::step], columns.category[::step]
        levels = levels_within(categories, columns.price[::step])
        counted = ~np.isnan(levels) & (brands >= 0)
        size = int(columns.brand.max(initial=-1)) + 1
        self._counts = np.bincount(brands[counted], minlength=size).astype(np.float32)
        self._sums = np.bincount(brands[counted], levels[counted], size).astype(np.float32)
        classes = self.classes(levels, brands)
        known = (classes >= 0) & (categories >= 0)
        size = int(columns.category.max(initial=-1)) + 1
        places = categories[known].astype(np.int64) * CLASSES + classes[known]
        mix = np.bincount(places, minlength=size * CLASSES).reshape(size, CLASSES).astype(np.float32)
        total = mix.sum(axis=0)
        self.whole: Floats = (total / max(float(total.sum()), 1.0)) @ NEAR if total.any() else NEAR.mean(0)
        self._near = np.repeat(self.whole[None], size + 1, axis=0)
        totals = mix.sum(axis=1)
        some = np.flatnonzero(totals > 0.0)
        self._near[some] = (mix[some] / totals[some, None]) @ NEAR
        self.of_row = classes.astype(np.int8) if step == 1 else np.full(index.count, _UNSET, np.int8)

    def classes(self, levels: Floats, brands: npt.NDArray[np.int32]) -> Rows:
        """The classes of products by their own level (NaN where unknown) and their brand: int64 [n]."""
        sums, counts = np.nan_to_num(levels), (~np.isnan(levels)).astype(np.float32)
        known = (brands >= 0) & (brands < len(self._sums))
        sums[known] += self._sums[brands[known]]
        counts[known] += self._counts[brands[known]]
        means = np.full(len(levels), -1.0, np.float32)
        np.divide(sums * np.float32(CLASSES - 1), counts, out=means, where=counts > 0.0)
        return np.rint(means).astype(np.int64)

    def within(self, categories: npt.NDArray[np.int32]) -> Floats:
        """How near to each class a product of each category is on the mean: float32 [m, CLASSES]."""
        # The last place is that of all others: no category, or one that came after the release.
        near: Floats = self._near[np.where(categories < len(self._near), categories, -1)]
        return near


def _offer(index: LiveIndex) -> _Offer:
    offer = _OFFERS.get(index.index)
    if offer is None:
        offer = _OFFERS[index.index] = _Offer(index.index)
    return offer


_OFFERS: WeakKeyDictionary[Index, _Offer] = WeakKeyDictionary()
"""By index: one of a process."""
