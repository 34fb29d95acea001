"""BM25 over an inverted index in memory-mapped arrays.

    score(q, d) = Σ_t idf(t) · tf·(k1 + 1) / (tf + k1·(1 − b + b·|d| / avg|d|))
    idf(t)      = ln(1 + (N − df + ½) / (df + ½))

Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), with the
never-negative idf of Lucene. ``tf`` and ``|d|`` are weighted by field before the saturation, as in
BM25F (section 3.6 there). Each summand depends on term and product only, so it is computed when the
index is built (Lù, "BM25S", 2024) and a query only adds up slices.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endcap_rerank.index.analyzer import analyze, pieces
from endcap_rerank.index.arrays import open_array, save_array
from endcap_rerank.index.codes import CodeTable, codes_of, write_codes
from endcap_rerank.index.selection import best
from endcap_rerank.index.spelling import Spelling, write_spelling
from endcap_rerank.index.strings import StringTable, write_strings
from endcap_rerank.product import CATEGORY_SEPARATOR, Product

K1 = 1.2
B = 0.75
FIELD_WEIGHTS = {"title": 1.0, "brand": 0.5, "category": 0.5, "attributes": 0.5}
_TYPICAL_LENGTH = 10.0
"""Taken for the average length while the base catalogue is empty."""


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


def write_lexical(directory: Path, products: Sequence[Product]) -> float:
    """Write what :class:`LexicalIndex` reads.

    Returns:
        The average weighted length of a product.
    """
    ids: dict[str, int] = {}
    words: dict[str, str] = {}
    terms: list[int] = []
    occurrences: list[float] = []
    sizes = np.zeros(len(products), np.int64)
    for row, product in enumerate(products):
        weights = weighted_terms(product, words)
        sizes[row] = len(weights)
        terms.extend([ids.setdefault(term, len(ids)) for term in weights])
        occurrences.extend(weights.values())
    names = sorted(ids)
    # Terms are numbered in alphabetical order, so that a prefix is one range of them.
    sorted_id = np.zeros(len(ids), np.int32)
    for position, name in enumerate(names):
        sorted_id[ids[name]] = position
    term_of = sorted_id[np.array(terms, np.int64)] if terms else np.zeros(0, np.int32)
    row_of = np.repeat(np.arange(len(products), dtype=np.int32), sizes)
    tf = np.array(occurrences, np.float64)
    length = np.bincount(row_of, weights=tf, minlength=len(products))
    average = float(length.mean()) if len(products) and length.any() else _TYPICAL_LENGTH

    order = np.argsort(term_of, kind="stable")  # stable: rows ascend within a term
    counts = np.bincount(term_of, minlength=len(names))
    offsets = np.zeros(len(names) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    idf = np.log1p((len(products) - counts + 0.5) / (counts + 0.5))
    impacts = idf[term_of] * tf * (K1 + 1) / (tf + K1 * (1 - B + B * length[row_of] / average))

    write_strings(directory, "terms", names, keys=names)
    save_array(directory, "terms.offsets_rows", offsets)
    save_array(directory, "terms.rows", row_of[order])
    save_array(directory, "terms.impacts", impacts[order].astype(np.float32))
    write_spelling(directory, {word: int(counts[sorted_id[ids[term]]]) for word, term in words.items()})
    write_codes(directory, products)
    return average


class LexicalIndex:
    """The inverted index of a release's base catalogue.

    Attributes:
        spelling: its words, to find what is meant by a word that it has not.
        codes: products by model number.
    """

    def __init__(self, directory: Path, *, count: int, average_length: float) -> None:
        self.count = count
        self.average_length = average_length
        self._terms = StringTable(directory, "terms")
        self._offsets = open_array(directory, "terms.offsets_rows")
        self._rows: NDArray[np.int32] = open_array(directory, "terms.rows")
        self._impacts: NDArray[np.float32] = open_array(directory, "terms.impacts")
        self.spelling = Spelling.open(directory)
        self.codes = CodeTable.open(directory)

    def postings(self, term: str) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Rows that contain ``term``, ascending, and what it adds to the score of each."""
        at = self._terms.find(term)
        if at < 0:
            return self._rows[:0], self._impacts[:0]
        start, end = self._offsets[at : at + 2].tolist()
        return self._rows[start:end], self._impacts[start:end]

    def frequency(self, term: str) -> int:
        """How many products contain ``term``."""
        return len(self.postings(term)[0])

    def idf(self, term: str) -> float:
        """The idf of a term in the base catalogue; that of an unseen one where it is new."""
        frequency = self.frequency(term)
        return math.log1p((self.count - frequency + 0.5) / (frequency + 0.5))

    def scores(self, terms: Mapping[str, float]) -> NDArray[np.float32]:
        """BM25 of every row: float32 [N].

        Args:
            terms: query terms with their weight, usually how often each occurs.
        """
        total = np.zeros(self.count, np.float32)
        self.add(terms, total)
        return total

    def add(self, terms: Mapping[str, float], total: NDArray[np.float32]) -> None:
        """Add the BM25 of ``terms`` to ``total`` [N]."""
        for term, weight in terms.items():
            rows, impacts = self.postings(term)
            total[rows] += impacts if weight == 1.0 else impacts * np.float32(weight)

    @staticmethod
    def best(
        scores: NDArray[np.float32], count: int, passing: NDArray[np.bool_] | None = None
    ) -> NDArray[np.int64]:
        """The ``count`` rows of the highest positive ``scores`` [N], best first, ties by row.

        Args:
            passing: bool [N], rows that may be returned.
        """
        touched = np.flatnonzero(scores > 0)  # four times as fast as on the floats themselves
        if passing is not None:
            touched = touched[passing[touched]]
        rows: NDArray[np.int64] = touched[best(scores[touched], count)]
        return rows


