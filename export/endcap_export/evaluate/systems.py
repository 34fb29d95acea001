"""The systems that are held against each other on one catalogue: vectors, BM25, and both as served."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from endcap_rerank.filters import Filters
from endcap_rerank.index import LEXICAL_WEIGHT, Candidates, Index, LiveIndex, build_index
from endcap_rerank.index.codes import codes_in
from endcap_rerank.index.fusion import FEEDBACK_PRODUCTS, redirected
from endcap_rerank.index.lexical import query_terms
from endcap_rerank.index.reading import read_query
from endcap_rerank.index.selection import best
from endcap_rerank.learned import LearnedRelevance
from endcap_rerank.product import MAX_AGE, Product
from endcap_rerank.settings import Settings

from endcap_export.evaluate.ranking import DEPTH, Answer, JudgedQuery

Floats = npt.NDArray[np.float32]

_TOGETHER = 64
"""Queries that are compared with the catalogue at once."""

_OF_ANY_AGE = Filters(age=MAX_AGE)
"""What was judged is to be found, whoever may see it."""


@contextmanager
def indexed(
    products: Sequence[Product], vectors: Floats, interactions: npt.NDArray[np.float64] | None = None
) -> Iterator[LiveIndex]:
    """The products searchable as in a release, in a folder that is gone afterwards.

    Args:
        interactions: as of ``build_index``.
    """
    with tempfile.TemporaryDirectory(prefix="endcap-evaluate-") as name:
        build_index(Path(name), products, vectors, encoder_id="evaluated", interactions=interactions)
        yield LiveIndex(Index.open(Path(name)))


def by_vectors(vectors: Floats, asked: Floats, queries: Sequence[JudgedQuery]) -> Iterator[Answer]:
    """Every product by cosine, without an index.

    Args:
        vectors: float32 [N, D] of the catalogue.
        asked: float32 [queries, D].
    """
    for first in range(0, len(queries), _TOGETHER):
        scores = asked[first : first + _TOGETHER] @ vectors.T
        for query, row in zip(queries[first : first + _TOGETHER], scores, strict=True):
            yield Answer(best(row, DEPTH), row[query.rows])


def by_words(index: LiveIndex, texts: Sequence[str], queries: Sequence[JudgedQuery]) -> Iterator[Answer]:
    """BM25 of the words as they are typed, in ``texts`` for each of ``queries``."""
    lexical = index.index.lexical
    for text, query in zip(texts, queries, strict=True):
        scores = lexical.scores(query_terms(text))
        yield Answer(lexical.best(scores, DEPTH), scores[query.rows])


def as_served(
    index: LiveIndex,
    texts: Sequence[str],
    asked: Floats,
    queries: Sequence[JudgedQuery],
    learned: LearnedRelevance | None = None,
) -> Iterator[Answer]:
    """Vectors and words together, as the server retrieves and ranks (``LiveIndex.retrieve``).

    Args:
        learned: what was learned of relevance; None where the server has the default.
    """
    for text, vector, query in zip(texts, asked, queries, strict=True):
        retrieved = index.retrieve(text, vector, count=Settings.candidates, filters=_OF_ANY_AGE)
        scores = judged_scores(index, text, vector, query.rows, retrieved)
        if learned is None:
            yield Answer(retrieved.rows[:DEPTH], scores.fused)
            continue
        top, judged = learned_order(index, text, retrieved, scores, learned)
        yield Answer(top[:DEPTH], judged)


def learned_order(
    index: LiveIndex, text: str, retrieved: Candidates, scores: Scores, learned: LearnedRelevance
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The retrieved rows by learned relevance, best first, and the relevance of those of ``scores``.

    Products that were not retrieved have their fused score.
    """
    served = learned.relevance(text, retrieved, index).values
    place = {row: at for at, row in enumerate(retrieved.rows.tolist())}
    judged = scores.fused.copy()
    for at, row in enumerate(scores.rows.tolist()):
        if row in place:
            judged[at] = served[place[row]]
    return retrieved.rows[np.argsort(-served, kind="stable")], judged


@dataclass(frozen=True)
class Scores:
    """Scores of products for a query, retrieved or not.

    Attributes:
        rows: int64 [n].
        dense, lexical: float32 [n], as retrieval computes them.
        fused: float64 [n], those that were not retrieved by the minimum and maximum of the request.
    """

    rows: npt.NDArray[np.int64]
    dense: Floats
    lexical: Floats
    fused: npt.NDArray[np.float64]


def judged_scores(
    index: LiveIndex, text: str, vector: Floats, rows: npt.NDArray[np.int64], retrieved: Candidates
) -> Scores:
    """The scores of any products, by the scale of what was retrieved."""
    reading = read_query(text, index.index.lexical)
    vectors = index.index.dense.vectors
    if reading.corrections:
        top = index.index.lexical.best(reading.scores, FEEDBACK_PRODUCTS)
        vector = redirected(vector, vectors[top], reading.scores[top])
    low, high = float(retrieved.dense.min()), float(retrieved.dense.max())
    most = float(retrieved.lexical.max()) or 1.0
    dense = vectors[rows] @ vector
    lexical = reading.scores[rows]
    scores = (1 - LEXICAL_WEIGHT) * (dense - low) / ((high - low) or 1.0) + LEXICAL_WEIGHT * lexical / most
    if _names_a_product(index, text):
        scores = scores / 2  # those that are not named share the lower half
    place = {row: at for at, row in enumerate(retrieved.rows.tolist())}
    fused = np.asarray(scores, np.float64)
    for at, row in enumerate(rows.tolist()):
        if row in place:
            fused[at] = retrieved.fused[place[row]]
    return Scores(rows, dense, lexical, fused)


def _names_a_product(index: LiveIndex, text: str) -> bool:
    """Whether the query is an id, or has a model number, of the catalogue."""
    codes = index.index.lexical.codes
    if index.row(text.strip()) is not None:
        return True
    return codes is not None and any(True for code in codes_in(text) for _ in codes.rows(code))
