"""One score from the dense and the lexical one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endcap_rerank.index.reading import Correction
from endcap_rerank.index.selection import best

LEXICAL_WEIGHT = 0.5
"""By measurement on Home Depot: of 0.1 … 0.7, 0.3 to 0.5 order the judged products best, and up to there each
step retrieves more of them, with an encoder as it comes and with a fine-tuned one. Z-scores and reciprocal
ranks did no better (docs/ranking.md)."""

FEEDBACK = 0.5
"""Share of the best-worded products in the vector of a query that was read otherwise than written."""
FEEDBACK_PRODUCTS = 10


@dataclass(frozen=True)
class Candidates:
    """What retrieval hands to ranking, best fused score first; parallel arrays of length n.

    Attributes:
        rows: int64.
        dense: cosine similarity with the query, 0 where a product has no comparable vector.
        lexical: BM25, 0 where no term matches.
        fused: in [0, 1], normalized within this request.
        corrections: the words of the query that were read as others.
        named: bool [n], which of them the query names by id or model number; None where it names none.
    """

    rows: NDArray[np.int64]
    dense: NDArray[np.float32]
    lexical: NDArray[np.float32]
    fused: NDArray[np.float32]
    corrections: tuple[Correction, ...] = ()
    named: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.rows)


def fuse(
    rows: NDArray[np.int64],
    dense: NDArray[np.float32],
    lexical: NDArray[np.float32],
    count: int,
    *,
    lexical_weight: float = LEXICAL_WEIGHT,
    comparable: NDArray[np.bool_] | None = None,
    named: NDArray[np.bool_] | None = None,
) -> Candidates:
    """The ``count`` best of the candidates by a weighted sum of both normalized scores.

        fused = (1 − w) · (dense − min) / (max − min)  +  w · lexical / max

    Minimum and maximum are over the candidates of the request (Bruch et al., "An Analysis of Fusion
    Functions for Hybrid Retrieval", 2023: a convex combination beats rank fusion, and BM25's lower
    bound is 0 by its definition). Equal scores are ordered by row.

    Args:
        rows: [n], distinct and ascending.
        dense, lexical: [n], both scores of each candidate.
        lexical_weight: w in [0, 1].
        comparable: bool [n], false where a product has no vector of this encoder: such a one gets the
            lowest dense part and leaves the minimum to the others.
        named: bool [n], products that the query names by id or model number: they share the upper half of
            [0, 1], all others the lower one.
    """
    if comparable is None or comparable.all():
        closeness = _spread(dense)
    else:
        closeness = np.zeros_like(dense)
        closeness[comparable] = _spread(dense[comparable])
    fused = (1.0 - lexical_weight) * closeness + lexical_weight * _share(lexical)
    if named is not None:
        fused = (fused + named) / 2.0
    fused = fused.astype(np.float32, copy=False)
    order = best(fused, count)
    return Candidates(
        rows[order],
        dense[order],
        lexical[order],
        fused[order],
        named=None if named is None else named[order],
    )


def redirected(
    query: NDArray[np.float32], vectors: NDArray[np.float32], scores: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The vector of a query drawn to the products that its words find: float32 [D], unit length.

    The encoder read the query as written, and a misspelled word is another word to it, or none. What the
    corrected words find says what was meant (Rocchio's pseudo-relevance feedback, 1971).

    Args:
        vectors: [m, D] of the best-worded products; zeros where one has none.
        scores: [m] their BM25.
    """
    centre = scores @ vectors
    length = float(np.linalg.norm(centre))
    if length <= 0.0:
        return query
    drawn = (1.0 - FEEDBACK) * query + FEEDBACK / length * centre
    length = float(np.linalg.norm(drawn))
    return (drawn / length).astype(np.float32) if length > 1e-6 else query


def _spread(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    if not len(scores):
        return scores
    low, high = scores[scores.argmin()], scores[scores.argmax()]
    if not high > low:
        return np.ones_like(scores)
    spread: NDArray[np.float32] = (scores - low) / (high - low)
    return spread


def _share(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    high = scores[scores.argmax()] if len(scores) else np.float32(0.0)
    return scores / high if high > 0 else np.zeros_like(scores)
