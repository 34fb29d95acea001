"""Graded relevance from the structured truth of products and queries, not from their words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from endcap.demo_shop.catalogue import Array, Article
from endcap.demo_shop.queries import Query, Wants
from endcap.demo_shop.structure import COLOR_FAMILIES, LEAVES

POOL = {3: 12, 2: 8, 1: 6, 0: 6}
"""Most judged products of each grade per query; no shop judges its whole catalogue."""

NEAR_PRICE = 1.15
"""A price this much over the limit is a near miss."""


@dataclass(frozen=True)
class Truth:
    """The articles' truth as columns, one row a product."""

    leaf: Array
    aisle: Array
    department: Array
    brand: Array
    color: Array
    family: Array
    material: Array
    occasion: Array
    measure: Array
    price: Array
    modifiers: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, articles: list[Article]) -> Truth:
        """Gather the columns."""
        return cls(
            leaf=np.array([a.leaf for a in articles]),
            aisle=np.array([LEAVES[a.leaf].aisle for a in articles]),
            department=np.array([LEAVES[a.leaf].department for a in articles]),
            brand=np.array([a.brand for a in articles]),
            color=np.array([a.color for a in articles]),
            family=np.array([COLOR_FAMILIES.get(a.color, a.color) for a in articles]),
            material=np.array([a.material for a in articles]),
            occasion=np.array([a.occasion for a in articles]),
            measure=np.array([a.measure for a in articles]),
            price=np.array([a.product.price for a in articles]),
            modifiers=tuple(a.modifiers for a in articles),
        )


def grades(truth: Truth, wants: Wants) -> Array:
    """Grade of every product for a query, int [N].

    3: the right kind of product and everything asked for holds. 2: something is missed, but at
    least half of what was asked for holds (a near colour or price counts half). 1: the right kind
    only, or, where the query names nothing but a kind, another kind of the same aisle; a brand's
    other products of the department. 0: the rest.
    """
    if wants.leaf < 0:
        return np.where(truth.brand == wants.brand, 3, 0)
    met = _met(truth, wants)
    right_kind = truth.leaf == wants.leaf
    result = np.zeros(len(truth.leaf), dtype=np.int64)
    same_aisle = truth.aisle == LEAVES[wants.leaf].aisle
    if not met:
        result[same_aisle] = 1
        result[right_kind] = 3
        return result
    share = np.mean(met, axis=0)
    result[right_kind] = np.where(share == 1.0, 3, np.where(share >= 0.5, 2, 1))[right_kind]
    if wants.brand >= 0:
        same_department = truth.department == LEAVES[wants.leaf].department
        result[~right_kind & same_department & (truth.brand == wants.brand)] = 1
    return result


def _met(truth: Truth, wants: Wants) -> list[Array]:
    """How far each thing asked for holds, one float [N] array from 0 to 1 each."""
    met: list[Array] = []
    if wants.brand >= 0:
        met.append((truth.brand == wants.brand).astype(float))
    if wants.color:
        near = truth.family == COLOR_FAMILIES.get(wants.color, wants.color)
        met.append(np.maximum(truth.color == wants.color, 0.5 * near))
    if wants.material:
        met.append((truth.material == wants.material).astype(float))
    if wants.modifier:
        met.append(np.array([wants.modifier in modifiers for modifiers in truth.modifiers], dtype=float))
    if wants.measure >= 0:
        met.append((truth.measure == wants.measure).astype(float))
    if wants.occasion:
        met.append((truth.occasion == wants.occasion).astype(float))
    if wants.low > 0 or np.isfinite(wants.high):
        inside = (truth.price >= wants.low) & (truth.price <= wants.high)
        near = (truth.price >= wants.low / NEAR_PRICE) & (truth.price <= wants.high * NEAR_PRICE)
        met.append(np.maximum(inside, 0.5 * near))
    return met


def judge(
    truth: Truth, queries: list[Query], rng: np.random.Generator
) -> list[tuple[Query, list[tuple[int, int]]]]:
    """For each query a pool of judged products as (row, grade), best grade first."""
    judged = []
    for query in queries:
        graded = grades(truth, query.wants)
        pool: list[tuple[int, int]] = []
        for grade, most in POOL.items():
            rows = np.flatnonzero(graded == grade)
            if grade == 0 and query.wants.leaf >= 0:
                rows = _hard_first(truth, rows, LEAVES[query.wants.leaf].department, most, rng)
            chosen = rng.choice(rows, size=min(most, len(rows)), replace=False) if len(rows) else rows
            pool += [(int(row), grade) for row in np.sort(chosen)]
        judged.append((query, pool))
    return judged


def _hard_first(truth: Truth, rows: Array, department: str, most: int, rng: np.random.Generator) -> Array:
    """Half of the irrelevant products come from the same department, so that they are not all trivial."""
    near = rows[truth.department[rows] == department]
    far = rows[truth.department[rows] != department]
    parts = [
        rng.choice(part, size=min(most // 2, len(part)), replace=False) for part in (near, far) if len(part)
    ]
    return np.concatenate(parts) if parts else rows
