"""What a transport does, and which one a client gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from endcap_client.errors import InvalidRequest
from endcap_client.operations import Answer, Operation

Channel = Literal["grpc", "http"]

_DEFAULT_PORTS = {"grpc": 8001, "http": 8000}


class Transport(Protocol):
    """Sends requests to one server; every failure is an :class:`~endcap_client.errors.EndcapError`."""

    def infer(self, operation: Operation[Any], timeout: float) -> Answer:
        """The answer of a model, or an error after at most ``timeout`` seconds."""

    def ready(self, model: str, timeout: float) -> bool:
        """Whether the server and the model take requests."""

    def close(self) -> None:
        """Give up the connections."""


class AsyncTransport(Protocol):
    """:class:`Transport` for asyncio."""

    async def infer(self, operation: Operation[Any], timeout: float) -> Answer:
        """The answer of a model, or an error after at most ``timeout`` seconds."""

    async def ready(self, model: str, timeout: float) -> bool:
        """Whether the server and the model take requests."""

    async def close(self) -> None:
        """Give up the connections."""


@dataclass(frozen=True)
class Target:
    """Where a client connects, validated.

    Attributes:
        url: ``host:port``.
        protocol: grpc or http.
        timeout: default deadline of a call in seconds.
        headers: sent with every call (gRPC metadata or HTTP headers), for keys and tracing.
    """

    url: str
    protocol: Channel
    timeout: float
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def validated(
        cls, url: str | None, protocol: str, timeout: float, headers: Mapping[str, str] | None
    ) -> Target:
        """Check what a client was constructed with.

        Raises:
            InvalidRequest: names the argument.
        """
        channel: Channel
        if protocol == "grpc":
            channel = "grpc"
        elif protocol == "http":
            channel = "http"
        else:
            raise InvalidRequest(f"protocol: got {protocol!r}; 'grpc' or 'http' is expected", "protocol")
        if url is None:
            url = f"localhost:{_DEFAULT_PORTS[channel]}"
        if not isinstance(url, str):
            raise TypeError(f"url: a str is expected, got {type(url).__name__}")
        host, _, port = url.rpartition(":")
        if not host or "/" in url or not port.isdecimal() or not 0 < int(port) < 65536:
            raise InvalidRequest(f"url: got {url!r}; host:port without a scheme is expected", "url")
        return cls(url, channel, deadline(timeout), dict(headers or {}))


def deadline(timeout: float) -> float:
    """``timeout`` if it can be one.

    Raises:
        TypeError: not a number.
        InvalidRequest: not positive and finite.
    """
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout: seconds are expected, got {type(timeout).__name__}")
    if not 0 < timeout < float("inf"):
        raise InvalidRequest(f"timeout: got {timeout}; a positive number of seconds is expected", "timeout")
    return timeout


def connect(target: Target) -> Transport:
    """The blocking transport of a target. Imports only the protocol that is used."""
    if target.protocol == "grpc":
        from endcap_client.grpc_transport import GrpcTransport

        return GrpcTransport(target)
    from endcap_client.http_transport import HttpTransport

    return HttpTransport(target)


def connect_async(target: Target) -> AsyncTransport:
    """The asyncio transport of a target; call it inside the running loop."""
    if target.protocol == "grpc":
        from endcap_client.grpc_async_transport import AsyncGrpcTransport

        return AsyncGrpcTransport(target)
    from endcap_client.http_async_transport import AsyncHttpTransport

    return AsyncHttpTransport(target)
