"""The score of each candidate: a sum of terms, each on a scale of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from endcap_rerank.affinities import NO_HISTORY, Affinities, History
from endcap_rerank.demands import TagMatch
from endcap_rerank.index import LiveIndex
from endcap_rerank.personal import Affinity, affinity, chance_values, knowledge, leaning
from endcap_rerank.price_class import price_classes
from endcap_rerank.prices import price_bands
from endcap_rerank.profile import Profile, Taste
from endcap_rerank.weights import RankingWeights as RankingWeights

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Scored:
    """Candidates with their scores; parallel arrays of length n, in the order of retrieval.

    Attributes:
        scores: float32 [n], the sum of ``terms``.
        terms: float32 [t, n], what each of ``names`` adds.
        embeddings: float32 [n, D].
        brands, categories: int32 [n] codes.
        taste, session: what stands behind those terms; None where they are not in play.
        tags: None where the query asks nothing.
    """

    rows: Rows
    scores: Floats
    names: tuple[str, ...]
    terms: Floats
    embeddings: Floats
    brands: npt.NDArray[np.int32]
    categories: npt.NDArray[np.int32]
    taste: Affinity | None
    session: Affinity | None
    tags: TagMatch | None

    def __len__(self) -> int:
        return len(self.rows)


def score(
    rows: Rows,
    relevance: Floats,
    index: LiveIndex,
    weights: RankingWeights,
    *,
    profile: Profile,
    session: Taste,
    match: TagMatch | None,
    openness: float,
    brand_named: float,
    boost: Mapping[str, float],
    novelty: bool,
    bought: bool,
    affinities: Affinities | None = None,
    history: History = NO_HISTORY,
    follow: float = 0.0,
) -> Scored:
    """Add up the terms of every candidate.

    Args:
        rows: int64 [n].
        relevance: float32 [n] in [0, 1].
        match: which candidates satisfy which demands of the query; None where it asks nothing.
        openness: share of the personal terms that the query leaves in force, in [0, 1].
        brand_named: how sure it is that the query names a brand: which brands the shopper likes, and how dear
            ones, is then no question.
        boost: item id → factor of its relevance.
        novelty: whether products of the shopper's latest events or session lose ``weights.seen``.
        bought: whether products that the shopper bought already lose ``weights.bought``; less so in
            categories where shoppers buy the same again.
        affinities: what is taken after what, None where nothing was learnt.
        history: what was taken already.
        follow: weight of what follows ``history``.
    """
    embeddings = index.embeddings(rows)
    brands, categories = index.brand_codes(rows), index.category_codes(rows)
    terms: dict[str, Floats] = {"relevance": relevance * np.float32(weights.relevance)}
    taste = recent = None
    tags = match if weights.tags > 0.0 else None
    if tags is not None:
        terms["tags"] = tags.values * np.float32(weights.tags)
    if profile.known:
        believed = knowledge(profile.strength) * openness
        free = believed * (1.0 - brand_named)
        taste = affinity(embeddings, profile.taste)
        terms["taste"] = taste.values * np.float32(weights.taste * believed)
        terms["brand"] = leaning(profile.brands.of(brands)) * np.float32(weights.brand * free)
        terms["category"] = leaning(profile.categories.of(categories)) * np.float32(
            weights.category * believed
        )
        if bought and len(profile.bought):
            owned = np.isin(rows, profile.bought)
            if affinities is not None:
                # Milk is bought again, a sofa is not: the shop's own events tell which is which.
                owned = owned * (1.0 - affinities.bought_again(released_rows(rows, index)))
            terms["bought"] = owned * np.float32(-weights.bought)
        if profile.prices is not None and weights.price > 0.0:
            terms["price"] = profile.prices.of(price_classes(rows, index)) * np.float32(weights.price * free)
    if affinities is not None and len(history) and follow > 0.0:
        chances = affinities.spoken_for(history, released_rows(rows, index))
        terms["affinity"] = chance_values(chances) * np.float32(follow)
    if len(session):
        recent = affinity(embeddings, session)
        terms["session"] = recent.values * np.float32(weights.session * openness)
    if novelty:
        seen = np.isin(rows, np.concatenate([profile.taste.rows, session.rows]))
        terms["seen"] = seen * np.float32(-weights.seen)
    terms["popularity"] = index.popularity(rows) * np.float32(weights.popularity)
    stars = (index.ratings(rows) - np.float32(3.0)) * np.float32(weights.rating / 2.0)
    terms["rating"] = np.where(np.isnan(stars), np.float32(0.0), stars)
    terms["stock"] = ~index.in_stock(rows) * np.float32(-weights.out_of_stock)
    if boost:
        terms["boost"] = (_factors(rows, boost, index) - np.float32(1.0)) * terms["relevance"]
    table = np.stack(list(terms.values())).astype(np.float32, copy=False)
    return Scored(
        rows=rows,
        scores=table.sum(axis=0),
        names=tuple(terms),
        terms=table,
        embeddings=embeddings,
        brands=brands,
        categories=categories,
        taste=taste,
        session=recent,
        tags=tags,
    )


def kernel_groups(
    rows: Rows,
    brands: npt.NDArray[np.int32],
    categories: npt.NDArray[np.int32],
    index: LiveIndex,
    weights: RankingWeights,
) -> list[tuple[npt.NDArray[np.int32], float]]:
    """What makes candidates alike besides their vectors: codes [n] and weight of each group."""
    groups = [(brands, weights.kernel_brand), (categories, weights.kernel_category)]
    if weights.kernel_price > 0.0:
        groups.append((price_bands(rows, index), weights.kernel_price))
    return groups


def released_rows(rows: Rows, index: LiveIndex) -> Rows:
    """The rows that changed products had in the release, by which affinities know them: int64 [n].

    A product that came after the release keeps its own row, which no affinity knows.
    """
    changed = np.flatnonzero(rows >= index.index.count)
    if not len(changed):
        return rows
    released = rows.copy()
    for position, item in zip(changed.tolist(), index.item_ids(rows[changed]), strict=True):
        row = index.index.catalog.ids.find(item)
        if row >= 0:
            released[position] = row
    return released


def _factors(rows: Rows, boost: Mapping[str, float], index: LiveIndex) -> Floats:
    factors = np.ones(len(rows), dtype=np.float32)
    for item, factor in boost.items():
        row = index.row(item)
        if row is not None:
            factors[rows == row] = factor
    return factors
