"""Search over a living catalogue: a release's index overlaid with the changes since."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from endcap_rerank.catalog_store import CatalogStore, Change, checked_vector
from endcap_rerank.errors import StoreError
from endcap_rerank.filters import Filters
from endcap_rerank.index.build import Index
from endcap_rerank.index.codes import codes_in
from endcap_rerank.index.fusion import FEEDBACK_PRODUCTS, LEXICAL_WEIGHT, Candidates, fuse, redirected
from endcap_rerank.index.lexical import query_terms
from endcap_rerank.index.products import LiveProducts, Rows
from endcap_rerank.index.reading import read_query
from endcap_rerank.index.selection import best
from endcap_rerank.product import Product

_MASKS = 8
"""Filters whose rows are kept."""


class LiveIndex(LiveProducts):
    """Search over the base catalogue and its changes. One thread at a time.

    Args:
        store: where changes come from; without one the catalogue stays as released.
    """

    def __init__(self, index: Index, store: CatalogStore | None = None) -> None:
        super().__init__(index)
        self._store = store
        self._version: tuple[int, int] | None = None
        self._masks: dict[Hashable, NDArray[np.bool_]] = {}
        self._masks_of = 0
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
        version = self._store.version()
        if version == self._version:
            return False
        changes = self._store.changes_since(self._seq)
        for change in changes:
            self._apply(change)
            self._seq = change.seq
        self._version = version
        return bool(changes)

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
        self.refresh()
        return count

    def delete(self, ids: Sequence[str]) -> int:
        """Take products out of the catalogue.

        Raises:
            StoreError: nothing was stored.
        """
        count = self._writable().delete(ids)
        self.refresh()
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
        passing, passing_delta = self._passing(filters)
        index = self.index
        reading = read_query(query, index.lexical, self._delta.lexical, tolerant=tolerant)
        terms, bm25 = reading.terms, reading.scores
        worded = index.lexical.best(bm25, count, passing)
        if reading.corrections and len(worded):
            top = worded[:FEEDBACK_PRODUCTS]
            vector = redirected(vector, index.dense.vectors[top], bm25[top])
        near, closeness = index.dense.search(vector, count, passing)
        named = self._named(query, filters)
        if len(named):
            worded = np.union1d(worded, named[named < index.count])
        rows, first = np.unique(np.concatenate([near, worded]), return_index=True)
        dense = np.concatenate([closeness, index.dense.scores(worded, vector)])[first]
        lexical = bm25[rows]
        comparable = None
        if passing_delta is not None:
            delta = self._delta
            closeness, bm25 = delta.vectors @ vector, delta.lexical.scores(terms, len(delta))
            near = np.flatnonzero(passing_delta & delta.comparable)
            worded = np.flatnonzero(passing_delta & (bm25 > 0))
            slots = np.union1d(near[best(closeness[near], count)], worded[best(bm25[worded], count)])
            slots = np.union1d(slots, named[named >= index.count] - index.count)
            comparable = np.concatenate([np.ones(len(rows), bool), delta.comparable[slots]])
            rows = np.concatenate([rows, slots + index.count])
            dense, lexical = np.concatenate([dense, closeness[slots]]), np.concatenate([lexical, bm25[slots]])
        found = fuse(
            rows,
            dense,
            lexical,
            count,
            lexical_weight=lexical_weight,
            comparable=comparable,
            named=np.isin(rows, named) if len(named) else None,
        )
        return replace(found, corrections=reading.corrections) if reading.corrections else found

    def nearest(
        self, embedding: NDArray[np.float32], count: int, filters: Filters | None = None
    ) -> Candidates:
        """The ``count`` products nearest to ``embedding`` [D]; ``fused`` is the cosine similarity.

        Raises:
            InvalidInputError: the embedding has another size or is not finite.
        """
        vector = checked_vector("embedding", embedding, self.dimension)
        passing, passing_delta = self._passing(filters)
        rows, dense = self.index.dense.search(vector, count, passing)
        if passing_delta is not None:
            slots = np.flatnonzero(passing_delta & self._delta.comparable)
            rows = np.concatenate([rows, slots + self.index.count])
            dense = np.concatenate([dense, self._delta.vectors[slots] @ vector])
            order = best(dense, count)
            rows, dense = rows[order], dense[order]
        return Candidates(rows, dense, np.zeros_like(dense), dense)

    def popular(self, count: int, filters: Filters | None = None) -> Candidates:
        """The ``count`` most popular products; ``fused`` is the popularity, equal ones by row."""
        passing, passing_delta = self._passing(filters)
        popularity = self.index.catalog.columns.popularity
        if passing is None:
            rows = best(popularity, count)
        else:
            allowed = np.flatnonzero(passing)
            rows = allowed[best(popularity[allowed], count)]
        if passing_delta is not None:
            rows = np.concatenate([rows, np.flatnonzero(passing_delta) + self.index.count])
            rows = rows[best(self.popularity(rows), count)]
        values = self.popularity(rows)
        return Candidates(rows, np.zeros_like(values), np.zeros_like(values), values)

    def passes(self, rows: Rows, filters: Filters | None) -> NDArray[np.bool_]:
        """Which of ``rows`` are in the catalogue and pass the filters: bool [n]."""
        wanted, _ = self._split(rows)
        passing, passing_delta = self._passing(filters)
        changed = wanted >= self.index.count
        result = np.ones(len(wanted), bool)
        if passing is not None:
            result[~changed] = passing[wanted[~changed]]
        if passing_delta is not None:
            result[changed] = passing_delta[wanted[changed] - self.index.count]
        return result

    def contains(self, rows: Rows, text: str) -> NDArray[np.bool_]:
        """Which of ``rows`` have every term of ``text`` in title, brand, category or attributes: bool [n].

        False for all when ``text`` has no term.
        """
        wanted, changed = self._split(rows)
        terms = query_terms(text)
        result = np.full(len(wanted), bool(terms))
        for term in terms:
            having, _ = self.index.lexical.postings(term)
            if len(having):
                found = having[np.minimum(having.searchsorted(wanted), len(having) - 1)] == wanted
            else:
                found = np.zeros(len(wanted), bool)
            if changed is not None:
                slots = self._delta.lexical.scores({term: 1.0}, len(self._delta))
                found[changed] = slots[wanted[changed] - self.index.count] > 0
            result &= found
        return result

    def _named(self, query: str, filters: Filters | None) -> NDArray[np.int64]:
        """Rows whose id the query is or whose model number it names, that pass: int64 [m], ascending."""
        rows: set[int] = set()
        row = self.row(query.strip())
        if row is not None:
            rows.add(row)
        codes = self.index.lexical.codes
        for code in codes_in(query):
            if rows:
                break
            rows.update(codes.rows(code) if codes is not None else ())
            rows.update(slot + self.index.count for slot in self._delta.lexical.of_code(code))
        if not rows:
            return np.zeros(0, np.int64)
        found = np.array(sorted(rows), np.int64)
        return found[self.passes(found, filters)]

    def _apply(self, change: Change) -> None:
        if change.product is None:
            self._remove(change.id)
            return
        vector = change.embedding
        if change.encoder_id != self.index.encoder_id or (
            vector is not None and vector.size != self.dimension
        ):
            vector = None  # encoded for another release
        self._put(change.product, vector)

    def _writable(self) -> CatalogStore:
        if self._store is None:
            raise StoreError("this catalogue was opened without a store; it cannot be changed")
        return self._store

    def _admitted(self, filters: Filters) -> NDArray[np.bool_] | None:
        """Which base rows pass, ``exclude`` aside; the last few answers are kept, as long as nothing changes.

        They cannot be written: the dense index keeps what it finds out about such a mask.
        """
        if self._masks_of != self._seq:
            self._masks.clear()
            self._masks_of = self._seq
        key = filters.conditions()
        found = self._masks.get(key)
        if found is not None:
            return found
        passing = filters.passing(self._base, self._brands, self._categories)
        if passing is None:
            return self._visible
        if self._visible is not None:
            passing &= self._visible
        passing.flags.writeable = False
        if len(self._masks) >= _MASKS:
            del self._masks[next(iter(self._masks))]
        self._masks[key] = passing
        return passing

    def _passing(self, filters: Filters | None) -> tuple[NDArray[np.bool_] | None, NDArray[np.bool_] | None]:
        """Which base rows pass (None: all) and which delta slots (None: there are none)."""
        base = self._visible
        delta = self._delta.alive if len(self._delta) else None
        if filters is None:
            return base, delta
        base = self._admitted(filters)
        if delta is not None:
            passing = filters.passing(self._delta, self._brands, self._categories)
            delta = delta.copy() if passing is None else passing & delta
        excluded = [row for item_id in filters.exclude if (row := self.row(item_id)) is not None]
        if excluded:
            base = np.ones(self.index.count, bool) if base is None else base.copy()
            for row in excluded:
                if row < self.index.count:
                    base[row] = False
                elif delta is not None:
                    delta[row - self.index.count] = False
        return base, delta
