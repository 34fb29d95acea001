"""Search over a living catalogue: a release's index, the segment beside it, and the changes since."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from endcap_rerank.catalog_store import CatalogStore, checked_vector
from endcap_rerank.errors import StoreError
from endcap_rerank.filters import Filters
from endcap_rerank.index.build import Index
from endcap_rerank.index.codes import codes_in
from endcap_rerank.index.compaction import Compactor
from endcap_rerank.index.fusion import FEEDBACK_PRODUCTS, LEXICAL_WEIGHT, Candidates, fuse, redirected
from endcap_rerank.index.layer import Layer
from endcap_rerank.index.lexical import LexicalIndex, query_terms
from endcap_rerank.index.overlay import Part
from endcap_rerank.index.products import LiveProducts, Rows
from endcap_rerank.index.reading import read_query
from endcap_rerank.index.segments import SegmentFolder
from endcap_rerank.index.selection import best
from endcap_rerank.index.swap import SegmentWatch
from endcap_rerank.product import Product

_MASKS = 8
"""Filters whose rows are kept."""

Passing = NDArray[np.bool_] | None
"""Which rows of a part pass; None: all."""


class LiveIndex(LiveProducts):
    """Search over the base catalogue and its changes. One thread at a time.

    Args:
        store: where changes come from; without one the catalogue stays as released.
        segments: where compactions write; without it changes stay in memory.
    """

    def __init__(
        self, index: Index, store: CatalogStore | None = None, segments: SegmentFolder | None = None
    ) -> None:
        seen = "" if segments is None else segments.current()
        super().__init__(index, None if store is None or segments is None else segments.open(index))
        self._store = store
        self._version: tuple[int, int] | None = None
        self._masks: dict[Hashable, NDArray[np.bool_]] = {}
        self._masks_of = -1
        self._watch: SegmentWatch | None = None
        self._compactor: Compactor | None = None
        if store is not None and segments is not None:
            self._watch = SegmentWatch(segments, store.path, index, seen, (self._brands, self._categories))
            self._compactor = Compactor(index, store.path, segments)
        self.refresh()

    def refresh(self) -> bool:
        """Take in what any process has changed since the last call; microseconds when nothing has.

        Returns:
            Whether something changed.

        Raises:
            StoreError: the store cannot be read; the index stays as it was.
        """
        if self._store is None:
            return False
        adopted = None if self._watch is None else self._watch.fresh()
        version = self._store.version()
        if adopted is None and version == self._version:
            return False
        changes = self._store.changes_since((adopted or self._overlay).seq)
        if adopted is not None:
            self._adopt(adopted)
        self._overlay.take_in(changes)
        self._version = version
        return bool(changes) or adopted is not None

    def upsert(self, items: Iterable[tuple[Product, NDArray[np.float32]]]) -> int:
        """Store products with vectors [D] of this release's encoder, and take them in.

        Raises:
            InvalidInputError: a vector of another size, or not finite.
            StoreError: nothing was stored.
        """
        checked = [
            (product, checked_vector("embedding", vector, self.dimension)) for product, vector in items
        ]
        count = self._writable().upsert(checked, self.index.encoder_id)
        self._written()
        return count

    def delete(self, ids: Sequence[str]) -> int:
        """Take products out of the catalogue.

        Raises:
            StoreError: nothing was stored.
        """
        count = self._writable().delete(ids)
        self._written()
        return count

    def retrieve(
        self,
        query: str,
        embedding: NDArray[np.float32],
        *,
        count: int,
        filters: Filters | None = None,
        lexical_weight: float = LEXICAL_WEIGHT,
        tolerant: bool = True,
    ) -> Candidates:
        """The best ``count`` of the ``count`` nearest and the ``count`` best-worded products.

        A product whose id or model number the query names comes first. When words were read otherwise than
        written, closeness is that to a vector drawn to what the words find.

        Args:
            embedding: float32 [D], L2-normalized.
            tolerant: whether words that no product has are read as others.

        Raises:
            InvalidInputError: the embedding has another size or is not finite.
        """
        vector = checked_vector("embedding", embedding, self.dimension)
        passing = self._passing(filters)
        index, base = self.index, passing[0]
        reading = read_query(query, index.lexical, self._has_changed_word, tolerant=tolerant)
        worded = LexicalIndex.best(reading.scores, count, base)
        if reading.corrections and len(worded):
            top = worded[:FEEDBACK_PRODUCTS]
            vector = redirected(vector, index.dense.vectors[top], reading.scores[top])
        near, closeness = index.dense.search(vector, count, base)
        named = self._named(query, filters)
        if len(named):
            worded = np.union1d(worded, named[named < index.count])
        rows, first_of = np.unique(np.concatenate([near, worded]), return_index=True)
        dense = np.concatenate([closeness, index.dense.scores(worded, vector)])[first_of]
        found = [(rows, dense, reading.scores[rows], np.ones(len(rows), bool))]
        for (first, part), allowed in zip(self._parts(), passing[1:], strict=True):
            bm25 = part.scores(reading.terms)
            slots = np.union1d(part.nearest(vector, count, allowed), LexicalIndex.best(bm25, count, allowed))
            if len(named):
                slots = np.union1d(slots, named[(named >= first) & (named < first + len(part))] - first)
            comparable = np.ones(len(slots), bool) if part.comparable is None else part.comparable[slots]
            found.append((slots + first, part.closeness(slots, vector), bm25[slots], comparable))
        rows, dense, lexical, compares = (np.concatenate(each) for each in zip(*found, strict=True))
        fused = fuse(
            rows,
            dense,
            lexical,
            count,
            lexical_weight=lexical_weight,
            comparable=compares if len(found) > 1 else None,
            named=np.isin(rows, named) if len(named) else None,
        )
        return replace(fused, corrections=reading.corrections) if reading.corrections else fused

    def nearest(
        self, embedding: NDArray[np.float32], count: int, filters: Filters | None = None
    ) -> Candidates:
        """The ``count`` products nearest to ``embedding`` [D]; ``fused`` is the cosine similarity.

        Raises:
            InvalidInputError: the embedding has another size or is not finite.
        """
        vector = checked_vector("embedding", embedding, self.dimension)
        base, *others = self._passing(filters)
        rows, dense = self.index.dense.search(vector, count, base)
        for (first, part), allowed in zip(self._parts(), others, strict=True):
            slots = part.nearest(vector, count, allowed)
            rows = np.concatenate([rows, slots + first])
            dense = np.concatenate([dense, part.closeness(slots, vector)])
        if others:
            order = best(dense, count)
            rows, dense = rows[order], dense[order]
        return Candidates(rows, dense, np.zeros_like(dense), dense)

    def popular(self, count: int, filters: Filters | None = None) -> Candidates:
        """The ``count`` most popular products; ``fused`` is the popularity, equal ones by row."""
        parts = [(0, self._overlay.base), *self._parts()]
        found = []
        for (first, part), passing in zip(parts, self._passing(filters), strict=True):
            popularity = part.columns.popularity[: len(part)]
            if passing is None:
                slots = best(popularity, count)
            else:
                allowed = np.flatnonzero(passing)
                slots = allowed[best(popularity[allowed], count)]
            found.append(slots + first)
        rows = np.concatenate(found)
        if len(found) > 1:
            rows = rows[best(self.popularity(rows), count)]
        values = self.popularity(rows)
        return Candidates(rows, np.zeros_like(values), np.zeros_like(values), values)

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
        wanted, _ = self._split(rows)
        terms = query_terms(text)
        result = np.full(len(wanted), bool(terms))
        for first, part in [(0, self._overlay.base), *self._parts()]:
            inside = np.flatnonzero((wanted >= first) & (wanted < first + len(part)))
            for term in terms if len(inside) else ():
                result[inside] &= np.isin(wanted[inside] - first, part.having(term))
        return result

    def _named(self, query: str, filters: Filters | None) -> NDArray[np.int64]:
        """Rows whose id the query is or whose model number it names, that pass: int64 [m], ascending."""
        rows: set[int] = set()
        row = self.row(query.strip())
        if row is not None:
            rows.add(row)
        for code in codes_in(query):
            if rows:
                break
            for first, part in [(0, self._overlay.base), *self._parts()]:
                rows.update(slot + first for slot in part.of_code(code))
        if not rows:
            return np.zeros(0, np.int64)
        found = np.array(sorted(rows), np.int64)
        return found[self.passes(found, filters)]

    def _has_changed_word(self, term: str) -> bool:
        """Whether a product that was changed has a term."""
        return any(len(part.having(term)) > 0 for part in self._overlay.changed)

    def _written(self) -> None:
        """Take in what this process has stored; too many changes in memory are written down beside."""
        self.refresh()
        if self._compactor is not None:
            self._compactor.after_write(self._overlay)

    def _writable(self) -> CatalogStore:
        if self._store is None:
            raise StoreError("this catalogue was opened without a store; it cannot be changed")
        return self._store

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
            return [part.visible for _, part in parts]
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
