"""Changes of the catalogue since its release, kept in SQLite and seen by every process.

The store keeps the latest state of each changed product, so it grows with the number of *different*
products changed, not with the number of changes. It is the one truth about them: what segments hold
(:mod:`endcap_rerank.index.segments`) can be made again from it, for any release.

Whoever stores a product takes it apart into words too, so that no search has to.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from endcap_rerank.catalog_file import CatalogFile, number_after
from endcap_rerank.errors import InvalidInputError, StoreError
from endcap_rerank.product import Product

# REPLACE removes the older row of the product, and AUTOINCREMENT never gives a number twice.
_PUT = (
    "INSERT OR REPLACE INTO changes (id, document, embedding, encoder_id, texts, words) "
    "VALUES (?, ?, ?, ?, ?, ?)"
)
_REENCODE = (
    "INSERT OR REPLACE INTO changes (id, document, embedding, encoder_id, texts, words) "
    "SELECT id, document, ?, ?, texts, words FROM changes WHERE seq = ?"
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Change:
    """The latest state of a changed product.

    Attributes:
        seq: place in the order of changes.
        document: the product as JSON; None when it was deleted.
        embedding: float32 [D] of the encoder ``encoder_id``; None when the product was deleted.
        texts: ``texts_digest`` of the product; None where an older version stored it.
        words: ``Words.dumps`` of the product; None likewise.
    """

    seq: int
    id: str
    document: str | None
    embedding: NDArray[np.float32] | None
    encoder_id: str
    texts: int | None = None
    words: str | None = None

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of the product that are there, decoded; empty when it was deleted."""
        if self.document is None:
            return {}
        fields: dict[str, Any]
        try:
            fields = orjson.loads(self.document)
        except orjson.JSONDecodeError:  # NaN, or a number of more than 64 bits, that another version wrote
            fields = json.loads(self.document)
        return fields

    @property
    def product(self) -> Product | None:
        """The product, decoded; None when it was deleted."""
        return None if self.document is None else Product(**self.fields)


class CatalogStore:
    """Upserts and deletes of products. Several processes may read and write at once.

    A call that returns has its changes on the disk (WAL, ``synchronous=FULL``); a call that raises has
    changed nothing. One object may be used by several threads.

    A file that turns out to be damaged is left as it is: nothing is read from it or written to it until
    another one lies in its place.

    Args:
        path: the database; it and its folder are created.
        timeout: seconds to wait for another process's write.
        at_once: whether a file that cannot be opened is an error now; otherwise it is one at each use until
            it can be.

    Raises:
        StoreError: the database cannot be opened.
    """

    def __init__(self, path: Path, *, timeout: float = 5.0, at_once: bool = True) -> None:
        self.path = path
        self._file = CatalogFile(path, timeout)
        self._lock = threading.Lock()
        self._own_writes = 0
        try:
            with self._file.errors("opened"):
                self._file.connection()
        except StoreError as error:
            if at_once:
                raise
            _log.warning("%s", error)

    def upsert(
        self, items: Iterable[tuple[Product, NDArray[np.float32]]], encoder_id: str, *, after: int = 0
    ) -> int:
        """Add or replace products, all of them or none.

        Args:
            items: each product with its L2-normalized vector [D] of the encoder ``encoder_id``.
            after: the last change that is known; these come after it, also in a store that was begun anew.

        Returns:
            How many were given.

        Raises:
            InvalidInputError: a vector is not a finite row of numbers.
            StoreError: nothing was stored (disk full, database locked or damaged).
        """
        from endcap_rerank.index.words import Words, texts_digest  # the index package imports this module

        rows = [
            (
                product.id,
                json.dumps(product.as_mapping(), ensure_ascii=False, separators=(",", ":")),
                checked_vector("embedding", embedding).astype("<f4").tobytes(),
                encoder_id,
                texts_digest(product),
                Words.of(product).dumps(),
            )
            for product, embedding in items
        ]
        self._write(rows, after=after)
        return len(rows)

    def delete(self, ids: Sequence[str], *, after: int = 0) -> int:
        """Take products out of the catalogue, all of them or none; unknown ids do no harm.

        Args:
            after: as of ``upsert``.

        Returns:
            How many were given.

        Raises:
            StoreError: nothing was stored.
        """
        self._write([(item_id, None, None, None, None, None) for item_id in ids], after=after)
        return len(ids)

    def reencode(self, vectors: Iterable[tuple[int, NDArray[np.float32]]], encoder_id: str) -> None:
        """Replace the vectors of changes by those of another encoder; a change made since stays as it is.

        Args:
            vectors: ``Change.seq`` and the new L2-normalized vector [D].

        Raises:
            InvalidInputError: a vector is not a finite row of numbers.
            StoreError: nothing was stored.
        """
        self._write(
            [
                (checked_vector("embedding", vector).astype("<f4").tobytes(), encoder_id, seq)
                for seq, vector in vectors
            ],
            _REENCODE,
        )

    def version(self) -> tuple[int, int]:
        """A value that differs whenever something may have been written since; microseconds.

        Raises:
            StoreError: the database cannot be read.
        """
        with self._reading() as connection:
            (others,) = connection.execute("PRAGMA data_version").fetchone()
            # Whatever lies there after it was opened anew, nobody has seen it.
            return others, self._own_writes + self._file.openings

    def changes_since(self, seq: int) -> list[Change]:
        """The latest state of each product changed after ``seq``, in the order of the changes.

        Raises:
            StoreError: the database cannot be read.
        """
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT seq, id, document, embedding, encoder_id, texts, words FROM changes "
                "WHERE seq > ? ORDER BY seq",
                (seq,),
            ).fetchall()
        return [
            Change(
                number,
                item_id,
                document,
                None if embedding is None else np.frombuffer(embedding, "<f4"),
                encoder_id or "",
                texts,
                words,
            )
            for number, item_id, document, embedding, encoder_id, texts, words in rows
        ]

    def __len__(self) -> int:
        """How many products differ from the release, deleted ones included."""
        with self._reading() as connection:
            return int(connection.execute("SELECT count(*) FROM changes").fetchone()[0])

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._file.close()

    def _write(
        self, rows: Sequence[tuple[str | bytes | int | None, ...]], statement: str = _PUT, *, after: int = 0
    ) -> None:
        if not rows:
            return
        with self._lock, self._file.errors("written, nothing was stored"):
            connection = self._file.connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                if after:
                    number_after(connection, after)
                connection.executemany(statement, rows)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            self._own_writes += 1  # data_version tells of other connections only

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._file.errors("read"):
            yield self._file.connection()


def checked_vector(
    field: str, vector: NDArray[np.float32], dimension: int | None = None
) -> NDArray[np.float32]:
    """``vector`` as contiguous float32 [D].

    Raises:
        InvalidInputError: another shape or size, or values that are not finite; names ``field``.
    """
    array = np.ascontiguousarray(vector, np.float32)
    if array.ndim != 1 or array.size == 0 or (dimension is not None and array.size != dimension):
        size = "D" if dimension is None else dimension
        raise InvalidInputError(field, np.shape(vector), f"one vector of {size} numbers is expected")
    if not np.isfinite(array).all():
        raise InvalidInputError(field, "NaN or infinity", "finite numbers are expected")
    return array
