"""The client for asyncio: the methods of the blocking one, awaited."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from time import perf_counter
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from endcap_client import operations, schema
from endcap_client.base import BaseClient
from endcap_client.calls_async import AsyncCalls
from endcap_client.errors import EndcapError, FeedbackLost
from endcap_client.events import Event
from endcap_client.feedback_buffer import DEFAULT_BUFFER
from endcap_client.feedback_stream_async import AsyncFeedbackStream
from endcap_client.fleet import ServerState
from endcap_client.operations import Operation
from endcap_client.options import Options
from endcap_client.results import SearchResult

T = TypeVar("T")


class AsyncClient(BaseClient):
    """:class:`~endcap_client.client.Client` for asyncio: same arguments, same results, same errors.

    Belongs to the event loop of its first call; any number of tasks may call it at once. Cancelling a task
    cancels its call.

    Example:
        >>> async with AsyncClient("localhost:8001") as shop:             # doctest: +SKIP
        ...     result = await shop.search("cordless drill", user="ada", k=5)
    """

    def _open(self) -> None:
        self._calls = AsyncCalls(self._options)
        self._streams: set[AsyncFeedbackStream] = set()

    async def search(
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
        """See :meth:`Client.search <endcap_client.client.Client.search>`."""
        return (await self._run(operations.search((query,), user, k, diversity, options, release), timeout))[
            0
        ]

    async def search_many(
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
        """See :meth:`Client.search_many <endcap_client.client.Client.search_many>`."""
        results: list[SearchResult] = []
        for operation in operations.search_many(queries, user, k, diversity, options, release):
            batch = await self._run(operation, timeout)
            results += batch
        return results

    async def recommend(
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
        """See :meth:`Client.recommend <endcap_client.client.Client.recommend>`."""
        return (await self._run(operations.recommend(user, item, k, diversity, options, release), timeout))[0]

    async def similar(
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
        """See :meth:`Client.similar <endcap_client.client.Client.similar>`."""
        return (await self._run(operations.recommend(user, item, k, diversity, options, release), timeout))[0]

    async def feedback(
        self,
        events: Event | Mapping[str, Any] | Iterable[Event | Mapping[str, Any]],
        *,
        timeout: float | None = None,
    ) -> int:
        """See :meth:`Client.feedback <endcap_client.client.Client.feedback>`."""
        return sum([await self._run(operation, timeout) for operation in operations.feedback(events)])

    async def upsert(
        self, products: Mapping[str, Any] | Iterable[Mapping[str, Any]], *, timeout: float | None = None
    ) -> int:
        """See :meth:`Client.upsert <endcap_client.client.Client.upsert>`."""
        return sum([await self._run(operation, timeout) for operation in operations.upsert(products)])

    async def delete(self, ids: str | Iterable[str], *, timeout: float | None = None) -> int:
        """See :meth:`Client.delete <endcap_client.client.Client.delete>`."""
        return sum([await self._run(operation, timeout) for operation in operations.delete(ids)])

    def feedback_stream(self, *, max_buffer: int = DEFAULT_BUFFER) -> AsyncFeedbackStream:
        """See :meth:`Client.feedback_stream <endcap_client.client.Client.feedback_stream>`.

        Example:
            >>> async with shop.feedback_stream() as feedback:            # doctest: +SKIP
            ...     await feedback.add({"user": "ada", "item": "p-17", "event": "click"})
        """
        seconds = self._deadline(None)
        stream = AsyncFeedbackStream(
            self._store, max_buffer=max_buffer, timeout=seconds, closed=self._streams.discard
        )
        self._streams.add(stream)
        return stream

    async def ready(self, *, timeout: float | None = None) -> bool:
        """See :meth:`Client.ready <endcap_client.client.Client.ready>`."""
        return await self._calls.ready(schema.SEARCH, self._deadline(timeout))

    @property
    def servers(self) -> tuple[ServerState, ...]:
        """See :attr:`Client.servers <endcap_client.client.Client.servers>`."""
        return self._calls.fleet.states()

    async def close(self) -> None:
        """See :meth:`Client.close <endcap_client.client.Client.close>`."""
        if self._closed:
            return
        failures: list[tuple[Event, EndcapError]] = []
        for stream in list(self._streams):
            try:
                await stream.close()
            except FeedbackLost as lost:
                failures += lost.failures
        self._closed = True
        await self._calls.close()
        if failures:
            raise FeedbackLost(failures)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _run(self, operation: Operation[T], timeout: float | None) -> T:
        seconds = self._deadline(timeout)
        start = perf_counter()
        answer = await self._calls.infer(operation, seconds)
        return operation.read(answer, perf_counter() - start)

    async def _store(self, events: Sequence[Event], timeout: float) -> None:
        for operation in operations.feedback(events):
            await self._run(operation, timeout)
