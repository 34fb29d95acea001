"""The real shop: one command from Home Depot's files and QueryNER's tags to a server that answers.

Of a part of its catalogue: encoding all 54,667 products takes minutes. ``tests/export/test_shop.py`` reads
all of them, and ``endcap bench ranking`` searches among all of them.
"""

import csv
import math
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from endcap_client import Client
from endcap_rerank.settings import Settings

from endcap.launcher import Server

DATA = Settings.from_environment().data.resolve()
BUDGET = ("--steps", "8", "--limit-train", "4000")
ASKED = 150
"""Held-out queries that are asked; every product that was judged for one of them is in the catalogue."""
EVERY = 12
"""Of the other products one in so many is."""

pytestmark = [
    pytest.mark.data,
    pytest.mark.train,
    pytest.mark.skipif(not (DATA / "homedepot").is_dir(), reason=f"no real data in {DATA}; set ENDCAP_DATA"),
]


def rows(name):
    """The header of one of the shop's files, and its rows."""
    with (DATA / "homedepot" / name).open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        return reader.fieldnames, list(reader)


@pytest.fixture(scope="module")
def judged():
    """The held-out queries that are asked, with their judged products; each has one that is right."""
    queries: dict[str, dict[str, float]] = {}
    for row in rows("judgments.dev.csv")[1]:
        queries.setdefault(row["query"], {})[row["item_id"]] = float(row["relevance"])
    answered = {query: items for query, items in queries.items() if max(items.values()) >= 3.0}
    return dict(list(answered.items())[:ASKED])


@pytest.fixture(scope="module")
def shop(tmp_path_factory, judged):
    """Files of the shop with a part of its products."""
    folder = tmp_path_factory.mktemp("homedepot")
    needed = {item for items in judged.values() for item in items}
    header, products = rows("products.csv")
    products = [row for place, row in enumerate(products) if place % EVERY == 0 or row["id"] in needed]
    write(folder / "products.csv", header, products)
    held = {row["id"] for row in products}
    header, judgments = rows("judgments.train.csv")
    write(folder / "judgments.train.csv", header, [row for row in judgments if row["item_id"] in held])
    header, judgments = rows("judgments.dev.csv")
    write(folder / "judgments.dev.csv", header, [row for row in judgments if row["query"] in judged])
    return folder


def write(file, header, content):
    """One of the shop's files."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, header)
        writer.writeheader()
        writer.writerows(content)


@pytest.fixture(scope="module")
def served(tmp_path_factory, shop):
    """The SDK on a server of that catalogue, trained for a few steps."""
    pytest.importorskip("torch", reason="building a release trains")
    repository = tmp_path_factory.mktemp("homedepot") / "repository"
    endcap = Path(sys.executable).parent / "endcap"
    built = subprocess.run(
        [endcap, "build", "--data", shop, "--tags", DATA / "queryner", "--repository", repository, *BUDGET],
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    with Server.start(repository) as running, Client(running.grpc_url, timeout=30.0) as client:
        yield client


def test_every_product_of_the_catalogue_can_be_found(served, shop):
    with (shop / "products.csv").open(encoding="utf-8", newline="") as stream:
        products = list(csv.DictReader(stream))
    for product in (products[0], products[len(products) // 2], products[-1]):
        found = served.search(product["title"][:200], k=10, diversity=0.0, understand=False)
        assert product["id"] in found.ids, product["title"]


def test_judged_products_are_found_far_more_often_than_by_chance(served, judged):
    shares = []
    for query, items in judged.items():
        wanted = {item for item, relevance in items.items() if relevance >= 2.67}
        found = served.search(query, k=100, diversity=0.0)
        shares.append(len(wanted & set(found.ids)) / len(wanted))
    # 100 of some 5,700 products by chance: 0.02.
    assert statistics.mean(shares) > 0.8


def test_queries_are_understood_and_answers_vary(served, judged):
    queries = list(judged)[:60]
    found = [served.search(query, k=20, diversity=0.0) for query in queries]
    varied = [served.search(query, k=20, diversity=0.8) for query in queries]
    assert sum(bool(result.tags) for result in found) > 30
    changed = sum(a.ids != b.ids for a, b in zip(found, varied, strict=True))
    assert changed > 50
    for result in found:
        assert len(result.ids) == 20
        assert all(math.isfinite(item.score) for item in result)
        assert [item.score for item in result] == sorted((item.score for item in result), reverse=True)
