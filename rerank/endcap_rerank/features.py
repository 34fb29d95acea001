"""The features of candidates: what each is called, what it means, how it is computed.

A score weighs them: the terms of ``RankingWeights`` one by one, a learned relevance (``learned``) those of
QUERY_FEATURES, from which ``endcap_export.ranking`` learns it.
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from endcap_rerank.index import Candidates, Index, LiveIndex
from endcap_rerank.index.analyzer import analyze, pieces
from endcap_rerank.index.lexical import K1, standing_in
from endcap_rerank.index.reading import Correction
from endcap_rerank.prices import price_levels

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

QUERY_FEATURES: dict[str, str] = {
    "dense": "cosine of query and product, as a share of its range among the request's candidates",
    "cosine": "the same as it is",
    "lexical": "BM25 of the query as it was read, as a share of the request's best",
    "worded": "BM25 as a share of what a product made of the query's words alone would have",
    "coverage": "share of the query's words that the product has, each by its rarity (idf)",
    "corrected": "share of the query's words that it has in the spelling they were read as",
    "rarest_missing": "rarity of the rarest word of the query that it lacks, as a share of all their rarity",
    "first_word": "1 where it has the first word of the query",
    "last_word": "1 where it has the last word of the query, in English most often the kind of product",
    "numbers": "share of the query's numbers and codes that it has; 0.5 where the query has none",
    "length": "log(1 + distinct terms of title, brand, category and attributes)",
    "unasked": "share of its terms that the query does not ask for",
    "words": "words of the query, the same for all candidates: it changes what the others are worth",
    "popularity": "interactions, logarithmic, in [0, 1]",
    "price_level": "share of its category's products that are cheaper; 0.5 where unknown",
}
"""Of query and product, whoever asks."""

TERM_FEATURES: dict[str, str] = {
    "relevance": "the fused score of retrieval (index/fusion.py), or the learned one of QUERY_FEATURES",
    "tags": "share of what the query's tags ask for (brand, kind, model, colour …) that it has: demands.py",
    "taste": "likeness to what the shopper was drawn to: personal.py",
    "session": "likeness to what this session looked at, less that to what it refused: personal.py",
    "brand": "how often the shopper chose its brand: personal.py",
    "category": "how often the shopper chose its category: personal.py",
    "price": "how dear a brand it is of, against those the shopper chooses: price_class.py",
    "affinity": "chance that it is taken next, after what was taken: affinities.py",
    "popularity": "interactions, logarithmic, in [0, 1]",
    "rating": "(stars - 3) / 2",
    "stock": "1 where it is out of stock",
    "bought": "1 where the shopper bought it already, less where such products are bought again",
    "seen": "1 where it is of the shopper's latest events or of the session",
}
"""What the terms of a score weigh."""

_DENSE, _COSINE, _LEXICAL, _WORDED, _COVERAGE, _CORRECTED, _MISSING, _FIRST, _LAST = range(9)
_NUMBERS, _LENGTH, _UNASKED, _WORDS, _POPULARITY, _PRICE = range(9, 15)


@dataclass(frozen=True)
class Asked:
    """A query with what its retrieval says of the scale of its scores."""

    query: str
    corrections: tuple[Correction, ...]
    dense_low: float
    dense_high: float
    lexical_high: float

    @classmethod
    def of(cls, query: str, found: Candidates) -> Asked:
        """The scale that the candidates of the query make."""
        low, high = (float(found.dense.min()), float(found.dense.max())) if len(found) else (0.0, 0.0)
        return cls(query, found.corrections, low, high, float(found.lexical.max(initial=0.0)))

    def features(self, rows: Rows, dense: Floats, lexical: Floats, index: LiveIndex) -> Floats:
        """The QUERY_FEATURES of products, candidates or not: float32 [features, n].

        Args:
            rows: int64 [n].
            dense, lexical: float32 [n], cosine and BM25 as retrieval computes them.
        """
        table = np.empty((len(QUERY_FEATURES), len(rows)), np.float32)
        range_ = self.dense_high - self.dense_low
        table[_DENSE] = (dense - np.float32(self.dense_low)) / np.float32(range_ or 1.0)
        table[_COSINE] = dense
        table[_LEXICAL] = lexical / np.float32(self.lexical_high or 1.0)
        written = list(pieces(self.query))
        terms = list(dict.fromkeys(term for piece in written for term in piece.terms))
        guessed = {
            term
            for correction in self.corrections
            for word in correction.read_as
            for term in analyze(word)
            if term not in terms
        }
        present = _present([*terms, *guessed], rows, index)
        rarity = np.array([index.index.lexical.idf(term) for term in terms], np.float32)
        total = np.float32(rarity.sum() or 1.0)
        there = present[: len(terms)]
        table[_WORDED] = lexical / (total * np.float32(K1 + 1.0))
        table[_COVERAGE] = rarity @ there / total
        table[_CORRECTED] = present[len(terms) :].any(axis=0) / np.float32(max(1, len(written)))
        table[_MISSING] = (rarity[:, None] * (1.0 - there)).max(axis=0, initial=0.0) / total
        at = {term: place for place, term in enumerate(terms)}
        nothing = np.zeros(len(rows), np.float32)
        table[_FIRST] = there[at[written[0].terms[0]]] if written else nothing
        table[_LAST] = there[at[written[-1].terms[0]]] if written else nothing
        numbers = [at[one.terms[0]] for one in written if any(char.isdigit() for char in one.text)]
        table[_NUMBERS] = there[numbers].mean(axis=0) if numbers else 0.5
        sizes = _sizes(rows, index)
        table[_LENGTH] = np.log1p(sizes)
        table[_UNASKED] = 1.0 - np.minimum(1.0, present.sum(axis=0) / np.maximum(sizes, 1.0))
        table[_WORDS] = len(written)
        table[_POPULARITY] = index.popularity(rows)
        levels = price_levels(rows, index)
        table[_PRICE] = np.where(np.isnan(levels), np.float32(0.5), levels)
        return table


def _present(terms: list[str], rows: Rows, index: LiveIndex) -> Floats:
    """1 where a product has a term: float32 [terms, n]."""
    present = np.zeros((len(terms), len(rows)), np.float32)
    changed = np.flatnonzero(rows >= index.index.count)
    for at, term in enumerate(terms):
        present[at] = standing_in(index.index.lexical.postings(term)[0], rows)
        if len(changed):
            present[at, changed] = index.contains(rows[changed], term)
    return present


def _sizes(rows: Rows, index: LiveIndex) -> Floats:
    """Distinct terms of each product: float32 [n]."""
    sizes = _SIZES.get(index.index)
    if sizes is None:
        sizes = _SIZES[index.index] = index.index.lexical.sizes().astype(np.uint16)
    found: Floats = sizes[np.minimum(rows, len(sizes) - 1)].astype(np.float32)
    for at in np.flatnonzero(rows >= len(sizes)).tolist():
        found[at] = len(set(analyze(index.product(int(rows[at])).title)))
    return found


_SIZES: WeakKeyDictionary[Index, npt.NDArray[np.uint16]] = WeakKeyDictionary()
"""By index: one of a process."""
