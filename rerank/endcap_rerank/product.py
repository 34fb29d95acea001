"""A product as a shop brings it, validated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from endcap_rerank.errors import InvalidInputError
from endcap_rerank.schema import MAX_ID_CHARS

CATEGORY_SEPARATOR = " > "

MAX_AGE = 120
"""Highest age in years, of a product's ``min_age`` and of a request."""


MAX_REVIEWS = 1e12
"""Most reviews that a product may state; more is a mistake, and would soon not fit an integer of 64 bits."""


@dataclass(frozen=True)
class Product:
    """One row of ``products``. Only ``id`` and ``title`` are required.

    Attributes:
        category: path from the root, ``A > B > C``.
        attributes: free name → value pairs; values are kept as text.
        created_at: seconds since 1970 (UTC), NaN when unknown.
        price: NaN when unknown; likewise ``rating`` (0–5).
        min_age: age in years from which shoppers may see the product; 0 for everybody.
    """

    id: str
    title: str
    brand: str = ""
    category: str = ""
    price: float = math.nan
    currency: str = ""
    in_stock: bool = True
    rating: float = math.nan
    review_count: int = 0
    image_url: str = ""
    description: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    created_at: float = math.nan
    min_age: int = 0

    @classmethod
    def from_mapping(cls, row: Mapping[str, Any]) -> Product:
        """Validate a row; ``None``, empty text and NaN count as absent. Unknown columns are an error.

        Raises:
            InvalidInputError: names the column, its value and what would be right.
        """
        unknown = sorted(set(row) - _FIELDS)
        if unknown:
            raise InvalidInputError(
                unknown[0], row[unknown[0]], f"known fields are {', '.join(sorted(_FIELDS))}"
            )
        attributes = row.get("attributes")
        if _absent(attributes):
            attributes = {}
        if not isinstance(attributes, Mapping):
            raise InvalidInputError("attributes", attributes, "a map of names to values is expected")
        return cls(
            id=_text(row, "id", required=True, limit=MAX_ID_CHARS),
            title=_text(row, "title", required=True),
            brand=_text(row, "brand"),
            category=CATEGORY_SEPARATOR.join(
                part.strip() for part in _text(row, "category").split(">") if part.strip()
            ),
            price=_number(row, "price", low=0.0),
            currency=_text(row, "currency"),
            in_stock=_boolean(row, "in_stock", default=True),
            rating=_number(row, "rating", low=0.0, high=5.0),
            review_count=int(_number(row, "review_count", low=0.0, high=MAX_REVIEWS, default=0.0)),
            image_url=_text(row, "image_url"),
            description=_text(row, "description"),
            attributes={str(name): str(value) for name, value in attributes.items() if not _absent(value)},
            created_at=_number(row, "created_at"),
            min_age=_age(row, "min_age"),
        )

    def as_mapping(self) -> dict[str, Any]:
        """The row again, without absent fields; ``from_mapping`` of it gives an equal product."""
        row: dict[str, Any] = {"id": self.id, "title": self.title, "in_stock": self.in_stock}
        for name in ("brand", "category", "currency", "image_url", "description"):
            if value := getattr(self, name):
                row[name] = value
        for name in ("price", "rating", "created_at"):
            if not math.isnan(value := getattr(self, name)):
                row[name] = value
        for name in ("review_count", "min_age"):
            if value := getattr(self, name):
                row[name] = value
        if self.attributes:
            row["attributes"] = dict(self.attributes)
        return row

    def encoder_text(self) -> str:
        """The text that the product tower reads: title, brand where the title lacks it, category leaf."""
        parts = [self.title]
        if self.brand and self.brand.casefold() not in self.title.casefold():
            parts.append(self.brand)
        if self.category:
            parts.append(self.category.rsplit(CATEGORY_SEPARATOR, 1)[-1])
        return " | ".join(parts)


_FIELDS = frozenset(Product.__dataclass_fields__)


def _absent(value: object) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _text(row: Mapping[str, Any], name: str, *, required: bool = False, limit: int | None = None) -> str:
    value = row.get(name)
    if _absent(value):
        if required:
            raise InvalidInputError(name, value, "a non-empty text is required")
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, (Mapping, list, tuple, bool)):
        raise InvalidInputError(name, value, "a text is expected")
    text = str(value).strip()
    if required and not text:
        raise InvalidInputError(name, value, "a non-empty text is required")
    if limit is not None and len(text) > limit:
        raise InvalidInputError(name, text, f"at most {limit} characters are allowed")
    return text


def _number(
    row: Mapping[str, Any],
    name: str,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    default: float = math.nan,
) -> float:
    value = row.get(name)
    if _absent(value):
        return default
    expected = "a number is expected"
    if low > -math.inf:
        expected = f"a number of at least {low:g} is expected"
    if high < math.inf:
        expected = f"a number from {low:g} to {high:g} is expected"
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise InvalidInputError(name, value, expected)
    try:
        number = float(value)
    except ValueError:
        raise InvalidInputError(name, value, expected) from None
    if not math.isfinite(number) or not low <= number <= high:
        raise InvalidInputError(name, value, expected)
    return number


def _age(row: Mapping[str, Any], name: str) -> int:
    age = _number(row, name, low=0.0, high=MAX_AGE, default=0.0)
    if not age.is_integer():
        # 17.5 is neither 17 nor 18, and the wrong one of them shows a product to whom it must not.
        raise InvalidInputError(name, row.get(name), f"whole years from 0 to {MAX_AGE} are expected")
    return int(age)


def _boolean(row: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = row.get(name)
    if _absent(value):
        return default
    if isinstance(value, bool):
        return value
    known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    word = str(value).strip().casefold()
    if word not in known:
        raise InvalidInputError(name, value, "true or false is expected")
    return known[word]
