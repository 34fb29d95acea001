"""Events in one SQLite file."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
import uuid
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from endcap_rerank.errors import StoreError
from endcap_rerank.events.event import Event, Interaction
from endcap_rerank.events.store import NO_LIMITS, EventStore, Limits
from endcap_rerank.schema import EVENT_WEIGHTS

_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    event_id TEXT PRIMARY KEY,
    user TEXT NOT NULL,
    item TEXT NOT NULL,
    event TEXT NOT NULL,
    timestamp REAL NOT NULL,
    query TEXT NOT NULL DEFAULT '',
    position INTEGER,
    release TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS events_of_user
    ON events (user, timestamp DESC, item, event, query, position);
"""
# The index holds every column that a request reads: the table itself is not touched.

# For a file that was made before events had it. It is not in the index: making that anew would take long.
_ADD_RELEASE = "ALTER TABLE events ADD COLUMN release TEXT NOT NULL DEFAULT ''"

# Only where age is limited: every further index makes writing slower.
_SCHEMA_OF_AGE = "CREATE INDEX IF NOT EXISTS events_by_age ON events (timestamp);"

# Not INSERT OR IGNORE: that would drop a row with a missing value as silently as a repeated one.
_INSERT = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (event_id) DO NOTHING"
_INDEXED = "user, item, event, timestamp, query, position, event_id"
_EVENTS, _INTERACTIONS = f"{_INDEXED}, ''", "item, event, timestamp"
_OF_USER = "SELECT {} FROM events WHERE user = ? ORDER BY timestamp DESC, event_id DESC LIMIT ?"
_OF_USER_SINCE = (
    "SELECT {} FROM events WHERE user = ? AND timestamp >= ? ORDER BY timestamp DESC, event_id DESC LIMIT ?"
)
_TRIM = (
    "DELETE FROM events WHERE event_id IN (SELECT event_id FROM events WHERE user = ? "
    "ORDER BY timestamp DESC, event_id DESC LIMIT -1 OFFSET ?)"
)
_EXPIRE = (
    "DELETE FROM events WHERE event_id IN "
    "(SELECT event_id FROM events WHERE timestamp < ? ORDER BY timestamp LIMIT ?)"
)
_EXPIRED_AT_ONCE = 1000
"""Expired events that one append deletes at most beyond twice its own number: nobody waits for long."""


_LOST = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB)
"""After these errors the file is opened anew: it may have been restored by then."""


