"""Blocking HTTP, on the standard library.

Not on ``tritonclient.http``: that one belongs to a single thread (it switches greenlets of one gevent hub),
pulls gevent into the shop's process and has no deadline per call. This is a pool of plain connections
with Triton's binary format on top.
"""

from __future__ import annotations

import http.client
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from endcap_client.connection import ClientOptions
from endcap_client.diagnosis import diagnosis, unexplained
from endcap_client.errors import ClientClosed, EndcapError
from endcap_client.http_codec import HEADER_LENGTH, HttpReply, encode_request, ready_paths
from endcap_client.http_connection import Connection, broken
from endcap_client.http_pending import PendingHttp
from endcap_client.operations import Answer, Operation
from endcap_client.tls import context_of
from endcap_client.tracing import propagation

Watch = Callable[[Connection | None], None]
"""Told which connection a call uses, and None when it has let go of it."""


class HttpTransport:
    """Keep-alive connections to one server, one per call in flight; the latest idle one is used again."""

    def __init__(self, url: str, options: ClientOptions) -> None:
        self._url = url
        self._options = options
        self._context = None if options.tls is None else context_of(options.tls)
        self._headers = dict(options.headers)
        self._trace = propagation()
        # append() and pop() of a deque are atomic: no lock is needed.
        self._idle: deque[Connection] = deque()
        self._pending: set[PendingHttp] = set()
        self._closed = False

    def infer(self, operation: Operation[Any], timeout: float, watch: Watch | None = None) -> Answer:
        """See :class:`~endcap_client.transport.Transport`; ``watch`` lets others cut the connection."""
        body, header_length = encode_request(operation)
        headers = {HEADER_LENGTH: str(header_length)}
        path = f"/v2/models/{operation.target}/infer"
        reply = self._exchange("POST", path, body, headers, timeout, watch, operation.repeatable)
        return reply.answer(self._url)

    def begin(self, operation: Operation[Any], timeout: float, done: Callable[[], None]) -> PendingHttp:
        """See :class:`~endcap_client.transport.Transport`. The call runs in a thread until it ends."""
        pending = PendingHttp(lambda watch: self.infer(operation, timeout, watch))
        self._pending.add(pending)

        def ended() -> None:
            self._pending.discard(pending)
            done()

        pending.start(ended)
        return pending

    def ready(self, model: str, timeout: float) -> bool:
        """See :class:`~endcap_client.transport.Transport`."""
        return all(
            self._exchange("GET", path, None, {}, timeout, None, True).ready(self._url)
            for path in ready_paths(model)
        )

    def explain(self, error: EndcapError, timeout: float) -> EndcapError:
        """See :class:`~endcap_client.transport.Transport`."""
        return (unexplained(error) and diagnosis(self._url, self._options, timeout)) or error

    def close(self) -> None:
        """Close the connections and wait for the threads of hedged calls."""
        self._closed = True
        for pending in list(self._pending):
            pending.cancel()
            pending.join()
        while self._idle:
            self._idle.pop().close()

    def _exchange(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: dict[str, str],
        timeout: float,
        watch: Watch | None,
        repeatable: bool,
    ) -> HttpReply:
        ends = time.monotonic() + timeout
        headers = {**self._headers, **headers}
        if self._trace is not None:
            headers.update(self._trace())
        while True:
            connection, used = self._connection()
            try:
                if watch is not None:
                    watch(connection)
                reply = connection.exchange(method, path, body, headers, ends)
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if self._closed:
                    raise ClientClosed(f"{self._url}: closed during the call") from error
                # A kept connection that the server closed in the moment it was used again.
                if used and isinstance(error, ConnectionError) and (repeatable or not connection.requested):
                    continue
                raise broken(error, self._url, may_have_run=connection.requested) from error
            except BaseException:
                # Cancelled in the middle (gevent, signals): what is left in the socket belongs to nobody.
                connection.close()
                raise
            finally:
                if watch is not None:
                    watch(None)
            if reply.will_close or self._closed:
                connection.close()
            else:
                self._idle.append(connection)
            return reply

    def _connection(self) -> tuple[Connection, bool]:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return Connection(self._url, self._options, self._context), False
            if not connection.dropped():
                return connection, True
            connection.close()
