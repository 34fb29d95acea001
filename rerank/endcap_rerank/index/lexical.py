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
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endcap_rerank import loops
from endcap_rerank.index.analyzer import analyze
from endcap_rerank.index.arrays import open_array, save_array
from endcap_rerank.index.codes import CodeTable, write_codes
from endcap_rerank.index.selection import positive
from endcap_rerank.index.spelling import Spelling, write_spelling
from endcap_rerank.index.strings import StringTable, write_strings
from endcap_rerank.index.words import Words, weighted_terms
from endcap_rerank.product import Product

K1 = 1.2
B = 0.75
_TYPICAL_LENGTH = 10.0
"""Taken for the average length while the base catalogue is empty."""


_SPANS = 65_536
"""Terms whose postings' places are kept, a hundred bytes each."""


def write_lexical(directory: Path, products: Sequence[Product], like: LexicalIndex | None = None) -> float:
    """Write what :class:`LexicalIndex` reads.

    Args:
        like: the index whose idf and average length are used, so that the scores of both compare; it
            answers for the spelling of words too.

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
    if like is not None:
        average = like.average_length
    else:
        average = float(length.mean()) if len(products) and length.any() else _TYPICAL_LENGTH

    order = np.argsort(term_of, kind="stable")  # stable: rows ascend within a term
    counts = np.bincount(term_of, minlength=len(names))
    offsets = np.zeros(len(names) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    if like is not None:
        idf = np.array([like.idf(name) for name in names])
    else:
        idf = np.log1p((len(products) - counts + 0.5) / (counts + 0.5))
    impacts = idf[term_of] * tf * (K1 + 1) / (tf + K1 * (1 - B + B * length[row_of] / average))

    write_strings(directory, "terms", names, keys=names)
    save_array(directory, "terms.offsets_rows", offsets)
    save_array(directory, "terms.rows", row_of[order])
    save_array(directory, "terms.impacts", impacts[order].astype(np.float32))
    if like is None:
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
        self._spans: dict[str, tuple[int, int]] = {}

    def postings(self, term: str) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Rows that contain ``term``, ascending, and what it adds to the score of each."""
        start, end = self._span(term)
        return self._rows[start:end], self._impacts[start:end]

    def sizes(self) -> NDArray[np.int64]:
        """Distinct terms of every product: int64 [N]; counted at each call."""
        return np.bincount(self._rows, minlength=self.count)

    def frequency(self, term: str) -> int:
        """How many products contain ``term``."""
        start, end = self._span(term)
        return end - start

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
            if loops.COMPILED:
                loops.add(total, rows, impacts, weight)
                continue
            # Half as long as ``total[rows] += …``, which reads, adds and writes in turn.
            np.add.at(total, rows, impacts if weight == 1.0 else impacts * np.float32(weight))

    def _span(self, term: str) -> tuple[int, int]:
        """Where the postings of a term lie; looked up once, as a shop's queries share most of their words."""
        span = self._spans.get(term)
        if span is None:
            at = self._terms.find(term)
            start, end = self._offsets[at : at + 2].tolist() if at >= 0 else (0, 0)
            if len(self._spans) >= _SPANS:
                self._spans.clear()
            span = self._spans[term] = start, end
        return span

    @staticmethod
    def best(
        scores: NDArray[np.float32], count: int, passing: NDArray[np.bool_] | None = None
    ) -> NDArray[np.int64]:
        """The ``count`` rows of the highest positive ``scores`` [N], best first, ties by row.

        Args:
            passing: bool [N], rows that may be returned.
        """
        return positive(scores, count, passing)


def query_terms(query: str) -> dict[str, float]:
    """The distinct terms of a query with their occurrences."""
    terms: dict[str, float] = {}
    for term in analyze(query):
        terms[term] = terms.get(term, 0.0) + 1.0
    return terms


def standing_in(having: NDArray[np.integer[Any]], rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of ``rows`` [n] are among ``having`` [m], ascending and distinct: bool [n]."""
    if not len(having):
        return np.zeros(len(rows), bool)
    wanted = rows.astype(having.dtype, copy=False)  # else numpy would copy all of ``having``
    found: NDArray[np.bool_] = having.take(having.searchsorted(wanted), mode="clip") == wanted
    return found


class LexicalDelta:
    """The inverted index of changed products, kept in memory and scored with the base's statistics.

    Args:
        base: where document frequencies and the average length come from.
    """

    def __init__(self, base: LexicalIndex) -> None:
        self._base = base
        self._postings: dict[str, _Postings] = {}
        self._terms_of: dict[int, tuple[str, ...]] = {}
        self._idf: dict[str, float] = {}
        self._codes: dict[str, set[int]] = {}
        self._codes_of: dict[int, frozenset[str]] = {}

    def put(self, slot: int, words: Words) -> None:
        """File a product's words under ``slot``, in place of what was there."""
        self.remove(slot)
        norm = K1 * (1 - B + B * sum(words.terms.values()) / self._base.average_length)
        for term, tf in words.terms.items():
            if (idf := self._idf.get(term)) is None:
                idf = self._idf[term] = self._base.idf(term)
            if (filed := self._postings.get(term)) is None:
                filed = self._postings[term] = _Postings()
            filed.add(slot, idf * tf * (K1 + 1) / (tf + norm))
        self._terms_of[slot] = tuple(words.terms)
        self._codes_of[slot] = words.codes
        for code in words.codes:
            self._codes.setdefault(code, set()).add(slot)

    def remove(self, slot: int) -> None:
        """Forget what is filed under ``slot``."""
        for term in self._terms_of.pop(slot, ()):
            filed = self._postings[term]
            filed.remove(slot)
            if not filed.size:
                del self._postings[term]
        for code in self._codes_of.pop(slot, ()):
            self._codes[code].discard(slot)
            if not self._codes[code]:
                del self._codes[code]

    def having(self, term: str) -> NDArray[np.int64]:
        """The slots that have a term, ascending."""
        filed = self._postings.get(term)
        return np.zeros(0, np.int64) if filed is None else np.sort(filed.slots[: filed.size])

    def of_code(self, code: str) -> Collection[int]:
        """The slots of the products with a model number, as :func:`codes_of` writes it."""
        return self._codes.get(code, ())

    def scores(self, terms: Mapping[str, float], slots: int) -> NDArray[np.float32]:
        """BM25 of every slot: float32 [slots]."""
        total = np.zeros(slots, np.float32)
        for term, weight in terms.items():
            filed = self._postings.get(term)
            if filed is not None:
                total[filed.slots[: filed.size]] += filed.impacts[: filed.size] * np.float32(weight)
        return total


class _Postings:
    """The slots that have a term, and its impact in each: arrays that grow, and are read as they are."""

    __slots__ = ("impacts", "size", "slots")

    def __init__(self) -> None:
        self.slots, self.impacts, self.size = np.empty(2, np.int64), np.empty(2, np.float32), 0

    def add(self, slot: int, impact: float) -> None:
        if self.size == len(self.slots):
            self.slots = np.concatenate([self.slots, self.slots])
            self.impacts = np.concatenate([self.impacts, self.impacts])
        self.slots[self.size], self.impacts[self.size] = slot, impact
        self.size += 1

    def remove(self, slot: int) -> None:
        self.size -= 1
        at = int(np.flatnonzero(self.slots[: self.size + 1] == slot)[0])
        self.slots[at], self.impacts[at] = self.slots[self.size], self.impacts[self.size]
