"""Lists that shoppers were shown, put together again from their events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from endcap_rerank.events import Event
from endcap_rerank.schema import EVENT_WEIGHTS

from endcap_export.clicks import VIEW
from endcap_export.offpolicy import DAY


@dataclass
class ShownList:
    """What is known of one list: events of one shopper for one query within one day.

    Attributes:
        release: that of its events; of an interleaved list that of the first.
        shown: place → item, where a view says so.
        taken: place → item, of what was clicked or more.
        teams: place → release, of ``shown`` and ``taken``.
    """

    user: str
    query: str
    release: str
    shown: dict[int, str] = field(default_factory=dict)
    taken: dict[int, str] = field(default_factory=dict)
    teams: dict[int, str] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """How many places must have been shown."""
        return max(self.teams, default=-1) + 1

    def add(self, event: Event, place: int) -> bool:
        """Take an event in; False where it must be of another list: the same place again, or another item."""
        known = self.shown.get(place) or self.taken.get(place)
        if known is not None and known != event.item:
            return False
        if event.event == VIEW:
            if place in self.shown:
                return False
            self.shown[place] = event.item
        else:
            self.taken[place] = event.item
        self.teams.setdefault(place, event.release)
        return True


def shown_lists(events: Iterable[Event], *, interleaved: bool = False) -> list[ShownList]:
    """The lists of searches, in the order of their first event.

    Events without a query, and those that turn a product down, are not looked at; one without a position
    tells of a list, and of nothing in it.

    Args:
        events: oldest first.
        interleaved: whether a list may hold events of several releases.
    """
    made: list[ShownList] = []
    latest: dict[tuple[str, str, str, int], ShownList] = {}
    for event in events:
        if not event.query.strip() or EVENT_WEIGHTS[event.event] < 0:
            continue
        key = (event.user, event.query, "" if interleaved else event.release, int(event.timestamp // DAY))
        current = latest.get(key)
        if current is None or (event.position is not None and not current.add(event, event.position)):
            current = latest[key] = ShownList(event.user, event.query, event.release)
            made.append(current)
            if event.position is not None:
                current.add(event, event.position)
    return made