def query_terms(query: str) -> dict[str, float]:
    """The distinct terms of a query with their occurrences."""
    terms: dict[str, float] = {}
    for term in analyze(query):
        terms[term] = terms.get(term, 0.0) + 1.0
    return terms


class LexicalDelta:
    """The inverted index of changed products, kept in memory and scored with the base's statistics.

    Args:
        base: where document frequencies and the average length come from.
    """

    def __init__(self, base: LexicalIndex) -> None:
        self._base = base
        self._postings: dict[str, dict[int, float]] = {}
        self._terms_of: dict[int, tuple[str, ...]] = {}
        self._arrays: dict[str, tuple[NDArray[Any], NDArray[np.float32]]] = {}
        self._idf: dict[str, float] = {}
        self._codes: dict[str, set[int]] = {}
        self._codes_of: dict[int, frozenset[str]] = {}

    def put(self, slot: int, product: Product) -> None:
        """File the product under ``slot``, in place of what was there."""
        self.remove(slot)
        weights = weighted_terms(product)
        norm = K1 * (1 - B + B * sum(weights.values()) / self._base.average_length)
        for term, tf in weights.items():
            if (idf := self._idf.get(term)) is None:
                idf = self._idf[term] = self._base.idf(term)
            impact = idf * tf * (K1 + 1) / (tf + norm)
            self._postings.setdefault(term, {})[slot] = impact
            self._arrays.pop(term, None)
        self._terms_of[slot] = tuple(weights)
        self._codes_of[slot] = codes_of(product)
        for code in self._codes_of[slot]:
            self._codes.setdefault(code, set()).add(slot)

    def remove(self, slot: int) -> None:
        """Forget what is filed under ``slot``."""
        for term in self._terms_of.pop(slot, ()):
            slots = self._postings[term]
            del slots[slot]
            if not slots:
                del self._postings[term]
            self._arrays.pop(term, None)
        for code in self._codes_of.pop(slot, ()):
            self._codes[code].discard(slot)
            if not self._codes[code]:
                del self._codes[code]

    def __contains__(self, term: str) -> bool:
        return term in self._postings

    def of_code(self, code: str) -> set[int]:
        """The slots of the products with a model number, as :func:`codes_of` writes it."""
        return self._codes.get(code, set())

    def scores(self, terms: Mapping[str, float], slots: int) -> NDArray[np.float32]:
        """BM25 of every slot: float32 [slots]."""
        total = np.zeros(slots, np.float32)
        for term, weight in terms.items():
            found = self._arrays.get(term)
            if found is None:
                filed = self._postings.get(term)
                if filed is None:
                    continue
                found = (
                    np.fromiter(filed, np.int64, len(filed)),
                    np.fromiter(filed.values(), np.float32, len(filed)),
                )
                self._arrays[term] = found
            total[found[0]] += found[1] * np.float32(weight)
        return total
