from dataclasses import replace

import endcap_rerank.profile
import numpy as np
import pytest
from endcap_rerank.events.clock import SteadyClock
from endcap_rerank.events.store import Limits
from endcap_rerank.events_store import Event, Interaction, SqliteEventStore
from endcap_rerank.profile import (
    ANCHORS,
    HALF_LIFE,
    INTERESTS,
    Profiles,
    Shares,
    build_profile,
    empty_profile,
    session_taste,
)
from ranking_shop import DIMENSION, embed, open_ranker, products

SHOP = {product.id: product for product in products()}


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return open_ranker(tmp_path_factory.mktemp("profile")).index


def event(item: str, name: str = "click", at: float = 0.0) -> Interaction:
    return item, name, at


def weight(profile, index, item: str) -> float:
    rows = dict(zip(profile.taste.rows.tolist(), profile.taste.weights.tolist(), strict=True))
    return rows[index.row(item)]


def test_nobody_is_not_known(index):
    for profile in (
        empty_profile(DIMENSION),
        build_profile([], index),
        build_profile([event("gone")], index),
    ):
        assert not profile.known
        assert profile.strength == 0.0
        assert profile.brands.of(np.array([0, -1, 5], np.int32)).tolist() == [0, 0, 0]


def test_a_purchase_weighs_more_than_a_click_and_a_click_more_than_a_view(index):
    profile = build_profile([event("p1", "view"), event("p2", "click"), event("p3", "purchase")], index)
    assert weight(profile, index, "p3") > weight(profile, index, "p2") > weight(profile, index, "p1") > 0
    assert np.isclose(np.abs(profile.taste.weights).sum(), 1.0)
    assert profile.bought.tolist() == [index.row("p3")]


def test_dislike_weighs_against(index):
    profile = build_profile([event("p1", "dislike"), event("p2")], index)
    assert weight(profile, index, "p1") < 0 < weight(profile, index, "p2")
    brand = index.brand_codes([index.row("p1")])
    if SHOP["p1"].brand != SHOP["p2"].brand:
        assert profile.brands.of(brand).tolist() == [0.0]


def test_old_events_fade(index):
    now = 10 * HALF_LIFE
    profile = build_profile([event("p1", at=now), event("p2", at=now - 2 * HALF_LIFE)], index)
    assert weight(profile, index, "p2") < 0.5 * weight(profile, index, "p1")


def test_order_counts_where_times_are_coarse(index):
    latest = [event(f"p{number}") for number in range(100)]
    profile = build_profile(latest, index)
    assert profile.taste.rows[0] == index.row("p0")
    assert len(profile.taste) == ANCHORS


def test_the_profile_depends_on_the_events_not_on_the_clock(index):
    early = build_profile([event("p1", at=1000.0), event("p2", at=0.0)], index)
    late = build_profile([event("p1", at=1e9 + 1000.0), event("p2", at=1e9)], index)
    assert np.allclose(early.taste.weights, late.taste.weights)


def test_shares_are_smoothed_and_sorted(index):
    few = build_profile([event("p0")], index)
    many = build_profile([event("p0")] * 30, index)
    code = index.brand_codes([index.row("p0")])
    assert 0 < few.brands.of(code)[0] < many.brands.of(code)[0] < 1


def test_shares_of_unknown_codes_are_zero():
    shares = Shares(np.array([2, 7], np.int64), np.array([0.3, 0.5], np.float32))
    assert shares.of(np.array([-1, 0, 2, 3, 7, 9], np.int32)).tolist() == pytest.approx(
        [0, 0, 0.3, 0, 0.5, 0]
    )


def test_the_latest_item_of_a_session_weighs_most(index):
    taste = session_taste(["p1", "gone", "p2", "p3"], index)
    assert taste.rows.tolist() == [index.row(item) for item in ("p3", "p2", "p1")]
    assert np.all(np.diff(taste.weights) < 0)
    assert np.allclose(taste.vectors[0], embed(SHOP["p3"].encoder_text()), atol=1e-6)


def test_interests_part_what_is_unlike(index):
    tents = [event(item.id) for item in SHOP.values() if item.category == "Outdoor > Tents"][:4]
    drills = [event(item.id) for item in SHOP.values() if item.category == "Tools > Power"][:4]
    vectors, shares = build_profile(tents + drills, index).taste.interests()
    assert 2 <= len(vectors) <= INTERESTS
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert np.isclose(shares.sum(), 1.0)
    tent, drill = embed("tent Tents"), embed("drill Power")
    assert (vectors @ tent).argmax() != (vectors @ drill).argmax()


