"""What a query asks of a product, held against each candidate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from endcap_rerank.constraints import BRAND, COLOR, KIND, MATERIAL, MODEL, SIZE, Constraints
from endcap_rerank.index import LiveIndex
from endcap_rerank.index.reading import Correction

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TagMatch:
    """Which candidates satisfy which demands of the query.

    Attributes:
        values: float32 [n] in [0, 1], the share of the demands that a candidate satisfies.
        satisfied: bool [demands, n].
    """

    values: Floats
    satisfied: npt.NDArray[np.bool_]


DEMAND_WEIGHTS = {BRAND: 1.0, KIND: 1.0, MODEL: 1.0, COLOR: 0.8, MATERIAL: 0.7, SIZE: 0.7}
"""How much a satisfied demand counts, by kind; 0.4 for kinds that are not here."""


def match_tags(
    constraints: Constraints, rows: Rows, brands: npt.NDArray[np.int32], index: LiveIndex
) -> TagMatch:
    """Hold every demand of the query against every candidate.

    A brand is matched by its code; any demand by all its words standing in title, brand, category or
    attributes. Demands weigh by kind and by the confidence of the tag.
    """
    satisfied = np.zeros((len(constraints.terms), len(rows)), dtype=np.bool_)
    weights = np.zeros(len(constraints.terms), dtype=np.float32)
    for demand, term in enumerate(constraints.terms):
        satisfied[demand] = index.contains(rows, term.text)
        if term.kind == BRAND and (code := index.code("brand", term.text)) >= 0:
            satisfied[demand] |= brands == code
        weights[demand] = DEMAND_WEIGHTS.get(term.kind, 0.4) * term.confidence
    total = float(weights.sum())
    if total <= 0.0:
        return TagMatch(np.zeros(len(rows), np.float32), satisfied)
    return TagMatch((weights / np.float32(total)) @ satisfied.astype(np.float32), satisfied)


def specificity(query: str, constraints: Constraints) -> float:
    """How much a query pins down by itself, in [0, 1].

    One plain word leaves everything open; five words, or a brand with a model, leave little to taste.
    """
    letters = sum(1 for char in query if char >= "\u2e80")
    words = len(query.split()) if not letters else max(len(query.split()), (letters + 1) // 2)
    named = sum(1 for term in constraints.terms if term.kind in (BRAND, MODEL))
    return min(1.0, 0.2 * max(0, words - 1) + 0.25 * named)


BRAND_WORDS = 4
"""Words of the longest brand name that is looked for in a query."""

LOOKED_AT = 12
"""Words of a query in which a brand is looked for."""


def brand_named(
    query: str,
    constraints: Constraints,
    corrections: Sequence[Correction],
    rows: Rows,
    brands: npt.NDArray[np.int32],
    index: LiveIndex,
) -> float:
    """How sure it is that a query names a brand, in [0, 1].

    By a tag its confidence. Else by the names of the catalogue's brands, as typed or as corrected: the share
    of the brand among the candidates that have these words, since "home" is a word more often than a brand.
    Names within Chinese words are found by tags only.
    """
    sure = max((term.confidence for term in constraints.terms if term.kind == BRAND), default=0.0)
    words = query.casefold().split()[:LOOKED_AT]
    read = {one.word.casefold(): one.read_as[0].casefold() for one in corrections if one.read_as}
    written = [words, [read.get(word, word) for word in words]] if read else [words]
    for wording in written:
        for start in range(len(wording)):
            for end in range(start + 1, min(start + BRAND_WORDS, len(wording)) + 1):
                name = " ".join(wording[start:end])
                code = index.code("brand", name)
                if code >= 0 and (having := index.contains(rows, name)).any():
                    sure = max(sure, float((brands[having] == code).mean()))
    return sure
