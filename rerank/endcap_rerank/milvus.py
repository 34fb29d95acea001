"""Nearest products found by Milvus, for catalogues that one machine shall not search alone.

The release's own vectors stay on local disk, memory-mapped: every score is computed from them, and they
serve where Milvus cannot. So an answer depends on Milvus only by which candidates are seen.
"""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from endcap_rerank.errors import EndcapError, InvalidInputError, StoreError
from endcap_rerank.index.dense import EXACT_LIMIT, DenseIndex
from endcap_rerank.index.selection import best

MAX_DEPTH = 4096
"""Most candidates that are asked of Milvus; a filter that needs more is searched in the local index."""

REST = 30.0
"""Seconds without another attempt after Milvus could not be asked."""

_BATCH = 1000
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MilvusAddress:
    """Where the vectors of one release are.

    Attributes:
        name: the URL without user and password, for messages.
        uri: as pymilvus takes it.
        collection: one for each release.
    """

    name: str
    uri: str
    collection: str
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str, release: str) -> MilvusAddress:
        """Read ``milvus://[user:password@]host:port`` (``milvuss`` for TLS) or ``milvus:///path/of/file.db``.

        Raises:
            InvalidInputError: another URL; its message holds no password.
        """
        expected = "milvus://host:port, or milvus:///path/file.db for milvus-lite, is expected"
        try:
            parts = urlsplit(url)
            port = parts.port or 19530
        except ValueError:
            raise InvalidInputError("ENDCAP_VECTORS", "an unreadable URL", expected) from None
        collection = f"endcap_{re.sub('[^A-Za-z0-9_]', '_', release)}"
        if parts.scheme == "milvus" and not parts.netloc and len(parts.path) > 1:
            return cls(url, parts.path, collection)
        name = f"{parts.scheme}://{parts.hostname}:{port}"
        if parts.scheme not in ("milvus", "milvuss") or not parts.hostname or parts.path.strip("/"):
            raise InvalidInputError("ENDCAP_VECTORS", name, expected)
        uri = f"{'http' if parts.scheme == 'milvus' else 'https'}://{parts.hostname}:{port}"
        return cls(name, uri, collection, unquote(parts.username or ""), unquote(parts.password or ""))

    def connect(self, timeout: float) -> Any:
        """A client.

        Raises:
            StoreError: the package is missing, or Milvus cannot be reached.
        """
        try:
            from pymilvus import MilvusClient
        except ImportError:
            raise StoreError("vectors in Milvus need pymilvus: pip install 'endcap-rerank[milvus]'") from None
        try:
            return MilvusClient(self.uri, user=self.user, password=self.password, timeout=timeout)
        except Exception as error:  # pymilvus, gRPC and milvus-lite each have their own
            raise StoreError(f"{self.name}: Milvus cannot be reached ({type(error).__name__})") from error


