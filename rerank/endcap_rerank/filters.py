"""Which products a request admits."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from endcap_rerank.errors import InvalidInputError

if TYPE_CHECKING:  # the index package imports this module
    from endcap_rerank.index.catalog import Columns
    from endcap_rerank.index.vocabulary import CategoryTree, Vocabulary


class Part(Protocol):
    """A part of the catalogue that can be filtered: the base, a segment, or the changes since."""

    @property
    def columns(self) -> Columns:
        """One value a position; may be longer than the part."""
        ...

    @property
    def restricted(self) -> bool:
        """Whether it may hold a product that is not for everybody."""
        ...

    def __len__(self) -> int: ...

    def attribute_rows(self, name: str, value: str) -> NDArray[Any]:
        """Positions whose attribute ``name`` is ``value``."""
        ...


@dataclass(frozen=True)
class Filters:
    """Conditions that all must hold.

    Attributes:
        price_min, price_max: inclusive; with either, a product without a price is left out.
        brands: any of these; case does not matter.
        categories: in the subtree of any of these paths ``A > B``, counted from the root.
        in_stock: when true, only what is in stock; when false, stock does not matter.
        attributes: for each name, any of its values; case does not matter.
        exclude: product ids that are left out.
        age: products with a higher ``min_age`` are left out; by default all that have one.

    Raises:
        InvalidInputError: a price limit is not a number, or the lower exceeds the upper.
    """

    price_min: float | None = None
    price_max: float | None = None
    brands: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    in_stock: bool = False
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    exclude: frozenset[str] = frozenset()
    age: int = 0

    def __post_init__(self) -> None:
        for name in ("price_min", "price_max"):
            limit = getattr(self, name)
            if limit is not None and math.isnan(limit):
                raise InvalidInputError(f"filters.{name}", limit, "a number is expected")
        if self.price_min is not None and self.price_max is not None and self.price_min > self.price_max:
            raise InvalidInputError(
                "filters.price_max",
                self.price_max,
                f"at least filters.price_min, {self.price_min}, is expected",
            )

    def conditions(self) -> Hashable:
        """What decides :meth:`passing`: equal for filters that admit the same products, ``exclude`` aside."""
        attributes = tuple((name, tuple(values)) for name, values in self.attributes.items())
        prices = self.price_min, self.price_max
        return prices, self.brands, self.categories, self.in_stock, attributes, self.age

    def passing(self, part: Part, brands: Vocabulary, categories: CategoryTree) -> NDArray[np.bool_] | None:
        """Which positions of a part pass: bool [len(part)], or None when no condition is set.

        ``exclude`` is not looked at: ids are resolved across parts by the caller.

        Args:
            brands, categories: the names behind the codes of the part's columns.
        """
        conditions: list[NDArray[np.bool_]] = []
        count = len(part)
        columns = part.columns
        if self.price_min is not None:
            conditions.append(columns.price[:count] >= self.price_min)
        if self.price_max is not None:
            conditions.append(columns.price[:count] <= self.price_max)
        if self.in_stock:
            conditions.append(columns.in_stock[:count])
        if part.restricted:
            conditions.append(columns.min_age[:count] <= self.age)
        if self.brands:
            wanted = np.zeros(len(brands) + 1, bool)  # the last one answers for code -1, no brand
            wanted[[code for brand in self.brands if (code := brands.code(brand)) >= 0]] = True
            conditions.append(wanted[columns.brand[:count]])
        if self.categories:
            subtrees = [categories.subtree(categories.code(path)) for path in self.categories]
            conditions.append(np.logical_or.reduce(subtrees)[columns.category[:count]])
        for name, values in self.attributes.items():
            having = np.zeros(count, bool)
            for value in values:
                having[part.attribute_rows(name, value)] = True
            conditions.append(having)
        if not conditions:
            return None
        result = conditions[0].copy()
        for condition in conditions[1:]:
            result &= condition
        return result


NO_FILTERS = Filters()
"""What passes without any condition: every product that is for everybody."""
