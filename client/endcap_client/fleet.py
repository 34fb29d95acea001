"""The servers of a client: which one takes the next call."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from dataclasses import dataclass

from endcap_client.breaker import Breaker, Circuit
from endcap_client.connection import ClientOptions
from endcap_client.errors import EndcapError, Overloaded, Timeout, Unavailable


@dataclass(frozen=True, slots=True)
class ServerState:
    """One server as a client sees it.

    Attributes:
        url: ``host:port``.
        circuit: ``closed``: in use; ``open``: left alone after failures; ``half-open``: about to be probed.
        in_flight: calls of this client that it works on.
    """

    url: str
    circuit: Circuit
    in_flight: int


class Server:
    """One address with its circuit breaker and the number of calls in flight."""

    __slots__ = ("breaker", "in_flight", "number", "url")

    def __init__(self, number: int, url: str, breaker: Breaker) -> None:
        self.number = number
        self.url = url
        self.breaker = breaker
        self.in_flight = 0


class Fleet:
    """Chooses the server with the fewest calls in flight, in turn among equals. Thread-safe."""

    def __init__(self, options: ClientOptions) -> None:
        self.servers = tuple(
            Server(number, url, Breaker(options.breaker_failures, options.breaker_pause))
            for number, url in enumerate(options.urls)
        )
        self._lock = threading.Lock()
        self._turn = 0

    def begin(self, avoid: Collection[Server] = ()) -> Server:
        """Take the next server for a call, outside ``avoid`` where there is one; :meth:`end` gives it back.

        Raises:
            Unavailable: the circuit of every server is open.
        """
        now = time.monotonic()
        with self._lock:
            server = self._best(now, avoid) or self._best(now, ())
            if server is not None:
                return self._taken(server)
            wait = min(each.breaker.wait(now) for each in self.servers)
        urls = ", ".join(each.url for each in self.servers)
        raise Unavailable(
            f"{urls}: the last calls failed; left alone for another {wait:.1f} s", may_have_run=False
        )

    def begin_other(self, avoid: Collection[Server]) -> Server | None:
        """A further server outside ``avoid``, or None."""
        with self._lock:
            server = self._best(time.monotonic(), avoid)
            return None if server is None else self._taken(server)

    def begin_at(self, server: Server) -> None:
        """A call to this very server begins, whatever its circuit (health checks)."""
        with self._lock:
            self._taken(server)

    def end(self, server: Server, outcome: BaseException | None) -> None:
        """A call ended: without an error, or with this one."""
        with self._lock:
            server.in_flight -= 1
            server.breaker.end(_reached(outcome), time.monotonic())

    def others(self, avoid: Collection[Server]) -> bool:
        """Whether a server outside ``avoid`` takes calls now."""
        with self._lock:
            return self._best(time.monotonic(), avoid) is not None

    def states(self) -> tuple[ServerState, ...]:
        """Every server as it stands."""
        now = time.monotonic()
        with self._lock:
            return tuple(
                ServerState(each.url, each.breaker.state(now), each.in_flight) for each in self.servers
            )

    def _best(self, now: float, avoid: Collection[Server]) -> Server | None:
        best: Server | None = None
        count = len(self.servers)
        for step in range(count):
            server = self.servers[(self._turn + step) % count]
            if server in avoid or not server.breaker.admits(now):
                continue
            if best is None or server.in_flight < best.in_flight:
                best = server
        return best

    def _taken(self, server: Server) -> Server:
        self._turn = (server.number + 1) % len(self.servers)
        server.in_flight += 1
        server.breaker.begin()
        return server


def _reached(outcome: BaseException | None) -> bool | None:
    """What an outcome says of the connection. A timeout says nothing: the deadline may have been short."""
    if outcome is None or isinstance(outcome, Overloaded):
        return True
    if isinstance(outcome, Unavailable):
        return False
    if isinstance(outcome, Timeout) or not isinstance(outcome, EndcapError):
        return None
    return True
