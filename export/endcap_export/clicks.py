"""Training pairs from a click log, corrected for the place at which each product was shown.

A product far down is clicked less because fewer shoppers look there. With P(click) = P(looked at k) ·
P(relevant), a click at place k counts 1 / P(looked at k): Joachims, Swaminathan and Schnabel, "Unbiased
Learning-to-Rank with Biased Feedback" (WSDM 2017).

How many look at k comes from the log itself, by intervention harvesting (Agarwal et al., "Estimating
Position Bias without Intrusive Interventions", WSDM 2019): where one product was shown for one query at
several places, its relevance was the same, and its click rates differ by the place alone. For each two
places the ratio of the rates is that of Mantel and Haenszel over all products seen at both, which holds
for many products with few clicks each; one curve is then fitted to the logarithms of all ratios by
least squares, each weighted by its clicks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from endcap_rerank.events_store import Event
from endcap_rerank.schema import EVENT_WEIGHTS

VIEW = "view"
CLIP = 10.0
"""Most that one event counts for its place; what is seen by fewer is too noisy to count in full."""

MIN_CLICKS = 100
"""Clicks on products seen at several places below which nothing is estimated."""
MIN_SHOWN = 0.8
"""Share of the places above the deepest one that have a view, below which views are no impressions."""


@dataclass(frozen=True)
class WeightedPair:
    """A query and a product that was chosen after it.

    Attributes:
        weight: how much the pair counts; the mean of all is 1.
    """

    query: str
    item: str
    weight: float


@dataclass(frozen=True)
class Propensities:
    """How likely a shopper looks at each place, relative to the first.

    Attributes:
        seen: by place from 0, each in (0, 1].
        warning: why they are assumed and not estimated; empty when they are estimated.
    """

    seen: tuple[float, ...]
    warning: str = ""

    def at(self, position: int) -> float:
        """The propensity of a place; below the last one known it falls as 1 / log2(2 + position)."""
        if position < len(self.seen):
            return self.seen[position]
        last = len(self.seen) - 1
        return self.seen[last] * assumed(position) / assumed(last)


def assumed(position: int) -> float:
    """1 / log2(1 + rank): what is taken without an estimate, the discount of DCG; rank is 1 + position."""
    return 1.0 / math.log2(2.0 + position)


def click_pairs(
    events: Sequence[Event], propensities: Propensities | None = None, *, clip: float = CLIP
) -> list[WeightedPair]:
    """Each query with the products chosen after it, weighted without the bias of their places.

    A shopper who clicked, carted and bought counts once, with the strongest of ``EVENT_WEIGHTS``; views
    alone say too little, and what was removed or disliked is left out. Events without a position count
    as the average of those that have one.

    Args:
        events: the log; events without a query are not looked at.
        propensities: ``estimate_propensities(events)`` when None.
        clip: most that one event counts for its place.

    Returns:
        In order of their first event; weights have a mean of 1.
    """
    looked = estimate_propensities(events) if propensities is None else propensities
    strongest: dict[tuple[str, str, str, int | None], float] = {}
    for event in events:
        if event.query.strip() and event.event != VIEW:
            key = event.query, event.item, event.user, event.position
            weight = EVENT_WEIGHTS[event.event]
            known = strongest.get(key, 0.0)
            strongest[key] = min(weight, known) if min(weight, known) < 0 else max(weight, known)
    inverse = {
        position: min(clip, 1.0 / looked.at(position))
        for position in {position for *_, position in strongest}
        if position is not None
    }
    placed = [inverse[position] for *_, position in strongest if position is not None]
    average = sum(placed) / len(placed) if placed else 1.0
    total: dict[tuple[str, str], float] = {}
    for (query, item, _, position), weight in strongest.items():
        factor = average if position is None else inverse[position]
        total[query, item] = total.get((query, item), 0.0) + weight * factor
    total = {pair: weight for pair, weight in total.items() if weight > 0}
    mean = sum(total.values()) / max(1, len(total))
    return [WeightedPair(query, item, weight / mean) for (query, item), weight in total.items()]


def estimate_propensities(events: Iterable[Event], *, min_clicks: int = MIN_CLICKS) -> Propensities:
    """How likely each place is looked at, from views and clicks with a query and a position.

    A ``view`` is taken for an impression: the product was shown at that place. Where the log has none, or
    they leave out most of what must have been shown, or too few products were seen at several places,
    1 / log2(1 + rank) is taken, and ``warning`` says why.
    """
    shown, clicked, deepest, places = _count(events)
    if not shown:
        return _fallback(deepest, "no views with a query and a position are in the log")
    share = sum(len(seen) for seen in places.values()) / sum(max(seen) + 1 for seen in places.values())
    if share < MIN_SHOWN:
        return _fallback(deepest, f"views cover only {share:.0%} of the places that must have been shown")
    ratios = _ratios(shown, clicked)
    clicks = sum(sum(pair) for pair in ratios.values())
    if clicks < min_clicks:
        return _fallback(
            deepest, f"products seen at several places have {clicks:.0f} clicks, {min_clicks} are needed"
        )
    seen = _fit(ratios)
    if len(seen) < 2:
        return _fallback(deepest, "no product was seen both at the first place and at the next")
    return Propensities(seen)


Counts = Mapping[tuple[str, str], Mapping[int, float]]


def _count(
    events: Iterable[Event],
) -> tuple[Counts, Counts, int, Mapping[tuple[str, str], set[int]]]:
    """Views and clicks by (query, item) and place, the deepest place, and places viewed by (user, query)."""
    shown: dict[tuple[str, str], dict[int, float]] = {}
    answers: dict[tuple[str, str, str, int], dict[str, int]] = {}
    places: dict[tuple[str, str], set[int]] = {}
    deepest = 0
    for event in events:
        if event.position is None or not event.query.strip() or EVENT_WEIGHTS[event.event] < 0:
            continue
        deepest = max(deepest, event.position)
        if event.event == VIEW:
            views = shown.setdefault((event.query, event.item), {})
            views[event.position] = views.get(event.position, 0.0) + 1.0
            places.setdefault((event.user, event.query), set()).add(event.position)
        else:
            kinds = answers.setdefault((event.query, event.item, event.user, event.position), {})
            kinds[event.event] = kinds.get(event.event, 0) + 1
    clicked: dict[tuple[str, str], dict[int, float]] = {}
    for (query, item, _, position), kinds in answers.items():
        # Who clicked and then bought chose once.
        counts = clicked.setdefault((query, item), {})
        counts[position] = counts.get(position, 0.0) + max(kinds.values())
    return shown, clicked, deepest, places


def _ratios(shown: Counts, clicked: Counts) -> dict[tuple[int, int], tuple[float, float]]:
    """Mantel and Haenszel for places k < l: Σ c_k n_l / (n_k + n_l) and Σ c_l n_k / (n_k + n_l)."""
    sums: dict[tuple[int, int], tuple[float, float]] = {}
    for pair, views in shown.items():
        places = sorted(views)
        clicks = clicked.get(pair, {})
        for index, upper in enumerate(places):
            for lower in places[index + 1 :]:
                n, m = views[upper], views[lower]
                above = min(clicks.get(upper, 0.0), n) * m / (n + m)
                below = min(clicks.get(lower, 0.0), m) * n / (n + m)
                first, second = sums.get((upper, lower), (0.0, 0.0))
                sums[upper, lower] = first + above, second + below
    return sums


def _fit(ratios: Mapping[tuple[int, int], tuple[float, float]]) -> tuple[float, ...]:
    """The curve from the first place down to where its ratios end: log p_k − log p_l ≈ log ratio.

    The variance of a logarithm of a ratio of counts a, b is about 1/a + 1/b.
    """
    usable = {places: pair for places, pair in ratios.items() if min(pair) > 0}
    count = _linked(usable)
    matrix: npt.NDArray[np.float64] = np.zeros((count, count))
    target: npt.NDArray[np.float64] = np.zeros(count)
    for (upper, lower), (above, below) in usable.items():
        if lower < count:
            weight = above * below / (above + below)
            matrix[[upper, lower], [upper, lower]] += weight
            matrix[upper, lower] -= weight
            matrix[lower, upper] -= weight
            target[upper] += weight * math.log(above / below)
            target[lower] -= weight * math.log(above / below)
    if count < 2:
        return (1.0,) * count
    logs = np.zeros(count)
    logs[1:] = np.linalg.solve(matrix[1:, 1:], target[1:])  # the first place is 1
    return tuple(float(value) for value in np.minimum(1.0, np.exp(logs)))


def _linked(ratios: Iterable[tuple[int, int]]) -> int:
    """How many places from the first on hang together by ratios among themselves."""
    links: dict[int, set[int]] = {}
    for upper, lower in ratios:
        links.setdefault(lower, set()).add(upper)
    count = 1
    while count in links:  # each place is compared with one above it, and that one with the first
        count += 1
    return count if len(links) else 0


def _fallback(deepest: int, reason: str) -> Propensities:
    return Propensities(
        tuple(assumed(position) for position in range(deepest + 1)),
        f"position bias is assumed as 1/log2(1 + rank) and not estimated: {reason}",
    )