class MilvusDense(DenseIndex):
    """In place of a release's ``DenseIndex``: the same calls, the same answers but for what Milvus misses.

    Small catalogues and narrow filters are searched locally, as the exact comparison is quicker than a
    network; everything is while Milvus is down, which is logged once.

    Args:
        directory: of the release's index.
        timeout: seconds to wait for an answer of Milvus.
    """

    def __init__(self, directory: Path, address: MilvusAddress, *, timeout: float = 1.0) -> None:
        super().__init__(directory)
        self._address = address
        self._timeout = timeout
        self._client: Any = None
        self._rests_until = 0.0
        self._told = False

    def search(
        self, query: NDArray[np.float32], count: int, passing: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """See ``DenseIndex``: exactly ``min(count, rows that pass)`` rows, best first, and their scores."""
        total = len(self.vectors)
        allowed = total if passing is None else int(np.count_nonzero(passing))
        count = min(count, allowed)
        # Half more than wanted, and as much more as the filter will take away.
        depth = min(total, (count + count // 2 + 20) * total // max(allowed, 1))
        if count > 0 and allowed > EXACT_LIMIT and depth <= MAX_DEPTH:
            found = self._nearest(query[None], depth)
            if found is not None:
                rows = found[0] if passing is None else found[0][passing[found[0]]]
                if len(rows) >= count:
                    return self._scored(rows, query, count)
        return super().search(query, count, passing)

    def search_many(
        self, queries: NDArray[np.float32], count: int, passing: NDArray[np.bool_] | None = None
    ) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """What ``search`` finds for each of ``queries`` [B, D]; without a filter in one call to Milvus."""
        total = len(self.vectors)
        depth = min(total, min(count, total) + min(count, total) // 2 + 20)
        if passing is None and len(queries) > 1 and count > 0 and total > EXACT_LIMIT and depth <= MAX_DEPTH:
            count = min(count, total)
            found = self._nearest(queries, depth)
            if found is not None and all(len(rows) >= count for rows in found):
                return [self._scored(rows, query, count) for rows, query in zip(found, queries, strict=True)]
            return [DenseIndex.search(self, query, count) for query in queries]
        return [self.search(query, count, passing) for query in queries]

    def _scored(
        self, rows: NDArray[np.int64], query: NDArray[np.float32], count: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        rows = np.sort(rows)  # equal scores are ordered by row, as in every index
        scores = self.scores(rows, query)
        order = best(scores, count)
        return rows[order], scores[order]

    def _nearest(self, queries: NDArray[np.float32], depth: int) -> list[NDArray[np.int64]] | None:
        """Rows that Milvus finds nearest to each of ``queries``; None while it cannot be asked."""
        if time.monotonic() < self._rests_until:
            return None
        try:
            if self._client is None:
                self._client = self._ready_client()
            answers = self._client.search(
                self._address.collection,
                data=list(np.ascontiguousarray(queries, np.float32)),
                limit=depth,
                search_params={"metric_type": "IP", "params": {"ef": max(64, depth)}},
                timeout=self._timeout,
            )
            found = [np.array([hit["row"] for hit in hits], np.int64) for hits in answers]
            if any(len(rows) and not 0 <= rows.min() <= rows.max() < len(self.vectors) for rows in found):
                raise StoreError(f"{self._address.name}: the collection is of another catalogue")
        except Exception as error:  # whatever goes wrong there, the local index answers
            self._client = None
            self._rests_until = time.monotonic() + REST
            if not self._told:
                reason = error if isinstance(error, EndcapError) else type(error).__name__
                _log.warning("%s: searching the local index instead (%s)", self._address.name, reason)
            self._told = True
            return None
        if self._told:
            _log.warning("%s: Milvus answers again", self._address.name)
        self._told = False
        return found

    def _ready_client(self) -> Any:
        client = self._address.connect(self._timeout)
        stored = stored_rows(client, self._address.collection)
        if stored != len(self.vectors):
            raise StoreError(
                f"collection {self._address.collection} has {stored} of {len(self.vectors)} vectors; "
                "`endcap vectors` puts them there"
            )
        return client


def publish_vectors(directory: Path, address: MilvusAddress, *, timeout: float = 60.0) -> int:
    """Put the vectors of the index in ``directory`` into Milvus; nothing is done when all are there.

    Returns:
        How many were sent.

    Raises:
        StoreError: Milvus cannot be reached or refuses them; calling again completes what was begun.
    """
    vectors = DenseIndex(directory).vectors
    client = address.connect(timeout)
    name = address.collection
    try:
        if stored_rows(client, name) == len(vectors):
            return 0
        if not client.has_collection(name):
            _create(client, name, vectors.shape[1])
        for start in range(0, len(vectors), _BATCH):
            part = np.asarray(vectors[start : start + _BATCH], np.float32)
            client.upsert(
                name,
                [{"row": start + at, "vector": vector} for at, vector in enumerate(part)],
                timeout=timeout,
            )
        client.flush(name)
        client.load_collection(name)
        stored = stored_rows(client, name)
    except Exception as error:
        raise StoreError(f"{address.name}: vectors could not be stored ({error})") from error
    finally:
        client.close()
    if stored != len(vectors):
        raise StoreError(f"{address.name}: {stored} of {len(vectors)} vectors arrived")
    return len(vectors)


def stored_rows(client: Any, collection: str) -> int:
    """How many vectors a collection has, 0 when there is none."""
    if not client.has_collection(collection):
        return 0
    return int(client.query(collection, filter="", output_fields=["count(*)"])[0]["count(*)"])


def _create(client: Any, name: str, dimension: int) -> None:
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("row", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="AUTOINDEX", metric_type="IP")
    # Strong: what was sent is counted.
    client.create_collection(name, schema=schema, index_params=index, consistency_level="Strong")
