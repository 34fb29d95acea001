"""The living catalogue: a release's index overlaid with the changes since."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endcap_rerank.catalog_store import CatalogStore, Change, checked_vector
from endcap_rerank.errors import InvalidInputError, StoreError
from endcap_rerank.filters import Filters
from endcap_rerank.index.build import Index
from endcap_rerank.index.catalog import popularity_of
from endcap_rerank.index.delta import Delta
from endcap_rerank.index.fusion import LEXICAL_WEIGHT, Candidates, fuse
from endcap_rerank.index.lexical import query_terms
from endcap_rerank.index.selection import best
from endcap_rerank.index.vocabulary import Vocabulary
from endcap_rerank.product import Product

Rows = Sequence[int] | NDArray[np.integer[Any]]
_NAMES = ("brand", "category")


class LiveIndex:
    """Search over the base catalogue and its changes. One thread at a time.

    A product is a *row*: 0 … N-1 in the base, N and above for a changed product. A changed product's base
    row is hidden. Rows and codes hold within a process until it ends.

    Args:
        store: where changes come from; without one the catalogue stays as released.
    """

    def __init__(self, index: Index, store: CatalogStore | None = None) -> None:
        self.index = index
        self.dimension = index.dimension
        self._store = store
        self._delta = Delta(index.dimension, index.lexical)
        self._brands = index.catalog.brands
        self._categories = index.catalog.categories
        self._visible: NDArray[np.bool_] | None = None
        self._version: tuple[int, int] | None = None
        self._seq = 0
        self.refresh()

    # Changes -----------------------------------------------------------------------------------------

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

    # Search ------------------------------------------------------------------------------------------

    def retrieve(
        self,
        query: str,
        embedding: NDArray[np.float32],
        *,
        count: int,
        filters: Filters | None = None,
        lexical_weight: float = LEXICAL_WEIGHT,
    ) -> Candidates:
        """The best ``count`` of the ``count`` nearest and the ``count`` best-worded products.

        Args:
            embedding: float32 [D], L2-normalized.

        Raises:
            InvalidInputError: the embedding has another size or is not finite.
        """
        vector = checked_vector("embedding", embedding, self.dimension)
        passing, passing_delta = self._passing(filters)
        terms = query_terms(query)
        index = self.index
        near, closeness = index.dense.search(vector, count, passing)
        bm25 = index.lexical.scores(terms)
        worded = index.lexical.best(bm25, count, passing)
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
            comparable = np.concatenate([np.ones(len(rows), bool), delta.comparable[slots]])
            rows = np.concatenate([rows, slots + index.count])
            dense, lexical = np.concatenate([dense, closeness[slots]]), np.concatenate([lexical, bm25[slots]])
        return fuse(rows, dense, lexical, count, lexical_weight=lexical_weight, comparable=comparable)

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

    # Products ----------------------------------------------------------------------------------------

    @property
    def version(self) -> int:
        """Grows with every change that was taken in: what was computed from the catalogue holds for one."""
        return self._seq

    def __len__(self) -> int:
        """How many products can be found."""
        hidden = 0 if self._visible is None else self.index.count - int(np.count_nonzero(self._visible))
        return self.index.count - hidden + int(np.count_nonzero(self._delta.alive))

    def row(self, item_id: str) -> int | None:
        """The row of a product; None when the catalogue has it not, or no longer."""
        slot = self._delta.slot(item_id)
        if slot is not None:
            return slot + self.index.count
        row = self.index.catalog.ids.find(item_id)
        return None if row < 0 or (self._visible is not None and not self._visible[row]) else row

    def item_ids(self, rows: Rows) -> list[str]:
        """The ids of ``rows`` [n]."""
        wanted, changed = self._split(rows)
        if changed is None:
            return self.index.catalog.ids.take(wanted)
        beyond = self.index.count
        return [
            self._delta.product(row - beyond).id if row >= beyond else self.index.catalog.ids[row]
            for row in wanted.tolist()
        ]

    def product(self, row: int) -> Product:
        """The product of a row."""
        row = int(row)
        beyond = row - self.index.count
        return self.index.catalog.product(row) if beyond < 0 else self._delta.product(beyond)

    def embeddings(self, rows: Rows) -> NDArray[np.float32]:
        """Vectors of ``rows``: float32 [n, D]; zeros where a product has none of this encoder."""
        return self._gather(self.index.dense.vectors, self._delta.vectors, rows)

    def prices(self, rows: Rows) -> NDArray[np.float64]:
        """Prices of ``rows``: float64 [n], NaN where unknown."""
        return self._column("price", rows)

    def ratings(self, rows: Rows) -> NDArray[np.float32]:
        """Ratings of ``rows`` (0–5): float32 [n], NaN where unknown."""
        return self._column("rating", rows)

    def review_counts(self, rows: Rows) -> NDArray[np.int64]:
        """Numbers of reviews of ``rows``: int64 [n]."""
        return self._column("review_count", rows)

    def created_at(self, rows: Rows) -> NDArray[np.float64]:
        """When ``rows`` came into the catalogue, in seconds since 1970: float64 [n], NaN where unknown."""
        return self._column("created_at", rows)

    def in_stock(self, rows: Rows) -> NDArray[np.bool_]:
        """Whether ``rows`` are in stock: bool [n]."""
        return self._column("in_stock", rows)

    def popularity(self, rows: Rows) -> NDArray[np.float32]:
        """Popularity of ``rows`` in [0, 1], logarithmic in the interactions: float32 [n]."""
        return self._column("popularity", rows)

    def brand_codes(self, rows: Rows) -> NDArray[np.int32]:
        """Codes of the brands of ``rows``: int32 [n], -1 for none."""
        return self._column("brand", rows)

    def category_codes(self, rows: Rows) -> NDArray[np.int32]:
        """Codes of the full category paths of ``rows``: int32 [n], -1 for none."""
        return self._column("category", rows)

    def top_category_codes(self, rows: Rows) -> NDArray[np.int32]:
        """Codes of the root categories of ``rows``: int32 [n], -1 for none."""
        codes: NDArray[np.int32] = self._categories.tops[self._column("category", rows)]
        return codes

    def vocabulary(self, name: str) -> list[str]:
        """Names by code, of ``"brand"`` or ``"category"`` (full paths). Not to be changed.

        Raises:
            InvalidInputError: another name.
        """
        return self._names(name).names()

    def code(self, name: str, value: str) -> int:
        """The code of a brand or category path, -1 when unknown; case does not matter.

        Raises:
            InvalidInputError: ``name`` is neither ``"brand"`` nor ``"category"``.
        """
        return self._names(name).code(value)

    # Inside ------------------------------------------------------------------------------------------

    def _names(self, name: str) -> Vocabulary:
        if name not in _NAMES:
            raise InvalidInputError("vocabulary", name, f"one of {', '.join(_NAMES)} is expected")
        return self._brands if name == "brand" else self._categories

    def _writable(self) -> CatalogStore:
        if self._store is None:
            raise StoreError("this catalogue was opened without a store; it cannot be changed")
        return self._store

    def _apply(self, change: Change) -> None:
        catalog = self.index.catalog
        row = catalog.ids.find(change.id)
        if row >= 0:
            if self._visible is None:
                self._visible = np.ones(self.index.count, bool)
            self._visible[row] = False
        product = change.product
        if product is None:
            self._delta.remove(change.id)
            return
        if row >= 0:
            popularity = float(catalog.columns.popularity[row])
        else:
            popularity = float(popularity_of(np.array([product.review_count]), catalog.largest_count)[0])
        self._delta.put(
            product,
            self._vector(change, row),
            brand=self._brands.add(product.brand),
            category=self._categories.add(product.category),
            popularity=popularity,
        )

    def _vector(self, change: Change, row: int) -> NDArray[np.float32] | None:
        """The vector of a change in this release's space, if there is one."""
        vector, product = change.embedding, change.product
        if (
            change.encoder_id == self.index.encoder_id
            and vector is not None
            and len(vector) == self.dimension
        ):
            return vector
        # The change was encoded for an earlier release. If only price or stock differ from what this
        # release encoded, its vector still holds.
        if row >= 0 and product is not None:
            encoded = self.index.catalog.product(row)
            if encoded.encoder_text() == product.encoder_text():
                return np.array(self.index.dense.vectors[row])
        return None

    def _passing(self, filters: Filters | None) -> tuple[NDArray[np.bool_] | None, NDArray[np.bool_] | None]:
        """Which base rows pass (None: all) and which delta slots (None: there are none)."""
        base = self._visible
        delta = self._delta.alive if len(self._delta) else None
        if filters is None:
            return base, delta
        passing = filters.passing(self.index.catalog, self._brands, self._categories)
        if passing is not None:
            base = passing if base is None else passing & base
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

    def _split(self, rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.bool_] | None]:
        """Rows as an array, and which of them are delta rows (None: no one)."""
        wanted = np.asarray(rows, np.int64)
        if not len(self._delta):
            return wanted, None
        changed = wanted >= self.index.count
        return wanted, changed if changed.any() else None

    def _column(self, name: str, rows: Rows) -> NDArray[Any]:
        return self._gather(
            getattr(self.index.catalog.columns, name), getattr(self._delta.columns, name), rows
        )

    def _gather(self, base: NDArray[Any], delta: NDArray[Any], rows: Rows) -> NDArray[Any]:
        wanted, changed = self._split(rows)
        if changed is None:
            return base[wanted]
        result = np.empty((len(wanted), *base.shape[1:]), base.dtype)
        result[~changed] = base[wanted[~changed]]
        result[changed] = delta[wanted[changed] - self.index.count]
        return result