def test_a_disliked_item_is_no_interest(index):
    vectors, shares = build_profile([event("p1", "dislike")], index).taste.interests()
    assert vectors.shape == (0, DIMENSION)
    assert len(shares) == 0


def test_a_kept_profile_follows_the_events(index, tmp_path, monkeypatch):
    built = []
    monkeypatch.setattr(
        endcap_rerank.profile, "build_profile", lambda *given: built.append(given) or build_profile(*given)
    )
    store = SqliteEventStore(tmp_path / "events.db")
    profiles = Profiles(store, index, limit=50)
    assert not profiles.of("u").known
    store.append([Event("u", "p1", "click", 1.0)])
    first = profiles.of("u")
    assert first.taste.rows.tolist() == [index.row("p1")]
    again = profiles.of("u")
    assert len(built) == 1
    np.testing.assert_array_equal(again.taste.vectors, first.taste.vectors)
    np.testing.assert_array_equal(again.taste.weights, first.taste.weights)
    SqliteEventStore(tmp_path / "events.db").append([Event("u", "p2", "click", 2.0)])
    assert profiles.of("u").taste.rows.tolist() == [index.row("p2"), index.row("p1")]
    store.forget("u")
    assert not profiles.of("u").known
    assert not profiles.of("").known


def test_events_are_read_again_only_when_the_store_holds_others(index, tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(
        SqliteEventStore,
        "interactions",
        lambda *given, do=SqliteEventStore.interactions: read.append(1) or do(*given),
    )
    store = SqliteEventStore(tmp_path / "events.db")
    store.append([Event("u", "p1", "click", 1.0)])
    profiles = Profiles(store, index, limit=50)
    assert [len(profiles.of("u").taste) for _ in range(3)] == [1, 1, 1]
    assert len(read) == 1
    SqliteEventStore(tmp_path / "events.db").append([Event("v", "p2", "click", 2.0)])
    assert [len(profiles.of("u").taste) for _ in range(3)] == [1, 1, 1]
    assert len(read) == 2  # the stamp is of all shoppers' events
    store.close()  # as after an error: another connection counts anew
    SqliteEventStore(tmp_path / "events.db").append([Event("u", "p2", "click", 3.0)])
    assert len(profiles.of("u").taste) == 2


def test_events_that_leave_by_their_age_leave_a_kept_profile(index, tmp_path):
    now = [1e9]
    limits = Limits(days=10, clock=SteadyClock(lambda: now[0], lambda: now[0]))
    store = SqliteEventStore(tmp_path / "events.db", limits=limits)
    store.append([Event("u", "p1", "click", now[0]), Event("u", "p2", "click", now[0] - 9.5 * 86_400)])
    profiles = Profiles(store, index, limit=50)
    assert len(profiles.of("u").taste) == 2
    now[0] += 86_400.0
    assert len(profiles.of("u").taste) == 1


def test_a_kept_profile_outlasts_new_prices_and_no_other_change(tmp_path, monkeypatch):
    built = []
    monkeypatch.setattr(
        endcap_rerank.profile, "build_profile", lambda *given: built.append(given) or build_profile(*given)
    )
    ranker = open_ranker(tmp_path)
    ranker.feedback([Event("u", item, "click", 1.0) for item in ("p1", "p2", "p3")])
    profiles = Profiles(ranker.events, ranker.index, limit=50)

    def change(item: str, **fields: object) -> None:
        product = replace(SHOP[item], **fields)
        ranker.upsert([(product, embed(product.encoder_text()))])

    def same_as_built_anew() -> None:
        kept, anew = profiles.of("u"), build_profile(ranker.events.interactions("u", 50), ranker.index)
        assert kept.taste.rows.tolist() == anew.taste.rows.tolist()
        np.testing.assert_array_equal(kept.prices.values, anew.prices.values)

    profiles.of("u")
    change("p1", price=999.0)
    same_as_built_anew()
    assert len(built) == 1
    change("p1", title="something else", price=999.0)
    same_as_built_anew()
    assert len(built) == 2
    change("p1", title="something else", price=1.0)
    same_as_built_anew()
    assert len(built) == 3
