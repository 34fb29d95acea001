"""Two releases compared: the better one is found, equal ones are not told apart."""

import random

import pytest
from endcap_client import Item, SearchResult, team_draft
from endcap_export.monitor import watch
from endcap_export.monitor.sides import sign_test
from endcap_rerank.events import Event
from watched import DAY, PLACES, START, assumed, rng, traffic

UPPER = [0.4, 0.25, 0.15, 0.1, 0.05, 0.05, 0.0, 0.0]
ALIKE = [1 / PLACES] * PLACES


def halves(user):
    return "r2" if int(user[1:]) % 2 else "r1"


def test_the_better_of_two_sides_is_found():
    events = traffic(
        rng(1),
        shoppers=400,
        days=2,
        release=halves,
        places=lambda release: UPPER if release == "r2" else ALIKE,
    )
    sides = watch(events, since=2 * DAY, sides=("r1", "r2")).sides
    assert sides.click_through.low > 0.0
    assert sides.ndcg.low > 0.0
    truth = sum(share * assumed(place) for place, share in enumerate(UPPER)) - sum(
        share * assumed(place) for place, share in enumerate(ALIKE)
    )
    assert sides.ndcg.low <= truth <= sides.ndcg.high
    assert sides.both == 0
    assert sides.engagements[0].shoppers + sides.engagements[1].shoppers <= 400


def test_equal_sides_are_told_apart_no_more_often_than_chance_allows():
    apart = 0
    for seed in range(12):
        events = traffic(rng(100 + seed), shoppers=80, days=1, release=halves)
        sides = watch(events, since=DAY, sides=("r1", "r2")).sides
        apart += not sides.ndcg.low <= 0.0 <= sides.ndcg.high
    assert apart <= 3  # of 12 with 5 % each: more come once in 500 times


def test_shoppers_of_both_sides_are_counted_and_missing_views_leave_clicks():
    events = traffic(rng(2), shoppers=50, days=1, release=halves, views=False, per_day=5.0)
    events += [one._replace(user="u0", release="r2") for one in events if one.user == "u2"]
    sides = watch(sorted(events, key=lambda one: one.timestamp), since=DAY, sides=("r1", "r2")).sides
    assert sides.both == 1
    assert sides.click_through is None
    assert sides.ndcg is not None
    assert watch(events, since=DAY, sides=("r1", "absent")).sides.ndcg is None


def interleaved_traffic(seed, better, shoppers=400):
    """Lists of two rankings with one relevant product; r2 puts it first with chance ``better``."""
    coin = random.Random(seed)
    events = []
    for number in range(shoppers):
        items = [f"i{place}" for place in range(10)]
        first, second = items.copy(), items.copy()
        for ranking, chance in ((first, 0.3), (second, better)):
            coin.shuffle(ranking)
            if coin.random() < chance:
                ranking.remove("i0")
                ranking.insert(0, "i0")
        answers = [
            SearchResult(tuple(Item(one, 0.0) for one in ranking), 0.0, f'{{"release": "{name}"}}'.encode())
            for name, ranking in (("r1", first), ("r2", second))
        ]
        for place, one in enumerate(team_draft(*answers, 10, seed=f"{seed} {number}")):
            row = (f"u{number}", one.item.id)
            at = START + 60.0 * number
            events.append(Event(*row, "view", at, "sofa", place, release=one.release))
            if one.item.id == "i0" and coin.random() < assumed(place):
                events.append(Event(*row, "click", at + 5, "sofa", place, release=one.release))
    return events


def test_the_better_of_two_interleaved_rankings_wins():
    result = watch(interleaved_traffic(3, 0.8), since=DAY, teams=("r1", "r2")).interleaved
    assert result.wins[1] > result.wins[0]
    assert result.lead.low > 0.0
    assert result.chance < 0.001
    other_way = watch(interleaved_traffic(3, 0.8), since=DAY, teams=("r2", "r1")).interleaved
    assert other_way.wins == result.wins[::-1]
    assert other_way.lead.value == -result.lead.value


def test_equal_interleaved_rankings_share_the_wins():
    result = watch(interleaved_traffic(4, 0.3), since=DAY, teams=("r1", "r2")).interleaved
    assert result.lead.low <= 0.0 <= result.lead.high
    assert result.chance > 0.05


def test_lists_of_one_release_alone_are_no_contest():
    events = traffic(rng(5), shoppers=50, days=1, release=halves)
    result = watch(events, since=DAY, teams=("r1", "r2")).interleaved
    assert (result.wins, result.ties, result.lead) == ((0, 0), 0, None)


@pytest.mark.parametrize(
    ("one", "other", "chance"), [(0, 0, 1.0), (5, 5, 1.0), (0, 5, 2 / 32), (1, 9, 2 * 11 / 1024)]
)
def test_the_sign_test_of_known_cases(one, other, chance):
    assert sign_test(one, other) == pytest.approx(chance)
    assert sign_test(other, one) == pytest.approx(chance)
    assert sign_test(one + 100_000, other + 100_000) > 0.9
