"""What live traffic says: drift where there is some and only there, clicks without their bias."""

import math
from itertools import pairwise

import numpy as np
import pytest
from endcap_export.clicks import Propensities
from endcap_export.monitor import watch
from endcap_export.monitor.engagement import coverage, dcg
from endcap_export.monitor.lists import ShownList, shown_lists
from endcap_export.monitor.psi import CHANGED, chance, drift, psi
from endcap_export.monitor.similarity import similarity_drift
from endcap_export.monitor.textfile import exposition, write_textfile
from endcap_rerank.errors import InvalidInputError
from endcap_rerank.events import Event
from endcap_rerank.metrics import SIMILARITY, histogram_series
from hypothesis import given
from hypothesis import strategies as st
from watched import DAY, PLACES, START, assumed, rng, traffic

COUNTS = st.lists(st.integers(0, 5000), min_size=2, max_size=12)


# The index


@given(COUNTS)
def test_equal_distributions_have_no_index(counts):
    assert math.isnan(psi(counts, counts)) if not sum(counts) else psi(counts, counts) == 0.0


@given(st.data(), COUNTS)
def test_the_index_is_symmetric_and_never_negative(data, before):
    now = data.draw(st.lists(st.integers(0, 5000), min_size=len(before), max_size=len(before)))
    if sum(before) and sum(now):
        assert psi(before, now) == pytest.approx(psi(now, before))
        assert psi(before, now) >= 0.0


@given(st.data(), COUNTS)
def test_the_index_grows_with_what_has_moved(data, before):
    source = data.draw(st.integers(0, len(before) - 1))
    target = data.draw(st.integers(0, len(before) - 1).filter(lambda place: place != source))
    steps = np.linspace(0, before[source], 5)
    indices = []
    for moved in steps:
        now = list(map(float, before))
        now[source] -= moved
        now[target] += moved
        if sum(now):
            indices.append(psi(before, now))
    assert all(later >= earlier - 1e-12 for earlier, later in pairwise(indices))


def test_the_index_of_a_known_case():
    # (0.6 - 0.5) ln(0.6 / 0.5) + (0.4 - 0.5) ln(0.4 / 0.5); half a case in 10^7 is nothing.
    assert psi([5e6, 5e6], [6e6, 4e6]) == pytest.approx(0.1 * math.log(1.2) - 0.1 * math.log(0.8), rel=1e-5)


@pytest.mark.parametrize(("buckets", "before", "now"), [(4, 2000, 500), (32, 4000, 4000)])
def test_chance_covers_nineteen_of_twenty_pairs_without_a_change(buckets, before, now):
    draws = rng(1)
    shares = draws.dirichlet(np.full(buckets, 5.0))
    below = [
        psi(draws.multinomial(before, shares), draws.multinomial(now, shares)) < chance(buckets, before, now)
        for _ in range(2000)
    ]
    assert 0.93 < np.mean(below) < 0.97


def test_few_cases_say_nothing():
    assert drift([10, 10], [3, 1]).verdict == "too few"
    assert drift([0, 0], [3, 1]).verdict == "too few"
    assert [drift([500, 500], now).verdict for now in ([510, 490], [680, 320], [800, 200])] == [
        "stable", "moved", "changed",
    ]  # fmt: skip


# Lists


def event(item, kind="view", place=None, at=0.0, user="u", query="q", release="r1"):
    return Event(user, item, kind, START + at, query, place, release=release)


def test_a_list_is_put_together_from_its_events():
    (one,) = shown_lists(
        [event("a", place=0), event("b", place=1), event("b", "click", 1), event("b", "cart", 1)]
    )
    assert (one.shown, one.taken, one.length) == ({0: "a", 1: "b"}, {1: "b"}, 2)


def test_another_day_query_shopper_or_release_is_another_list():
    events = [event("a", place=0), event("a", place=0, at=DAY), event("a", place=0, query="p")]
    events += [event("a", place=0, user="v"), event("a", place=0, release="r2")]
    assert len(shown_lists(events)) == 5
    assert len(shown_lists(events, interleaved=True)) == 4 + 1  # the same place again is another list


def test_a_repeated_search_is_another_impression():
    lists = shown_lists(
        [event("a", place=0), event("a", "click", 0), event("a", place=0), event("b", place=1)]
    )
    assert [(one.shown, one.taken) for one in lists] == [({0: "a"}, {0: "a"}), ({0: "a", 1: "b"}, {})]


def test_what_was_turned_down_or_has_no_query_is_no_part_of_a_list():
    assert not shown_lists([event("a", "dislike", 0), event("a", "click", 0, query="")])


@given(st.dictionaries(st.integers(0, 30), st.text(max_size=2)))
def test_the_gain_of_a_list_is_at_most_that_of_its_ideal_order(taken):
    gained, ideal = dcg(ShownList("u", "q", "r", taken=taken), Propensities((1.0, 0.6, 0.2)))
    assert 0.0 <= gained <= ideal + 1e-9


# Drift


def test_no_alarm_where_nothing_has_changed():
    for seed in range(3):
        made = watch(traffic(rng(seed), per_day=5.0, views=False))
        assert {name: one.verdict for name, one in made.drifts.items()} == {
            "queries": "stable", "lengths": "stable", "scripts": "stable",
        }  # fmt: skip


def test_a_planted_shift_is_found():
    def queries(day):
        usual = [f"query {number}" for number in range(60)]
        return usual if day < 7 else usual[:30] + [f"红色 dress {number}" for number in range(30)]

    made = watch(traffic(rng(3), views=False, queries=queries))
    assert {name: one.verdict for name, one in made.drifts.items()} == {
        "queries": "changed", "lengths": "changed", "scripts": "changed",
    }  # fmt: skip
    assert made.drifts["scripts"].psi > CHANGED


