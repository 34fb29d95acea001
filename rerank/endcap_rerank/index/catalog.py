"""What is known of each product beside its vector and its words: typed columns, documents, ids."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endcap_rerank.index.arrays import open_array, save_array
from endcap_rerank.index.strings import StringTable, fold, write_strings
from endcap_rerank.index.vocabulary import CategoryTree, Vocabulary
from endcap_rerank.index.words import texts_digest
from endcap_rerank.product import Product

FORMATS: dict[str, Any] = {
    # Prices stay in double precision: a limit of 19.99 must admit a product of 19.99.
    "price": np.float64,
    "rating": np.float32,
    "review_count": np.int64,
    "created_at": np.float64,
    "in_stock": np.bool_,
    "popularity": np.float32,
    "brand": np.int32,
    "category": np.int32,
    "min_age": np.uint8,
}


@dataclass
class Columns:
    """Parallel arrays, one value a product.

    ``price``, ``rating`` and ``created_at`` are NaN where unknown; ``brand`` and ``category`` are codes,
    -1 where there is none; ``popularity`` is in [0, 1]; ``min_age`` is 0 for what everybody may see.
    """

    price: NDArray[np.float64]
    rating: NDArray[np.float32]
    review_count: NDArray[np.int64]
    created_at: NDArray[np.float64]
    in_stock: NDArray[np.bool_]
    popularity: NDArray[np.float32]
    brand: NDArray[np.int32]
    category: NDArray[np.int32]
    min_age: NDArray[np.uint8]

    @classmethod
    def zeros(cls, count: int) -> Columns:
        """Columns to be filled by :meth:`put`."""
        return cls(**{name: np.zeros(count, dtype) for name, dtype in FORMATS.items()})

    @classmethod
    def open(cls, directory: Path, *, private: bool = False) -> Columns:
        """Map the columns that :meth:`save` wrote; ``private`` ones may be written for this process."""
        found = {
            name: open_array(directory, f"column.{name}", private=private)
            for name in FORMATS
            if name != "min_age" or (directory / "column.min_age.npy").is_file()
        }
        # Absent where the index was built before there was one.
        found.setdefault("min_age", np.zeros(len(found["price"]), np.uint8))
        return cls(**found)

    def save(self, directory: Path) -> None:
        """Write one file a column."""
        for name in FORMATS:
            save_array(directory, f"column.{name}", getattr(self, name))

    def grown(self, count: int) -> Columns:
        """A copy with room for ``count`` products."""
        larger = Columns.zeros(count)
        for field in fields(self):
            old = getattr(self, field.name)
            getattr(larger, field.name)[: len(old)] = old
        return larger

    def put(self, at: int, product: Product, *, brand: int, category: int, popularity: float) -> None:
        """Set the values of the product at position ``at``."""
        self.price[at] = product.price
        self.rating[at] = product.rating
        self.review_count[at] = product.review_count
        self.created_at[at] = product.created_at
        self.in_stock[at] = product.in_stock
        self.popularity[at] = popularity
        self.brand[at] = brand
        self.category[at] = category
        self.min_age[at] = product.min_age


def popularity_of(counts: NDArray[Any], largest: float) -> NDArray[np.float32]:
    """``log(1 + count) / log(1 + largest)``, within [0, 1]; 0 where nothing is counted at all."""
    if largest <= 0:
        return np.zeros(len(counts), np.float32)
    share: NDArray[np.float32] = np.minimum(np.log1p(counts) / math.log1p(largest), 1.0).astype(np.float32)
    return share


def attribute_key(name: str, value: str) -> str:
    """The key under which a pair of an attribute's name and value is found."""
    return f"{fold(name)}\x1f{fold(value)}"


