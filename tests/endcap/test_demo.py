"""The tour against a real server on a generated shop, with the untrained tiny encoder of tests/tiny.py."""

import csv
import json
import math
import re

import pytest
from endcap_client import Client, Event, Item
from endcap_export.registry import register
from endcap_rerank.errors import EndcapError
from endcap_rerank.product import Product
from rich.console import Console
from tiny import tiny_release

from endcap.demo import show
from endcap.demo.spread import Spread
from endcap.demo.story import choose_story
from endcap.demo.tour import CLICKS, K, give_tour
from endcap.demo_shop import generate
from endcap.launcher import Server


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    directory = tmp_path_factory.mktemp("demo") / "shop"
    generate(directory, products=1500, shoppers=120)
    return directory


@pytest.fixture(scope="module")
def release(shop):
    lines = (shop / "products.jsonl").read_text("utf-8").splitlines()
    return tiny_release(shop.parent / "releases", [Product.from_mapping(json.loads(line)) for line in lines])


@pytest.fixture(scope="module")
def client(shop, release):
    repository = shop.parent / "repository"
    register(release.path, repository)
    with Server.start(repository) as server, Client(server.grpc_url) as client:
        with (shop / "events.csv").open(encoding="utf-8") as stream:
            client.feedback(
                Event(row["user_id"], row["item_id"], row["event"], float(row["timestamp"]))
                for row in csv.DictReader(stream)
            )
        yield client


@pytest.fixture(scope="module")
def told(shop, release, client):
    """What the tour prints, as plain text."""
    console = Console(width=140, color_system=None)
    with console.capture() as capture:
        give_tour(console, client, choose_story(shop), release.path)
    return capture.get()


def test_the_story_is_chosen_from_the_files(shop):
    story = choose_story(shop)
    assert story == choose_story(shop)
    with (shop / "queries.csv").open(encoding="utf-8") as stream:
        assert story.query in {row["query"] for row in csv.DictReader(stream)}
    first, second = story.shoppers
    assert first.id != second.id
    assert first.brands[0] != second.brands[0]
    assert first.events > 0
    assert second.events > 0


def test_a_shop_too_small_for_a_story_says_so(tmp_path):
    generate(tmp_path / "shop", products=5, shoppers=1)
    with pytest.raises(EndcapError, match="make a larger shop"):
        choose_story(tmp_path / "shop")


def test_every_part_of_the_tour_is_told(told, shop):
    story = choose_story(shop)
    assert story.query in told
    for shopper in story.shoppers:
        assert f"{shopper.id} ({shopper.events} events" in told
    for heading in ("as understood", "two shoppers", "no query", "clicks change", "why this product"):
        assert heading in told


def test_figures_of_the_tour_are_those_of_the_answers(told, shop, release, client):
    story = choose_story(shop)
    distances = {}
    for diversity in (0.0, 0.7):
        items = client.search(story.query, k=K, diversity=diversity, fields=show.FIELDS).items
        distances[diversity] = Spread(release.path).intra_list_distance([item.id for item in items])
        assert f"ILD {distances[diversity]:.3f}" in told
    assert distances[0.7] > distances[0.0]


def test_the_two_shoppers_get_different_lists(shop, client):
    story = choose_story(shop)
    first, second = (
        client.search(story.query, user=shopper.id, k=K, diversity=0.0).ids for shopper in story.shoppers
    )
    assert first != second


def test_clicks_move_products(told):
    assert f"after {CLICKS} clicks on" in told
    assert "▲" in told


def test_terms_of_the_explanation_sum_to_the_score(told):
    terms = dict(re.findall(r"│ (\w+) +([+-]\d+\.\d{4})", told))
    score = float(terms.pop("score"))
    assert terms
    assert math.isclose(sum(map(float, terms.values())), score, abs_tol=0.001)


def test_moves_are_shown_as_places():
    assert [show.moved(was, now).plain for was, now in ((4, 1), (1, 4), (2, 2), (None, 0))] == [
        "▲3",
        "▼3",
        "",
        "new",
    ]


def test_prices_are_shown_in_their_currency():
    assert show.price_of({"price": 1299.5, "currency": "USD"}) == "$1,299.50"
    assert show.price_of({"price": 88.0, "currency": "CNY"}) == "¥88.00"
    assert show.price_of({"price": 5.0, "currency": "EUR"}) == "5.00 EUR"
    assert show.price_of({}) == ""


def test_variety_counts_brands_and_categories():
    items = [
        Item("a", 1.0, product={"brand": "X", "category": "C"}),
        Item("b", 0.5, product={"brand": "Y", "category": "C"}),
    ]
    assert show.variety(items, 0.25) == "2 brands · 1 category · ILD 0.250"
