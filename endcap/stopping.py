"""SIGINT and SIGTERM: passed on to a running server, or ending its start."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from endcap.launcher import Server


class Stopping:
    """What to do when a signal comes, from one moment to the next."""

    def __init__(self) -> None:
        self.number: int | None = None
        """The last signal; None while there was none."""
        self.server: Server | None = None
        """Gets the signals; None while it is only being started."""

    @property
    def asked(self) -> bool:
        """Whether a signal has come."""
        return self.number is not None

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        """Catch both signals meanwhile."""
        before = {number: signal.signal(number, self) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def check(self) -> None:
        """End the start where a signal has come.

        Raises:
            KeyboardInterrupt: SIGINT.
            typer.Exit: SIGTERM.
        """
        if self.number is not None:
            raise KeyboardInterrupt if self.number == signal.SIGINT else typer.Exit(128 + self.number)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        self.number = number
        if self.server is not None:
            # A second signal is passed on too: Triton then stops waiting for what is in flight.
            self.server.send_signal(number)
