"""A quick look at how good an exported encoder is, on held-out data, without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from endcap_rerank.tokenizer import QueryTokenizer

from endcap_export.alignment import token_labels
from endcap_export.bio import TaggedQuery
from endcap_export.data import Judgment
from endcap_export.encoder import OnnxEncoder, encode_texts

_SHUFFLES = 10


def tag_scores(
    encoder: OnnxEncoder, tokenizer: QueryTokenizer, labels: Sequence[str], queries: Sequence[TaggedQuery]
) -> dict[str, float]:
    """Strict entity precision, recall and F1 (IOB2: type and both ends must agree), by seqeval."""
    from seqeval.metrics.v1 import precision_recall_fscore_support
    from seqeval.scheme import IOB2

    predicted = []
    for start in range(0, len(queries), 32):
        batch = queries[start : start + 32]
        tokens = tokenizer.encode([query.text for query in batch])
        _, logits = encoder.encode(tokens.input_ids, tokens.attention_mask)
        for row, query in enumerate(batch):
            predicted.append(token_labels(query, tokens.offsets[row], logits[row], labels))
    precision, recall, f1, _ = precision_recall_fscore_support(
        [list(query.labels) for query in queries],
        predicted,
        average="micro",
        scheme=IOB2,
        zero_division=0,
    )
    return {
        "f1": round(float(f1), 4),
        "precision": round(float(precision), 4),
        "recall": round(float(recall), 4),
        "queries": len(queries),
    }


def ranking_scores(
    encoder: OnnxEncoder,
    tokenizer: QueryTokenizer,
    judgments: Sequence[Judgment],
    texts: Mapping[str, str],
    *,
    max_queries: int = 500,
    seed: int = 0,
) -> dict[str, float]:
    """nDCG@10 of re-ranking each query's judged products by cosine, beside a random order.

    Only queries with at least five judged products and more than one grade count; the gain of grade g is
    2^(g - lowest grade) - 1. Unjudged products are not ranked at all: this says nothing of recall.
    """
    lowest = min((judgment.relevance for judgment in judgments), default=0.0)
    by_query: dict[str, list[Judgment]] = {}
    for judgment in judgments:
        by_query.setdefault(judgment.query, []).append(judgment)
    chosen = [
        judged
        for judged in by_query.values()
        if len(judged) >= 5 and len({judgment.relevance for judgment in judged}) > 1
    ]
    generator = np.random.default_rng(seed)
    chosen = [chosen[index] for index in generator.permutation(len(chosen))[:max_queries]]
    if not chosen:
        return {}
    items = sorted({judgment.item for judged in chosen for judgment in judged})
    row_of = {item: row for row, item in enumerate(items)}
    vectors = encode_texts(encoder, tokenizer.encode_products, [texts[item] for item in items])
    queries = encode_texts(encoder, tokenizer.encode, [judged[0].query for judged in chosen])
    scores, chance = [], []
    for query, judged in zip(queries, chosen, strict=True):
        gains = np.exp2(np.array([judgment.relevance - lowest for judgment in judged], np.float64)) - 1.0
        cosines = vectors[[row_of[judgment.item] for judgment in judged]] @ query
        scores.append(ndcg(gains[np.argsort(-cosines, kind="stable")]))
        chance.append(np.mean([ndcg(generator.permutation(gains)) for _ in range(_SHUFFLES)]))
    return {
        "ndcg10": round(float(np.mean(scores)), 4),
        "ndcg10_random": round(float(np.mean(chance)), 4),
        "queries": len(chosen),
    }


def ndcg(gains: npt.NDArray[np.float64], k: int = 10) -> float:
    """Discounted gain of a ranked list over that of the best order: Σ gain_i / log2(i + 1), i from 1.

    Järvelin & Kekäläinen 2002. 0 where every gain is 0.
    """
    discounts = 1 / np.log2(np.arange(2, min(k, len(gains)) + 2))
    best = np.sort(gains)[::-1][:k] @ discounts
    return float(gains[:k] @ discounts / best) if best > 0 else 0.0
