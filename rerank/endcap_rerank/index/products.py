"""What is known of each product of a living catalogue: the base overlaid with its changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endcap_rerank.errors import InvalidInputError
from endcap_rerank.index.build import Index
from endcap_rerank.index.catalog import popularity_of
from endcap_rerank.index.delta import NUMBERS, Delta, same_but_numbers
from endcap_rerank.index.vocabulary import Vocabulary
from endcap_rerank.product import Product

Rows = Sequence[int] | NDArray[np.integer[Any]]
_NAMES = ("brand", "category")
_SAME_VECTOR = 0.98
"""Cosine similarity from which a vector counts as that of the same text, encoded in another batch."""


class LiveProducts:
    """The products of a release's index and those changed since, by row.

    A product is a *row*: 0 … N-1 in the base, N and above for a changed product, whose base row is then
    hidden. Where only numbers changed, as price and stock, the product keeps its base row, its words and its
    vector there. Codes hold within a process until it ends, and what a row means does.
    """

    def __init__(self, index: Index) -> None:
        self.index = index
        self.dimension = index.dimension
        self._base = index.catalog.changeable()
        self._numbers: dict[int, dict[str, Any]] = {}
        """By base row, the numbers that have changed since the release."""
        self._delta = Delta(index.dimension, index.lexical)
        self._brands = index.catalog.brands
        self._categories = index.catalog.categories
        self._visible: NDArray[np.bool_] | None = None
        """Which base rows are not hidden; None: all."""
        self._seq = 0

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
        if beyond >= 0:
            return self._delta.product(beyond)
        released = self.index.catalog.product(row)
        numbers = self._numbers.get(row)
        return released if numbers is None else replace(released, **numbers)

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

    def _hide(self, item_id: str) -> int:
        """Hide the base row of a product, if it has one; returns the row or -1."""
        row = self.index.catalog.ids.find(item_id)
        if row >= 0:
            if self._visible is None:
                self._visible = np.ones(self.index.count, bool)
            self._visible[row] = False
        return row

    def _remove(self, item_id: str) -> None:
        self._hide(item_id)
        self._delta.remove(item_id)

    def _put(self, product: Product, vector: NDArray[np.float32] | None) -> None:
        """Show ``product`` in place of what has its id; ``vector`` [D], None without a comparable one."""
        catalog = self.index.catalog
        row = catalog.ids.find(product.id)
        if row >= 0:
            released, own = catalog.product(row), self.index.dense.vectors[row]
            same_vector = vector is None or float(own @ vector) >= _SAME_VECTOR
            if same_vector and same_but_numbers(released, product):
                self._renumber(row, product)
                return
            self._hide(product.id)
            popularity = float(catalog.columns.popularity[row])
            if vector is None and released.encoder_text() == product.encoder_text():
                # Nothing that this release encoded has changed: its vector holds.
                vector = own
        else:
            popularity = float(popularity_of(np.array([product.review_count]), catalog.largest_count)[0])
        self._delta.put(
            product,
            vector,
            brand=self._brands.add(product.brand),
            category=self._categories.add(product.category),
            popularity=popularity,
        )

    def _renumber(self, row: int, product: Product) -> None:
        """Show a product in its base row, with numbers of its own."""
        self._delta.remove(product.id)
        if self._visible is not None:
            self._visible[row] = True
        self._numbers[row] = {name: getattr(product, name) for name in NUMBERS}
        for name, value in self._numbers[row].items():
            getattr(self._base.columns, name)[row] = value

    def _names(self, name: str) -> Vocabulary:
        if name not in _NAMES:
            raise InvalidInputError("vocabulary", name, f"one of {', '.join(_NAMES)} is expected")
        return self._brands if name == "brand" else self._categories

    def _split(self, rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.bool_] | None]:
        """Rows as an array, and which of them are delta rows (None: no one)."""
        wanted = np.asarray(rows, np.int64)
        if not len(self._delta):
            return wanted, None
        changed = wanted >= self.index.count
        return wanted, changed if changed.any() else None

    def _column(self, name: str, rows: Rows) -> NDArray[Any]:
        return self._gather(getattr(self._base.columns, name), getattr(self._delta.columns, name), rows)

    def _gather(self, base: NDArray[Any], delta: NDArray[Any], rows: Rows) -> NDArray[Any]:
        wanted, changed = self._split(rows)
        if changed is None:
            return base[wanted]
        result = np.empty((len(wanted), *base.shape[1:]), base.dtype)
        result[~changed] = base[wanted[~changed]]
        result[changed] = delta[wanted[changed] - self.index.count]
        return result
