"""Whether any server of a client takes requests: whom to ask, for how long, and what the answers come to."""

from __future__ import annotations

import time
from collections.abc import Iterator

from endcap_client.errors import EndcapError, Timeout, Unavailable
from endcap_client.fleet import Fleet, Server


class Readiness:
    """One round over the servers, which share the time.

    Args:
        fleet: of the client.
        timeout: seconds for all of them.
    """

    def __init__(self, fleet: Fleet, timeout: float) -> None:
        self._fleet = fleet
        self._ends = time.monotonic() + timeout
        self._hopeless: EndcapError | None = None

    def __iter__(self) -> Iterator[tuple[Server, float]]:
        """Each server and the seconds that it may take; a call to it has begun."""
        servers = self._fleet.servers
        for number, server in enumerate(servers):
            share = (self._ends - time.monotonic()) / (len(servers) - number)
            if share <= 0:
                return
            self._fleet.begin_at(server)
            yield server, share

    def failed(self, server: Server, error: EndcapError) -> None:
        """A server did not answer, for a reason that has been looked into."""
        self._fleet.explained(server, error)
        if not isinstance(error, (Unavailable, Timeout)):
            self._hopeless = error

    def none(self) -> bool:
        """False: no server takes requests.

        Raises:
            EndcapError: for one of them waiting would not help.
        """
        if self._hopeless is not None:
            raise self._hopeless
        return False
