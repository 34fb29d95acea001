"""Which query and which shoppers the tour shows: picked from the shop's files by rule, never by name."""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from endcap_rerank.errors import EndcapError
from endcap_rerank.schema import EVENT_WEIGHTS

from endcap.demo_shop import files

KINDS = ("price",)
"""Kinds of query with something to understand, but not so narrow that taste has no room."""

MIN_ANSWERS = 10
"""A query must have this many fully relevant judged products: else there is nothing to diversify."""


@dataclass(frozen=True)
class ShopperStory:
    """A shopper and what the event log says of them.

    Attributes:
        id: the shopper.
        brands: brands by weight of the events in the query's category, heaviest first.
        events: how many events the log holds of the shopper.
    """

    id: str
    brands: tuple[str, ...]
    events: int


@dataclass(frozen=True)
class Story:
    """What the tour shows.

    Attributes:
        query: text of the query.
        category: category path that most of its judged answers lie in.
        shoppers: two shoppers whose favourite brands in that category differ.
    """

    query: str
    category: str
    shoppers: tuple[ShopperStory, ShopperStory]


def choose_story(directory: Path) -> Story:
    """Read the shop's files and choose.

    Of the queries with enough answers the one is taken that carries the most different tags, and among
    those the one whose category has the two best-known shoppers with different favourite brands.

    Raises:
        EndcapError: no query and pair of shoppers fits; the shop is too small.
    """
    products = _products(directory / files.PRODUCTS)
    answers = _answers(directory / files.JUDGMENTS)
    labels = dict(_tagged(directory / files.TAGS))
    tastes = _tastes(directory / files.EVENTS, products)
    pairs: dict[str, tuple[float, list[str]]] = {}
    best: tuple[tuple[int, float, str], Story] | None = None
    for query, kind in _rows(directory / files.QUERIES, "query", "kind"):
        found = answers.get(query, [])
        if kind not in KINDS or len(found) < MIN_ANSWERS:
            continue
        category = Counter(products[item]["category"] for item in found).most_common(1)[0][0]
        if category not in pairs:
            pairs[category] = _pair(tastes.by_category.get(category, {}))
        strength, shoppers = pairs[category]
        if not shoppers:
            continue
        rank = (len(labels.get(query, ())), strength, query)
        if best is None or rank > best[0]:
            first, second = (tastes.story(shopper, category) for shopper in shoppers)
            best = rank, Story(query, category, (first, second))
    if best is None:
        raise EndcapError(
            f"{directory}: no query with {MIN_ANSWERS} answers and two known shoppers; make a larger shop"
        )
    return best[1]


@dataclass(frozen=True)
class _Tastes:
    """Weights of events: category → shopper → brand → weight; and events by shopper."""

    by_category: Mapping[str, Mapping[str, Mapping[str, float]]]
    events: Counter[str]

    def story(self, shopper: str, category: str) -> ShopperStory:
        weights = self.by_category[category][shopper]
        brands = sorted(weights, key=lambda brand: (-weights[brand], brand))
        return ShopperStory(shopper, tuple(brands), self.events[shopper])


def _pair(weights: Mapping[str, Mapping[str, float]]) -> tuple[float, list[str]]:
    """The two shoppers with different favourite brands whose lesser favourite weighs most."""
    favourites = []
    for shopper, brands in weights.items():
        weight, brand = max((weight, brand) for brand, weight in brands.items())
        favourites.append((weight, shopper, brand))
    favourites.sort(key=lambda entry: (-entry[0], entry[1]))
    for _, shopper, brand in favourites[:1]:
        for weight, other, other_brand in favourites[1:]:
            if other_brand != brand:
                return weight, [shopper, other]
    return 0.0, []


def _products(file: Path) -> dict[str, dict[str, Any]]:
    with file.open(encoding="utf-8") as stream:
        return {row["id"]: row for row in map(json.loads, stream)}


def _answers(file: Path) -> dict[str, list[str]]:
    answers: dict[str, list[str]] = defaultdict(list)
    for query, item, relevance in _rows(file, "query", "item_id", "relevance"):
        if float(relevance) >= 3:
            answers[query].append(item)
    return answers


def _tagged(file: Path) -> Iterator[tuple[str, set[str]]]:
    """Each query of a BIO file with its set of labels; a comment tells nothing here."""
    for block in file.read_text("utf-8").split("\n\n"):
        pairs = [line.split("\t") for line in block.splitlines() if line and not line.startswith("# ")]
        if pairs:
            joint = "" if all(len(token) == 1 for token, _ in pairs) else " "
            labels = {label[2:] for _, label in pairs if label != "O"}
            yield joint.join(token for token, _ in pairs), labels


def _tastes(file: Path, products: Mapping[str, Mapping[str, Any]]) -> _Tastes:
    by_category: dict[str, dict[str, dict[str, float]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(float))
    )
    events: Counter[str] = Counter()
    for user, item, event in _rows(file, "user_id", "item_id", "event"):
        product = products[item]
        by_category[product["category"]][user][product["brand"]] += EVENT_WEIGHTS[event]
        events[user] += 1
    return _Tastes(by_category, events)


def _rows(file: Path, *columns: str) -> Iterator[tuple[str, ...]]:
    with file.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            yield tuple(row[column] for column in columns)
