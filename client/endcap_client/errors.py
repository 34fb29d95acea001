"""The SDK's errors: one base, few kinds, each says what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from endcap_client.events import Event


class EndcapError(Exception):
    """Base of every error of the SDK: catch it where any failure means "show the shop without Endcap"."""


class InvalidRequest(EndcapError, ValueError):
    """A field of the request, or an argument of the client, cannot be used. Correct it; again fails again.

    Attributes:
        field: name of the field (``k``, ``options.filters.price_min`` …), or None where the
            server names none.
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class Unavailable(EndcapError, ConnectionError):
    """Nobody answers at that address, or the connection broke.

    Searches, recommendations and feedback have been tried again by then, elsewhere first. Check the
    address, the network and the server.

    Attributes:
        may_have_run: False when the request certainly did not reach a server that works on it.
    """

    def __init__(self, message: str, *, may_have_run: bool = True) -> None:
        super().__init__(message)
        self.may_have_run = may_have_run


class Overloaded(Unavailable):
    """The server's queue is full and it refused the request. Try again after a pause, or add servers."""


class Timeout(EndcapError, TimeoutError):
    """The deadline passed before the answer came. Give the call more ``timeout``, or show what you have.

    A ``feedback``, ``upsert`` or ``delete`` may have taken effect all the same; all three can be
    repeated safely.
    """


class AccessDenied(EndcapError, PermissionError):
    """The server wants a key that was not sent, or another one. Pass it as ``Client(api_key=…)``."""


class CertificateError(EndcapError, ConnectionError):
    """A certificate was refused: expired, not signed by the authority of ``Tls(ca=…)``, of another host.

    Or the server asks for a client's certificate that ``Tls(certificate=…, key=…)`` did not bring.
    """


class ServerError(EndcapError):
    """The server failed while working on a correct request. Its log says why; report it to its operator."""


class IncompatibleServer(EndcapError):
    """What answers is not an Endcap server that this SDK understands.

    Usually no release is registered there yet, or SDK and server are of different versions.
    """


class WrongProtocol(IncompatibleServer):
    """The port speaks something else: HTTP where gRPC was expected or the reverse, TLS or none.

    Endcap's ports are 8001 for gRPC, 8000 for HTTP and 8002 for metrics.
    """


class ClientClosed(EndcapError, RuntimeError):
    """The client was used after ``close()``. Keep one open client for the life of your process."""


class BufferFull(EndcapError, BlockingIOError):
    """A feedback stream found no room for an event in time; the event was not taken.

    The server does not take events as fast as they come, or not at all: ``__cause__`` says why.
    """


class FeedbackLost(EndcapError):
    """Events given to a feedback stream were not stored.

    Attributes:
        failures: each event with the error that kept it from being stored.
    """

    def __init__(self, failures: Sequence[tuple[Event, EndcapError]]) -> None:
        reasons = {f"{type(error).__name__}: {error}": None for _, error in failures}
        count = "1 event was" if len(failures) == 1 else f"{len(failures)} events were"
        super().__init__(f"{count} not stored ({'; '.join(list(reasons)[:3])})")
        self.failures = tuple(failures)

    @property
    def events(self) -> tuple[Event, ...]:
        """The events, to be kept or sent again."""
        return tuple(event for event, _ in self.failures)
