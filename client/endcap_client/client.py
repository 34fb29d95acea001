"""The blocking client."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from time import perf_counter
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from endcap_client import operations, schema
from endcap_client.base import BaseClient
from endcap_client.calls import Calls
from endcap_client.errors import EndcapError, FeedbackLost
from endcap_client.events import Event
from endcap_client.feedback_buffer import DEFAULT_BUFFER
from endcap_client.feedback_stream import FeedbackStream
from endcap_client.fleet import ServerState
from endcap_client.operations import Operation
from endcap_client.options import Options
from endcap_client.results import SearchResult

T = TypeVar("T")


class Client(BaseClient):
    """Talks to Endcap, on one server or several. Make one, keep it, share it.

    The arguments are those of :class:`~endcap_client.base.BaseClient`.

    Thread-safe: any number of threads may call any method at once (gRPC: one channel to each server; HTTP:
    a connection per call in flight). After ``fork()`` make a new one in the child. It starts threads only for
    a feedback stream and, with ``hedge_after``, for calls in flight; none is left after :meth:`close`.

    Example:
        >>> with Client("localhost:8001") as shop:                        # doctest: +SKIP
        ...     for item in shop.search("cordless drill", user="ada", k=5, filters={"price_max": 100}):
        ...         print(item.id, item.score)
        >>> shop = Client(["a:8001", "b:8001"], api_key="…", tls=True)    # doctest: +SKIP
    """

    def _open(self) -> None:
        self._calls = Calls(self._options)
        self._streams: set[FeedbackStream] = set()

    def search(
        self,
        query: str,
        *,
        user: str | None = None,
        k: int = schema.DEFAULT_K,
        diversity: float | None = None,
        timeout: float | None = None,
        release: str | None = None,
        **options: Unpack[Options],
    ) -> SearchResult:
        """The products for a query, best first.

        Args:
            query: what the shopper typed.
            user: the shopper's id; None or an id never seen gives an answer that is not personalized.
            k: how many products.
            diversity: 0 for relevance only, 1 for the most diverse list; None for the server's default.
            timeout: deadline of this call in seconds.
            release: id of a release that `endcap beside` serves beside the current one and that shall
                answer; None for the current one. See :class:`~endcap_client.split.Split`.
            **options: see :class:`~endcap_client.options.Options`.

        Raises:
            InvalidRequest: the server refuses a field; ``.field`` names it.
            EndcapError: see :mod:`endcap_client.errors`.

        Example:
            >>> shop.search("red dress", caps={"brand": 2}, explain=True)  # doctest: +SKIP
        """
        return self._run(operations.search((query,), user, k, diversity, options, release), timeout)[0]

    def search_many(
        self,
        queries: Sequence[str],
        *,
        user: str | Sequence[str | None] | None = None,
        k: int = schema.DEFAULT_K,
        diversity: float | None = None,
        timeout: float | None = None,
        release: str | None = None,
        **options: Unpack[Options],
    ) -> list[SearchResult]:
        """:meth:`search` for several queries in one request (long lists: several requests in turn).

        Args:
            queries: the queries; results come in their order.
            user: one shopper for all, or one for each query (None among them: not personalized).
            k: how many products for each.
            diversity: as in :meth:`search`, the same for all.
            timeout: deadline of each request in seconds.
            release: as in :meth:`search`.
            **options: as in :meth:`search`, the same for all.

        Raises:
            InvalidRequest: one query that cannot be used refuses its whole request.
            EndcapError: see :mod:`endcap_client.errors`.
        """
        results: list[SearchResult] = []
        for operation in operations.search_many(queries, user, k, diversity, options, release):
            batch = self._run(operation, timeout)
            results += batch
        return results

    def recommend(
        self,
        user: str | None = None,
        item: str | None = None,
        *,
        k: int = schema.DEFAULT_K,
        diversity: float | None = None,
        timeout: float | None = None,
        release: str | None = None,
        **options: Unpack[Options],
    ) -> SearchResult:
        """Products for a shopper without a query: by their taste, by a product they look at, or both.

        With neither, what is popular. ``release`` is as in :meth:`search`.

        Raises:
            InvalidRequest: the catalogue has no such item, or another field is refused.
            EndcapError: see :mod:`endcap_client.errors`.
        """
        return self._run(operations.recommend(user, item, k, diversity, options, release), timeout)[0]

    def similar(
        self,
        item: str,
        *,
        user: str | None = None,
        k: int = schema.DEFAULT_K,
        diversity: float | None = None,
        timeout: float | None = None,
        release: str | None = None,
        **options: Unpack[Options],
    ) -> SearchResult:
        """Products like this one; with ``user``, in the order that suits the shopper.

        Raises:
            InvalidRequest: the catalogue has no such item, or another field is refused.
            EndcapError: see :mod:`endcap_client.errors`.
        """
        return self._run(operations.recommend(user, item, k, diversity, options, release), timeout)[0]

    def feedback(
        self,
        events: Event | Mapping[str, Any] | Iterable[Event | Mapping[str, Any]],
        *,
        timeout: float | None = None,
    ) -> int:
        """Tell the server what shoppers did; the next answer of those shoppers takes it into account.

        Args:
            events: one event or several, as :class:`~endcap_client.events.Event` or mappings of its fields.
            timeout: deadline per request in seconds.

        Returns:
            How many events were stored: an ``event_id`` that is stored already may not count again.

        Raises:
            InvalidRequest: an event cannot be used; nothing of its request is stored.
            EndcapError: see :mod:`endcap_client.errors`.

        Example:
            >>> shop.feedback({"user": "ada", "item": "p-17", "event": "click"})  # doctest: +SKIP
            1
        """
        return sum([self._run(operation, timeout) for operation in operations.feedback(events)])

    def upsert(
        self, products: Mapping[str, Any] | Iterable[Mapping[str, Any]], *, timeout: float | None = None
    ) -> int:
        """Put products into the running catalogue, or replace them; found from the next request on.

        Args:
            products: one product or several, as mappings with the columns of ``products``
                (``id``, ``title`` …).
            timeout: deadline per request in seconds.

        Returns:
            How many were accepted.

        Raises:
            InvalidRequest: a product cannot be used; the message names the column.
            EndcapError: see :mod:`endcap_client.errors`.
        """
        return sum([self._run(operation, timeout) for operation in operations.upsert(products)])

    def delete(self, ids: str | Iterable[str], *, timeout: float | None = None) -> int:
        """Take products out of the running catalogue; gone from the next request on.

        Returns:
            How many were accepted.

        Raises:
            EndcapError: see :mod:`endcap_client.errors`.
        """
        return sum([self._run(operation, timeout) for operation in operations.delete(ids)])

    def feedback_stream(self, *, max_buffer: int = DEFAULT_BUFFER) -> FeedbackStream:
        """A buffer of events that a thread sends in batches, so that no shopper waits for :meth:`feedback`.

        When the buffer is full, ``add`` waits for room and then raises ``BufferFull``. Leaving the ``with``
        block sends what waits; what could not be stored comes back in ``FeedbackLost``.

        Args:
            max_buffer: how many events may wait.

        Raises:
            InvalidRequest: ``max_buffer`` is below 1.

        Example:
            >>> with shop.feedback_stream(max_buffer=1000) as feedback:   # doctest: +SKIP
            ...     feedback.add({"user": "ada", "item": "p-17", "event": "click"})
        """
        seconds = self._deadline(None)
        stream = FeedbackStream(
            self._store, max_buffer=max_buffer, timeout=seconds, closed=self._streams.discard
        )
        self._streams.add(stream)
        return stream

    def ready(self, *, timeout: float | None = None) -> bool:
        """Whether a server answers searches. False, not an error, while nobody answers at all.

        Raises:
            AccessDenied, IncompatibleServer, CertificateError: waiting would not help.
        """
        return self._calls.ready(schema.SEARCH, self._deadline(timeout))

    @property
    def servers(self) -> tuple[ServerState, ...]:
        """Every server as this client sees it: its circuit and the calls in flight."""
        return self._calls.fleet.states()

    def close(self) -> None:
        """Close open feedback streams and give up the connections. Closing twice is fine.

        Raises:
            FeedbackLost: events of a feedback stream were not stored.
        """
        if self._closed:
            return
        failures: list[tuple[Event, EndcapError]] = []
        for stream in list(self._streams):
            try:
                stream.close()
            except FeedbackLost as lost:
                failures += lost.failures
        self._closed = True
        self._calls.close()
        if failures:
            raise FeedbackLost(failures)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, operation: Operation[T], timeout: float | None) -> T:
        seconds = self._deadline(timeout)
        start = perf_counter()
        answer = self._calls.infer(operation, seconds)
        return operation.read(answer, perf_counter() - start)

    def _store(self, events: Sequence[Event], timeout: float) -> None:
        for operation in operations.feedback(events):
            self._run(operation, timeout)
