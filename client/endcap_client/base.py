"""What both clients are constructed with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from endcap_client.connection import ClientOptions, Tls, seconds
from endcap_client.errors import ClientClosed


class BaseClient:
    """The constructor of :class:`~endcap_client.client.Client` and of its asyncio twin.

    Args:
        url: ``host:port`` of a server, or of several that share their stores; calls go to the one with
            the fewest in flight. By default port 8001 of localhost for gRPC and 8000 for HTTP.
        protocol: ``"grpc"`` (default, faster) or ``"http"``.
        timeout: deadline of a call in seconds, all its attempts together; each method takes another one
            as ``timeout=``.
        headers: sent with every call.
        api_key: the server's key; sent as header ``api_key_header``, over gRPC also under the name that
            Triton's ``--grpc-restricted-protocol`` looks for.
        api_key_header: its name.
        tls: encrypts connections: True trusts the system's authorities, :class:`Tls` says more.
        retries: further attempts after ``Unavailable``, on another server first. ``upsert`` and ``delete``
            are repeated only when they certainly did not run.
        backoff: mean pause in seconds before a server is tried again; doubles from attempt to attempt.
        hedge_after: seconds until a second server is asked the same; the first answer counts, the other
            call is cancelled. Searches and recommendations only.
        breaker_failures: failures in a row after which a server is left alone …
        breaker_pause: … for so many seconds, then one call probes it.
        connect_timeout: seconds that a connection may take to be made.
        keep_alive: seconds after which a silent connection is probed (gRPC pings, TCP probes). Triton's
            gRPC refuses pings more often than every 300 s unless it is started with
            ``--grpc-http2-min-recv-ping-interval-without-data``.

    Raises:
        TypeError, InvalidRequest: an argument cannot be used; the message names it. No connection is made
            before the first call.
    """

    def __init__(
        self,
        url: str | Sequence[str] | None = None,
        protocol: str = "grpc",
        *,
        timeout: float = 5.0,
        headers: Mapping[str, str] | None = None,
        api_key: str | None = None,
        api_key_header: str = "x-api-key",
        tls: Tls | bool | None = None,
        retries: int = 2,
        backoff: float = 0.05,
        hedge_after: float | None = None,
        breaker_failures: int = 5,
        breaker_pause: float = 1.0,
        connect_timeout: float = 1.0,
        keep_alive: float | None = None,
    ) -> None:
        self._options = ClientOptions.validated(
            url,
            protocol,
            timeout=timeout,
            headers=headers,
            api_key=api_key,
            api_key_header=api_key_header,
            tls=tls,
            retries=retries,
            backoff=backoff,
            hedge_after=hedge_after,
            breaker_failures=breaker_failures,
            breaker_pause=breaker_pause,
            connect_timeout=connect_timeout,
            keep_alive=keep_alive,
        )
        self._closed = False
        self._open()

    def _open(self) -> None:
        """Make what the options ask for."""
        raise NotImplementedError

    def __repr__(self) -> str:
        urls = self._options.urls
        shown = urls[0] if len(urls) == 1 else list(urls)
        return f"{type(self).__name__}({shown!r}, {self._options.protocol!r})"

    def _deadline(self, timeout: float | None) -> float:
        if self._closed:
            raise ClientClosed(f"{self!r} is closed; keep one open client for the life of your process")
        return self._options.timeout if timeout is None else seconds("timeout", timeout)
