"""A store that knows users only by a keyed hash."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence

from endcap_rerank.events.event import Event, Interaction
from endcap_rerank.events.store import IMPORT_CHUNK, EventStore
from endcap_rerank.privacy import UserKey


class HashedUsers(EventStore):
    """A store that hands users' ids on only as hashes. Events that it returns carry the hash."""

    def __init__(self, store: EventStore, key: UserKey) -> None:
        self.store = store
        self._key = key

    def append(self, events: Sequence[Event]) -> int:
        """See ``EventStore``."""
        return self.store.append(list(self._hidden(events)))

    def of_user(self, user: str, limit: int) -> list[Event]:
        """See ``EventStore``."""
        return self.store.of_user(self._key.hashed(user), limit)

    def interactions(self, user: str, limit: int) -> list[Interaction]:
        """See ``EventStore``."""
        return self.store.interactions(self._key.hashed(user), limit)

    def forget(self, user: str) -> int:
        """See ``EventStore``; what was stored of the user before there was a key is deleted as well."""
        hashed = self._key.hashed(user)
        return self.store.forget(hashed) + (self.store.forget(user) if user != hashed else 0)

    def prune(self) -> int:
        """See ``EventStore``."""
        return self.store.prune()

    def every(self) -> Iterator[Event]:
        """See ``EventStore``; what was stored before there was a key comes hashed too."""
        return self._hidden(self.store.every())

    def version(self) -> tuple[int, int]:
        """See ``EventStore``."""
        return self.store.version()

    def stamp(self) -> Hashable:
        """See ``EventStore``."""
        return self.store.stamp()

    def close(self) -> None:
        """See ``EventStore``."""
        self.store.close()

    def import_events(self, events: Iterable[Event], *, chunk: int = IMPORT_CHUNK) -> int:
        """See ``EventStore``. Hashed before they are identified: an id made of the user's own tells it."""
        return self.store.import_events(self._hidden(events), chunk=chunk)

    def item_totals(self) -> dict[str, float]:
        """See ``EventStore``."""
        return self.store.item_totals()

    def _hidden(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            yield event._replace(user=self._key.hashed(event.user))
