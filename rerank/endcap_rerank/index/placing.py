"""Where the rows that pass a filter lie among the lists of a large catalogue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endcap_rerank.index.selection import best

REACH = 0.3
REACH_BELOW = 0.2
"""A filtered query reads half as many lists as one without a filter. Beyond those it reads only lists whose
centres are not much farther from it than the one with which twice as many rows pass as are asked for: of a
cosine of at least REACH times that one's, or of at least that one's less REACH_BELOW. Of a million, under
filters of 0.2 % to 50 %, the others hold none of the 20 or 100 nearest."""

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
"""Lists that count as holding a passing row in any case where the others are told by a sample."""
_TOGETHER = 2.0
"""How many times as likely to pass a row has to be beside one that passes, for them to lie together."""
_SPARSE = 16_384
"""Passing rows up to which all are looked up: a sample would miss their lists."""
_REMEMBERED = 8
"""Filters of which it is kept where their rows are."""


@dataclass
class Places:
    """Where the rows of a filter lie.

    Attributes:
        passing: bool [N], the filter.
        together: how many times as likely to pass a row is in the lists of passing rows; more than 1 where
            the filter follows the neighbourhoods, as a category does. What passes may then lie far from the
            query, where centres tell less, and more of it is read.
        rows, lists: the passing rows and the list of each, where they are few; otherwise empty.
        held: how many each list holds, from ``rows`` or else from a sample; None where the rows of the
            nearest lists are held against the filter instead.
    """

    passing: NDArray[np.bool_]
    together: float = 1.0
    rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    lists: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.uint16))
    held: NDArray[np.int64] | None = None

    @cached_property
    def holding(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The lists that ``held`` tells of, and how many each holds."""
        held = self.held if self.held is not None else np.zeros(0, np.int64)
        lists = np.flatnonzero(held)
        return lists, held[lists]

    @cached_property
    def bits(self) -> NDArray[np.uint8]:
        """The filter as faiss reads it."""
        return np.packbits(self.passing, bitorder="little")


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
        places = Places(passing)
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
        rows = np.flatnonzero(passing[:: fewer * self._every])
        return np.bincount(self._sampled_lists[::fewer].take(rows), minlength=len(self._sizes))

    def _together(self, held: NDArray[np.int64], every: int) -> float:
        """See :class:`Places`; ``held`` counts passing rows in each list, one row in ``every`` looked at."""
        # The share of passing rows around a passing row, beside that around any row; 1 under a random filter.
        around = float(held @ ((held - 1) / np.maximum(self._sizes / every - 1, 1)))
        passed = max(1, int(held.sum()))
        return max(1.0, around / passed * len(self._list_of_row) / every / passed)


def with_nearest(
    lists: NDArray[np.int64], held: NDArray[np.int64], closeness: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lists that hold passing rows by a sample, and the nearest ones of all, as if these held one at least.

    Args:
        held: of each of ``lists``.
        closeness: of every list's centre to the query.
    """
    counts = np.zeros(len(closeness), np.int64)
    counts[lists] = held
    nearest = best(closeness, _NEAREST)
    counts[nearest] = np.maximum(counts[nearest], 1)
    lists = np.flatnonzero(counts)
    return lists, counts[lists]


def nearest_holding(
    closeness: NDArray[np.float32],
    held: Callable[[NDArray[np.int64]], NDArray[np.int64]],
    count: int,
    enough: float,
    probes: int,
    at_first: int = _SORTED,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The lists that a filtered search reads, nearest first, and how many passing rows each of them holds.

    Args:
        closeness: of each list's centre to the query.
        held: tells how many passing rows some lists hold.
        count: rows that are asked for.
        enough: passing rows that are enough to choose from, where there are so many.
        probes: lists that hold passing rows and may be read in any case; half of them are.
        at_first: lists that are looked at at first; twice as many each time that they do not do.
    """
    total, looked, end = len(closeness), 0, at_first
    order = best(closeness, _SORTED)
    counts = np.zeros(total, np.int64)
    while True:
        if end > len(order):
            order = np.argsort(-closeness)
        counts[looked:end] = held(order[looked:end])
        looked, end = min(end, total), 2 * end
        holding = np.flatnonzero(counts[:looked])
        near, their = order[holding], counts[holding]
        size = _worth_reading(closeness[near], their, count, enough, probes)
        if size <= len(near) or looked == total:
            return near[:size], their[:size]


def _worth_reading(
    closeness: NDArray[np.float32], counts: NDArray[np.int64], count: int, enough: float, probes: int
) -> int:
    """How many of some lists, the nearest ones that hold passing rows, to read; more than these where the
    next ones may be worth it too.

    Args:
        closeness: of their centres, nearest first.
        counts: passing rows in each.
    """
    reached = counts.cumsum()
    most = max(probes, int(reached.searchsorted(enough)) + 1)
    place = int(reached.searchsorted(2 * count))
    if place >= len(counts):
        return most
    there = float(closeness[place])
    within = int(np.count_nonzero(closeness >= min(REACH * there, there - REACH_BELOW)))
    return min(most, max(probes // 2, within)) if within < len(counts) else most
