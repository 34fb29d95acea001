"""Shoppers with hidden tastes, and what they do in the shop because of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from endcap.demo_shop.catalogue import DAY, NOW, Array, Article, Brand
from endcap.demo_shop.judgments import Truth
from endcap.demo_shop.queries import Query
from endcap.demo_shop.structure import DEPARTMENTS, LEAVES

HISTORY_DAYS = 120.0


@dataclass(frozen=True)
class Shopper:
    """A shopper and the taste that the server never sees.

    Attributes:
        departments: department key → share of the shopper's visits.
        brands: positions of preferred brands.
        tier: preferred price tier, 0 to 2.
        color: preferred colour.
        sessions: how many visits.
    """

    id: str
    departments: dict[str, float]
    brands: tuple[int, ...]
    tier: int
    color: str
    sessions: int


@dataclass(frozen=True)
class ShopEvent:
    """One line of the event log; ``position`` is -1 and ``query`` empty where there was no search."""

    user: str
    row: int
    event: str
    timestamp: int
    query: str
    position: int


def make_shoppers(brands: list[Brand], count: int, rng: np.random.Generator) -> list[Shopper]:
    """Draw shoppers; how often they visit follows a power law."""
    colors = ("black", "white", "navy", "gray", "red", "green", "blue", "pink", "beige")
    shoppers = []
    for position in range(count):
        share = rng.dirichlet(np.full(len(DEPARTMENTS), 0.2))
        tier = int(rng.choice(3, p=[0.4, 0.35, 0.25]))
        # Loved brands are strong where the shopper shops, and mostly of the shopper's price tier.
        weights = np.array(
            [
                sum(share[DEPARTMENTS.index(d)] * s for d, s in brand.strength.items())
                * (1.0 if brand.tier == tier else 0.15)
                for brand in brands
            ]
        )
        loved = rng.choice(len(brands), size=4, replace=False, p=weights / weights.sum())
        shoppers.append(
            Shopper(
                id=f"shopper-{position:04d}",
                departments={d: round(float(s), 4) for d, s in zip(DEPARTMENTS, share, strict=True)},
                brands=tuple(int(b) for b in loved),
                tier=tier,
                color=colors[int(rng.integers(len(colors)))],
                sessions=int(min(3 + np.floor(4.0 * rng.pareto(1.3)), 60)),
            )
        )
    return shoppers


def make_events(
    shoppers: list[Shopper],
    brands: list[Brand],
    articles: list[Article],
    truth: Truth,
    queries: list[Query],
    rng: np.random.Generator,
    now: float = NOW,
) -> list[ShopEvent]:
    """Simulate every shopper's visits up to ``now``; events come back in time order."""
    shop = _Shop(brands, articles, truth, queries, now)
    events = [event for shopper in shoppers for event in shop.visits(shopper, rng)]
    return sorted(events, key=lambda event: (event.timestamp, event.user))


class _Shop:
    """The simulation: what is shown at a visit and what a shopper does with it."""

    def __init__(
        self, brands: list[Brand], articles: list[Article], truth: Truth, queries: list[Query], now: float
    ) -> None:
        self._now = now
        self._tiers = np.array([brand.tier for brand in brands])
        self._truth = truth
        reviews = np.array([a.product.review_count for a in articles], dtype=float)
        ratings = np.array([a.product.rating for a in articles])
        self._appeal = 0.25 * np.log1p(reviews) + 0.8 * (ratings - 4.0)
        self._rows = [np.flatnonzero(truth.leaf == leaf) for leaf in range(len(LEAVES))]
        self._leaves = {d: [i for i, leaf in enumerate(LEAVES) if leaf.department == d] for d in DEPARTMENTS}
        self._queries: dict[int, list[Query]] = {}
        for query in queries:
            if query.wants.leaf >= 0:
                self._queries.setdefault(query.wants.leaf, []).append(query)

    def utility(self, shopper: Shopper, rows: Array) -> Array:
        """How much the shopper likes each product, float [n]: brand, price tier, colour, general appeal."""
        loved = np.isin(self._truth.brand[rows], shopper.brands)
        tier = 1.0 - np.abs(self._tiers[self._truth.brand[rows]] - shopper.tier)
        color = self._truth.color[rows] == shopper.color
        liking: Array = 1.8 * loved + 0.7 * tier + 0.9 * color + self._appeal[rows]
        return liking

    def visits(self, shopper: Shopper, rng: np.random.Generator) -> list[ShopEvent]:
        """All events of a shopper."""
        starts = np.sort(self._now - DAY * (0.1 + HISTORY_DAYS * rng.random(shopper.sessions)))
        share = np.array([shopper.departments[d] for d in DEPARTMENTS]) + 0.01
        events: list[ShopEvent] = []
        for start in starts:
            department = DEPARTMENTS[int(rng.choice(len(DEPARTMENTS), p=share / share.sum()))]
            leaf = self._leaves[department][int(rng.integers(len(self._leaves[department])))]
            if len(self._rows[leaf]):
                events += self._visit(shopper, leaf, float(start), rng)
        return events

    def _visit(self, shopper: Shopper, leaf: int, start: float, rng: np.random.Generator) -> list[ShopEvent]:
        asked = self._queries.get(leaf, [])
        query = asked[int(rng.integers(len(asked)))].text if asked and rng.random() < 0.6 else ""
        # The old shop's ranking: popular first, with noise. Position bias comes on top.
        candidates = self._rows[leaf]
        shown = candidates[np.argsort(-(self._appeal[candidates] + rng.gumbel(0.0, 1.0, len(candidates))))][
            :14
        ]
        liking = self.utility(shopper, shown)
        clock = start
        events: list[ShopEvent] = []

        def record(row: int, event: str, position: int) -> None:
            nonlocal clock
            clock += float(rng.exponential(40.0)) + 2.0
            events.append(
                ShopEvent(shopper.id, int(row), event, int(clock), query, position if query else -1)
            )

        for position, (row, like) in enumerate(zip(shown, liking, strict=True)):
            looks = 1.0 / (1.0 + 0.18 * position)
            if rng.random() > looks * _sigmoid(1.6 * (like - 1.9)):
                continue
            record(row, "view", position)
            if rng.random() < _sigmoid(1.3 * (like - 1.8)):
                record(row, "click", position)
                if rng.random() < _sigmoid(1.3 * (like - 2.8)):
                    record(row, "cart", position)
                    if rng.random() < 0.45:
                        record(row, "purchase", position)
                        break
        return events


def _sigmoid(value: float) -> float:
    return float(1.0 / (1.0 + np.exp(-value)))
