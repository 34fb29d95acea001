"""What is known of each product of a living catalogue, by row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endcap_rerank.errors import InvalidInputError
from endcap_rerank.index.build import Index
from endcap_rerank.index.overlay import Overlay, Part
from endcap_rerank.index.segments import Segment
from endcap_rerank.index.vocabulary import Vocabulary
from endcap_rerank.product import Product

Rows = Sequence[int] | NDArray[np.integer[Any]]
_NAMES = ("brand", "category")


class LiveProducts:
    """The products of a release's index and those changed since, by row.

    A product is a *row*: 0 … N-1 in the release, N and above for a changed product, whose row in the release
    is then hidden. Where only numbers changed, as price and stock, the product keeps its row, its words and
    its vector there. Codes hold within a process until it ends. So does what a row means, but for the rows
    of changed products: when their segment was written anew (:mod:`.segments`), they get new rows, above all
    that there were, and the old ones can be read until that happens once more.
    """

    def __init__(self, index: Index, segment: Segment | None = None) -> None:
        self.index = index
        self.dimension = index.dimension
        self._brands = index.catalog.brands
        self._categories = index.catalog.categories
        self._overlay = Overlay(index, segment, self._brands, self._categories)
        self._first = index.count
        """Row of the first changed product."""
        self._former: list[tuple[int, Part]] = []
        self._adopted = 0

    @property
    def version(self) -> int:
        """Grows with every change that was taken in: what was computed from the catalogue holds for one."""
        return self._overlay.seq + self._adopted

    @property
    def moves(self) -> tuple[int, int]:
        """Changes with every change of more than numbers, such as price and stock: what is found without a
        filter holds for one."""
        return self._adopted, self._overlay.moves

    @property
    def seq(self) -> int:
        """The place of the last change taken in, in the order of the store."""
        return self._overlay.seq

    def __len__(self) -> int:
        """How many products can be found."""
        overlay = self._overlay
        return overlay.base.shown() + sum(part.shown() for part in overlay.changed)

    def row(self, item_id: str) -> int | None:
        """The row of a product; None when the catalogue has it not, or no longer."""
        overlay = self._overlay
        slot = overlay.delta.slot(item_id)
        if slot is not None:
            return slot + self._first + (0 if overlay.segment is None else len(overlay.segment))
        for first, layer in zip((0, self._first), overlay.layers, strict=False):
            row = layer.find(item_id)
            if row >= 0 and layer.shows(row):
                return first + row
        return None

    def rows(self, item_ids: Iterable[str]) -> list[int | None]:
        """The row of each product, as ``row`` finds it."""
        overlay = self._overlay
        if overlay.changed or overlay.base.visible is not None:
            return [self.row(item_id) for item_id in item_ids]
        find = self.index.catalog.ids.find
        return [row if (row := find(item_id)) >= 0 else None for item_id in item_ids]

    def item_ids(self, rows: Rows) -> list[str]:
        """The ids of ``rows`` [n]."""
        wanted, changed = self._split(rows)
        if changed is None:
            return self.index.catalog.ids.take(wanted)
        return [part.item_id(row - first) for row in wanted.tolist() for first, part in [self._part(row)]]

    def product(self, row: int) -> Product:
        """The product of a row."""
        first, part = self._part(int(row))
        return part.product(int(row) - first)

    def every(self) -> Iterator[Product]:
        """Every product of the catalogue, as it is now."""
        for part in (self._overlay.base, *self._overlay.changed):
            rows = range(len(part)) if part.visible is None else np.flatnonzero(part.visible).tolist()
            for row in rows:
                yield part.product(row)

    def embeddings(self, rows: Rows) -> NDArray[np.float32]:
        """Vectors of ``rows``: float32 [n, D]; zeros where a product has none of this encoder."""
        return self._gather(lambda part: part.vectors, rows)

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

    @property
    def restricted(self) -> bool:
        """Whether a product may not be for everybody."""
        overlay = self._overlay
        return overlay.base.restricted or any(part.restricted for part in overlay.changed)

    def for_age(self, rows: NDArray[np.int64], age: int) -> NDArray[np.int64]:
        """Those of ``rows`` that a shopper of ``age`` may see."""
        return rows[self._column("min_age", rows) <= age] if self.restricted else rows

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

    def _adopt(self, overlay: Overlay) -> None:
        """Go on with another overlay; the rows of changed products so far stay readable."""
        self._former = self._parts()
        self._first = max([self._first, *(first + len(part) for first, part in self._former)])
        self._overlay = overlay
        self._adopted += 1

    def _parts(self) -> list[tuple[int, Part]]:
        """Segment and delta that serve, each with its first row."""
        first, parts = self._first, []
        for part in self._overlay.changed:
            parts.append((first, part))
            first += len(part)
        return parts

    def _part(self, row: int) -> tuple[int, Part]:
        """What a row lies in, and its first row."""
        if row < self.index.count:
            return 0, self._overlay.base
        for first, part in (*self._parts(), *self._former):
            if first <= row < first + len(part):
                return first, part
        raise IndexError(f"row {row} is no product's")

    def _names(self, name: str) -> Vocabulary:
        if name not in _NAMES:
            raise InvalidInputError("vocabulary", name, f"one of {', '.join(_NAMES)} is expected")
        return self._brands if name == "brand" else self._categories

    def _split(self, rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.bool_] | None]:
        """Rows as an array, and which of them are changed products (None: no one)."""
        wanted = np.asarray(rows, np.int64)
        changed = wanted >= self.index.count
        return wanted, changed if np.count_nonzero(changed) else None  # a tenth of what ``any`` takes

    def _column(self, name: str, rows: Rows) -> NDArray[Any]:
        return self._gather(lambda part: getattr(part.columns, name), rows)

    def _gather(self, values: Callable[[Part], NDArray[Any]], rows: Rows) -> NDArray[Any]:
        wanted, changed = self._split(rows)
        base = values(self._overlay.base)
        if changed is None:
            return base.take(wanted, axis=0)  # of vectors quicker than by [wanted]
        result = np.zeros((len(wanted), *base.shape[1:]), base.dtype)
        result[~changed] = base[wanted[~changed]]
        for first, part in (*self._parts(), *self._former):
            inside = (wanted >= first) & (wanted < first + len(part))
            if inside.any():
                result[inside] = values(part)[wanted[inside] - first]
        return result
