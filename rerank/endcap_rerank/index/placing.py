"""Where the rows that pass a filter lie among the lists of a large catalogue."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

FILTERED_PROBES = 64
"""Lists holding passing rows that a filtered query reads at least, where there are so many."""

_SAMPLE = 131_072
"""Rows by which it is told in which lists the passing rows of a filter lie: looking up all takes longer than
a search. Of seven passing rows in a list it sees one, at a million."""
_COARSER = 8
"""The first look is at one in so many of the sample."""
_SAMPLED = 8192
"""Passing rows that are enough of a sample."""
_SORTED = 512
"""Lists that are put in order at first; most queries need no more."""
_NEAREST = 16
"""Lists that are read in any case where the lists that hold passing rows are told by a sample."""
_TOGETHER = 2.0
"""How many times as likely to pass a row has to be beside one that passes, for them to lie together."""
_SPARSE = 8192
"""Passing rows up to which all are looked up: a sample would miss their lists."""
_REMEMBERED = 8
"""Filters of which it is kept where their rows are."""


@dataclass
class Places:
    """Where the rows of a filter lie.

    Attributes:
        passing: bool [N], the filter.
        bits: the same, as faiss reads it.
        together: how many times as likely to pass a row is in the lists of passing rows; more than 1 where
            the filter follows the neighbourhoods, as a category does. What passes may then lie far from the
            query, where centres tell less, and more of it is read.
        rows, lists: the passing rows and the list of each, where they are few; otherwise empty.
        held: how many each list holds, from ``rows`` or else from a sample; None where the rows of the
            nearest lists are held against the filter instead.
    """

    passing: NDArray[np.bool_]
    bits: NDArray[np.uint8]
    together: float
    rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    lists: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.uint16))
    held: NDArray[np.int64] | None = None


class Placing:
    """Places the rows of filters; the last few that cannot be written are remembered.

    Args:
        list_of_row: [N].
        sizes: int64, by list.
    """

    def __init__(self, list_of_row: NDArray[Any], sizes: NDArray[np.int64]) -> None:
        self._list_of_row = list_of_row
        self._sizes = sizes
        self._every = max(1, len(list_of_row) // _SAMPLE)
        self._sampled_lists = list_of_row[:: self._every].copy()
        self._kept: dict[int, Places] = {}

    def of(self, passing: NDArray[np.bool_], allowed: int) -> Places:
        """Where the rows of a filter lie; kept for a filter that nobody can write to."""
        kept = self._kept.get(id(passing))
        if kept is not None:
            return kept
        places = Places(passing, np.packbits(passing, bitorder="little"), 1.0)
        if allowed <= _SPARSE:
            places.rows = np.flatnonzero(passing)
            places.lists = self._list_of_row[places.rows]
            places.held = np.bincount(places.lists, minlength=len(self._sizes))
            places.together = self._together(places.held, 1)
        else:
            places.together = self._together(self._sampled(passing, _COARSER), _COARSER * self._every)
            if places.together >= _TOGETHER:
                fewer = max(1, allowed // (self._every * _SAMPLED))
                places.held = fewer * self._every * self._sampled(passing, fewer)
        if not passing.flags.writeable:
            if len(self._kept) >= _REMEMBERED:
                del self._kept[next(iter(self._kept))]
            self._kept[id(passing)] = places  # holds the filter too, so that no other one gets its id
        return places

    def _sampled(self, passing: NDArray[np.bool_], fewer: int) -> NDArray[np.int64]:
        """How many rows of a sample, one in ``fewer`` of the largest, pass in each list."""
        rows = passing[:: fewer * self._every]
        return np.bincount(self._sampled_lists[::fewer][rows], minlength=len(self._sizes))

    def _together(self, held: NDArray[np.int64], every: int) -> float:
        """See :class:`Places`; ``held`` counts passing rows in each list, one row in ``every`` looked at."""
        # The share of passing rows around a passing row, beside that around any row; 1 under a random filter.
        around = float(held @ ((held - 1) / np.maximum(self._sizes / every - 1, 1)))
        passed = max(1, int(held.sum()))
        return max(1.0, around / passed * len(self._list_of_row) / every / passed)


def nearest_holding(
    closeness: NDArray[np.float32], held: NDArray[np.int64], sampled: bool, enough: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The lists nearest to the query that hold passing rows, and how many each of them holds.

    Args:
        closeness: of each list's centre.
        held: by list, passing rows.
        sampled: whether ``held`` is told by a sample, which misses lists that hold few.
        enough: passing rows to be reached, where there are so many.
    """
    total = len(closeness)
    few = min(total, _SORTED)
    while True:
        order = np.argpartition(-closeness, few - 1)[:few] if few < total else np.arange(total)
        order = order[np.argsort(-closeness[order])]
        holding = held[order]
        if sampled:
            holding[:_NEAREST] = np.maximum(holding[:_NEAREST], 1)
        near, counts = first_holding(order, holding, enough)
        if few == total or (len(near) >= FILTERED_PROBES and counts.sum() >= enough):
            return near, counts
        few = total


def first_holding(
    order: NDArray[np.int64], held: NDArray[np.int64], enough: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first of the lists ``order`` that hold passing rows, and how many each of them holds.

    Args:
        held: passing rows in each of ``order``.
        enough: passing rows to be reached; FILTERED_PROBES lists are taken at least.
    """
    holding = np.flatnonzero(held)
    counts = held[holding]
    reached = max(FILTERED_PROBES, int(np.searchsorted(counts.cumsum(), enough)) + 1)
    return np.ascontiguousarray(order[holding[:reached]]), counts[:reached]
