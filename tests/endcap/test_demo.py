"""The tour against a real server on a generated shop, with the untrained tiny encoder of tests/tiny.py."""

import csv
import json
import math
import os
import re
import signal
import subprocess
import sys

import pytest
from endcap_client import Client, Event, Item
from endcap_export.registry import register
from endcap_rerank.errors import EndcapError
from endcap_rerank.product import Product
from rich.console import Console
from tiny import tiny_release

from endcap.demo import show
from endcap.demo.place import Place
from endcap.demo.spread import Spread
from endcap.demo.story import choose_story
from endcap.demo.tour import CLICKS, DIVERSE, K, give_tour
from endcap.demo_shop import generate
from endcap.launcher import Server


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A working directory in which the demo is built already."""
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def place(work):
    return Place.of("en", work / "build")


@pytest.fixture(scope="module")
def shop(place):
    directory = place.shop
    generate(directory, products=1500, shoppers=120)
    return directory


@pytest.fixture(scope="module")
def release(shop):
    lines = (shop / "products.jsonl").read_text("utf-8").splitlines()
    return tiny_release(shop.parent / "releases", [Product.from_mapping(json.loads(line)) for line in lines])


@pytest.fixture(scope="module")
def repository(place, release):
    register(release.path, place.repository)
    return place.repository


@pytest.fixture(scope="module")
def client(shop, repository):
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
    for diversity in (0.0, DIVERSE):
        items = client.search(story.query, k=K, diversity=diversity, fields=show.FIELDS).items
        distances[diversity] = Spread(release.path).intra_list_distance([item.id for item in items])
        assert f"ILD {distances[diversity]:.3f}" in told
    assert distances[DIVERSE] > distances[0.0]


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


def run(arguments, work):
    return subprocess.Popen(
        [sys.executable, "-m", "endcap", "demo", *arguments],
        cwd=work,
        env={**os.environ, "COLUMNS": "140"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def test_the_command_shows_the_tour_and_leaves_nothing_running(work, repository, shop):
    process = run(["--no-build"], work)
    told, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert choose_story(shop).query in told
    assert "the server is stopped" in told
    (pid,) = re.findall(r"tritonserver (\d+) is ready", told)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_serve_keeps_the_server_up_until_it_is_told_to_stop(work, repository, shop):
    process = run(["--serve"], work)
    try:
        lines = []
        while not (lines and lines[-1].startswith("ready: ")):
            lines.append(process.stdout.readline())
            assert lines[-1], process.stderr.read()
        (example,) = re.findall(r"try:  (endcap search .*)", "".join(lines))
        (address,) = re.findall(r"gRPC (\S+?),", lines[-1])
        asked = subprocess.run(
            f"{sys.executable} -m {example} --server {address}",
            shell=True,
            capture_output=True,
            text=True,
            check=False,
        )
        assert asked.returncode == 0, asked.stderr
        assert choose_story(shop).query in asked.stdout
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_an_unknown_language_is_refused(tmp_path):
    process = run(["--language", "fr"], tmp_path)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "language: got 'fr'" in said
    assert not (tmp_path / "build").exists()


def test_chinese_without_its_model_says_so(tmp_path, monkeypatch):
    pytest.importorskip("transformers", reason="the base model is looked up by the training side")
    monkeypatch.setenv("ENDCAP_DATA", str(tmp_path / "nothing"))
    process = run(["--language", "zh"], tmp_path)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "e5-small-zh-en" in said
    assert not (tmp_path / "build").exists()
