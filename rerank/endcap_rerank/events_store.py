"""Shoppers' events, kept where every process of the server sees them at once."""

from __future__ import annotations

import math
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol

from endcap_rerank.errors import InvalidInputError, StoreError
from endcap_rerank.requests import valid_id
from endcap_rerank.schema import EVENT_WEIGHTS, MAX_QUERY_CHARS

MAX_CLOCK_SKEW = 24 * 3600.0
"""Seconds that a timestamp may lie ahead of the server's clock."""

IMPORT_CHUNK = 10_000
"""Events of one transaction when a file is imported."""


class Event(NamedTuple):
    """One thing a shopper did. A tuple, because a request reads hundreds of them.

    Attributes:
        event: a key of ``schema.EVENT_WEIGHTS``.
        timestamp: seconds since 1970 (UTC).
        query: what was searched for, empty when nothing was.
        position: rank at which the item was shown, from 0; None when unknown.
        event_id: makes a repeated report count once; empty for a report that stands for itself.
    """

    user: str
    item: str
    event: str
    timestamp: float
    query: str = ""
    position: int | None = None
    event_id: str = ""

    @classmethod
    def validated(
        cls,
        user: str,
        item: str,
        event: str,
        timestamp: float | None = None,
        *,
        query: str | None = None,
        position: int | None = None,
        event_id: str | None = None,
        now: float | None = None,
    ) -> Event:
        """Check every field. No ``timestamp`` takes the clock.

        Raises:
            InvalidInputError: names the field.
        """
        now = time.time() if now is None else now
        if not isinstance(event, str) or event not in EVENT_WEIGHTS:
            raise InvalidInputError("event", event, f"one of {', '.join(EVENT_WEIGHTS)} is expected")
        if timestamp is None:
            timestamp = now
        if (
            isinstance(timestamp, bool)
            or not isinstance(timestamp, (int, float))
            or not math.isfinite(timestamp)
            or timestamp < 0
        ):
            raise InvalidInputError("timestamp", timestamp, "seconds since 1970 (UTC) are expected")
        if timestamp > now + MAX_CLOCK_SKEW:
            raise InvalidInputError("timestamp", timestamp, "a time that has passed is expected, in seconds")
        query = query or ""
        if not isinstance(query, str) or len(query) > MAX_QUERY_CHARS:
            raise InvalidInputError(
                "query", query, f"a text of at most {MAX_QUERY_CHARS} characters is expected"
            )
        if position is not None and (
            isinstance(position, bool) or not isinstance(position, int) or not 0 <= position < 2**31
        ):
            raise InvalidInputError("position", position, "a rank from 0 is expected")
        return cls(
            user=valid_id("user", user, required=True),
            item=valid_id("item", item, required=True),
            event=event,
            timestamp=float(timestamp),
            query=query,
            position=position,
            event_id=valid_id("event_id", event_id),
        )


class EventStore(Protocol):
    """What ranking needs of a store of events."""

    def append(self, events: Sequence[Event]) -> int:
        """Store all events or none; return how many were new. Committed when it returns."""

    def of_user(self, user: str, limit: int) -> list[Event]:
        """The user's latest events, newest first; every event acknowledged before the call counts."""

    def forget(self, user: str) -> int:
        """Delete the user's events; return how many there were."""


_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    event_id TEXT PRIMARY KEY,
    user TEXT NOT NULL,
    item TEXT NOT NULL,
    event TEXT NOT NULL,
    timestamp REAL NOT NULL,
    query TEXT NOT NULL DEFAULT '',
    position INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS events_of_user
    ON events (user, timestamp DESC, item, event, query, position);
