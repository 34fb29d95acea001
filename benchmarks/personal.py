"""Personalization on demo shops, whose shoppers' tastes are known: nDCG with it and without it."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from endcap_export.affinities import learn_for_index
from endcap_rerank.events_store import Event, SqliteEventStore
from endcap_rerank.index import Index, build_index
from endcap_rerank.ranker import EVENTS_FILE, Ranker
from endcap_rerank.release import INDEX_DIR
from endcap_rerank.requests import Ranked, RecommendRequest, SearchRequest
from endcap_rerank.settings import Settings

from benchmarks.untuned import draft_release, embed
from endcap.demo_shop import language_words
from endcap.demo_shop.catalogue import NOW, Article, Brand, make_articles, make_brands
from endcap.demo_shop.judgments import Truth, grades
from endcap.demo_shop.queries import Query, make_queries
from endcap.demo_shop.shoppers import ShopEvent, Shopper, make_events, make_shoppers
from endcap.demo_shop.structure import LEAVES

K = 10
QUERIES_A_SHOPPER = 10

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class KnownShop:
    """A demo shop with its truth, the very one that ``endcap.demo_shop.generate`` writes to files."""

    seed: int
    brands: list[Brand] = field(repr=False)
    articles: list[Article] = field(repr=False)
    truth: Truth = field(repr=False)
    queries: list[Query] = field(repr=False)
    shoppers: list[Shopper] = field(repr=False)
    events: list[ShopEvent] = field(repr=False)

    @classmethod
    def make(cls, seed: int, *, products: int = 5000, shoppers: int = 400) -> KnownShop:
        """Draw the shop of a seed, in the order in which ``generate`` draws."""
        words = language_words("en")
        shelves, asking, _, people, visits = (
            np.random.Generator(np.random.PCG64(part)) for part in np.random.SeedSequence(seed).spawn(5)
        )
        brands = make_brands(words, shelves)
        articles = make_articles(words, brands, products, shelves, NOW)
        truth = Truth.of(articles)
        queries = make_queries(words, brands, articles, min(max(products * 3 // 10, 40), 1500), asking)
        drawn = make_shoppers(brands, shoppers, people)
        events = make_events(drawn, brands, articles, truth, queries, visits, NOW)
        return cls(seed, brands, articles, truth, queries, drawn, events)

    def liking(self, shopper: Shopper) -> Floats:
        """Chance that the shopper clicks each product once it is looked at: float64 [N].

        The law by which the shop's own shoppers click: sigmoid(1.3·(u - 1.8)), where u is 1.8 for a loved
        brand, 0.7·(1 - distance in price tiers), 0.9 for the loved colour, and the product's general appeal.
        """
        tiers = np.array([brand.tier for brand in self.brands])[self.truth.brand]
        reviews = np.array([article.product.review_count for article in self.articles], float)
        ratings = np.array([article.product.rating for article in self.articles])
        utility = (
            1.8 * np.isin(self.truth.brand, shopper.brands)
            + 0.7 * (1.0 - np.abs(tiers - shopper.tier))
            + 0.9 * (self.truth.color == shopper.color)
            + 0.25 * np.log1p(reviews)
            + 0.8 * (ratings - 4.0)
        )
        chances: Floats = 1.0 / (1.0 + np.exp(-1.3 * (utility - 1.8)))
        return chances


@dataclass(frozen=True)
class Asked:
    """A query of a shopper, as understood, with the gain of each product."""

    shopper: str
    query: str
    embedding: npt.NDArray[np.float32] = field(repr=False)
    gains: npt.NDArray[np.float32] = field(repr=False)


def questions(shop: KnownShop, each: int = QUERIES_A_SHOPPER) -> list[Asked]:
    """Queries for every shopper, departments by the shopper's own shares.

    The gain of a product is (2^grade - 1)·P(the shopper clicks it): nothing for what was not asked for,
    however dear to the shopper, and little for what was asked for but is not to their taste.
    """
    by_department: dict[str, list[int]] = {}
    for place, query in enumerate(shop.queries):
        if query.wants.leaf >= 0:
            by_department.setdefault(LEAVES[query.wants.leaf].department, []).append(place)
    vectors = embed([query.text for query in shop.queries], queries=True)
    rng = np.random.default_rng(shop.seed)
    asked = []
    for shopper in shop.shoppers:
        liking = shop.liking(shopper)
        departments = [name for name in shopper.departments if name in by_department]
        shares = np.array([shopper.departments[name] + 0.01 for name in departments])
        for department in rng.choice(departments, each, p=shares / shares.sum()):
            place = int(rng.choice(by_department[department]))
            query = shop.queries[place]
            gains = (2.0 ** grades(shop.truth, query.wants) - 1.0) * liking
            asked.append(Asked(shopper.id, query.text, vectors[place], gains.astype(np.float32)))
    return asked


def shop_ranker(shop: KnownShop, folder: Path) -> Ranker:
    """A ranker of the shop that knows its events, affinities learnt from them included.

    Beside every shopper there is ``first-<id>``, of whom only the first event is known.
    """
    products = [article.product for article in shop.articles]
    vectors = embed([product.encoder_text() for product in products])
    build_index(folder / INDEX_DIR, products, vectors, encoder_id="minilm")
    events = [
        Event(one.user, products[one.row].id, one.event, float(one.timestamp), one.query)
        for one in shop.events
    ]
    release = draft_release(folder)
    store = SqliteEventStore(folder / EVENTS_FILE)
    store.import_events(events)
    learn_for_index(Index.open(release.index), release.id, store.every(), folder)
    first = {event.user: event for event in reversed(events)}
    store.import_events([event._replace(user=f"first-{user}") for user, event in first.items()])
    return Ranker.open(release, Settings(state=folder))


def ndcg(ranker: Ranker, asked: Sequence[Asked], rows: dict[str, int], user: str, **options: Any) -> Floats:
    """nDCG@10 of each question, diversity 0; the ideal list is the best of the whole catalogue.

    Args:
        user: a format with ``{}`` for the shopper's id.
    """
    discounts = 1.0 / np.log2(np.arange(2, K + 2))
    scores = np.empty(len(asked))
    for place, one in enumerate(asked):
        request = SearchRequest.validated(
            one.query,
            one.embedding,
            user=user.format(one.shopper),
            k=K,
            diversity=0.0,
            options=json.dumps(options),
        )
        found = [rows[item] for item in ranker.search(request).item_ids]
        ideal = np.sort(one.gains)[::-1][:K] @ discounts
        scores[place] = one.gains[found] @ discounts[: len(found)] / ideal if ideal > 0.0 else 0.0
    return scores


def explanation_error(
    ranker: Ranker, asked: Sequence[Asked], items: Sequence[str], count: int = 1000
) -> float:
    """Largest |Σ terms - score| over every product of ``count`` random requests of all kinds."""
    numbers = random.Random(7)
    worst = 0.0
    for _ in range(count):
        one = numbers.choice(asked)
        options: dict[str, Any] = {"explain": True, "language": numbers.choice(["en", "zh"])}
        if numbers.random() < 0.4:
            options["recent"] = numbers.sample(items, numbers.randint(1, 4))
        if numbers.random() < 0.3:
            options["boost"] = {item: numbers.uniform(0.0, 4.0) for item in numbers.sample(items, 3)}
        if numbers.random() < 0.2:
            options["pin"] = numbers.sample(items, 2)
        if numbers.random() < 0.2:
            options["bury"] = numbers.sample(items, 2)
        common: dict[str, Any] = {
            "user": numbers.choice([one.shopper, f"first-{one.shopper}", ""]),
            "k": numbers.randint(1, 40),
            "diversity": numbers.random(),
            "options": json.dumps(options),
        }
        if numbers.random() < 0.6:
            ranked = ranker.search(SearchRequest.validated(one.query, one.embedding, **common))
        else:
            item = numbers.choice([None, numbers.choice(items)])
            ranked = ranker.recommend(RecommendRequest.validated(item=item, **common))
        worst = max(worst, _explained(ranked))
    return worst


def _explained(ranked: Ranked) -> float:
    errors = [
        abs(sum(json.loads(text)["terms"].values()) - float(score))
        for text, score in zip(ranked.explanations, ranked.scores, strict=True)
    ]
    return max(errors, default=0.0)
