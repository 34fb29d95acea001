"""The catalogue as one process sees it: a release's index, at most one segment, and the changes since."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from endcap_rerank.catalog_store import Change
from endcap_rerank.index.build import Index
from endcap_rerank.index.catalog import popularity_of
from endcap_rerank.index.delta import Delta
from endcap_rerank.index.layer import Layer
from endcap_rerank.index.segments import Segment
from endcap_rerank.index.vocabulary import CategoryTree, Vocabulary
from endcap_rerank.index.words import Words, texts_digest
from endcap_rerank.product import Product

Part = Layer | Delta

_log = logging.getLogger(__name__)


class Overlay:
    """A product is shown in one place: in the base, in the segment, or in the delta.

    Where only numbers change, as price and stock, it keeps its place, its words and its vector there. A
    change of anything else hides it there and puts it into the delta.

    Args:
        brands, categories: names behind codes; they grow.

    Attributes:
        base: the release's index.
        segment: changes that a compaction wrote down; None without one.
        delta: changes since.
        seq: the last change taken in.
        moves: how many of the changes taken in were of more than numbers: what is found by words and vectors
            without a filter is the same while this is.
    """

    def __init__(
        self, index: Index, segment: Segment | None, brands: Vocabulary, categories: CategoryTree
    ) -> None:
        self.base = Layer(index)
        self.segment: Layer | None = None
        self.delta = Delta(index.dimension, index.lexical)
        self.seq = 0
        self.moves = 0
        self._brands = brands
        self._categories = categories
        if segment is not None:
            self.seq = segment.seq
            self.base.changed(segment.hidden, segment.numbers)
            comparable = segment.comparable
            self.segment = Layer(segment.index, None if comparable.all() else comparable)
            columns, names = self.segment.columns, segment.index.catalog
            # Codes are this process's own; the last place answers for code -1.
            columns.brand = np.array([*map(brands.add, names.brands.names()), -1], np.int32)[columns.brand]
            columns.category = np.array([*map(categories.add, names.categories.names()), -1], np.int32)[
                columns.category
            ]

    @property
    def layers(self) -> list[Layer]:
        """Base and segment."""
        return [self.base] if self.segment is None else [self.base, self.segment]

    @property
    def changed(self) -> list[Part]:
        """Segment and delta, those that have products."""
        parts: list[Part] = [self.delta] if self.segment is None else [self.segment, self.delta]
        return [part for part in parts if len(part)]

    @property
    def uncompacted(self) -> int:
        """How many products are compared one by one, as no segment holds them. A new price, which costs a
        search nothing and a start little, counts as a twentieth.
        """
        return len(self.delta) + sum(layer.renumbered() for layer in self.layers) // 20

    def take_in(self, changes: Iterable[Change]) -> None:
        """Take in changes, in their order."""
        for change in changes:
            if change.document is None:
                self._remove(change.id)
            else:
                try:
                    self._put(change)
                except (ArithmeticError, TypeError, ValueError) as error:
                    # What another version let into the store must not keep a shop from starting.
                    self._remove(change.id)
                    _log.warning("product %s is hidden until it is written again: %s", change.id, error)
            self.seq = change.seq

    def _put(self, change: Change) -> None:
        index = self.base.index
        vector = change.embedding
        if change.encoder_id != index.encoder_id or (vector is not None and vector.size != index.dimension):
            vector = None  # encoded for another release
        product: Product | None = None
        texts = change.texts
        if texts is None:
            product = Product(**change.fields)
            texts = texts_digest(product)
        for layer in self.layers:
            row = layer.find(change.id)
            if row >= 0 and layer.is_same(row, texts, vector):
                if not layer.shows(row):
                    self._remove(change.id)
                layer.renumber(row, change.fields)
                return
        if product is None:
            product = Product(**change.fields)
        if vector is None:
            vector = self._encoded(product)
        row = self.base.find(product.id)
        if row >= 0:
            popularity = float(self.base.columns.popularity[row])
        else:
            counts = np.array([product.review_count])
            popularity = float(popularity_of(counts, index.catalog.largest_count)[0])
        self.moves += 1
        self._hide(product.id)
        self.delta.put(
            product,
            vector,
            texts,
            lambda: (Words.loads(change.words) if change.words else None) or Words.of(product),
            brand=self._brands.add(product.brand),
            category=self._categories.add(product.category),
            popularity=popularity,
        )

    def _encoded(self, product: Product) -> NDArray[np.float32] | None:
        """The vector that holds for a product because nothing that is encoded of it has changed."""
        for layer in self.layers:
            row = layer.find(product.id)
            if row < 0 or (layer.comparable is not None and not layer.comparable[row]):
                continue
            if layer.product(row).encoder_text() == product.encoder_text():
                vector: NDArray[np.float32] = layer.vectors[row]
                return vector
        return None

    def _remove(self, item_id: str) -> None:
        self.moves += 1
        self._hide(item_id)
        self.delta.remove(item_id)

    def _hide(self, item_id: str) -> None:
        """Hide a product in base and segment."""
        for layer in self.layers:
            row = layer.find(item_id)
            if row >= 0:
                layer.hide(row)
