"""Traffic with a known truth: what is asked, where the relevant product stands, who looks how far."""

from __future__ import annotations

import math

import numpy as np
from endcap_rerank.events import Event

DAY = 86_400.0
START = 20_000 * DAY
"""Midnight of a day."""
PLACES = 8


def assumed(place):
    return 1.0 / math.log2(2.0 + place)


def traffic(
    rng,
    *,
    shoppers=300,
    days=8,
    queries=None,
    release=lambda user: "r1",
    places=lambda release: [1 / PLACES] * PLACES,
    views=True,
    per_day=1.0,
):
    """Events of searches, oldest first.

    Args:
        queries: day → list of queries, drawn alike.
        release: shopper → release.
        places: release → chance of each place to hold the one relevant product of a list.
        views: whether every product shown has a view.
        per_day: mean of a shopper's searches a day.
    """
    queries = queries or (lambda day: [f"query {number}" for number in range(60)])
    events = []
    for day in range(days):
        asked = queries(day)
        for number in range(shoppers):
            user = f"u{number}"
            for _ in range(rng.poisson(per_day)):
                moment = START + day * DAY + float(rng.uniform(0, DAY * 0.9))
                query = asked[int(rng.integers(len(asked)))]
                served = release(user)
                events += searched(rng, user, query, served, moment, places(served), views)
    events.sort(key=lambda event: event.timestamp)
    return events


def searched(rng, user, query, release, moment, places, views=True):
    """One list: views of all places, and a click on the relevant product where it was looked at."""
    relevant = int(rng.choice(len(places), p=places))
    made = []
    if views:
        made = [
            Event(user, f"{query}-{place}", "view", moment, query, place, release=release)
            for place in range(len(places))
        ]
    if rng.random() < assumed(relevant):
        made.append(Event(user, f"{query}-{relevant}", "click", moment + 5, query, relevant, release=release))
    return made


def rng(seed):
    return np.random.default_rng(seed)
