"""The latest changes of the catalogue, in memory: what no segment holds yet."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from endcap_rerank.index.catalog import Columns, attribute_key
from endcap_rerank.index.lexical import LexicalDelta, LexicalIndex
from endcap_rerank.index.selection import best
from endcap_rerank.index.words import Words
from endcap_rerank.product import Product

_FIRST_CAPACITY = 64


class Delta:
    """Changed products in slots 0 … m-1. A product keeps its slot as long as the delta lives.

    Attributes:
        visible: bool [m], false where the product was deleted again.
        comparable: bool [m], whether the slot has a vector of the release's encoder.
        vectors: float32 [m, D], zeros where there is none.
    """

    def __init__(self, dimension: int, lexical: LexicalIndex) -> None:
        self.columns = Columns.zeros(_FIRST_CAPACITY)
        self.lexical = LexicalDelta(lexical)
        self.restricted = False
        """Whether there is, or was, a product that is not for everybody."""
        self._visible = np.zeros(_FIRST_CAPACITY, bool)
        self._comparable = np.zeros(_FIRST_CAPACITY, bool)
        self._vectors = np.zeros((_FIRST_CAPACITY, dimension), np.float32)
        self._slots: dict[str, int] = {}
        self._products: list[Product] = []
        self._texts: list[int] = []
        self._pairs: dict[str, set[int]] = {}

    def __len__(self) -> int:
        return len(self._products)

    @property
    def visible(self) -> NDArray[np.bool_]:
        """See the class."""
        return self._visible[: len(self)]

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
        return slot if slot is not None and self._visible[slot] else None

    def shown(self) -> int:
        """How many products were not deleted again."""
        return int(np.count_nonzero(self.visible))

    def item_id(self, slot: int) -> str:
        """The id of the product in a slot, also after it was deleted."""
        return self._products[slot].id

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
        texts: int,
        words: Callable[[], Words],
        *,
        brand: int,
        category: int,
        popularity: float,
    ) -> None:
        """Add a product, or replace it in its slot.

        Args:
            vector: [D], or None when the product has none of the release's encoder.
            texts: ``texts_digest`` of the product.
            words: asked only where the texts are new here.
        """
        slot = self._slots.get(product.id)
        if slot is None:
            slot = self._slots[product.id] = len(self._products)
            self._products.append(product)
            self._texts.append(texts)
            self._make_room()
            self._file(slot, product, words())
        else:
            before, self._products[slot] = self._products[slot], product
            if not self._visible[slot] or self._texts[slot] != texts:
                self._unfile(slot, before)
                self._file(slot, product, words())
            self._texts[slot] = texts
        self.columns.put(slot, product, brand=brand, category=category, popularity=popularity)
        self.restricted |= product.min_age > 0
        self._vectors[slot] = 0.0 if vector is None else vector
        self._comparable[slot] = vector is not None
        self._visible[slot] = True

    def remove(self, item_id: str) -> None:
        """Delete a product; one that is not here needs nothing."""
        slot = self._slots.get(item_id)
        if slot is not None and self._visible[slot]:
            self._visible[slot] = False
            self._unfile(slot, self._products[slot])

    # Search ------------------------------------------------------------------------------------------

    def scores(self, terms: Mapping[str, float]) -> NDArray[np.float32]:
        """BM25 of every slot: float32 [m]."""
        return self.lexical.scores(terms, len(self))

    def having(self, term: str) -> NDArray[np.int64]:
        """Slots that have a term, ascending."""
        return self.lexical.having(term)

    def of_code(self, code: str) -> Collection[int]:
        """Slots with a model number."""
        return self.lexical.of_code(code)

    def nearest(
        self, vector: NDArray[np.float32], count: int, passing: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The ``count`` comparable passing slots nearest to ``vector`` [D], and their cosine similarities."""
        return self._nearest(self.vectors @ vector, count, passing)

    def found(
        self,
        vector: NDArray[np.float32],
        bm25: NDArray[np.float32],
        count: int,
        passing: NDArray[np.bool_] | None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The ``count`` nearest and the ``count`` best-worded slots, ascending, with their similarities.

        Args:
            bm25: float32 [m].
        """
        closeness = self.vectors @ vector
        chosen = np.zeros(len(self), bool)
        chosen[self._nearest(closeness, count, passing)[0]] = True
        chosen[LexicalIndex.best(bm25, count, passing)] = True
        slots = np.flatnonzero(chosen)
        return slots, closeness[slots]

    def _nearest(
        self, closeness: NDArray[np.float32], count: int, passing: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        slots = np.flatnonzero(self.comparable if passing is None else passing & self.comparable)
        slots = slots[best(closeness[slots], count)]
        return slots, closeness[slots]

    def closeness(self, slots: NDArray[np.int64], vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cosine similarity of ``vector`` [D] with each of ``slots``; 0 where one has none."""
        scores: NDArray[np.float32] = self.vectors[slots] @ vector
        return scores

    # Inside ------------------------------------------------------------------------------------------

    def _file(self, slot: int, product: Product, words: Words) -> None:
        """Let the words and attributes of a product find its slot."""
        for name, value in product.attributes.items():
            self._pairs.setdefault(attribute_key(name, value), set()).add(slot)
        self.lexical.put(slot, words)

    def _unfile(self, slot: int, product: Product) -> None:
        for name, value in product.attributes.items():
            self._pairs.get(attribute_key(name, value), set()).discard(slot)
        self.lexical.remove(slot)

    def _make_room(self) -> None:
        capacity = len(self._visible)
        if len(self) <= capacity:
            return
        self.columns = self.columns.grown(2 * capacity)
        self._visible = np.concatenate([self._visible, np.zeros(capacity, bool)])
        self._comparable = np.concatenate([self._comparable, np.zeros(capacity, bool)])
        self._vectors = np.concatenate([self._vectors, np.zeros_like(self._vectors)])
