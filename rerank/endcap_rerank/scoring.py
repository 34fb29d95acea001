"""The score of each candidate: a sum of terms, each on a scale of its own."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from endcap_rerank.affinities import NO_HISTORY, Affinities, History
from endcap_rerank.constraints import BRAND, COLOR, KIND, MATERIAL, MODEL, SIZE, Constraints
from endcap_rerank.errors import InvalidInputError, ReleaseError
from endcap_rerank.index import LiveIndex
from endcap_rerank.prices import price_bands, price_levels
from endcap_rerank.profile import SMOOTHING, Profile, Taste

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RankingWeights:
    """How much each term counts; a release's ``ranking.json`` may override any of them.

    Relevance lies in [0, 1] within a request and has weight 1 by default: the others say how much of it
    they can outweigh. The defaults of the personal ones were measured, see benchmarks/personal.py.

    Attributes:
        relevance: the fused score of retrieval.
        tags: share of the query's tags that the product satisfies.
        taste: likeness to what the shopper was drawn to, at full knowledge of the shopper.
        session: likeness to the items of this session.
        brand, category: how often the shopper chose the product's brand, category; see ``leaning``.
        price: nearness to what the shopper is used to pay in the product's category.
        affinity: chance that the product is taken next, by what shoppers took, in searches.
        together: the same beside an item, in recommendations.
        popularity: of the product, in [0, 1].
        rating: of the product, (stars - 3) / 2.
        out_of_stock: taken off a product that is not in stock.
        bought: taken off a product that the shopper bought already, in recommendations only.
        seen: taken off a product of the shopper's latest events, in recommendations for their taste only.
        specific: share of the personal terms that the most specific query silences.
        kernel_brand, kernel_category, kernel_price: how much of two products' likeness is their brand, their
            category, their price band within the category.
    """

    relevance: float = 1.0
    tags: float = 0.3
    taste: float = 0.05
    session: float = 0.35
    brand: float = 0.7
    category: float = 0.05
    price: float = 0.25
    affinity: float = 0.15
    together: float = 1.0
    popularity: float = 0.1
    rating: float = 0.03
    out_of_stock: float = 0.25
    bought: float = 0.6
    seen: float = 0.3
    specific: float = 0.5
    kernel_brand: float = 0.15
    kernel_category: float = 0.15
    kernel_price: float = 0.05

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value < math.inf:
                raise InvalidInputError(f"ranking.{field.name}", value, "a number of at least 0 is expected")
        if self.specific > 1.0:
            raise InvalidInputError("ranking.specific", self.specific, "at most 1 is expected")
        groups = self.kernel_brand + self.kernel_category + self.kernel_price
        if groups > 1.0:
            raise InvalidInputError(
                "ranking.kernel_brand + kernel_category + kernel_price", groups, "at most 1 is expected"
            )

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> RankingWeights:
        """Defaults, overridden by ``values``.

        Raises:
            InvalidInputError: an unknown name or a value out of range.
        """
        known = [field.name for field in fields(cls)]
        for name, value in values.items():
            if name not in known:
                raise InvalidInputError(f"ranking.{name}", value, f"known names are {', '.join(known)}")
        return cls(**values)

    @classmethod
    def read(cls, file: Path) -> RankingWeights:
        """The weights of a release; the defaults where it has no such file.

        Raises:
            ReleaseError: the file cannot be used.
        """
        try:
            values = json.loads(file.read_text("utf-8"))
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError) as error:
            raise ReleaseError(f"{file}: not a JSON document ({error})") from error
        if not isinstance(values, dict):
            raise ReleaseError(f"{file}: an object of weights is expected")
        try:
            return cls.from_mapping(values)
        except InvalidInputError as error:
            raise ReleaseError(f"{file}: {error}") from error


@dataclass(frozen=True)
class Affinity:
    """How the items of a taste speak for each candidate.

    Attributes:
        values: float32 [n] in (-1, 1).
        likeness: float32 [m, n], of each item of the taste to each candidate, before the item's weight.
    """

    values: Floats
    likeness: Floats


TYPICAL_LIKENESS = 0.05
"""Cosine by which a candidate must exceed the others before likeness to an item is more than noise."""


def affinity(embeddings: Floats, taste: Taste) -> Affinity:
    """Likeness of candidates to the items of a taste.

    a_c = Σ_i w_i·max(0, cos(c, i) - mean_c' cos(c', i)), then a / (max |a| + TYPICAL_LIKENESS). The mean
    over the request's candidates is taken off because embeddings of one query's products are all alike;
    the constant keeps differences that are mere noise from being blown up.

    Args:
        embeddings: float32 [n, D] of the candidates.
    """
    likeness: Floats = taste.vectors @ embeddings.T
    if len(embeddings):
        likeness -= likeness.mean(axis=1, keepdims=True)
    np.maximum(likeness, 0.0, out=likeness)
    raw = taste.weights @ likeness
    largest = float(np.abs(raw).max(initial=0.0))
    return Affinity(raw / np.float32(largest + TYPICAL_LIKENESS), likeness)


TYPICAL_CHANCE = 0.01
"""Chance of being taken next below which differences are more noise than affinity."""


def chance_values(chances: Floats) -> Floats:
    """Chances as values in [0, 1): c / (max c + TYPICAL_CHANCE)."""
    return chances / np.float32(float(chances.max(initial=0.0)) + TYPICAL_CHANCE)


TYPICAL_SHARE = 0.2
"""Share of a shopper's events at which a brand or a category is half as dear as it can be."""


def leaning(shares: Floats) -> Floats:
    """Shares of events as values in [0, 1): s / (s + TYPICAL_SHARE).

    A shopper of four brands loves each of them no less than one who has but one.
    """
    return shares / (shares + np.float32(TYPICAL_SHARE))


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


def knowledge(strength: float) -> float:
    """How far a shopper's taste is believed, in [0, 1): strength / (strength + SMOOTHING)."""
    return strength / (strength + SMOOTHING)


def specificity(query: str, constraints: Constraints) -> float:
    """How much a query pins down by itself, in [0, 1].

    One plain word leaves everything open; five words, or a brand with a model, leave little to taste.
    """
    letters = sum(1 for char in query if char >= "\u2e80")
    words = len(query.split()) if not letters else max(len(query.split()), (letters + 1) // 2)
    named = sum(1 for term in constraints.terms if term.kind in (BRAND, MODEL))
    return min(1.0, 0.2 * max(0, words - 1) + 0.25 * named)


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
    constraints: Constraints,
    openness: float,
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
        openness: share of the personal terms that the query leaves in force, in [0, 1].
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
    tags = taste = recent = None
    if constraints.terms and weights.tags > 0.0:
        tags = match_tags(constraints, rows, brands, index)
        terms["tags"] = tags.values * np.float32(weights.tags)
    if profile.known:
        believed = knowledge(profile.strength) * openness
        taste = affinity(embeddings, profile.taste)
        terms["taste"] = taste.values * np.float32(weights.taste * believed)
        terms["brand"] = leaning(profile.brands.of(brands)) * np.float32(weights.brand * believed)
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
            nearness = profile.prices.of(price_levels(rows, index))
            terms["price"] = nearness * np.float32(weights.price * believed)
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
