"""The SDK's errors: one base, few kinds, each says what to do."""

from __future__ import annotations


class EndcapError(Exception):
    """Base of every error of the SDK: catch it where any failure means "show the shop without Endcap"."""


class InvalidRequest(EndcapError, ValueError):
    """A field of the request cannot be used. Correct the field; sending it again fails again.

    Attributes:
        field: name of the field (``k``, ``options.filters.price_min`` …), or None where the
            server names none.
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class Unavailable(EndcapError, ConnectionError):
    """Nobody answers at that address, or the server's queue is full.

    Try again after a pause, or another server; check the address and the network if it stays.
    """


class Timeout(EndcapError, TimeoutError):
    """The deadline passed before the answer came. Give the call more ``timeout``, or show what you have.

    A ``feedback``, ``upsert`` or ``delete`` may have taken effect all the same; all three can be
    repeated safely.
    """


class AccessDenied(EndcapError, PermissionError):
    """The server wants a key that was not sent, or another one. Pass it in ``Client(headers={…})``."""


class ServerError(EndcapError):
    """The server failed while working on a correct request. Its log says why; report it to its operator."""


class IncompatibleServer(EndcapError):
    """What answers is not an Endcap server that this SDK understands.

    Usually the port belongs to the other protocol (8001 gRPC, 8000 HTTP, 8002 metrics), no release is
    registered there yet, or SDK and server are of different versions.
    """


class ClientClosed(EndcapError, RuntimeError):
    """The client was used after ``close()``. Keep one open client for the life of your process."""
