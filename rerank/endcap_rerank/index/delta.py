"""The products changed since the release, in memory: what the base catalogue is overlaid with."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from endcap_rerank.index.catalog import Columns, attribute_key
from endcap_rerank.index.lexical import LexicalDelta, LexicalIndex
from endcap_rerank.product import Product

_FIRST_CAPACITY = 64


class Delta:
    """Changed products in slots 0 … m-1. A product keeps its slot while the process lives.

    Attributes:
        alive: bool [m], false where the product was deleted again.
        comparable: bool [m], whether the slot has a vector of the release's encoder.
        vectors: float32 [m, D], zeros where there is none.
    """

    def __init__(self, dimension: int, lexical: LexicalIndex) -> None:
        self.columns = Columns.zeros(_FIRST_CAPACITY)
        self.lexical = LexicalDelta(lexical)
        self._alive = np.zeros(_FIRST_CAPACITY, bool)
        self._comparable = np.zeros(_FIRST_CAPACITY, bool)
        self._vectors = np.zeros((_FIRST_CAPACITY, dimension), np.float32)
        self._slots: dict[str, int] = {}
        self._products: list[Product] = []
        self._pairs: dict[str, set[int]] = {}

    def __len__(self) -> int:
        return len(self._products)

    @property
    def alive(self) -> NDArray[np.bool_]:
        """See the class."""
        return self._alive[: len(self)]

    @property
    def comparable(self) -> NDArray[np.bool_]:
        """See the class."""
        return self._comparable[: len(self)]

    @property
    def vectors(self) -> NDArray[np.float32]:
        """See the class."""
        return self._vectors[: len(self)]

    def slot(self, item_id: str) -> int | None:
        """The slot of a product that was changed and not deleted."""
        slot = self._slots.get(item_id)
        return slot if slot is not None and self._alive[slot] else None

    def product(self, slot: int) -> Product:
        """The product in a slot, also after it was deleted."""
        return self._products[slot]

    def attribute_rows(self, name: str, value: str) -> NDArray[np.int64]:
        """Slots whose attribute ``name`` is ``value``; case does not matter."""
        slots = self._pairs.get(attribute_key(name, value), set())
        return np.fromiter(slots, np.int64, len(slots))

    def put(
        self,
        product: Product,
        vector: NDArray[np.float32] | None,
        *,
        brand: int,
        category: int,
        popularity: float,
    ) -> None:
        """Add a product, or replace it in its slot.

        Args:
            vector: [D], or None when the product has none of the release's encoder.
        """
        slot = self._slots.get(product.id)
        if slot is None:
            slot = self._slots[product.id] = len(self._products)
            self._products.append(product)
            self._make_room()
            self._file(slot, product)
        else:
            before, self._products[slot] = self._products[slot], product
            # Most changes are of price or stock; taking the words apart is nearly all that a change costs.
            if not self._alive[slot] or not same_but_numbers(before, product):
                self._unfile(slot, before)
                self._file(slot, product)
        self.columns.put(slot, product, brand=brand, category=category, popularity=popularity)
        self._vectors[slot] = 0.0 if vector is None else vector
        self._comparable[slot] = vector is not None
        self._alive[slot] = True

    def remove(self, item_id: str) -> None:
        """Delete a product; one that was never changed needs nothing here."""
        slot = self._slots.get(item_id)
        if slot is not None and self._alive[slot]:
            self._alive[slot] = False
            self._unfile(slot, self._products[slot])

    def _file(self, slot: int, product: Product) -> None:
        """Let the words and attributes of a product find its slot."""
        for name, value in product.attributes.items():
            self._pairs.setdefault(attribute_key(name, value), set()).add(slot)
        self.lexical.put(slot, product)

    def _unfile(self, slot: int, product: Product) -> None:
        for name, value in product.attributes.items():
            self._pairs.get(attribute_key(name, value), set()).discard(slot)
        self.lexical.remove(slot)

    def _make_room(self) -> None:
        capacity = len(self._alive)
        if len(self) <= capacity:
            return
        self.columns = self.columns.grown(2 * capacity)
        self._alive = np.concatenate([self._alive, np.zeros(capacity, bool)])
        self._comparable = np.concatenate([self._comparable, np.zeros(capacity, bool)])
        self._vectors = np.concatenate([self._vectors, np.zeros_like(self._vectors)])


NUMBERS = ("price", "in_stock", "rating", "review_count", "created_at")
"""What of a product may change without changing by what words and attributes it is found."""

_WORDS = tuple(field.name for field in fields(Product) if field.name not in NUMBERS)


def same_but_numbers(one: Product, other: Product) -> bool:
    """Whether two states of a product differ in nothing but :data:`NUMBERS`."""
    return all(getattr(one, name) == getattr(other, name) for name in _WORDS)
