"""What a store of events does, whichever database is behind it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from endcap_rerank.events.clock import STEADY, SteadyClock
from endcap_rerank.events.event import Event, Interaction
from endcap_rerank.schema import EVENT_WEIGHTS

IMPORT_CHUNK = 10_000
"""Events of one transaction when a file is imported."""


@dataclass(frozen=True)
class Limits:
    """How much is kept. What lies beyond is never read, and deleted when events are added.

    Attributes:
        events: a shopper's latest events; None for all.
        days: age of the oldest event; None for any.
        clock: by which age is counted.
    """

    events: int | None = None
    days: float | None = None
    clock: SteadyClock = field(default=STEADY, repr=False, compare=False)

    def oldest(self) -> float | None:
        """The timestamp before which nothing is kept."""
        return None if self.days is None else self.clock.now() - self.days * 86_400.0

    def kept(self, events: Sequence[Event]) -> Sequence[Event]:
        """Those that are not too old already."""
        oldest = self.oldest()
        return events if oldest is None else [event for event in events if event.timestamp >= oldest]

    def read(self, limit: int) -> int:
        """How many of a shopper's events a call that asks for ``limit`` may read."""
        return limit if self.events is None else min(limit, self.events)


NO_LIMITS = Limits()


class EventStore(Protocol):
    """Shoppers' events, kept where every process of the server sees them at once.

    What a call acknowledged is committed, and counts in every later read of every process. Every method
    raises ``StoreError`` where the database cannot be reached, read or written.
    """

    def append(self, events: Sequence[Event]) -> int:
        """Store all events or none; an ``event_id`` that is known already is skipped.

        Returns:
            How many were new. Events older than the limit of age are not stored and do not count.
        """

    def of_user(self, user: str, limit: int) -> list[Event]:
        """The user's latest events by timestamp, newest first, at most ``limit``.

        Their ``release`` may be left out: taste does not depend on it, and ``every`` has it.
        """

    def interactions(self, user: str, limit: int) -> list[Interaction]:
        """Of the same events only what taste is made of: a request reads hundreds of them."""
        return [(one.item, one.event, one.timestamp) for one in self.of_user(user, limit)]

    def forget(self, user: str) -> int:
        """Delete every event of the user, in the database's files too; return how many there were."""

    def prune(self) -> int:
        """Delete what lies beyond the limits; return how many events that were."""

    def every(self) -> Iterator[Event]:
        """Every event, oldest first, as of now."""

    def version(self) -> tuple[int, int]:
        """Changes when events were added or deleted by whomever; to be compared within one thread."""

    def stamp(self) -> Hashable:
        """Another one whenever a read may find other events; None where telling takes as long as reading."""
        return None

    def close(self) -> None:
        """Let go of connections; the store opens others when it is used again."""

    def import_events(self, events: Iterable[Event], *, chunk: int = IMPORT_CHUNK) -> int:
        """Store a shop's history, one transaction a ``chunk``; a repeated import adds nothing new.

        Events without an ``event_id`` are identified by user, item, event and timestamp.

        Returns:
            How many were new.

        Raises:
            StoreError: chunks before the failing one stay stored; importing again completes them.
        """
        added = 0
        stream = iter(events)
        while part := [event.identified() for event in islice(stream, chunk)]:
            added += self.append(part)
        return added

    def item_totals(self) -> dict[str, float]:
        """Sum of event weights of every item: how popular the shop's events say it is."""
        totals: dict[str, float] = {}
        for event in self.every():
            totals[event.item] = totals.get(event.item, 0.0) + EVENT_WEIGHTS.get(event.event, 0.0)
        return totals
