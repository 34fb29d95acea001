"""One kept HTTP connection with a deadline over everything it does."""

from __future__ import annotations

import http.client
import math
import socket
import ssl
import time

from endcap_client.connection import ClientOptions
from endcap_client.diagnosis import tls_error
from endcap_client.errors import EndcapError, Unavailable, WrongProtocol
from endcap_client.failures import timeout_of
from endcap_client.http_codec import HEADER_LENGTH, HttpReply


class NoConnection(OSError):
    """The connection was not made within ``connect_timeout``."""


class Connection:
    """A connection to ``host:port``, made at the first exchange.

    Attributes:
        requested: whether a request has been sent over it that may have run without its answer being read.
    """

    def __init__(self, url: str, options: ClientOptions, context: ssl.SSLContext | None) -> None:
        host, _, port = url.rpartition(":")
        self._connection = (
            http.client.HTTPConnection(host.strip("[]"), int(port))
            if context is None
            else http.client.HTTPSConnection(host.strip("[]"), int(port), context=context)
        )
        self._options = options
        self.requested = False

    def exchange(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str], ends: float
    ) -> HttpReply:
        """Send a request and read its answer before ``ends`` (of ``time.monotonic``).

        Raises:
            OSError, HTTPException: as the standard library has them; TimeoutError at the deadline.
        """
        self.requested = False
        if self._connection.sock is None:
            self._connect(ends)
        self._limit(ends)
        self.requested = True
        self._connection.request(method, path, body, headers)
        self._limit(ends)
        response = self._connection.getresponse()
        parts = []
        while part := response.read1(-1):
            parts.append(part)
            self._limit(ends)
        length = response.headers.get(HEADER_LENGTH)
        reply = HttpReply(response.status, response.reason, b"".join(parts), length, response.will_close)
        response.close()
        return reply

    def dropped(self) -> bool:
        """Whether the server has closed the idle connection, as far as can be seen without a request."""
        sock = self._connection.sock
        if sock is None or isinstance(sock, ssl.SSLSocket):
            return sock is None
        try:
            sock.settimeout(0)
            # Between two exchanges there is nothing to read but the end.
            sock.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            return True
        return True

    def cut(self) -> None:
        """Make the exchange of another thread fail at once."""
        sock = self._connection.sock
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                # It was closed meanwhile.
                return

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _connect(self, ends: float) -> None:
        left = ends - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.timeout = min(left, self._options.connect_timeout)
        try:
            self._connection.connect()
        except TimeoutError:
            if left > self._options.connect_timeout:
                raise NoConnection(f"no connection within {self._options.connect_timeout:g} s") from None
            raise
        if self._options.keep_alive is not None:
            _probe(self._connection.sock, self._options.keep_alive)

    def _limit(self, ends: float) -> None:
        left = ends - time.monotonic()
        if left <= 0:
            raise TimeoutError
        if self._connection.sock is not None:
            self._connection.sock.settimeout(left)


def broken(error: Exception, url: str, *, may_have_run: bool) -> EndcapError:
    """The SDK's error for an exchange that failed."""
    if isinstance(error, TimeoutError):
        return timeout_of(url)
    if isinstance(error, ssl.SSLError):
        return tls_error(error, url)
    # RemoteDisconnected is both.
    if isinstance(error, OSError):
        return Unavailable(f"{url}: {error}", may_have_run=may_have_run)
    said = str(error)
    if "\x15\x03" in said:
        return WrongProtocol(f"{url}: speaks TLS; connect with tls=True or tls=Tls(ca=…)")
    return WrongProtocol(f"{url}: does not speak HTTP ({error!r}); HTTP is usually at port 8000")


def _probe(sock: socket.socket, after: float) -> None:
    """TCP's own probes on a silent connection; what the system lacks is left out."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL"):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), max(1, math.ceil(after)))
