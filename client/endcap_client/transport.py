"""What a transport does, and which one a server gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from endcap_client.connection import ClientOptions
from endcap_client.errors import EndcapError
from endcap_client.operations import Answer, Operation


class Pending(Protocol):
    """A call in flight."""

    def finished(self) -> bool:
        """Whether :meth:`result` will not wait."""

    def result(self) -> Answer:
        """The answer, or the error; waits for it."""

    def cancel(self) -> None:
        """Give the call up."""


class Transport(Protocol):
    """Sends requests to one server; every failure is an :class:`~endcap_client.errors.EndcapError`."""

    def infer(self, operation: Operation[Any], timeout: float) -> Answer:
        """The answer of a model, or an error after at most ``timeout`` seconds."""

    def begin(self, operation: Operation[Any], timeout: float, done: Callable[[], None]) -> Pending:
        """Send a request without waiting; ``done`` is called when it has ended, from any thread."""

    def ready(self, model: str, timeout: float) -> bool:
        """Whether the server and the model take requests."""

    def explain(self, error: EndcapError, timeout: float) -> EndcapError:
        """The error, or one that says more after a look at the server of at most ``timeout`` seconds."""

    def close(self) -> None:
        """Give up the connections."""


class AsyncTransport(Protocol):
    """:class:`Transport` for asyncio; a task that is cancelled cancels its call."""

    async def infer(self, operation: Operation[Any], timeout: float) -> Answer:
        """The answer of a model, or an error after at most ``timeout`` seconds."""

    async def ready(self, model: str, timeout: float) -> bool:
        """Whether the server and the model take requests."""

    async def explain(self, error: EndcapError, timeout: float) -> EndcapError:
        """The error, or one that says more after a look at the server of at most ``timeout`` seconds."""

    async def close(self) -> None:
        """Give up the connections."""


def connect(url: str, options: ClientOptions) -> Transport:
    """The blocking transport of one server. Imports only the protocol that is used."""
    if options.protocol == "grpc":
        from endcap_client.grpc_transport import GrpcTransport

        return GrpcTransport(url, options)
    from endcap_client.http_transport import HttpTransport

    return HttpTransport(url, options)


def connect_async(url: str, options: ClientOptions) -> AsyncTransport:
    """The asyncio transport of one server; call it inside the running loop."""
    if options.protocol == "grpc":
        from endcap_client.grpc_async_transport import AsyncGrpcTransport

        return AsyncGrpcTransport(url, options)
    from endcap_client.http_async_transport import AsyncHttpTransport

    return AsyncHttpTransport(url, options)
