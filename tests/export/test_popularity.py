"""How popular products are: what was done lately counts most, reviews where little was done."""

import math

import numpy as np
from endcap_export.popularity import popularity_counts
from endcap_rerank.events import Event
from endcap_rerank.product import Product

DAY = 86_400.0


def shop(*reviews):
    return [Product(id=f"p{at}", title="t", review_count=count) for at, count in enumerate(reviews)]


def did(item, days_ago, kind="click"):
    return Event.validated("u", item, kind, (1000.0 - days_ago) * DAY)


def test_an_event_counts_half_for_each_half_life():
    events = [did("p0", 0), did("p1", 10), did("p2", 20), did("p3", 0, "purchase"), did("gone", 0)]
    counts = popularity_counts(shop(0, 0, 0, 0, 0), events, 10.0)
    np.testing.assert_allclose(counts, [1.0, 0.5, 0.25, 4.0, 0.0])
    no_decay = popularity_counts(shop(0, 0, 0, 0, 0), events, math.inf)
    np.testing.assert_allclose(no_decay, [1.0, 1.0, 1.0, 4.0, 0.0])


def test_ages_are_counted_from_the_latest_event_not_from_today():
    early = [event._replace(timestamp=event.timestamp - 5000.0) for event in [did("p0", 0), did("p1", 14)]]
    np.testing.assert_allclose(popularity_counts(shop(0, 0), early), [1.0, 0.5])


def test_reviews_stand_alone_without_events_and_lead_where_they_are_few():
    assert popularity_counts(shop(7, 0, 3), []).tolist() == [7.0, 0.0, 3.0]
    assert popularity_counts(shop(7, 0, 3), [did("gone", 0)]).tolist() == [7.0, 0.0, 3.0]
    few = popularity_counts(shop(90, 10, 0), [did("p2", 0)])
    assert np.argsort(-few).tolist() == [0, 2, 1]
    many = popularity_counts(shop(90, 10, 0), [did("p2", 0)] * 50)
    assert np.argsort(-many).tolist() == [2, 0, 1]
    # In the units of reviews: a product that comes after the release is held against them.
    assert few.tolist() == [90.0, 10.0, 100 / 3]


def test_what_is_disliked_is_not_less_popular_than_what_nobody_touched():
    counts = popularity_counts(shop(0, 0), [did("p0", 0, "dislike")])
    assert counts.tolist() == [0.0, 0.0]
