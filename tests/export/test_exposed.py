"""Who is seen: shares of exposure by brand and seller, from a log or from what a release answers."""

import json

import pytest
from endcap_export.exposed import exposures, logged_lists
from endcap_rerank.errors import InvalidInputError
from endcap_rerank.events import Event
from endcap_rerank.product import Product
from endcap_rerank.settings import Settings
from typer.testing import CliRunner

from endcap.cli import app
from endcap.local import LocalSearch
from endcap.reports import Report

SHOP = {
    product.id: product
    for product in (
        Product(id="a", title="A", brand="Acme", category="Home > Lamps", attributes={"seller": "one"}),
        Product(id="b", title="B", brand="Acme", category="Home > Beds", attributes={"seller": "two"}),
        Product(id="c", title="C", brand="Vela", category="Garden"),
        Product(id="d", title="D"),
    )
}


def test_shares_are_those_of_the_places_and_what_is_never_seen_counts():
    products, brands, sellers, categories = exposures(
        [["c", "a"], ["c", "gone"]], SHOP, ["brand", "seller", "category"]
    )
    second = 0.6309297535714574  # 1 / log2(3)
    total = 2.0 + second
    shares = {one.value: (one.share, one.catalogue) for one in brands.seen}
    assert shares == {
        "Vela": (pytest.approx(2.0 / total), 0.25),
        "Acme": (pytest.approx(second / total), 0.5),
        "": (0.0, 0.25),
    }
    assert [one.value for one in brands.seen] == ["Vela", "Acme", ""]
    assert brands.gini == pytest.approx((2.0 - second) / (2.0 * total))
    assert sellers.gini == 0.5  # of two sellers one has everything
    assert products.gini == pytest.approx((3 * 2.0 + 1 * second) / (4 * total))
    assert [one.value for one in categories.seen] == ["Garden", "Home", ""]


def test_a_log_tells_what_was_shown_once_by_place():
    day = 1.7e9
    events = [
        Event.validated("u", "b", "view", day, query="lamp", position=1),
        Event.validated("u", "a", "view", day + 1, query="lamp", position=0),
        Event.validated("u", "b", "click", day + 2, query="lamp", position=1),
        Event.validated("v", "c", "click", day, query="lamp", position=2),
        Event.validated("v", "d", "view", day),
    ]
    assert logged_lists(events) == [("a", "b"), ("", "", "c")]


def test_nothing_seen_and_an_unknown_attribute_are_refused():
    with pytest.raises(InvalidInputError, match="lists"):
        exposures([["gone"]], SHOP, ["brand"])
    with pytest.raises(InvalidInputError, match="got 'shop'"):
        exposures([["a"]], SHOP, ["shop"])


def run(*arguments):
    return CliRunner().invoke(app, ["exposure", *map(str, arguments)])


def test_the_command_reports_a_log_and_what_an_option_would_change(repository, shop_release, tmp_path):
    search = LocalSearch.open(shop_release, Settings(state=tmp_path / "state"))
    queries = tmp_path / "queries.csv"
    queries.write_text("query\nred dress\ndrill\nlamp\nblue sofa\nred dress\n")
    asked = ["-r", repository, "--state", tmp_path / "state", "-o", tmp_path, "--top", 3]
    done = run(*asked, "-q", queries)
    assert done.exit_code == 0, done.output
    before = Report.read(tmp_path / "exposure.json").figures
    assert "lists: 4" in done.output
    largest = max((name for name in before if name.startswith("brand:")), key=lambda name: before[name].value)
    options = json.dumps({"exposure": {largest: {"max_share": 0.1}}})
    assert run(*asked, "-q", queries, "--options", options).exit_code == 0
    after = Report.read(tmp_path / "exposure.json").figures
    assert after.get(largest) is None or after[largest].value < before[largest].value
    assert "<svg" in (tmp_path / "exposure.html").read_text()
    shown = search.search("drill", k=2).item_ids
    search.ranker.feedback(
        [
            Event.validated("u", item, "view", 1.7e9, query="drill", position=place)
            for place, item in enumerate(shown)
        ]
    )
    done = run(*asked, "--by", "category")
    assert done.exit_code == 0, done.output
    assert "lists: 1" in done.output
    assert any(name.startswith("category:") for name in Report.read(tmp_path / "exposure.json").figures)
