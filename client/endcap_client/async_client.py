"""The client for asyncio: the methods of the blocking one, awaited."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from time import perf_counter
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from endcap_client import operations, schema
from endcap_client.errors import ClientClosed, Timeout, Unavailable
from endcap_client.events import Event
from endcap_client.operations import Operation
from endcap_client.options import Options
from endcap_client.results import SearchResult
from endcap_client.transport import AsyncTransport, Target, connect_async, deadline

T = TypeVar("T")


class AsyncClient:
    """:class:`~endcap_client.client.Client` for asyncio: same arguments, same results, same errors.

    Belongs to the event loop of its first call; any number of tasks may call it at once. Cancelling a task
    cancels its call.

    Args:
        url: ``host:port``; by default port 8001 of localhost for gRPC and 8000 for HTTP.
        protocol: ``"grpc"`` (default, faster) or ``"http"``.
        timeout: deadline of a call in seconds; each method takes another one as ``timeout=``.
        headers: sent with every call, e.g. an API key.

    Raises:
        InvalidRequest: an argument cannot be used. No connection is made before the first call.

    Example:
        >>> async with AsyncClient("localhost:8001") as shop:             # doctest: +SKIP
        ...     result = await shop.search("cordless drill", user="ada", k=5)
    """

    def __init__(
        self,
        url: str | None = None,
        protocol: str = "grpc",
        *,
        timeout: float = 5.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._target = Target.validated(url, protocol, timeout, headers)
        # gRPC and aiohttp tie a connection to the running loop, and there may be none yet.
        self._transport: AsyncTransport | None = None
        self._closed = False

    async def search(
        self,
        query: str,
        *,
        user: str | None = None,
        k: int = schema.DEFAULT_K,
        diversity: float | None = None,
        timeout: float | None = None,
        **options: Unpack[Options],
    ) -> SearchResult:
        """See :meth:`Client.search <endcap_client.client.Client.search>`."""
        return (await self._run(operations.search((query,), user, k, diversity, options), timeout))[0]

    async def search_many(
        self,
        queries: Sequence[str],
        *,
        user: str | Sequence[str | None] | None = None,
        k: int = schema.DEFAULT_K,
        diversity: float | None = None,
        timeout: float | None = None,
        **options: Unpack[Options],
    ) -> list[SearchResult]:
        """See :meth:`Client.search_many <endcap_client.client.Client.search_many>`."""
        results: list[SearchResult] = []
        for operation in operations.search_many(queries, user, k, diversity, options):
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
        **options: Unpack[Options],
    ) -> SearchResult:
        """See :meth:`Client.recommend <endcap_client.client.Client.recommend>`."""
        return (await self._run(operations.recommend(user, item, k, diversity, options), timeout))[0]

    async def similar(
        self,
        item: str,
        *,
        user: str | None = None,
        k: int = schema.DEFAULT_K,
        diversity: float | None = None,
        timeout: float | None = None,
        **options: Unpack[Options],
    ) -> SearchResult:
        """See :meth:`Client.similar <endcap_client.client.Client.similar>`."""
        return (await self._run(operations.recommend(user, item, k, diversity, options), timeout))[0]

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

    async def ready(self, *, timeout: float | None = None) -> bool:
        """See :meth:`Client.ready <endcap_client.client.Client.ready>`."""
        seconds = self._deadline(timeout)
        try:
            return await self._connected().ready(schema.SEARCH, seconds)
        except (Unavailable, Timeout):
            return False

    async def close(self) -> None:
        """Give up the connections. Closing twice is fine."""
        transport, self._transport, self._closed = self._transport, None, True
        if transport is not None:
            await transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncClient({self._target.url!r}, {self._target.protocol!r})"

    async def _run(self, operation: Operation[T], timeout: float | None) -> T:
        seconds = self._deadline(timeout)
        start = perf_counter()
        answer = await self._connected().infer(operation, seconds)
        return operation.read(answer, perf_counter() - start)

    def _deadline(self, timeout: float | None) -> float:
        if self._closed:
            raise ClientClosed(f"{self!r} is closed")
        return self._target.timeout if timeout is None else deadline(timeout)

    def _connected(self) -> AsyncTransport:
        if self._transport is None:
            self._transport = connect_async(self._target)
        return self._transport