class Catalog:
    """The memory-mapped base catalogue of a release: rows 0 … N-1.

    Attributes:
        columns: one value a row.
        brands, categories: the names behind the codes.
        largest_count: the interaction count whose popularity is 1.
    """

    def __init__(self, directory: Path, *, largest_count: float) -> None:
        self._directory = directory
        self.columns = Columns.open(directory)
        self.ids = StringTable(directory, "ids")
        self.brands = Vocabulary(StringTable(directory, "brands", folded=True))
        self.categories = CategoryTree.open(directory)
        self.largest_count = largest_count
        self._documents = StringTable(directory, "documents", findable=False)
        # Absent where the index was built before there were any.
        known = (directory / "texts.npy").is_file()
        self._texts: NDArray[np.int64] | None = open_array(directory, "texts") if known else None
        self._pairs = StringTable(directory, "attributes")
        self._pair_offsets = open_array(directory, "attributes.row_offsets")
        self._pair_rows = open_array(directory, "attributes.rows")

    def __len__(self) -> int:
        return len(self.ids)

    def changeable(self) -> Catalog:
        """The same catalogue with columns that may be written, for this process alone."""
        changeable = copy(self)
        changeable.columns = Columns.open(self._directory, private=True)
        return changeable

    def product(self, row: int) -> Product:
        """Decode the document of a row."""
        return Product(**json.loads(self._documents[row]))

    def texts(self, row: int) -> int:
        """``texts_digest`` of a row."""
        return texts_digest(self.product(row)) if self._texts is None else int(self._texts[row])

    def attribute_rows(self, name: str, value: str) -> NDArray[np.int32]:
        """Rows whose attribute ``name`` is ``value``; case does not matter."""
        pair = self._pairs.find(attribute_key(name, value))
        if pair < 0:
            return np.zeros(0, np.int32)
        start, end = self._pair_offsets[pair : pair + 2].tolist()
        return self._pair_rows[start:end]


def write_catalog(directory: Path, products: Sequence[Product], counts: NDArray[np.float64]) -> float:
    """Write what :class:`Catalog` reads.

    Args:
        counts: [N] interactions of each product, the source of its popularity.

    Returns:
        The largest count.
    """
    ids = [product.id for product in products]
    write_strings(directory, "ids", ids, keys=ids)
    write_strings(directory, "documents", _documents(products))
    save_array(directory, "texts", np.array([texts_digest(product) for product in products], np.int64))
    brands: dict[str, str] = {}
    for product in products:
        if product.brand:
            brands.setdefault(fold(product.brand), product.brand)
    keys = sorted(brands)
    write_strings(directory, "brands", [brands[key] for key in keys], keys=keys)
    brand_codes = {key: code for code, key in enumerate(keys)}
    category_codes = CategoryTree.write(directory, [product.category for product in products])
    largest = float(counts.max(initial=0.0))
    popularity = popularity_of(counts, largest)
    columns = Columns.zeros(len(products))
    for row, product in enumerate(products):
        columns.put(
            row,
            product,
            brand=brand_codes.get(fold(product.brand), -1),
            category=category_codes[row],
            popularity=float(popularity[row]),
        )
    columns.save(directory)
    _write_attributes(directory, products)
    return largest


def _documents(products: Sequence[Product]) -> Iterable[str]:
    for product in products:
        yield json.dumps(product.as_mapping(), ensure_ascii=False, separators=(",", ":"))


def _write_attributes(directory: Path, products: Sequence[Product]) -> None:
    rows: dict[str, list[int]] = {}
    for row, product in enumerate(products):
        for name, value in product.attributes.items():
            rows.setdefault(attribute_key(name, value), []).append(row)
    keys = sorted(rows)
    write_strings(directory, "attributes", keys, keys=keys)
    offsets = np.zeros(len(keys) + 1, np.int64)
    np.cumsum([len(rows[key]) for key in keys], out=offsets[1:])
    save_array(directory, "attributes.row_offsets", offsets)
    flat = [row for key in keys for row in rows[key]]
    save_array(directory, "attributes.rows", np.array(flat, np.int32))
