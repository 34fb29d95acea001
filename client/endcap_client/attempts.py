"""The attempts of one call: which server next, after which pause, and when to give up."""

from __future__ import annotations

import random
import time
from typing import Any

from endcap_client.connection import ClientOptions
from endcap_client.errors import Unavailable
from endcap_client.failures import timeout_of
from endcap_client.fleet import Fleet, Server
from endcap_client.operations import Operation

_LONGEST_PAUSE = 1.0


class Attempts:
    """Keeps a call within its deadline and its number of attempts.

    An attempt that met ``Unavailable`` is repeated on a server that this call has not tried, at once; when
    all were tried, after a random pause whose mean doubles each time ("full jitter"), unless the
    deadline would pass meanwhile.
    Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """

    __slots__ = ("_ends", "_fleet", "_left", "_operation", "_pause", "tried")

    def __init__(
        self, fleet: Fleet, options: ClientOptions, operation: Operation[Any], timeout: float
    ) -> None:
        self._fleet = fleet
        self._operation = operation
        self._ends = time.monotonic() + timeout
        self._left = options.retries
        self._pause = options.backoff
        self.tried: list[Server] = []

    def begin(self) -> Server:
        """The server of the next attempt.

        Raises:
            EndcapError: none takes calls; of the class of the last failure.
        """
        server = self._fleet.begin(self.tried)
        self.tried.append(server)
        return server

    def seconds(self, server: Server) -> float:
        """What is left until the deadline.

        Raises:
            Timeout: nothing.
        """
        left = self.left()
        if left <= 0:
            raise timeout_of(server.url)
        return left

    def left(self) -> float:
        """Seconds until the deadline; 0 when it has passed."""
        return max(0.0, self._ends - time.monotonic())

    def after(self, error: Unavailable) -> float:
        """Seconds to wait before the next attempt.

        Raises:
            Unavailable: ``error`` again when there is no further attempt.
        """
        if not (self._operation.repeatable or not error.may_have_run) or self._left <= 0:
            raise error
        self._left -= 1
        if self._fleet.others(self.tried):
            return 0.0
        # Everybody was tried: the next round may go anywhere.
        self.tried.clear()
        pause = random.uniform(0.0, 2.0 * self._pause)
        self._pause = min(2.0 * self._pause, _LONGEST_PAUSE)
        if time.monotonic() + pause >= self._ends or pause < self._fleet.wait():
            raise error
        return pause
