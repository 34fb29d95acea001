"""A memory-mapped index as one process sees it: some of its products hidden, some with other numbers."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endcap_rerank.index.build import Index
from endcap_rerank.index.catalog import Columns
from endcap_rerank.index.lexical import LexicalIndex
from endcap_rerank.index.selection import distinct
from endcap_rerank.index.words import NUMBERS
from endcap_rerank.product import Product

_ABSENT: dict[str, Any] = {
    "price": math.nan,
    "in_stock": True,
    "rating": math.nan,
    "review_count": 0,
    "created_at": math.nan,
}
_SAME_VECTOR = 0.98
"""Cosine similarity from which a vector counts as that of the same text, encoded in another batch."""


def _numbers_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of a product's decoded document."""
    return {name: fields.get(name, absent) for name, absent in _ABSENT.items()}


@dataclass(frozen=True)
class Numbers:
    """Numbers that took the place of those in an index's documents; parallel arrays.

    Attributes:
        rows: int64 [m], ascending.
        values: by name, [m] each.
    """

    rows: NDArray[np.int64]
    values: Mapping[str, NDArray[Any]]

    def of(self, row: int) -> dict[str, Any] | None:
        """The numbers of a row, if it has any here."""
        at = int(self.rows.searchsorted(row))
        if at == len(self.rows) or self.rows[at] != row:
            return None
        return {name: values[at].item() for name, values in self.values.items()}


class Layer:
    """The products of an index, of which a process hides some and gives others new numbers.

    The files stay as they are: columns are mapped so that what is written stays in this process.

    Args:
        comparable: bool [n], which products have a vector of the encoder; None: all.
    """

    def __init__(self, index: Index, comparable: NDArray[np.bool_] | None = None) -> None:
        self.index = index
        self.comparable = comparable
        self.visible: NDArray[np.bool_] | None = None
        """Which rows are not hidden; None: all."""
        self._catalog = index.catalog.changeable()
        self.restricted = bool(self._catalog.columns.min_age.any())
        """Whether a row is not for everybody; no change but of numbers reaches a row."""
        self._numbers: dict[int, Mapping[str, Any]] = {}
        """By row, the decoded document that has its numbers."""
        self._stored: Numbers | None = None

    def __len__(self) -> int:
        return self.index.count

    @property
    def columns(self) -> Columns:
        """One value a row, as it is now."""
        return self._catalog.columns

    @property
    def vectors(self) -> NDArray[np.float32]:
        """float32 [n, D]; zeros where a product has none."""
        return self.index.dense.vectors

    def attribute_rows(self, name: str, value: str) -> NDArray[np.int32]:
        """Rows whose attribute ``name`` is ``value``; case does not matter."""
        return self._catalog.attribute_rows(name, value)

    def find(self, item_id: str) -> int:
        """The row of a product, hidden or not; -1 when it has none here."""
        return self._catalog.ids.find(item_id)

    def shows(self, row: int) -> bool:
        """Whether a row is not hidden."""
        return self.visible is None or bool(self.visible[row])

    def shown(self) -> int:
        """How many rows are not hidden."""
        return len(self) if self.visible is None else int(np.count_nonzero(self.visible))

    def item_id(self, row: int) -> str:
        """The id of a row, hidden or not."""
        return self._catalog.ids[row]

    def product(self, row: int) -> Product:
        """The product of a row, as it is now."""
        product = self._catalog.product(row)
        fields = self._numbers.get(row)
        if fields is not None:
            return replace(product, **_numbers_of(fields))
        numbers = None if self._stored is None else self._stored.of(row)
        return product if numbers is None else replace(product, **numbers)

    def is_same(self, row: int, texts: int, vector: NDArray[np.float32] | None) -> bool:
        """Whether a state of the product differs from the row's in nothing but numbers.

        Args:
            texts: its ``texts_digest``.
            vector: [D], None where it has none that compares.
        """
        if self._catalog.texts(row) != texts:
            return False
        if vector is None:
            return True
        comparable = self.comparable is None or bool(self.comparable[row])
        return comparable and float(self.vectors[row] @ vector) >= _SAME_VECTOR

    def hide(self, row: int) -> None:
        """Hide a row."""
        if self.visible is None:
            self.visible = np.ones(len(self), bool)
        self.visible[row] = False

    def renumber(self, row: int, fields: Mapping[str, Any]) -> None:
        """Show a row, with the numbers of a decoded document."""
        if self.visible is not None:
            self.visible[row] = True
        # One by one, since this is what most changes cost.
        columns = self.columns
        columns.price[row] = fields.get("price", math.nan)
        columns.in_stock[row] = fields.get("in_stock", True)
        columns.rating[row] = fields.get("rating", math.nan)
        columns.review_count[row] = fields.get("review_count", 0)
        columns.created_at[row] = fields.get("created_at", math.nan)
        self._numbers[row] = fields

    def changed(self, hidden: NDArray[np.int32], numbers: Numbers) -> None:
        """Take in what is hidden and which numbers are others, before anything else changes."""
        if len(hidden):
            self.visible = np.ones(len(self), bool)
            self.visible[hidden] = False
        self._stored = numbers
        for name, values in numbers.values.items():
            getattr(self.columns, name)[numbers.rows] = values

    def renumbered(self) -> int:
        """How many rows got new numbers in this process."""
        return len(self._numbers)

    def numbers(self) -> Numbers:
        """All numbers that are others than in the documents."""
        known: dict[int, dict[str, Any]] = {}
        if self._stored is not None:
            known = {row: found for row in self._stored.rows.tolist() if (found := self._stored.of(row))}
        known |= {row: _numbers_of(fields) for row, fields in self._numbers.items()}
        rows = sorted(known)
        return Numbers(
            np.array(rows, np.int64),
            {name: np.array([known[row][name] for row in rows], type(_ABSENT[name])) for name in NUMBERS},
        )

    # Search ------------------------------------------------------------------------------------------

    def scores(self, terms: Mapping[str, float]) -> NDArray[np.float32]:
        """BM25 of every row: float32 [n]."""
        return self.index.lexical.scores(terms)

    def having(self, term: str) -> NDArray[np.int32]:
        """Rows that have a term, ascending."""
        return self.index.lexical.postings(term)[0]

    def of_code(self, code: str) -> Collection[int]:
        """Rows with a model number."""
        codes = self.index.lexical.codes
        return codes.rows(code) if codes is not None else ()

    def nearest(
        self, vector: NDArray[np.float32], count: int, passing: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The ``count`` comparable passing rows nearest to ``vector`` [D], and their cosine similarities."""
        if self.comparable is not None:
            passing = self.comparable if passing is None else passing & self.comparable
        return self.index.dense.search(vector, count, passing)

    def found(
        self,
        vector: NDArray[np.float32],
        bm25: NDArray[np.float32],
        count: int,
        passing: NDArray[np.bool_] | None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The ``count`` nearest and the ``count`` best-worded rows, ascending, with their similarities.

        Args:
            bm25: float32 [n].
        """
        near, closeness = self.nearest(vector, count, passing)
        worded = LexicalIndex.best(bm25, count, passing)
        rows, first = distinct(np.concatenate([near, worded]))
        return rows, np.concatenate([closeness, self.closeness(worded, vector)])[first]

    def closeness(self, rows: NDArray[np.int64], vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cosine similarity of ``vector`` [D] with each of ``rows``; 0 where one has none."""
        return self.index.dense.scores(rows, vector)
