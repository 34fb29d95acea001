"""Hard negatives: products that look like answers to a query and are none.

They come from BM25 and from the encoder itself, whose nearest wrong products are what it has to learn.
The very nearest are often right answers that nobody judged, so the first few are passed over, and so is
whatever scores nearly as high as the best positive: Moreira et al., "NV-Retriever: Improving text
embedding models with effective hard-negative mining" (2024), section 3.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from endcap_rerank.index.lexical import LexicalIndex, query_terms, write_lexical
from endcap_rerank.product import Product

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

SKIP = 3
"""Best-scored products of each source that are passed over."""
SHARE = 0.95
"""What scores above this share of the best positive is taken for an unjudged positive."""
POOL = 50
"""Products of each source, after those passed over, from which negatives are drawn."""

_QUERIES_AT_ONCE = 256


class Embed(Protocol):
    """Texts to vectors."""

    def __call__(self, texts: Sequence[str], *, products: bool) -> Floats:
        """L2-normalized float32 [len(texts), D]; ``products`` tells which tower reads them."""


def mine(
    queries: Sequence[str],
    positives: Mapping[str, set[str]],
    texts: Mapping[str, str],
    *,
    embed: Embed | None = None,
    count: int = 4,
    seed: int = 0,
    skip: int = SKIP,
    share: float = SHARE,
    pool: int = POOL,
) -> dict[str, list[str]]:
    """Draw hard negatives for each query, half from BM25 and half from the encoder where there is one.

    Args:
        queries: distinct queries.
        positives: query → ids of all products known to answer it; never among its negatives, nor is a
            product of the same text as one of them.
        texts: product id → the text that the product tower reads.
        embed: the encoder; BM25 alone when None.
        count: most negatives of a query.
        seed: of the draw from each pool.
        skip: best-scored others that are passed over.
        share: of the best positive's score, above which a product is left out. A query whose positives
            share no word with it has no negatives from BM25.
        pool: how many of each source are drawn from.

    Returns:
        Query → ids, at most ``count``; fewer, or none, where there are not enough.
    """
    ids = list(texts)
    row_of = {item: row for row, item in enumerate(ids)}
    same = _same_texts(texts)
    answers = [
        np.array(
            sorted(
                {row_of[twin] for item in positives.get(query, ()) if item in texts for twin in same[item]}
            ),
            np.int64,
        )
        for query in queries
    ]
    sources = [_lexical_scores(queries, texts)]
    if embed is not None:
        sources.append(_dense_scores(queries, list(texts.values()), embed))
    rng = np.random.default_rng(seed)
    mined: dict[str, list[str]] = {}
    for query, right, *scores in zip(queries, answers, *sources, strict=True):
        pools = [rng.permutation(_hard(one, right, skip, share, pool)).tolist() for one in scores]
        mined[query] = [ids[row] for row in _alternating(pools, count)]
    return mined


def _hard(scores: Floats, right: Rows, skip: int, share: float, pool: int) -> Rows:
    """Rows of the best wrong products, without the first few and those that score like a right one."""
    limit = share * float(scores[right].max()) if len(right) else np.inf
    open_rows = np.ones(len(scores), np.bool_)
    open_rows[right] = False
    rows = LexicalIndex.best(scores, skip + pool, open_rows)[skip:]
    hard: Rows = rows[scores[rows] <= limit]
    return hard


def _alternating(pools: Sequence[Sequence[int]], count: int) -> list[int]:
    """The first ``count`` different rows, from each pool in turn."""
    chosen: dict[int, None] = {}
    for turn in range(max(map(len, pools), default=0)):
        for pool in pools:
            if turn < len(pool):
                chosen.setdefault(pool[turn])
    return list(chosen)[:count]


def _lexical_scores(queries: Sequence[str], texts: Mapping[str, str]) -> Iterator[Floats]:
    """BM25 of every product, a float32 [N] a query."""
    with tempfile.TemporaryDirectory(prefix="endcap-negatives-") as name:
        folder = Path(name)
        average = write_lexical(folder, [Product(id=item, title=text) for item, text in texts.items()])
        index = LexicalIndex(folder, count=len(texts), average_length=average)
        for query in queries:
            yield index.scores(query_terms(query))


def _dense_scores(queries: Sequence[str], texts: Sequence[str], embed: Embed) -> Iterator[Floats]:
    """The cosine to every product, a float32 [N] a query."""
    products = embed(texts, products=True)
    for start in range(0, len(queries), _QUERIES_AT_ONCE):
        yield from embed(queries[start : start + _QUERIES_AT_ONCE], products=False) @ products.T


def _same_texts(texts: Mapping[str, str]) -> dict[str, list[str]]:
    """Product id → ids of all products with the same text, itself among them."""
    groups: dict[str, list[str]] = {}
    for item, text in texts.items():
        groups.setdefault(" ".join(text.casefold().split()), []).append(item)
    return {item: group for group in groups.values() for item in group}
