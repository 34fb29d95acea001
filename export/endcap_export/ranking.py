"""Learning how relevant a product is to a query, from judgments: LambdaMART, kept only where it helps.

It learns from the judged products of each query. What nobody judged it never met, so it orders the upper
part of a list alone (``learned.RERANKED``). Retrieved products that nobody judged, told to it as the worst,
made the order of the judged ones worse than that of the default, on Home Depot.

The queries must be new to the encoder. Those that it was trained on have their right products nearer than
any shopper's query will, and what is learned from them trusts vectors too much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from endcap_rerank.errors import EndcapError
from endcap_rerank.features import QUERY_FEATURES, Asked
from endcap_rerank.index import LiveIndex
from endcap_rerank.learned import FORMAT, LearnedRelevance, reranked
from endcap_rerank.settings import Settings
from endcap_rerank.tokenizer import QueryTokenizer

from endcap_export.encoder import OnnxEncoder, encode_texts
from endcap_export.evaluate import bootstrap
from endcap_export.evaluate.ranking import FEWEST_JUDGED, JudgedQuery, judged_queries, ndcg
from endcap_export.evaluate.systems import indexed, judged_scores
from endcap_export.held import HeldSet
from endcap_export.progress import Progress, silent
from endcap_export.shop import Shop
from endcap_export.tree_tables import tables_of

FEWEST_QUERIES = 200
"""Queries whose order says something, below which nothing is learned."""

FOLDS = 5
ROUNDS = (25, 50, 100, 150)
"""Numbers of trees, of which cross-validation takes the best."""

_SETTINGS: dict[str, Any] = {
    "objective": "lambdarank",
    "max_depth": 2,
    "num_leaves": 4,
    "max_bin": 24,
    "learning_rate": 0.1,
    "min_data_in_leaf": 100,
    "lambda_l2": 10.0,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambdarank_truncation_level": 20,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}
_LEVELS = 30
"""Steps in which gains are told to LightGBM, which takes whole numbers."""

Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Examples:
    """The table that is learned from.

    Attributes:
        features: float32 [rows, QUERY_FEATURES].
        labels: int64 [rows], the gain of each product in steps.
        default: float64 [rows], what the default ranking says.
        reached: bool [rows], whether the product is among those that are ranked anew.
        gains: float64 [rows].
        sizes: int64 [queries], rows of each.
    """

    features: Floats = field(repr=False)
    labels: npt.NDArray[np.int64] = field(repr=False)
    default: Doubles = field(repr=False)
    reached: npt.NDArray[np.bool_] = field(repr=False)
    gains: Doubles = field(repr=False)
    sizes: npt.NDArray[np.int64] = field(repr=False)

    def served(self, scores: Doubles) -> Doubles:
        """Scores whose order is that of the server: what is ranked anew, then the others as by default."""
        return np.where(self.reached, scores - scores.min() + self.default.max() + 1.0, self.default)

    def ndcg(self, scores: npt.NDArray[np.floating]) -> Doubles:
        """nDCG@10 over the judged products of each query; NaN where their order says nothing."""
        values = np.full(len(self.sizes), np.nan)
        start = 0
        for query, size in enumerate(self.sizes.tolist()):
            gains = self.gains[start : start + size]
            if size >= FEWEST_JUDGED and len(np.unique(gains)) > 1:
                values[query] = ndcg(gains[np.argsort(-scores[start : start + size], kind="stable")])
            start += size
        return values


@dataclass(frozen=True)
class Learned:
    """What was found.

    Attributes:
        document: for ``ranking.json`` under ``learned``; None where the default is kept.
        record: queries, nDCG@10 of cross-validation and of the default, with the gain's 95% interval.
        why: a sentence.
    """

    document: dict[str, Any] | None = field(repr=False)
    record: dict[str, Any]
    why: str

    @property
    def relevance(self) -> LearnedRelevance | None:
        """As it is served."""
        return None if self.document is None else LearnedRelevance.from_mapping(self.document)


def learn_ranking(
    index: LiveIndex,
    queries: Sequence[JudgedQuery],
    vectors: Floats,
    *,
    seed: int = 7,
    progress: Progress = silent,
) -> Learned:
    """Learn from judged queries; the default is kept unless cross-validation shows a gain beyond chance.

    Args:
        index: the catalogue, with vectors of the encoder that embedded the queries.
        queries: that the encoder was not trained on.
        vectors: float32 [queries, D].
        seed: of folds and trees.
        progress: told of the stages ``features`` and ``learn``.

    Raises:
        EndcapError: LightGBM is not installed.
    """
    telling = [at for at, query in enumerate(queries) if query.counts_for_order]
    if len(telling) < FEWEST_QUERIES:
        return Learned(None, {"queries": len(telling)}, _too_few(len(telling)))
    try:
        import lightgbm
    except ImportError:
        raise EndcapError(
            "LightGBM is needed to learn a ranking: pip install 'endcap-export[train]'"
        ) from None
    examples = _examples(index, queries, vectors, progress)
    folds = np.random.default_rng(seed).integers(FOLDS, size=len(queries))
    of_row = np.repeat(folds, examples.sizes)
    settings = {**_SETTINGS, "seed": seed, "label_gain": list(range(_LEVELS + 1))}

    def fit(chosen: npt.NDArray[np.bool_], rounds: int) -> Any:
        data = lightgbm.Dataset(
            examples.features[chosen],
            examples.labels[chosen],
            group=examples.sizes[chosen_queries(chosen)],
            feature_name=list(QUERY_FEATURES),
        )
        return lightgbm.train(settings, data, rounds)

    def chosen_queries(chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        starts = np.cumsum(examples.sizes) - examples.sizes
        return chosen[np.minimum(starts, len(chosen) - 1)] & (examples.sizes > 0)

    scores = {rounds: np.zeros(len(of_row)) for rounds in ROUNDS}
    for fold in range(FOLDS):
        progress("learn", fold, FOLDS + 1)
        held = of_row == fold
        booster = fit(~held, ROUNDS[-1])
        for rounds in ROUNDS:
            scores[rounds][held] = booster.predict(examples.features[held], num_iteration=rounds)
    measured = {rounds: examples.ndcg(examples.served(values)) for rounds, values in scores.items()}
    rounds = max(measured, key=lambda number: float(np.nanmean(measured[number])))
    default, ours = examples.ndcg(examples.default), measured[rounds]
    gain = bootstrap.loss(ours[~np.isnan(ours)], default[~np.isnan(default)])
    record = {
        "queries": len(telling),
        "pairs": len(examples.gains),
        "ndcg10": round(float(np.nanmean(ours)), 4),
        "ndcg10_default": round(float(np.nanmean(default)), 4),
        "gain": [round(float(value), 4) for value in (gain.low, gain.high)],
        "trees": rounds,
        "folds": FOLDS,
        "lightgbm": lightgbm.__version__,
    }
    told = f"nDCG@10 {record['ndcg10']} in cross-validation, {record['ndcg10_default']} by default"
    if gain.low <= 0.0:
        return Learned(None, record, f"{told}: no gain beyond chance, so the default stays")
    booster = fit(np.ones(len(of_row), bool), rounds)
    progress("learn", FOLDS + 1, FOLDS + 1)
    cuts, tables = tables_of(booster.dump_model(), list(QUERY_FEATURES))
    return Learned({"format": FORMAT, "cuts": cuts, "tables": tables, "record": record}, record, told)


def learn_from_held(
    shop: Shop,
    kept: HeldSet,
    embeddings: Floats,
    encoder: OnnxEncoder,
    tokenizer: QueryTokenizer,
    interactions: Doubles | None = None,
    *,
    progress: Progress = silent,
) -> Learned:
    """Learn from the held-out judgments of a shop that no comparison of releases needs.

    Args:
        kept: queries that releases are compared on; they are left out.
        embeddings: float32 [products, D] of the shop's products, by ``encoder``.
        interactions: those with which the release is built: popularity is a feature.

    Raises:
        EndcapError: LightGBM is not installed.
    """
    place = {product.id: row for row, product in enumerate(shop.products)}
    free = [one for one in shop.held_judgments if one.query not in kept.judged]
    queries = [one for one in judged_queries(free, place.get) if one.counts_for_order]
    if len(queries) < FEWEST_QUERIES:
        return Learned(None, {"queries": len(queries)}, _too_few(len(queries)))
    vectors = encode_texts(encoder, tokenizer.encode, [query.query for query in queries])
    with indexed(shop.products, embeddings, interactions) as index:
        return learn_ranking(index, queries, vectors, progress=progress)


def _too_few(queries: int) -> str:
    return f"{queries} queries have an order to learn from; {FEWEST_QUERIES} are needed"


def _examples(
    index: LiveIndex,
    queries: Sequence[JudgedQuery],
    vectors: Floats,
    progress: Progress,
) -> Examples:
    most = max(float(query.gains.max(initial=0.0)) for query in queries) or 1.0
    features, gains, default, reached, sizes = [], [], [], [], []
    for done, (query, vector) in enumerate(zip(queries, vectors, strict=True)):
        if done % 100 == 0:
            progress("features", done, len(queries))
        found = index.retrieve(query.query, vector, count=Settings.candidates)
        scores = judged_scores(index, query.query, vector, query.rows, found)
        asked = Asked.of(query.query, found)
        features.append(asked.features(query.rows, scores.dense, scores.lexical, index).T)
        gains.append(query.gains)
        default.append(scores.fused)
        reached.append(np.isin(query.rows, found.rows[reranked(found)]))
        sizes.append(len(query.rows))
    progress("features", len(queries), len(queries))
    every = np.concatenate(gains)
    return Examples(
        np.concatenate(features),
        np.round(every / most * _LEVELS).astype(np.int64),
        np.concatenate(default),
        np.concatenate(reached),
        every,
        np.array(sizes, np.int64),
    )
