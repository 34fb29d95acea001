"""Search over a living catalogue: a release's index, the segment beside it, and the changes since."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from endcap_rerank.catalog_store import CatalogStore, checked_vector
from endcap_rerank.errors import StoreError
from endcap_rerank.filters import Filters
from endcap_rerank.index.build import Index
from endcap_rerank.index.codes import codes_in
from endcap_rerank.index.compaction import Compactor
from endcap_rerank.index.fusion import FEEDBACK_PRODUCTS, LEXICAL_WEIGHT, Candidates, fuse, redirected
from endcap_rerank.index.lexical import LexicalIndex
from endcap_rerank.index.passing import LiveFilters, Passing
from endcap_rerank.index.reading import Reading, read_query
from endcap_rerank.index.segments import SegmentFolder
from endcap_rerank.index.selection import best, distinct
from endcap_rerank.index.swap import SegmentWatch
from endcap_rerank.product import Product

Found = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Rows and their cosine similarities, best first."""


@dataclass(frozen=True)
class _Asked:
    """A query before vectors are compared.

    Attributes:
        vector: float32 [D], drawn to what the words find where some were read otherwise than written.
        passing: for the base, and for each changed part.
        worded: base rows that the words find, best first.
        named: rows that the query names.
    """

    vector: NDArray[np.float32]
    passing: list[Passing]
    reading: Reading
    worded: NDArray[np.int64]
    named: NDArray[np.int64]


class LiveIndex(LiveFilters):
    """Search over the base catalogue and its changes. One thread at a time.

    Args:
        store: where changes come from; without one the catalogue stays as released.
        segments: where compactions write; without it changes stay in memory.
        at_once: whether changes that cannot be read are an error now; otherwise only of ``refresh``.

    Raises:
        StoreError: the store cannot be read.
    """

    def __init__(
        self,
        index: Index,
        store: CatalogStore | None = None,
        segments: SegmentFolder | None = None,
        *,
        at_once: bool = True,
    ) -> None:
        seen = "" if segments is None else segments.current()
        super().__init__(index, None if store is None or segments is None else segments.open(index))
        self._store = store
        self._version: tuple[int, int] | None = None
        self._watch: SegmentWatch | None = None
        self._compactor: Compactor | None = None
        if store is not None and segments is not None:
            self._watch = SegmentWatch(segments, store.path, index, seen, (self._brands, self._categories))
            self._compactor = Compactor(index, store.path, segments)
        with nullcontext() if at_once else suppress(StoreError):
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
        count = self._writable().upsert(checked, self.index.encoder_id, after=self.seq)
        self._written()
        return count

    def delete(self, ids: Sequence[str]) -> int:
        """Take products out of the catalogue.

        Raises:
            StoreError: nothing was stored.
        """
        count = self._writable().delete(ids, after=self.seq)
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
        (found,) = self.retrieve_many(
            [query],
            [embedding],
            count=count,
            filters=[filters],
            lexical_weight=lexical_weight,
            tolerant=tolerant,
        )
        return found

    def retrieve_many(
        self,
        queries: Sequence[str],
        embeddings: Sequence[NDArray[np.float32]] | NDArray[np.float32],
        *,
        count: int,
        filters: Sequence[Filters | None] | None = None,
        lexical_weight: float = LEXICAL_WEIGHT,
        tolerant: bool = True,
    ) -> list[Candidates]:
        """What :meth:`retrieve` answers to each of B queries; in a large catalogue in less time, as those
        without filters are compared with the vectors together.

        Args:
            embeddings: float32 [B, D], L2-normalized.
            filters: [B].

        Raises:
            InvalidInputError: an embedding has another size or is not finite.
        """
        asked = [
            self._ask(query, checked_vector("embedding", embedding, self.dimension), count, each, tolerant)
            for query, embedding, each in zip(
                queries, embeddings, filters or [None] * len(queries), strict=True
            )
        ]
        nearest: dict[int, Found] = {}
        alike: dict[int, list[int]] = {}
        for place, one in enumerate(asked):
            alike.setdefault(id(one.passing[0]), []).append(place)
        for places in alike.values():
            vectors = np.array([asked[place].vector for place in places])
            found = self.index.dense.search_many(vectors, count, asked[places[0]].passing[0])
            nearest.update(zip(places, found, strict=True))
        return [self._found(one, nearest[place], count, lexical_weight) for place, one in enumerate(asked)]

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
            slots, closeness = part.nearest(vector, count, allowed)
            rows = np.concatenate([rows, slots + first])
            dense = np.concatenate([dense, closeness])
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

    def _ask(
        self, query: str, vector: NDArray[np.float32], count: int, filters: Filters | None, tolerant: bool
    ) -> _Asked:
        """Read a query, and find what its words find in the base."""
        index = self.index
        passing = self._passing(filters)
        reading = read_query(query, index.lexical, self._has_changed_word, tolerant=tolerant)
        worded = LexicalIndex.best(reading.scores, count, passing[0])
        if reading.corrections and len(worded):
            top = worded[:FEEDBACK_PRODUCTS]
            vector = redirected(vector, index.dense.vectors[top], reading.scores[top])
        return _Asked(vector, passing, reading, worded, self._named(query, filters))

    def _found(self, asked: _Asked, nearest: Found, count: int, lexical_weight: float) -> Candidates:
        """Put together what vectors and words found, in the base and among changed products."""
        index, vector, reading, named = self.index, asked.vector, asked.reading, asked.named
        worded = asked.worded
        if len(named):
            worded = np.union1d(worded, named[named < index.count])
        near, closeness = nearest
        rows, first_of = distinct(np.concatenate([near, worded]))
        dense = np.concatenate([closeness, index.dense.scores(worded, vector)])[first_of]
        found = [(rows, dense, reading.scores[rows], np.ones(len(rows), bool))]
        for (first, part), passing in zip(self._parts(), asked.passing[1:], strict=True):
            bm25 = part.scores(reading.terms)
            slots, closeness = part.found(vector, bm25, count, passing)
            others = named[(named >= first) & (named < first + len(part))] - first
            if len(others):
                slots = np.union1d(slots, others)
                closeness = part.closeness(slots, vector)
            comparable = np.ones(len(slots), bool) if part.comparable is None else part.comparable[slots]
            found.append((slots + first, closeness, bm25[slots], comparable))
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
