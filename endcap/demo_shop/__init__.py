"""A believable shop out of a seed: what a real shop brings, for the demo, tests and benchmarks.

The same arguments give the same bytes. Needs numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from endcap_rerank.errors import InvalidInputError

from endcap.demo_shop import files
from endcap.demo_shop.catalogue import NOW, make_articles, make_brands
from endcap.demo_shop.judgments import Truth, judge
from endcap.demo_shop.queries import make_queries
from endcap.demo_shop.shoppers import make_events, make_shoppers
from endcap.demo_shop.words import Language

LANGUAGES = ("en", "zh")


@dataclass(frozen=True)
class ShopSummary:
    """How much was written, and where."""

    directory: Path
    products: int
    queries: int
    judgments: int
    shoppers: int
    events: int


def language_words(code: str) -> Language:
    """The words of a language.

    Raises:
        InvalidInputError: the shop does not speak it.
    """
    if code == "en":
        from endcap.demo_shop.english import ENGLISH

        return ENGLISH
    if code == "zh":
        from endcap.demo_shop.chinese import CHINESE

        return CHINESE
    raise InvalidInputError("language", code, f"one of {', '.join(LANGUAGES)} is expected")


def generate(
    directory: Path,
    *,
    products: int = 5000,
    seed: int = 7,
    language: str = "en",
    shoppers: int = 400,
    queries: int | None = None,
    now: float = NOW,
) -> ShopSummary:
    """Write a shop's files into ``directory`` (made when missing; files of those names are replaced).

    Args:
        directory: where ``products.jsonl``, ``events.csv``, ``judgments.csv``, ``tags.bio``,
            ``queries.csv`` and ``shoppers.json`` (hidden tastes, for evaluation only) are written.
        products: size of the catalogue, at least 1.
        seed: everything random comes from it.
        language: ``en`` or ``zh``.
        shoppers: how many have a history, at least 0.
        queries: how many different queries; by default about 3 per 10 products, 40 to 1,500.
        now: seconds since 1970 (UTC) at which the event log ends and from which products' age counts.

    Raises:
        InvalidInputError: a number is out of range or the language unknown.
    """
    for name, value, low in (("products", products, 1), ("shoppers", shoppers, 0), ("seed", seed, 0)):
        if value < low:
            raise InvalidInputError(name, value, f"an integer of at least {low} is expected")
    words = language_words(language)
    wanted = min(max(products * 3 // 10, 40), 1500) if queries is None else queries
    # One stream a part: more shoppers do not change the products.
    shelves, asking, judging, people, visits = (
        np.random.Generator(np.random.PCG64(part)) for part in np.random.SeedSequence(seed).spawn(5)
    )
    brands = make_brands(words, shelves)
    articles = make_articles(words, brands, products, shelves, now)
    truth = Truth.of(articles)
    asked = make_queries(words, brands, articles, wanted, asking)
    judged = judge(truth, asked, judging)
    visitors = make_shoppers(brands, shoppers, people)
    events = make_events(visitors, brands, articles, truth, asked, visits, now)

    directory.mkdir(parents=True, exist_ok=True)
    files.write_products(directory, articles)
    files.write_queries(directory, asked)
    files.write_tags(directory, asked)
    files.write_judgments(directory, judged, articles)
    files.write_events(directory, events, articles)
    files.write_truth(directory, visitors, brands, words)
    return ShopSummary(
        directory, len(articles), len(asked), sum(len(pool) for _, pool in judged), len(visitors), len(events)
    )
