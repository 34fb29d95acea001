"""A product taken apart once, by whoever stores it, so that no search has to wait while it is done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from hashlib import blake2b

from endcap_rerank.index.analyzer import pieces
from endcap_rerank.index.codes import codes_of
from endcap_rerank.product import CATEGORY_SEPARATOR, Product

VERSION = 1
"""Of the analysis below, the analyzer and the model numbers: raised when any of them answers otherwise. What
another version stored is taken apart again."""

NUMBERS = ("price", "in_stock", "rating", "review_count", "created_at")
"""What of a product may change without changing by what words and attributes it is found."""

FIELD_WEIGHTS = {"title": 1.0, "brand": 0.5, "category": 0.5, "attributes": 0.5}

_TEXTS = tuple(field.name for field in fields(Product) if field.name not in NUMBERS)


@dataclass(frozen=True)
class Words:
    """What the index needs to know of a product's texts.

    Attributes:
        terms: with their occurrences, weighted by field.
        codes: what may be its model numbers.
    """

    terms: dict[str, float]
    codes: frozenset[str]

    @classmethod
    def of(cls, product: Product) -> Words:
        """Take a product apart, a tenth of a millisecond."""
        return cls(weighted_terms(product), codes_of(product))

    def dumps(self) -> str:
        """As JSON, with the version."""
        document = {"version": VERSION, "terms": self.terms, "codes": sorted(self.codes)}
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def loads(cls, text: str) -> Words | None:
        """What :meth:`dumps` wrote; None where it was another version."""
        document = json.loads(text)
        if document["version"] != VERSION:
            return None
        return cls(document["terms"], frozenset(document["codes"]))


def texts_digest(product: Product) -> int:
    """A number that tells apart two states of a product that differ in more than :data:`NUMBERS`: 63 bits."""
    texts = {name: getattr(product, name) for name in _TEXTS} | {"attributes": dict(product.attributes)}
    if not product.min_age:
        del texts["min_age"]  # stores and indexes of older versions know digests without it
    document = json.dumps(texts, sort_keys=True, separators=(",", ":"))
    return int.from_bytes(blake2b(document.encode(), digest_size=8).digest(), "little") >> 1


def weighted_terms(product: Product, words: dict[str, str] | None = None) -> dict[str, float]:
    """The terms of a product with their occurrences, weighted by field.

    Args:
        words: told the product's words as they are written, each with its term.
    """
    weights: dict[str, float] = {}
    for field, text in _fields(product):
        weight = FIELD_WEIGHTS[field]
        for piece in pieces(text):
            for term in piece.terms:
                weights[term] = weights.get(term, 0.0) + weight
            if words is not None and piece.word:
                words[piece.text] = piece.terms[0]
    return weights


def _fields(product: Product) -> Iterator[tuple[str, str]]:
    yield "title", product.title
    if product.brand:
        yield "brand", product.brand
    if product.category:
        yield "category", product.category.rsplit(CATEGORY_SEPARATOR, 1)[-1]
    for value in product.attributes.values():
        yield "attributes", value