class SqliteEventStore(EventStore):
    """Events in one SQLite file (WAL), shared by all processes that open it.

    Every append is committed to disk before it returns, and every read sees what any process has
    committed. A store that is locked for longer than ``timeout`` seconds, or a full disk, raises
    StoreError: nothing of that call is stored.

    Args:
        path: the file; it and its folder are created.
        timeout: seconds to wait for another process's write.
        at_once: whether a file that cannot be opened is an error now; otherwise it is one at each use until
            it can be.

    Raises:
        StoreError: it cannot be opened.
    """

    def __init__(
        self, path: Path, *, timeout: float = 5.0, limits: Limits = NO_LIMITS, at_once: bool = True
    ) -> None:
        self.path = path
        self.limits = limits
        self._timeout = timeout
        self._local = threading.local()
        self._openings = count()
        try:
            with self._errors("opened"):
                self._connection()
        except StoreError as error:
            if at_once:
                raise
            logging.getLogger(__name__).warning("%s; it is tried again at each use", error)

    def append(self, events: Sequence[Event]) -> int:
        """Store all events or none; an ``event_id`` that is known already is skipped.

        Returns:
            How many were new.

        Raises:
            StoreError: the file is locked, the disk is full …; nothing was stored.
        """
        rows = [_row(event) for event in self.limits.kept(events)]
        if not rows:
            return 0
        with self._errors("written"), self._transaction() as connection:
            before = connection.total_changes
            connection.executemany(_INSERT, rows)
            added = connection.total_changes - before
            if added:
                self._trim(connection, {str(row[1]) for row in rows})
                self._expire(connection, 2 * len(rows) + _EXPIRED_AT_ONCE)
        return added

    def of_user(self, user: str, limit: int) -> list[Event]:
        """The user's latest events by timestamp, newest first, at most ``limit``.

        Raises:
            StoreError: the file cannot be read.
        """
        return list(map(Event._make, self._of_user(_EVENTS, user, limit)))

    def interactions(self, user: str, limit: int) -> list[Interaction]:
        """See ``EventStore``.

        Raises:
            StoreError: the file cannot be read.
        """
        return self._of_user(_INTERACTIONS, user, limit)

    def forget(self, user: str) -> int:
        """Delete every event of the user, from the log of changes and from unused space as well.

        Deleted rows are overwritten, the log is folded into the file and emptied. Where the id is still
        found in the file after that (space that an earlier release left unwiped; or another's row holds
        the same text), the file is written anew, which keeps writers waiting.

        Returns:
            How many events there were.

        Raises:
            StoreError: nothing was deleted; or all was, but a process that reads all the time keeps the
                log from being emptied: the message says so, and the call may be repeated.
        """
        with self._errors("written"):
            with self._transaction() as connection:
                deleted = connection.execute("DELETE FROM events WHERE user = ?", (user,)).rowcount
            self._empty_log()
            if _contains(self.path, user.encode()):
                connection.execute("VACUUM")
                self._empty_log()
        return deleted

    def prune(self) -> int:
        """Delete what lies beyond the limits; return how many events that were.

        Raises:
            StoreError: what was deleted before stays deleted.
        """
        deleted = 0
        with self._errors("written"):
            if self.limits.events is not None:
                over = self._connection().execute(
                    "SELECT user FROM events GROUP BY user HAVING COUNT(*) > ?", (self.limits.events,)
                )
                users = {user for (user,) in over.fetchall()}
                with self._transaction() as connection:
                    deleted += self._trim(connection, users)
            # In pieces, so that feedback gets its turn in between.
            while True:
                with self._transaction() as connection:
                    expired = self._expire(connection, 10 * _EXPIRED_AT_ONCE)
                deleted += expired
                if not expired:
                    return deleted

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
                f"SELECT {_INDEXED}, release FROM events WHERE timestamp >= ? ORDER BY timestamp, event_id",
                (self.limits.oldest() or 0.0,),
            )
            yield from map(Event._make, rows)

    def version(self) -> tuple[int, int]:
        """Changes with every commit, another connection's (first) or this one's (second).

        Raises:
            StoreError: the file cannot be read.
        """
        with self._errors("read"):
            connection = self._connection()
            return connection.execute("PRAGMA data_version").fetchone()[0], connection.total_changes

    def stamp(self) -> Hashable:
        """See ``EventStore``; None where events leave by their age, which no commit tells.

        Raises:
            StoreError: the file cannot be read.
        """
        if self.limits.days is not None:
            return None
        version = self.version()
        return self._local.opening, *version

    def close(self) -> None:
        """Close this thread's connection; the store opens another when it is used again."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            del self._local.connection

    def _of_user(self, columns: str, user: str, limit: int) -> list[Any]:
        limit, oldest = self.limits.read(limit), self.limits.oldest()
        with self._errors("read"):
            if oldest is None:
                found = self._connection().execute(_OF_USER.format(columns), (user, limit))
            else:
                found = self._connection().execute(_OF_USER_SINCE.format(columns), (user, oldest, limit))
            return found.fetchall()

    def _trim(self, connection: sqlite3.Connection, users: set[str]) -> int:
        if self.limits.events is None:
            return 0
        return sum(connection.execute(_TRIM, (user, self.limits.events)).rowcount for user in users)

    def _expire(self, connection: sqlite3.Connection, most: int) -> int:
        oldest = self.limits.oldest()
        return 0 if oldest is None else connection.execute(_EXPIRE, (oldest, most)).rowcount

    def _empty_log(self) -> None:
        """Fold the write-ahead log into the file and truncate it: it holds pages as they were before."""
        deadline = time.monotonic() + self._timeout
        while self._connection().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if time.monotonic() > deadline:
                raise StoreError(
                    f"{self.path}: the events are deleted, but another process keeps the log of changes "
                    "from being emptied, and it still holds them; try again"
                )
            time.sleep(0.02)

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
            connection = self._local.connection = self._connected()
            # What versions of one connection mean, those of another do not.
            self._local.opening = next(self._openings)
        return connection

    def _connected(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=self._timeout, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            # FULL: an acknowledged event survives a power cut. A feedback call waits one fsync for it.
            connection.execute("PRAGMA synchronous=FULL")
            # What is deleted is overwritten, not only unlinked.
            connection.execute("PRAGMA secure_delete=ON")
            connection.executescript(_SCHEMA + (_SCHEMA_OF_AGE if self.limits.days is not None else ""))
            _add_release(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _errors(self, attempted: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _LOST:
                self.close()
            raise StoreError(f"{self.path}: events could not be {attempted} ({error})") from error


def _row(event: Event) -> tuple[object, ...]:
    event_id = event.event_id or uuid.uuid4().hex
    return (event_id, *event[:6], event.release)


def _add_release(connection: sqlite3.Connection) -> None:
    if any(column[1] == "release" for column in connection.execute("PRAGMA table_info(events)")):
        return
    try:
        connection.execute(_ADD_RELEASE)
    except sqlite3.OperationalError as error:
        if "duplicate column" not in str(error):  # another process was quicker
            raise


def _contains(path: Path, text: bytes) -> bool:
    """Whether a file holds ``text``, read piece by piece."""
    tail = b""
    with path.open("rb") as file:
        while piece := file.read(1 << 22):
            if text in tail + piece:
                return True
            tail = piece[-len(text) + 1 :] if len(text) > 1 else b""
    return False
