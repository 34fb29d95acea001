"""A call from its first attempt to its answer, blocking."""

from __future__ import annotations

import threading
import time
from typing import Any

from endcap_client.attempts import Attempts
from endcap_client.connection import ClientOptions
from endcap_client.errors import EndcapError, Unavailable
from endcap_client.failures import timeout_of
from endcap_client.fleet import Fleet, Server
from endcap_client.operations import Answer, Operation
from endcap_client.readiness import Readiness
from endcap_client.transport import Pending, Transport, connect


class Calls:
    """Balances, repeats and hedges the calls of a client over its servers."""

    def __init__(self, options: ClientOptions) -> None:
        self._options = options
        self.fleet = Fleet(options)
        self._transports = [connect(url, options) for url in options.urls]

    def infer(self, operation: Operation[Any], timeout: float) -> Answer:
        """The answer of whichever server gives it.

        Raises:
            EndcapError: of the last attempt.
        """
        attempts = Attempts(self.fleet, self._options, operation, timeout)
        while True:
            server = attempts.begin()
            try:
                if self._options.hedge_after is None or not operation.hedgeable:
                    return self._once(server, operation, attempts)
                return self._hedged(server, operation, attempts, self._options.hedge_after)
            except Unavailable as error:
                try:
                    pause = attempts.after(error)
                except Unavailable:
                    better = self._transport(server).explain(error, attempts.left())
                    raise self.fleet.explained(server, better) from error.__cause__
                if pause:
                    time.sleep(pause)

    def ready(self, model: str, timeout: float) -> bool:
        """Whether any server takes requests; the servers share the time.

        Raises:
            EndcapError: none does, and for one of them waiting would not help.
        """
        asked = Readiness(self.fleet, timeout)
        for server, share in asked:
            try:
                with server:
                    if self._transport(server).ready(model, share):
                        return True
            except EndcapError as error:
                asked.failed(server, self._transport(server).explain(error, share))
        return asked.none()

    def close(self) -> None:
        """Give up all connections."""
        for transport in self._transports:
            transport.close()

    def _transport(self, server: Server) -> Transport:
        return self._transports[server.number]

    def _once(self, server: Server, operation: Operation[Any], attempts: Attempts) -> Answer:
        with server:
            return self._transport(server).infer(operation, attempts.seconds(server))

    def _hedged(self, server: Server, operation: Operation[Any], attempts: Attempts, after: float) -> Answer:
        """The first good answer of two servers; the second is asked after ``after`` seconds of silence."""
        ended = threading.Semaphore(0)
        running: dict[Server, Pending] = {}
        try:
            self._begin(running, server, operation, attempts, ended)
            if not ended.acquire(timeout=min(after, attempts.seconds(server))):
                other = self.fleet.begin_other(attempts.tried)
                if other is not None:
                    attempts.tried.append(other)
                    self._begin(running, other, operation, attempts, ended)
                self._wait(ended, attempts)
            while True:
                finished, pending = next((s, p) for s, p in running.items() if p.finished())
                del running[finished]
                outcome: BaseException | None = None
                try:
                    return pending.result()
                except BaseException as error:
                    outcome = error
                    # The other server may still have the answer.
                    if not isinstance(error, EndcapError) or not running:
                        raise
                finally:
                    self.fleet.end(finished, outcome)
                self._wait(ended, attempts)
        finally:
            for given_up, pending in running.items():
                pending.cancel()
                self.fleet.end(given_up, timeout_of(given_up.url))

    def _begin(
        self,
        running: dict[Server, Pending],
        server: Server,
        operation: Operation[Any],
        attempts: Attempts,
        ended: threading.Semaphore,
    ) -> None:
        try:
            running[server] = self._transport(server).begin(
                operation, attempts.seconds(server), ended.release
            )
        except BaseException as error:
            self.fleet.end(server, error)
            raise

    def _wait(self, ended: threading.Semaphore, attempts: Attempts) -> None:
        # Each call ends by itself at the deadline; the margin lets its own error say so.
        if not ended.acquire(timeout=attempts.left() + 0.005):
            raise timeout_of(attempts.tried[-1].url)
