"""Changes of the catalogue taken in between two searches, so that a search finds few that are left to it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Protocol

PAUSE = 0.01
"""Seconds between two looks while the catalogue changes."""

IDLE_PAUSE = 0.1
"""The same when nothing has changed for BUSY seconds: a process that has nothing to do should do nothing."""
BUSY = 1.0

SWITCH_INTERVAL = 0.0005
"""Seconds after which a thread beside a search lets it go on. Python's own 5 ms are as long as two searches,
and each search asks for its turn several times."""


class Turn(Protocol):
    """A lock, as ``threading`` has them."""

    def acquire(self, blocking: bool = True) -> bool:
        """Take the turn; whether it was taken."""

    def release(self) -> None:
        """Let others have it."""


class KeepingUp:
    """A thread that takes in changes while nobody searches, until it is closed. It sets SWITCH_INTERVAL.

    A search sees every change in any case, as it takes in what is left. With 500 changes and 25 searches a
    second that were 20 changes, which took more than half as long as the search.

    Args:
        take_in: takes in what has changed; whether something had.
        turn: held by whoever searches. The thread never waits for it.
    """

    def __init__(self, take_in: Callable[[], bool], turn: Turn) -> None:
        self._take_in = take_in
        self._turn = turn
        self._closing = threading.Event()
        sys.setswitchinterval(SWITCH_INTERVAL)
        self._thread = threading.Thread(target=self._run, name="keeping up", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        busy_until = 0.0
        while not self._closing.wait(PAUSE if time.monotonic() < busy_until else IDLE_PAUSE):
            if not self._turn.acquire(blocking=False):
                continue
            try:
                if self._take_in():
                    busy_until = time.monotonic() + BUSY
            finally:
                self._turn.release()
