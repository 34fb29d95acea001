"""The generated shop as the files that a real shop brings."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from endcap.demo_shop.catalogue import Article, Brand
from endcap.demo_shop.queries import Query
from endcap.demo_shop.shoppers import ShopEvent, Shopper
from endcap.demo_shop.words import Language

PRODUCTS = "products.jsonl"
EVENTS = "events.csv"
JUDGMENTS = "judgments.csv"
TAGS = "tags.bio"
QUERIES = "queries.csv"
TRUTH = "shoppers.json"
"""The shoppers' hidden tastes: for evaluation only, never an input of the server."""


def write_products(directory: Path, articles: Sequence[Article]) -> None:
    """One JSON object a line, with the columns of DESIGN.md."""
    with (directory / PRODUCTS).open("w", encoding="utf-8") as stream:
        for article in articles:
            stream.write(json.dumps(article.product.as_mapping(), ensure_ascii=False) + "\n")


def write_events(directory: Path, events: Iterable[ShopEvent], articles: Sequence[Article]) -> None:
    """``user_id, item_id, event, timestamp, query, position`` in time order; seconds since 1970 (UTC)."""
    _write_csv(
        directory / EVENTS,
        ("user_id", "item_id", "event", "timestamp", "query", "position"),
        (
            (
                e.user,
                articles[e.row].product.id,
                e.event,
                e.timestamp,
                e.query,
                e.position if e.position >= 0 else "",
            )
            for e in events
        ),
    )


def write_judgments(
    directory: Path, judged: Iterable[tuple[Query, list[tuple[int, int]]]], articles: Sequence[Article]
) -> None:
    """``query, item_id, relevance`` (0–3)."""
    _write_csv(
        directory / JUDGMENTS,
        ("query", "item_id", "relevance"),
        ((query.text, articles[row].product.id, grade) for query, pool in judged for row, grade in pool),
    )


def write_queries(directory: Path, queries: Iterable[Query]) -> None:
    """``query, kind``."""
    _write_csv(directory / QUERIES, ("query", "kind"), ((query.text, query.kind) for query in queries))


def write_tags(directory: Path, queries: Iterable[Query]) -> None:
    """CoNLL/BIO: token, tab, label; a blank line between queries."""
    with (directory / TAGS).open("w", encoding="utf-8") as stream:
        for query in queries:
            stream.write(f"# kind={query.kind}\n")
            stream.writelines(f"{token}\t{tag}\n" for token, tag in query.tokens)
            stream.write("\n")


def write_truth(
    directory: Path, shoppers: Iterable[Shopper], brands: Sequence[Brand], language: Language
) -> None:
    """The hidden tastes, in the shop's own words."""
    rows: list[dict[str, Any]] = [
        {
            "user_id": shopper.id,
            "brands": [brands[b].name for b in shopper.brands],
            "departments": {language.categories[d]: share for d, share in shopper.departments.items()},
            "price_tier": ("budget", "mid", "premium")[shopper.tier],
            "color": language.colors[shopper.color].name,
        }
        for shopper in shoppers
    ]
    text = json.dumps(rows, ensure_ascii=False, indent=1) + "\n"
    (directory / TRUTH).write_text(text, encoding="utf-8")


def _write_csv(file: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
