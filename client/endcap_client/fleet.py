"""The servers of a client: which one takes the next call."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from types import TracebackType

from endcap_client.breaker import Breaker, Circuit
from endcap_client.connection import ClientOptions
from endcap_client.errors import (
    CertificateError,
    EndcapError,
    Overloaded,
    Timeout,
    Unavailable,
    WrongProtocol,
)


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
    """One address with its circuit breaker and the number of calls in flight.

    ``with server:`` around a call that :class:`Fleet` has begun there tells the fleet how it ended.

    Attributes:
        failure: the latest that its circuit counts, or what it turned out to be; None since it was reached.
    """

    __slots__ = ("_fleet", "breaker", "failure", "in_flight", "number", "url")

    def __init__(self, fleet: Fleet, number: int, url: str, breaker: Breaker) -> None:
        self._fleet = fleet
        self.number = number
        self.url = url
        self.breaker = breaker
        self.in_flight = 0
        self.failure: EndcapError | None = None

    def __enter__(self) -> None:
        """The call is sent."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._fleet.end(self, error)


class Fleet:
    """Chooses the server with the fewest calls in flight, in turn among equals. Thread-safe."""

    def __init__(self, options: ClientOptions) -> None:
        self.servers = tuple(
            Server(self, number, url, Breaker(options.breaker_failures, options.breaker_pause))
            for number, url in enumerate(options.urls)
        )
        self._lock = threading.Lock()
        self._turn = 0

    def begin(self, avoid: Collection[Server] = ()) -> Server:
        """Take the next server for a call, outside ``avoid`` where there is one; :meth:`end` gives it back.

        Raises:
            EndcapError: the circuit of every server is open. It is of the class of the last failure.
        """
        now = time.monotonic()
        with self._lock:
            server = self._best(now, avoid) or self._best(now, ())
            if server is not None:
                return self._taken(server)
            failure, error = self._left_alone(now)
        raise error from failure

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
        reached = outcome is None or _reached(outcome)
        with self._lock:
            server.in_flight -= 1
            server.breaker.end(reached, time.monotonic())
            if reached:
                server.failure = None
            elif reached is False and isinstance(outcome, EndcapError):
                server.failure = _latest(server.failure, outcome)

    def explained(self, server: Server, error: EndcapError) -> EndcapError:
        """Keep what a failure turned out to be after a look at the server; gives ``error`` back."""
        with self._lock:
            if server.failure is not None and _reached(error) is False:
                server.failure = _kept(error)
        return error

    def wait(self) -> float:
        """Seconds until some server takes calls, or may be probed; 0 when that is now."""
        now = time.monotonic()
        with self._lock:
            return min(each.breaker.wait(now) for each in self.servers)

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

    def _left_alone(self, now: float) -> tuple[EndcapError, EndcapError]:
        """The failure of the server that is probed next, and what to raise from it."""
        in_turn = sorted(self.servers, key=lambda server: server.breaker.wait(now))
        # An open circuit has a failure that opened it.
        failures = [server.failure for server in in_turn if server.failure is not None]
        wait = in_turn[0].breaker.wait(now)
        until = f"for another {wait:.1f} s" if wait else "until the call that probes it has ended"
        urls = ", ".join(server.url for server in self.servers)
        said = "; ".join(dict.fromkeys(map(str, failures)))
        error = _kept(failures[0], f"{urls}: left alone {until} after failures in a row; the last: {said}")
        if isinstance(error, Unavailable):
            error.may_have_run = False
        return failures[0], error


def _latest(before: EndcapError | None, error: EndcapError) -> EndcapError:
    """The failure to keep: what a look at the server found says more than that it cannot be reached."""
    looked_into = before is not None and type(before) is not Unavailable
    return before if before and looked_into and type(error) is Unavailable else _kept(error)


def _kept(error: EndcapError, message: str | None = None) -> EndcapError:
    """A copy with another message, and without the traceback: it would keep the call's frames alive."""
    kept = copy.copy(error)
    if message is not None:
        kept.args = (message,)
    return kept


def _reached(outcome: BaseException) -> bool | None:
    """What an error says of the server's health: None is nothing, False counts as a failure.

    Any answer says that it is well, a refusal of the request or of its key among them. A timeout says
    nothing: the deadline may have been short.
    """
    if isinstance(outcome, Overloaded):
        return True
    if isinstance(outcome, (Unavailable, CertificateError, WrongProtocol)):
        return False
    if isinstance(outcome, Timeout) or not isinstance(outcome, EndcapError):
        return None
    return True