def test_a_query_that_one_in_eight_asks_suddenly_is_found():
    def queries(day):
        usual = [f"query {number}" for number in range(70)]
        return usual if day < 7 else usual + ["advent calendar"] * 10

    made = watch(traffic(rng(4), per_day=4.0, views=False, queries=queries))
    assert made.drifts["queries"].verdict in ("moved", "changed")


def page(counts):
    """A metrics page with these counts of the buckets."""
    sums = np.cumsum(counts)
    lines = [series for series in histogram_series(SIMILARITY, "") if series.le]
    return "".join(
        f'{series.name}{{le="{series.le}",model="rerank"}} {value}\n'
        for series, value in zip(lines, sums, strict=True)
    )


def test_scores_are_compared_by_what_was_counted_between_two_pages():
    buckets = len(SIMILARITY.buckets) + 1
    usual = np.array([0, 0, 0, 0, 20, 80, 200, 300, 250, 150, 50, 10, 0, 0, 0, 0])
    assert len(usual) == buckets
    assert similarity_drift(page(usual), page(usual * 3)).verdict == "stable"
    lower = np.roll(usual, -2)
    found = similarity_drift(page(usual), page(usual + lower))
    assert (found.verdict, found.before, found.now) == ("changed", 1060, 1060)
    # A server that was started anew counts from 0.
    assert similarity_drift(page(usual * 2), page(lower)).verdict == "changed"
    with pytest.raises(InvalidInputError, match="endcap_top_similarity"):
        similarity_drift("nv_inference_count 3\n", page(usual))


# Clicks


def test_click_through_falls_by_place_as_shoppers_look():
    made = watch(traffic(rng(5), shoppers=400, days=4), since=4 * DAY)
    assert len(made.places) == PLACES
    for place, rate in enumerate(made.places):
        assert rate.value.low <= assumed(place) / PLACES <= rate.value.high
    assert made.all.click_through.of == sum(rate.of for rate in made.places)


def test_ndcg_is_that_of_the_truth_and_not_of_what_is_looked_at():
    """Mean discount of the place of the relevant product, though those far down are clicked less."""
    events = traffic(rng(6), shoppers=500, days=4, views=False)
    made = watch(events, since=4 * DAY)
    truth = np.mean([assumed(place) for place in range(PLACES)])
    clicked = np.mean([assumed(one.position) for one in events])
    assert made.all.ndcg.value.low <= truth <= made.all.ndcg.value.high
    assert clicked > made.all.ndcg.value.high


def test_without_views_there_is_no_click_through_and_the_missing_field_is_named():
    made = watch(traffic(rng(7), views=False, release=lambda user: ""))
    assert made.all.click_through.value is None
    assert made.places == ()
    assert made.all.ndcg.value is not None
    said = " ".join(made.missing)
    assert "`view` with `query` and `position`" in said
    assert "`release`" in said
    assert list(made.releases) == ["unknown"]


def test_events_without_a_position_are_counted_as_missing():
    events = [one._replace(position=None) for one in traffic(rng(8), views=False)]
    made = watch(events)
    assert "no `position`" in made.missing[0]
    assert made.all.ndcg.value is None
    assert made.drifts["queries"].now > 0


def test_an_empty_log_is_told_of():
    made = watch([])
    assert made.missing == ("The window has no events.",)
    assert made.drifts["queries"].verdict == "too few"


def test_releases_are_told_apart_and_can_be_looked_at_alone():
    events = traffic(rng(9), release=lambda user: f"r{int(user[1:]) % 2}")
    made = watch(events)
    assert set(made.releases) == {"r0", "r1"}
    alone = watch(events, release="r1", until=events[-1].timestamp)
    assert alone.all.lists == made.releases["r1"].lists == made.all.lists - made.releases["r0"].lists


def test_coverage_is_the_share_of_places_with_a_view():
    lists = shown_lists([event("a", place=0), event("b", place=1), event("d", "click", 3)])
    assert coverage(lists) == 0.5


# For others


def test_the_textfile_is_what_prometheus_reads(tmp_path):
    made = watch(traffic(rng(10)))
    write_textfile(made, tmp_path / "endcap.prom", now=5.0)
    text = (tmp_path / "endcap.prom").read_text("utf-8")
    assert text == exposition(made, 5.0)
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(lines["endcap_monitor_timestamp_seconds"]) == 5.0
    assert float(lines['endcap_monitor_psi{what="queries"}']) == made.drifts["queries"].psi
    assert float(lines['endcap_monitor_ndcg{release="r1",bound="low"}']) == made.all.ndcg.value.low
    assert not list(tmp_path.glob(".*"))
    assert (tmp_path / "endcap.prom").stat().st_mode & 0o777 == 0o644
    assert "query 1" not in text
    with pytest.raises(InvalidInputError, match=r"\.prom"):
        write_textfile(made, tmp_path / "endcap.txt")


def test_only_the_releases_with_the_most_lists_become_lines():
    events = [event(f"i{n}", "click", 0, user=f"u{n}", release=f"odd-{n}") for n in range(50)]
    events += [event(f"i{n}", "click", 0, user=f"u{n}", release="usual") for n in range(9)]
    text = exposition(watch(events), 0.0)
    assert 'release="usual"' in text
    assert text.count("endcap_monitor_lists{") == 1 + 10
