"""Load over HTTP/1.1 from one thread: plain sockets and one select, so that the client costs little.

The two cores are shared with the server, so a heavier client would be part of what is measured. What it takes
is in the report (``client_cpu_ms``).
"""

from __future__ import annotations

import json
import select
import socket
from collections import deque
from collections.abc import Iterable, Iterator
from time import perf_counter, process_time

from benchmarks.peers.sample import BEHIND_SECONDS, REQUEST_SECONDS, LoadError, Sample

STALE_SECONDS = 2.0
"""A connection that was idle for longer is made anew: servers close idle ones after a few seconds."""

LAST_CHUNK = b"0\r\n\r\n"


def joined(body: bytes) -> bytes:
    """A body that came in chunks, RFC 9112 section 7.1, in one piece."""
    parts: list[bytes] = []
    at = 0
    while True:
        end = body.index(b"\r\n", at)
        size = int(body[at:end].split(b";")[0], 16)
        if not size:
            return b"".join(parts)
        parts.append(body[end + 2 : end + 2 + size])
        at = end + 2 + size + 2


def post(path: str, document: object, host: str = "127.0.0.1") -> bytes:
    """A whole request."""
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


class Connection:
    """One kept-alive connection, one request at a time."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._socket: socket.socket | None = None
        self._used = 0.0
        self._request = b""
        self._retried = False
        self._received = bytearray()
        self._until = -1
        self._chunked = False
        self.due = 0.0

    def fileno(self) -> int:
        """For ``select``."""
        assert self._socket is not None
        return self._socket.fileno()

    def close(self) -> None:
        """Close."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def send(self, request: bytes, due: float) -> None:
        """Send a request; its answer is read by :meth:`receive`."""
        if self._socket is None or perf_counter() - self._used > STALE_SECONDS:
            self._open()
        self._request, self._retried, self.due = request, False, due
        self._start()

    def receive(self) -> bytes | None:
        """Read what has come: the answer's body, None while it is not whole.

        Raises:
            LoadError: the answer is an error.
        """
        assert self._socket is not None
        try:
            part = self._socket.recv(65_536)
        except ConnectionError:
            part = b""
        if not part:
            if self._received or self._retried:
                raise LoadError(f"{self._address[1]}: the server closed the connection within an answer")
            self._retried = True  # it was closing while the request was on its way
            self._open()
            self._start()
            return None
        self._received += part
        if self._until < 0:
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return None
            self._until = end + 4 + self._length(bytes(self._received[:end]))
        if len(self._received) < self._until or (self._chunked and not self._received.endswith(LAST_CHUNK)):
            return None
        self._used = perf_counter()
        head, _, body = bytes(self._received).partition(b"\r\n\r\n")
        if self._chunked:
            body = joined(body)
        if head[9:12] != b"200":
            raise LoadError(f"{self._address[1]}: {head[:60]!r} {body[:300]!r}")
        return body

    def _length(self, head: bytes) -> int:
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                return int(value)
            if name.lower() == b"transfer-encoding" and value.strip().lower() == b"chunked":
                self._chunked = True
                return len(LAST_CHUNK)
        raise LoadError(f"{self._address[1]}: an answer without Content-Length: {head[:200]!r}")

    def _open(self) -> None:
        self.close()
        self._socket = socket.create_connection(self._address, timeout=REQUEST_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _start(self) -> None:
        self._received.clear()
        self._until = -1
        self._chunked = False
        assert self._socket is not None
        try:
            self._socket.sendall(self._request)
        except ConnectionError:
            self._retried = True
            self._open()
            self._socket.sendall(self._request)


class HttpLoad:
    """Requests to one server over a fixed number of connections, which take turns."""

    def __init__(self, port: int, connections: int = 32) -> None:
        self._connections = [Connection(("127.0.0.1", port)) for _ in range(connections)]

    def close(self) -> None:
        """Close all connections."""
        for connection in self._connections:
            connection.close()

    def ask(self, request: bytes) -> bytes:
        """One request, its answer's body."""
        connection = self._connections[0]
        connection.send(request, 0.0)
        while (body := self._wait([connection])[1]) is None:
            pass
        return body

    def closed_loop(self, requests: Iterator[bytes], concurrency: int, seconds: float) -> Sample:
        """So many requests at a time, each followed at once by the next."""
        return self._drive(requests, None, concurrency, seconds)

    def open_loop(self, requests: Iterator[bytes], due: Iterable[float], rate: float) -> Sample:
        """A request at each time of ``due``, whether or not earlier ones are answered."""
        return self._drive(requests, iter(due), len(self._connections), rate)

    def _drive(
        self, requests: Iterator[bytes], due: Iterator[float] | None, connections: int, amount: float
    ) -> Sample:
        sample = Sample()
        idle, busy = deque(self._connections[:connections]), set[Connection]()
        waiting: deque[float] = deque()
        upcoming = next(due, None) if due is not None else None
        limit = max(8.0, BEHIND_SECONDS * amount)
        processor, begin = process_time(), perf_counter()
        while True:
            now = perf_counter() - begin
            if due is None:
                if now < amount:
                    waiting.extend([now] * len(idle))
            else:
                while upcoming is not None and upcoming <= now:
                    waiting.append(upcoming)
                    upcoming = next(due, None)
                if len(waiting) > limit:
                    sample.kept_up, upcoming = False, None
                    waiting.clear()
            while waiting and idle:
                connection = idle.popleft()
                connection.send(next(requests), waiting.popleft())
                busy.add(connection)
            if not busy and upcoming is None:
                break
            pause = REQUEST_SECONDS if upcoming is None else max(0.0, upcoming - (perf_counter() - begin))
            for connection in select.select(busy, (), (), pause)[0]:
                if connection.receive() is not None:
                    sample.milliseconds.append(1e3 * (perf_counter() - begin - connection.due))
                    busy.discard(connection)
                    idle.append(connection)
            if busy and perf_counter() - begin - min(each.due for each in busy) > REQUEST_SECONDS:
                raise LoadError(f"no answer within {REQUEST_SECONDS:g} s")
        sample.seconds = perf_counter() - begin
        sample.client_seconds = process_time() - processor
        return sample

    @staticmethod
    def _wait(connections: list[Connection]) -> tuple[Connection, bytes | None]:
        ready = select.select(connections, (), (), REQUEST_SECONDS)[0]
        if not ready:
            raise LoadError(f"no answer within {REQUEST_SECONDS:g} s")
        return ready[0], ready[0].receive()
