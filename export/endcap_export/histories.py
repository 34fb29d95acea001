"""What shoppers took, in order, as learning reads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from endcap_rerank.affinities import LATEST, item_weight
from endcap_rerank.events import Event
from endcap_rerank.schema import EVENT_WEIGHTS
from scipy import sparse

from endcap_export.sparse_rows import rows_over

REPEAT_AFTER = 24 * 3600.0
REPEAT_SHRINKAGE = 10.0
"""Buyers that a category must have before half of its rate is believed."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Histories:
    """All shoppers' items, oldest first, each once a shopper, one after the other.

    Attributes:
        bounds: int64 [shoppers + 1].
        items: int64 [n] rows of the index.
        weights: float32 [n].
        times: float64 [n] seconds.
    """

    bounds: npt.NDArray[np.int64]
    items: npt.NDArray[np.int64]
    weights: Floats
    times: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @property
    def shoppers(self) -> npt.NDArray[np.int64]:
        """int64 [n], whose each item is."""
        return np.repeat(np.arange(len(self)), np.diff(self.bounds))

    def from_end(self) -> npt.NDArray[np.int64]:
        """int64 [n], 0 for a shopper's latest item."""
        return self.bounds[1:][self.shoppers] - 1 - np.arange(len(self.items))

    def without_last(self) -> Histories:
        """Every shopper's history but its last item."""
        kept = self.from_end() > 0
        bounds = np.concatenate([[0], np.cumsum(np.maximum(0, np.diff(self.bounds) - 1))])
        return Histories(bounds, self.items[kept], self.weights[kept], self.times[kept])

    def recency(self, fade: float, only: npt.NDArray[np.int64], items: int) -> sparse.csr_matrix:
        """Weights that ``Affinities`` gives the items of each history of ``only``: [len(only), items]."""
        back = self.from_end()
        place = np.full(len(self), -1)
        place[only] = np.arange(len(only))
        rows = place[self.shoppers]
        kept = (rows >= 0) & (back < LATEST)
        weights = self.weights[kept] * np.float32(fade) ** back[kept]
        matrix = sparse.csr_matrix((weights, (rows[kept], self.items[kept])), (len(only), items))
        return rows_over(matrix, 0.0)


def histories(events: Iterable[Event], rows: Mapping[str, int]) -> Histories:
    """Gather events to histories; an item counts where it was touched last.

    Args:
        rows: item id → row; other items are left out, and so are items that were disliked in sum.
    """
    touched: dict[str, dict[int, tuple[float, float]]] = {}
    for event in sorted(events, key=lambda event: event.timestamp):
        row = rows.get(event.item)
        if row is not None:
            mine = touched.setdefault(event.user, {})
            total, _ = mine.pop(row, (0.0, 0.0))  # popped, so that the order is that of the last touch
            mine[row] = (total + EVENT_WEIGHTS.get(event.event, 0.0), event.timestamp)
    liked = [
        [(row, item_weight(total), at) for row, (total, at) in mine.items() if total > 0.0]
        for mine in touched.values()
    ]
    flat = [entry for history in liked for entry in history]
    columns = list(zip(*flat, strict=True)) if flat else [(), (), ()]
    return Histories(
        np.concatenate([[0], np.cumsum([len(history) for history in liked], dtype=np.int64)]).astype(
            np.int64
        ),
        np.array(columns[0], np.int64),
        np.array(columns[1], np.float32),
        np.array(columns[2], np.float64),
    )


def repeat_rates(
    events: Iterable[Event], rows: Mapping[str, int], categories: npt.NDArray[np.int32]
) -> Floats:
    """Share of purchases after which the same shopper bought the same again, by category: float32 [N].

    again / (buyers + REPEAT_SHRINKAGE) over pairs of shopper and product; purchases within REPEAT_AFTER
    seconds are one. 0 for products without a category.
    """
    bought: dict[tuple[str, int], list[float]] = {}
    for event in events:
        if event.event == "purchase" and (row := rows.get(event.item)) is not None:
            bought.setdefault((event.user, row), []).append(event.timestamp)
    codes = np.array([categories[row] for _, row in bought], np.int64)
    again = np.array([max(times) - min(times) >= REPEAT_AFTER for times in bought.values()], np.float64)
    known, size = codes >= 0, int(categories.max(initial=-1)) + 1
    pairs = np.bincount(codes[known], minlength=size)
    rates = np.bincount(codes[known], weights=again[known], minlength=size) / (pairs + REPEAT_SHRINKAGE)
    found = np.zeros(len(categories), np.float32)
    found[categories >= 0] = rates[categories[categories >= 0]]
    return found
