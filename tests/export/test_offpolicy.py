"""Counterfactual estimates: right where the truth is known."""

import numpy as np
import pytest
from endcap_export.offpolicy import Taken, compare, look_chance, taken_from_events
from endcap_rerank.errors import InvalidInputError
from endcap_rerank.events import Event


def simulated(requests: int, seed: int = 1):
    """A log of one ranking where position bias and appeal are known, and the true worth of another."""
    rng = np.random.default_rng(seed)
    taken, lists, truth, logged = [], {}, 0.0, 0.0
    for number in range(requests):
        appeal = rng.random(8) ** 2
        shown, better = rng.permutation(8), np.argsort(-appeal)
        looks = rng.random(8) < look_chance(np.arange(8))
        for place, item in enumerate(shown):
            if looks[place] and rng.random() < appeal[item]:
                taken.append(Taken(f"r{number}", f"i{item}", place))
        lists[f"r{number}"] = [f"i{item}" for item in better]
        truth += float(look_chance(np.arange(8)) @ appeal[better])
        logged += float(look_chance(np.arange(8)) @ appeal[shown])
    return taken, lists, truth, logged


def test_a_better_ranking_is_estimated_at_what_it_would_have_brought():
    taken, lists, truth, logged = simulated(6000)
    found = compare(taken, lists, draws=200)
    # By request from which something was taken; the truth is over all of them.
    assert found.new.ips * found.requests == pytest.approx(truth, rel=0.05)
    assert found.shown.ips * found.requests == pytest.approx(logged, rel=0.05)
    assert found.lead_low > 0.0
    assert found.new.low < found.new.snips < found.new.high


def test_the_shown_ranking_is_worth_what_it_brought():
    taken = [Taken("a", "x", 0), Taken("a", "y", 2), Taken("b", "z", 1, reward=4.0)]
    found = compare(taken, {"a": ["x", "w", "y"], "b": ["v", "z"]}, draws=50)
    assert found.new == found.shown
    assert found.new.ips == pytest.approx((1 + 1 + 4) / 2)
    assert found.new.snips == pytest.approx(6 / (1 + 3 + 8))
    assert found.lead_low == found.lead_high == 0.0
    assert found.effective == pytest.approx(12**2 / (1 + 9 + 64))


def test_a_product_that_the_new_list_lacks_is_lost():
    found = compare([Taken("a", "x", 1), Taken("a", "y", 3)], {"a": ["y"]}, draws=10)
    assert found.new.ips == pytest.approx(4.0)
    assert found.new.snips == pytest.approx(4 / 6)


def test_one_lucky_click_far_below_does_not_decide():
    taken = [Taken("a", "x", 999), *(Taken(f"r{n}", "y", 0) for n in range(50))]
    lists = {"a": ["x"]} | {f"r{n}": ["z"] * 9 + ["y"] for n in range(50)}
    assert compare(taken, lists, draws=50).new.ips < compare(taken, lists, draws=50, largest=1e6).new.ips / 10


def test_events_of_searches_become_what_was_taken():
    events = [
        Event("ann", "x", "click", 10.0, "lamp", 2),
        Event("ann", "y", "purchase", 20.0, "lamp", 0),
        Event("ann", "z", "click", 90_000.0, "lamp", 1),  # the next day
        Event("ann", "w", "view", 30.0, "lamp", 1),
        Event("ann", "v", "click", 30.0, "", 1),
        Event("ann", "u", "click", 30.0, "lamp"),
    ]
    taken = taken_from_events(events, {"click": 1.0, "purchase": 5.0})
    assert [(one.item, one.place, one.reward) for one in taken] == [
        ("x", 2, 1.0),
        ("y", 0, 5.0),
        ("z", 1, 1.0),
    ]
    assert taken[0].request == taken[1].request != taken[2].request


@pytest.mark.parametrize(
    ("taken", "named"),
    [
        ([], "taken"),
        ([Taken("unknown", "x", 0)], "taken"),
        ([Taken("a", "x", -1)], "place"),
        ([Taken("a", "x", 0, reward=0.0)], "reward"),
    ],
)
def test_what_cannot_be_compared(taken, named):
    with pytest.raises(InvalidInputError, match=named):
        compare(taken, {"a": ["x"]})