"""
# The index holds every column that a request reads: the table itself is not touched.

# Not INSERT OR IGNORE: that would drop a row with a missing value as silently as a repeated one.
_INSERT = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (event_id) DO NOTHING"
_OF_USER = (
    "SELECT user, item, event, timestamp, query, position, event_id FROM events "
    "WHERE user = ? ORDER BY timestamp DESC, event_id DESC LIMIT ?"
)


class SqliteEventStore:
    """Events in one SQLite file (WAL), shared by all processes that open it.

    Every append is committed to disk before it returns, and every read sees what any process has
    committed. A store that is locked for longer than ``timeout`` seconds, or a full disk, raises
    StoreError: nothing of that call is stored.
    """

    def __init__(self, path: Path, *, timeout: float = 5.0) -> None:
        self.path = path
        self._timeout = timeout
        self._local = threading.local()
        with self._errors("opened"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection().executescript(_SCHEMA)

    def append(self, events: Sequence[Event]) -> int:
        """Store all events or none; an ``event_id`` that is known already is skipped.

        Returns:
            How many were new.

        Raises:
            StoreError: the file is locked, the disk is full …; nothing was stored.
        """
        with self._errors("written"):
            return self._insert([_row(event, event.event_id or uuid.uuid4().hex) for event in events])

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
        while rows := [_row(event, event.event_id or _derived_id(event)) for event in islice(stream, chunk)]:
            with self._errors("written"):
                added += self._insert(rows)
        return added

    def of_user(self, user: str, limit: int) -> list[Event]:
        """The user's latest events by timestamp, newest first, at most ``limit``.

        Raises:
            StoreError: the file cannot be read.
        """
        with self._errors("read"):
            rows = self._connection().execute(_OF_USER, (user, limit)).fetchall()
        return list(map(Event._make, rows))

    def forget(self, user: str) -> int:
        """Delete every event of the user and return how many there were.

        Raises:
            StoreError: nothing was deleted.
        """
        with self._errors("written"), self._transaction() as connection:
            return connection.execute("DELETE FROM events WHERE user = ?", (user,)).rowcount

    def item_totals(self) -> dict[str, float]:
        """Sum of event weights of every item: how popular the shop's events say it is.

        Raises:
            StoreError: the file cannot be read.
        """
        totals: dict[str, float] = {}
        with self._errors("read"):
            rows = self._connection().execute("SELECT item, event, COUNT(*) FROM events GROUP BY item, event")
            for item, event, count in rows:
                totals[item] = totals.get(item, 0.0) + EVENT_WEIGHTS.get(event, 0.0) * count
        return totals

    def every(self) -> Iterator[Event]:
        """Every event, oldest first, as of now.

        Raises:
            StoreError: the file cannot be read.
        """
        with self._errors("read"):
            rows = self._connection().execute(
                "SELECT user, item, event, timestamp, query, position, event_id FROM events "
                "ORDER BY timestamp, event_id"
            )
            yield from map(Event._make, rows)

    def close(self) -> None:
        """Close this thread's connection; the store opens another when it is used again."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            del self._local.connection

    def _insert(self, rows: list[tuple[object, ...]]) -> int:
        if not rows:
            return 0
        with self._transaction() as connection:
            before = connection.total_changes
            connection.executemany(_INSERT, rows)
            return connection.total_changes - before

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection()
        # IMMEDIATE waits for another writer here, where waiting is allowed, not at the first insert.
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self.path, timeout=self._timeout, isolation_level=None)
            connection.execute("PRAGMA journal_mode=WAL")
            # FULL: an acknowledged event survives a power cut. A feedback call waits one fsync for it.
            connection.execute("PRAGMA synchronous=FULL")
            self._local.connection = connection
        return connection

    @contextmanager
    def _errors(self, attempted: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{self.path}: events could not be {attempted} ({error})") from error


def _derived_id(event: Event) -> str:
    name = f"{event.user}\x1f{event.item}\x1f{event.event}\x1f{event.timestamp!r}"
    return uuid.uuid5(uuid.NAMESPACE_OID, name).hex


def _row(event: Event, event_id: str) -> tuple[object, ...]:
    return (event_id, event.user, event.item, event.event, event.timestamp, event.query, event.position)
