"""The SQLite file of the catalogue's changes: opened, lost, found damaged, and opened again."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from endcap_rerank.errors import StoreError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS changes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    document TEXT,           -- NULL: the product is deleted
    embedding BLOB,          -- float32, little-endian
    encoder_id TEXT,
    texts INTEGER,           -- digest of all but prices and other numbers
    words TEXT               -- what the lexical index needs, see endcap_rerank.index.words
)
"""
_ADDED = {"texts": "INTEGER", "words": "TEXT"}
"""Columns that stores of older versions lack."""
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_LOST = (*_DAMAGED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
"""After these errors the file is opened anew: it may have been restored by then."""

REST = 1.0
"""Seconds without another attempt after the file could not be opened: no request waits for the next one."""


class CatalogFile:
    """The connection to the file, for one thread at a time.

    A file that turns out to be damaged is left as it is: nothing is read from it or written to it until
    another one lies in its place.

    Args:
        timeout: seconds to wait for another process's write.

    Attributes:
        openings: how often it was opened.
    """

    def __init__(self, path: Path, timeout: float) -> None:
        self._path = path
        self._timeout = timeout
        self._opened: sqlite3.Connection | None = None
        self._closed = ""
        self._rests_until = 0.0
        self._damaged: tuple[int, int, int] | None = None
        """What the file was when it was found damaged."""
        self.openings = 0

    def connection(self) -> sqlite3.Connection:
        """The open database, opened anew where it was lost.

        Raises:
            StoreError: it could not be opened a moment ago, or is the damaged file still.
        """
        if self._opened is not None:
            return self._opened
        now = time.monotonic()
        if now < self._rests_until:
            raise StoreError(self._closed)
        self._rests_until = now + REST
        if self._damaged is not None:
            if self._damaged == _stamp(self._path):
                raise StoreError(self._closed)
            _check(self._path)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._opened = _open(self._path, self._timeout)
        self._damaged = None
        self.openings += 1
        return self._opened

    @contextmanager
    def errors(self, attempted: str) -> Iterator[None]:
        """Errors of the database as such of the store, and what they say of the file kept in mind.

        Raises:
            StoreError: names the file, and what to do where it is damaged.
        """
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            message = f"{self._path}: the catalogue store cannot be {attempted} ({error})"
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in _DAMAGED:
                self._damaged = _stamp(self._path)
                message += (
                    "; the file is damaged and stays as it is: put a backup in its place, or move it and its "
                    "-wal and -shm files away and send the changes since the release again"
                )
            if self._opened is None or code in _LOST:
                self._closed = message
                if self._opened is not None:
                    self.close()
            raise StoreError(message) from error

    def close(self) -> None:
        """Close it; it is opened anew when it is used again."""
        if self._opened is not None:
            self._opened.close()
        self._opened, self._rests_until = None, 0.0


def number_after(connection: sqlite3.Connection, after: int) -> None:
    """Let the next change have a number above ``after``: a store that was begun anew would start at 1, and
    who has seen more changes than that would not look at them."""
    updated = connection.execute(
        "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'changes'", (after,)
    ).rowcount
    if not updated:
        connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('changes', ?)", (after,))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _check(path: Path) -> None:
    """Read the whole file that lies where a damaged one was.

    Raises:
        sqlite3.DatabaseError: it is damaged too.
    """
    if not path.is_file():
        return
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        error = sqlite3.DatabaseError(found)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def _open(path: Path, timeout: float) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
    try:
        give_up = time.monotonic() + timeout
        while True:
            try:
                # Two processes that switch a new database to WAL at once collide without waiting.
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute(_SCHEMA)
                known = {row[1] for row in connection.execute("PRAGMA table_info(changes)")}
                for name, kind in _ADDED.items():
                    if name not in known:
                        connection.execute(f"ALTER TABLE changes ADD COLUMN {name} {kind}")
                return connection
            except sqlite3.OperationalError as error:
                # Another process may have added the column meanwhile: look again.
                again = "locked" in str(error) or "duplicate column" in str(error)
                if not again or time.monotonic() > give_up:
                    raise
                time.sleep(0.01)
    except BaseException:
        connection.close()
        raise
