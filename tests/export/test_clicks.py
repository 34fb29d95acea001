"""Pairs from clicks: a log whose shoppers look at the top most must not teach that the top is best."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from endcap_export.clicks import Propensities, assumed, click_pairs, estimate_propensities
from endcap_rerank.events_store import Event

LOOKED = np.array([1.0, 0.6, 0.4, 0.25, 0.15])
"""How likely a shopper looks at each place: what the log hides."""


def simulated(searches=4000, seed=0):
    """An old ranking that shows the worse products on top, mostly; and their true relevance."""
    rng = np.random.default_rng(seed)
    relevance = {f"item{n}": value for n, value in enumerate((0.15, 0.25, 0.4, 0.55, 0.7))}
    items = list(relevance)
    events = []
    for number in range(searches):
        query = f"query {number % 4}"
        shown = sorted(range(5), key=lambda n: n + rng.normal(0, 1.2))
        for position, index in enumerate(shown):
            item = items[index]
            where = {"query": query, "position": position}
            events.append(Event(f"u{number}", item, "view", float(number), **where))
            if rng.random() < LOOKED[position] * relevance[item]:
                events.append(Event(f"u{number}", item, "click", number + 0.5, **where))
    return events, relevance


def order(weights):
    return sorted(weights, key=weights.__getitem__, reverse=True)


def test_counting_ranks_wrongly_and_weighting_ranks_rightly():
    events, relevance = simulated()
    right = order(relevance)
    naive = Counter(event.item for event in events if event.event == "click")
    assert order(naive) != right
    pairs = click_pairs(events)
    assert sum(pair.weight for pair in pairs) / len(pairs) == pytest.approx(1.0)
    for number in range(4):
        weights = {pair.item: pair.weight for pair in pairs if pair.query == f"query {number}"}
        assert order(weights) == right
        assert weights["item4"] / weights["item0"] == pytest.approx(0.7 / 0.15, rel=0.25)


def test_the_log_tells_how_many_look_at_each_place():
    found = estimate_propensities(simulated(20_000)[0])
    assert found.warning == ""
    np.testing.assert_allclose(found.seen, LOOKED, rtol=0.1)
    # Below what the log knows, it falls as the assumed curve does.
    assert found.at(9) == pytest.approx(found.seen[4] * assumed(9) / assumed(4))


def test_many_pairs_with_few_views_each_do_not_mislead():
    # 3,000 queries, each searched twice: a rate for each product alone would be all noise.
    rng = np.random.default_rng(1)
    events = []
    for number in range(3000):
        for turn in range(2):
            for position, item in enumerate(rng.permutation(5)):
                place = {"query": f"q{number}", "position": position}
                user = f"u{number}-{turn}"
                events.append(Event(user, f"i{item}", "view", 1.0, **place))
                if rng.random() < LOOKED[position] * (0.2 + 0.15 * item):
                    events.append(Event(user, f"i{item}", "click", 2.0, **place))
    np.testing.assert_allclose(estimate_propensities(events).seen, LOOKED, rtol=0.2)


def click(item, position, user="u", event="click", query="tent"):
    return Event(user, item, event, 1.0, query=query, position=position)


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([click("a", 0), click("b", 3)], "no views"),
        ([click("a", 3, event="view"), click("b", 1, "v", "view")], "only 33% of the places"),
        ([click("a", 0, event="view"), click("a", 0), click("b", 1, event="view")], "have 0 clicks, 100"),
    ],
)
def test_a_thin_log_falls_back_and_says_why(events, reason):
    found = estimate_propensities(events)
    assert reason in found.warning
    assert "1/log2(1 + rank)" in found.warning
    assert found.at(0) == 1.0
    assert found.at(2) == pytest.approx(0.5)
    assert found.at(6) == pytest.approx(1 / 3)


def test_a_purchase_counts_as_its_weight_and_a_funnel_once():
    flat = Propensities((1.0, 1.0, 1.0))
    events = [
        click("a", 0), click("a", 0, event="cart"), click("a", 0, event="purchase"),
        click("b", 1), click("c", 2, event="cart"), click("d", 1, event="view"),
        click("e", 1), click("e", 1, event="dislike"), click("f", 1, query=""),
    ]  # fmt: skip
    weights = {pair.item: pair.weight for pair in click_pairs(events, flat)}
    assert list(weights) == ["a", "b", "c"]
    assert weights["a"] == pytest.approx(4 * weights["b"])
    assert weights["c"] == pytest.approx(2 * weights["b"])


def test_one_rare_place_counts_no_more_than_the_clip():
    looked = Propensities((1.0, 0.001))
    weights = {pair.item: pair.weight for pair in click_pairs([click("a", 0), click("b", 1)], looked)}
    assert weights["b"] == pytest.approx(10 * weights["a"])
    events = [click("a", 0), click("b", 1), click("c", None)]
    weights = {pair.item: pair.weight for pair in click_pairs(events, looked, clip=3)}
    assert weights["b"] == pytest.approx(3 * weights["a"])
    assert weights["c"] == pytest.approx(2 * weights["a"])  # without a place: the average


def test_a_log_without_queries_has_no_pairs():
    assert click_pairs([click("a", None, query="")]) == []
    assert math.isclose(estimate_propensities([]).at(0), 1.0)
