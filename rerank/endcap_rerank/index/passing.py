"""Which products of a living catalogue may be found: filters, and words that a product must have."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

from endcap_rerank.filters import NO_FILTERS, Filters
from endcap_rerank.index.build import Index
from endcap_rerank.index.layer import Layer
from endcap_rerank.index.lexical import query_terms, standing_in
from endcap_rerank.index.overlay import Part
from endcap_rerank.index.products import LiveProducts, Rows
from endcap_rerank.index.segments import Segment

_MASKS = 8
"""Filters whose rows are kept."""

Passing = NDArray[np.bool_] | None
"""Which rows of a part pass; None: all."""


class LiveFilters(LiveProducts):
    """The products by row, held against filters."""

    def __init__(self, index: Index, segment: Segment | None = None) -> None:
        super().__init__(index, segment)
        self._masks: dict[Hashable, NDArray[np.bool_]] = {}
        self._masks_of = -1

    def passes(self, rows: Rows, filters: Filters | None) -> NDArray[np.bool_]:
        """Which of ``rows`` are in the catalogue and pass the filters: bool [n]."""
        wanted, _ = self._split(rows)
        result = np.zeros(len(wanted), bool)
        parts = [(0, self._overlay.base), *self._parts()]
        for (first, part), passing in zip(parts, self._passing(filters), strict=True):
            inside = (wanted >= first) & (wanted < first + len(part))
            result[inside] = True if passing is None else passing[wanted[inside] - first]
        return result

    def contains(self, rows: Rows, text: str) -> NDArray[np.bool_]:
        """Which of ``rows`` have every term of ``text`` in title, brand, category or attributes: bool [n].

        False for all when ``text`` has no term.
        """
        wanted, changed = self._split(rows)
        terms = query_terms(text)
        result = np.full(len(wanted), bool(terms))
        if changed is None:
            for term in terms:
                result &= standing_in(self._overlay.base.having(term), wanted)
            return result
        for first, part in [(0, self._overlay.base), *self._parts()]:
            inside = np.flatnonzero((wanted >= first) & (wanted < first + len(part)))
            for term in terms if len(inside) else ():
                result[inside] &= standing_in(part.having(term), wanted[inside] - first)
        return result

    def having(self, rows: Rows, name: str, value: str) -> NDArray[np.bool_]:
        """Which of ``rows`` have ``value`` as their attribute ``name``; case does not matter: bool [n]."""
        wanted, _ = self._split(rows)
        result = np.zeros(len(wanted), bool)
        for first, part in [(0, self._overlay.base), *self._parts()]:
            inside = np.flatnonzero((wanted >= first) & (wanted < first + len(part)))
            if len(inside):
                slots: NDArray[np.int64] = np.sort(part.attribute_rows(name, value))
                result[inside] = standing_in(slots, wanted[inside] - first)
        return result

    def _admitted(self, place: int, part: Layer, filters: Filters) -> Passing:
        """Which rows pass, ``exclude`` aside; the last few answers are kept, as long as nothing changes.

        They cannot be written: the dense index keeps what it finds out about such a mask.
        """
        if self._masks_of != self.version:
            self._masks.clear()
            self._masks_of = self.version
        key = place, filters.conditions()
        found = self._masks.get(key)
        if found is not None:
            return found
        passing = filters.passing(part, self._brands, self._categories)
        if passing is None:
            return part.visible
        if part.visible is not None:
            passing &= part.visible
        passing.flags.writeable = False
        if len(self._masks) >= _MASKS:
            del self._masks[next(iter(self._masks))]
        self._masks[key] = passing
        return passing

    def _passing(self, filters: Filters | None) -> list[Passing]:
        """Which rows of the base pass, and which of each of the changed parts."""
        parts: list[tuple[int, Part]] = [(0, self._overlay.base), *self._parts()]
        if filters is None:
            if not self.restricted:
                return [part.visible for _, part in parts]
            filters = NO_FILTERS
        passing: list[Passing] = []
        for place, (_, part) in enumerate(parts):
            if isinstance(part, Layer):
                passing.append(self._admitted(place, part, filters))
            else:
                admitted = filters.passing(part, self._brands, self._categories)
                passing.append(part.visible if admitted is None else admitted & part.visible)
        left_out = [row for item_id in filters.exclude if (row := self.row(item_id)) is not None]
        for place, (first, part) in enumerate(parts):
            slots = [row - first for row in left_out if first <= row < first + len(part)]
            if slots:
                admitted = passing[place]
                admitted = np.ones(len(part), bool) if admitted is None else admitted.copy()
                admitted[slots] = False
                passing[place] = admitted
        return passing
