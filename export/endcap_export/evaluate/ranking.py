"""What a ranking is worth: nDCG over judged pairs, reciprocal rank and recall over the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from endcap_rerank.tokenizer import QueryTokenizer

from endcap_export.data import RIGHT, Judgment
from endcap_export.encoder import encode_texts

if TYPE_CHECKING:
    from endcap_export.encoder import Encoder

Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

METRICS = ("ndcg10", "mrr", "recall10", "recall100")
DEPTH = 100
"""Products of the catalogue that are looked at for reciprocal rank and recall."""
FEWEST_JUDGED = 5
"""Judged products from which on a query counts for nDCG, if they have more than one grade."""

_SHUFFLES = 10


class Answer(NamedTuple):
    """What a system says to a query.

    Attributes:
        top: the best ``DEPTH`` rows of the whole catalogue, or fewer, best first.
        judged: a score of each judged product of the query.
    """

    top: Rows
    judged: npt.NDArray[np.floating]


@dataclass(frozen=True)
class JudgedQuery:
    """A query, the products that were judged for it, and their grades.

    Attributes:
        rows: int64 [m], of the judged products in the catalogue.
        grades: float64 [m].
        gains: float64 [m], 2^(grade − lowest grade of all queries) − 1.
        relevant: bool [m], which of them a search should find.
    """

    query: str
    rows: Rows = field(repr=False)
    grades: Doubles = field(repr=False)
    gains: Doubles = field(repr=False)
    relevant: npt.NDArray[np.bool_] = field(repr=False)

    @property
    def counts_for_order(self) -> bool:
        """Whether the order of its judged products can be right or wrong."""
        return len(self.rows) >= FEWEST_JUDGED and len(np.unique(self.grades)) > 1


def judged_queries(judgments: Sequence[Judgment], row: Callable[[str], int | None]) -> list[JudgedQuery]:
    """Judgments by query, in the order of the queries.

    Args:
        row: of a product in the catalogue; a product that is not in it is left out.
    """
    if not judgments:
        return []
    grades = [judgment.relevance for judgment in judgments]
    lowest, highest = min(grades), max(grades)
    threshold = lowest + RIGHT * (highest - lowest)
    by_query: dict[str, dict[int, float]] = {}
    for judgment in judgments:
        if (at := row(judgment.item)) is not None:
            by_query.setdefault(judgment.query, {})[at] = judgment.relevance
    found = []
    for query, graded in sorted(by_query.items()):
        values = np.array(list(graded.values()), np.float64)
        rows = np.array(list(graded), np.int64)
        found.append(JudgedQuery(query, rows, values, np.exp2(values - lowest) - 1.0, values >= threshold))
    return found


def measure(queries: Sequence[JudgedQuery], answers: Iterable[Answer]) -> dict[str, Doubles]:
    """Each of ``METRICS`` of each query: float64 [queries], NaN where a query does not count for it.

    nDCG@10 re-ranks the judged products and counts queries with five of them and more than one grade.
    Reciprocal rank (0 beyond place ``DEPTH``) and recall are over the whole catalogue and count queries with
    a relevant product; what nobody judged counts as wrong, so both are lower bounds.
    """
    table = np.full((len(queries), len(METRICS)), np.nan)
    for at, (query, answer) in enumerate(zip(queries, answers, strict=True)):
        if query.counts_for_order:
            order = np.argsort(-answer.judged, kind="stable")
            table[at, 0] = ndcg(query.gains[order])
        if query.relevant.any():
            wanted = query.rows[query.relevant]
            places = np.flatnonzero(np.isin(answer.top[:DEPTH], wanted))
            table[at, 1] = 1 / (places[0] + 1) if len(places) else 0.0
            table[at, 2] = (places < 10).sum() / len(wanted)
            table[at, 3] = len(places) / len(wanted)
    return {name: table[:, column] for column, name in enumerate(METRICS)}


def by_chance(queries: Sequence[JudgedQuery], count: int, seed: int = 0) -> dict[str, Doubles]:
    """``measure`` of a random order of a catalogue of ``count`` products, the mean of ten."""
    generator = np.random.default_rng(seed)

    def answers() -> Iterable[Answer]:
        for query in queries:
            top = generator.choice(count, min(DEPTH, count), replace=False)
            yield Answer(top, generator.random(len(query.rows)))

    runs = [measure(queries, answers()) for _ in range(_SHUFFLES)]
    return {name: np.mean([run[name] for run in runs], axis=0) for name in METRICS}


def ranking_scores(
    encoder: Encoder,
    tokenizer: QueryTokenizer,
    judgments: Sequence[Judgment],
    texts: Mapping[str, str],
    *,
    max_queries: int = 500,
    seed: int = 0,
) -> dict[str, float]:
    """nDCG@10 of re-ranking each query's judged products by cosine, beside a random order.

    As ``judged_order``, of at most ``max_queries`` queries chosen at random. Unjudged products are not ranked
    at all: this says nothing of recall. Empty where no query counts.
    """
    scores, chance = judged_order(encoder, tokenizer, judgments, texts, max_queries=max_queries, seed=seed)
    if not len(scores):
        return {}
    return {
        "ndcg10": round(float(scores.mean()), 4),
        "ndcg10_random": round(float(chance.mean()), 4),
        "queries": len(scores),
    }


def judged_order(
    encoder: Encoder,
    tokenizer: QueryTokenizer,
    judgments: Sequence[Judgment],
    texts: Mapping[str, str],
    *,
    max_queries: int | None = None,
    seed: int = 0,
) -> tuple[Doubles, Doubles]:
    """nDCG@10 by cosine and of a random order: float64 [queries] each; only judged products are encoded.

    Args:
        texts: product id → the text that the product tower reads.
        max_queries: most queries, chosen at random; all that count when None.
    """
    items = list(texts)
    place = {item: at for at, item in enumerate(items)}
    queries = [one for one in judged_queries(judgments, place.get) if one.counts_for_order]
    if max_queries is not None and len(queries) > max_queries:
        chosen = np.random.default_rng(seed).permutation(len(queries))[:max_queries]
        queries = [queries[at] for at in sorted(chosen.tolist())]
    if not queries:
        return np.zeros(0), np.zeros(0)
    rows = np.unique(np.concatenate([query.rows for query in queries]))
    vectors = encode_texts(encoder, tokenizer.encode_products, [texts[items[row]] for row in rows])
    asked = encode_texts(encoder, tokenizer.encode, [query.query for query in queries])
    nothing = np.zeros(0, np.int64)
    answers = (
        Answer(nothing, vectors[np.searchsorted(rows, query.rows)] @ vector)
        for query, vector in zip(queries, asked, strict=True)
    )
    return measure(queries, answers)["ndcg10"], by_chance(queries, len(items), seed)["ndcg10"]


def ndcg(gains: npt.NDArray[np.float64], k: int = 10) -> float:
    """Discounted gain of a ranked list over that of the best order: Σ gain_i / log2(i + 1), i from 1.

    Järvelin & Kekäläinen 2002. 0 where every gain is 0.
    """
    discounts = 1 / np.log2(np.arange(2, min(k, len(gains)) + 2))
    best = np.sort(gains)[::-1][:k] @ discounts
    return float(gains[:k] @ discounts / best) if best > 0 else 0.0
