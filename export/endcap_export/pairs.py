"""Queries and products to learn the embedding from: judged, clicked, or made of titles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from endcap_rerank.product import Product
from endcap_rerank.tags import is_cjk
from endcap_rerank.tokenizer import QueryTokenizer

from endcap_export.batches import Answers
from endcap_export.clicks import WeightedPair, click_pairs
from endcap_export.data import RIGHT, Judgment
from endcap_export.encoder import Encoder, encode_texts
from endcap_export.negatives import mine
from endcap_export.shop import Shop


def training_answers(
    shop: Shop, *, seed: int = 0, limit: int | None = None
) -> tuple[tuple[Answers, ...], str]:
    """The best pairs of query and product that the shop's data allow, by query.

    Judgments if there are any; else queries and what was clicked or bought after them; else a few words
    of each title as the query for it.

    Args:
        shop: the shop; its held-out judgments are not looked at.
        seed: of the choice of words and of ``limit``.
        limit: most queries, chosen at random; all when None.

    Returns:
        The answers, and which of ``judgments``, ``events``, ``titles`` they come from.
    """
    source, answers = "judgments", judged_answers(shop.judgments)
    if not answers:
        source, answers = "events", clicked_answers(click_pairs(shop.events))
    if not answers:
        source, answers = "titles", title_answers(shop.products, seed)
    if limit is not None and len(answers) > limit:
        chosen = np.random.default_rng(seed).permutation(len(answers))[:limit]
        answers = [answers[index] for index in sorted(chosen)]
    return tuple(answers), source


def judged_answers(judgments: Sequence[Judgment]) -> list[Answers]:
    """Each judged query with the grades of its products, as shares of the scale that the judgments span.

    On a scale of one grade, all are right.
    """
    if not judgments:
        return []
    grades = [judgment.relevance for judgment in judgments]
    lowest, span = min(grades), max(grades) - min(grades)
    by_query: dict[str, dict[str, float]] = {}
    for one in judgments:
        grade = (one.relevance - lowest) / span if span else 1.0
        known = by_query.setdefault(one.query, {})
        known[one.item] = max(grade, known.get(one.item, 0.0))
    return [Answers(query, known) for query, known in by_query.items()]


def clicked_answers(pairs: Sequence[WeightedPair]) -> list[Answers]:
    """Each query with the products that were chosen after it, all right, each with its own weight."""
    weights: dict[str, dict[str, float]] = {}
    for pair in pairs:
        weights.setdefault(pair.query, {})[pair.item] = pair.weight
    return [Answers(query, dict.fromkeys(known, 1.0), weights=known) for query, known in weights.items()]


def title_answers(products: Sequence[Product], seed: int) -> list[Answers]:
    """Two to four neighbouring words of each title (of a Chinese one: characters) as a query for it."""
    generator = np.random.default_rng(seed)
    found: dict[str, dict[str, float]] = {}
    for product in products:
        chinese = any(map(is_cjk, product.title))
        words = list(product.title) if chinese else product.title.split()
        size = int(generator.integers(2, 5))
        start = int(generator.integers(0, max(1, len(words) - size + 1)))
        query = ("" if chinese else " ").join(words[start : start + size]).strip()
        if query and query != product.title:
            found.setdefault(query[:512], {})[product.id] = 1.0
    return [Answers(query, known) for query, known in found.items()]


def with_hard_negatives(
    answers: Sequence[Answers],
    texts: Mapping[str, str],
    encoder: Encoder,
    tokenizer: QueryTokenizer,
    *,
    count: int,
    seed: int,
) -> tuple[Answers, ...]:
    """The answers with wrong products that BM25 and an encoder take for right ones; judged ones are none.

    Args:
        answers: queries and what is known of products for them.
        texts: product id → the text that the product tower reads.
        encoder: the model before it is trained.
        tokenizer: its tokenizer.
        count: most negatives of a query.
        seed: of the draw.
    """

    def embed(texts: Sequence[str], *, products: bool) -> npt.NDArray[np.float32]:
        return encode_texts(encoder, tokenizer.encode_products if products else tokenizer.encode, texts)

    right = {one.query: {item for item, grade in one.grades.items() if grade >= RIGHT} for one in answers}
    mined = mine(list(right), right, texts, embed=embed, count=count, seed=seed)
    return tuple(
        replace(one, negatives=tuple(item for item in mined[one.query] if item not in one.grades))
        for one in answers
    )
