"""Two windows of a log of events, looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from endcap_rerank.events import Event

from endcap_export.clicks import estimate_propensities
from endcap_export.monitor.engagement import (
    Engagement,
    Rate,
    by_place,
    coverage,
    engagement,
    impressions_known,
)
from endcap_export.monitor.lists import ShownList, shown_lists
from endcap_export.monitor.psi import Drift
from endcap_export.monitor.queries import query_drifts
from endcap_export.monitor.sides import Interleaved, SideBySide, interleaved, side_by_side
from endcap_export.offpolicy import DAY

UNKNOWN = "unknown"
"""Stands for the release of events that name none."""


@dataclass(frozen=True)
class Watch:
    """What live traffic says.

    Attributes:
        begins, since, until: the baseline is from ``begins`` to ``since``, the window from there to
            ``until``; seconds since 1970.
        events: of the window.
        drifts: name → how far it has moved since the baseline.
        all: of the window.
        releases: id (``unknown`` for none) → what was done with its lists in the window.
        places: click-through by place in the window, from 0; empty where impressions are not known.
        missing: what could not be said, and which field of the events would help.
    """

    begins: float
    since: float
    until: float
    events: int
    drifts: Mapping[str, Drift]
    all: Engagement
    releases: Mapping[str, Engagement]
    places: Sequence[Rate]
    missing: tuple[str, ...]
    sides: SideBySide | None = None
    interleaved: Interleaved | None = None


def watch(
    events: Sequence[Event],
    *,
    since: float = DAY,
    baseline: float = 7 * DAY,
    until: float | None = None,
    release: str | None = None,
    sides: tuple[str, str] | None = None,
    teams: tuple[str, str] | None = None,
    drifts: Mapping[str, Drift] | None = None,
) -> Watch:
    """Look at the latest events.

    Args:
        events: oldest first; those outside both windows are not looked at.
        since: length of the window in seconds.
        baseline: length of the one before it, with which it is compared.
        until: end of the window, seconds since 1970; None is the latest event.
        release: only events of this one, in both windows.
        sides: two releases to compare that different shoppers got.
        teams: two releases to compare that shared lists.
        drifts: further ones, of other sources, to be shown beside those of the queries.
    """
    if until is None:
        until = events[-1].timestamp if events else 0.0
    start, begins = until - since, until - since - baseline
    kept = [
        event
        for event in events
        if begins <= event.timestamp <= until and (release is None or event.release == release)
    ]
    window = [event for event in kept if event.timestamp > start]
    before = shown_lists(event for event in kept if event.timestamp <= start)
    now = shown_lists(window)
    looked = estimate_propensities(kept)
    known = impressions_known(now)
    names = sorted({one.release for one in now})
    return Watch(
        begins=begins,
        since=start,
        until=until,
        events=len(window),
        drifts={**query_drifts(before, now), **(drifts or {})},
        all=engagement(now, looked, impressions=known),
        releases={
            name or UNKNOWN: engagement(
                [one for one in now if one.release == name], looked, impressions=known
            )
            for name in names
        },
        places=by_place(now) if known else (),
        missing=tuple(_missing(window, now, known, looked.warning)),
        sides=None if sides is None else side_by_side(now, *sides, looked, impressions=known),
        interleaved=None if teams is None else interleaved(shown_lists(window, interleaved=True), *teams),
    )


def _missing(window: Sequence[Event], now: Sequence[ShownList], known: bool, warning: str) -> Iterator[str]:
    if not window:
        yield "The window has no events."
        return
    if not now:
        yield "No event of the window has a `query`: of searches nothing can be said."
        return
    asked = [event for event in window if event.query.strip()]
    placed = sum(event.position is not None for event in asked)
    if placed < len(asked):
        yield (
            f"{len(asked) - placed} of {len(asked)} events of searches have no `position`: "
            "they count in no figure of clicks."
        )
    if not known:
        yield (
            "Impressions are not known, so there is no click-through: views cover "
            f"{coverage(now):.0%} of the places that must have been shown. It needs an event `view` with "
            "`query` and `position` for every product shown, clicked or not."
        )
    if any(not one.release for one in now):
        count = sum(not one.release for one in now)
        yield (
            f"{count} of {len(now)} lists name no `release` (SearchResult.release of the answer): "
            "releases cannot be told apart there."
        )
    if warning:
        yield f"{warning[0].upper()}{warning[1:]}."
