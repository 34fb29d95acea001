"""How many searches are under way between the first step and the last, known to the processes of both."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

FILE = "tickets"
NONE = -1
"""Stands for a ticket where none was free."""

LEASE = 0.25
"""Seconds after which a ticket is free again though nobody gave it back.

More than a search takes that is let in, also under load: with a shorter one more would be under way than fit.
But if every caller in the queue has given up, each of them costs a ticket for so long, and the queue shall be
through before those who come meanwhile give up as well: with 18 that wait for 6 tickets in 0.75 seconds.
"""

_PAUSE = 0.005
_BYTES = 8


class Tickets:
    """A semaphore in a file: ``tokenize`` takes a ticket for a search, ``rerank`` gives it back.

    The first step waits until as many are free as it has requests. What comes meanwhile fills its queue, and
    Triton refuses the rest there, before anything was done for it; what was let in is answered soon.

    Not every ticket comes back: a search may fail on the way, or Triton drops it because its caller has given
    up. So a ticket is lent for ``LEASE`` only.

    The file holds when each ticket was taken, in seconds of the clock that all processes share; 0 is free.
    There is no lock: two processes that take the same ticket at the same moment let in one search more. Where
    the file cannot be used, nothing is held back.

    Args:
        folder: the server's own; the file in it is made where it is missing.
        size: how many tickets there are; 0 where they are only given back.
        clock: seconds since a moment that is the same for all processes of the machine.
    """

    def __init__(self, folder: Path, size: int = 0, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.size = size
        self._clock = clock
        self._file = NONE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            there = os.fstat(self._file).st_size
            if there < size * _BYTES:
                os.pwrite(self._file, bytes(size * _BYTES - there), there)
        except OSError:
            self.close()

    def wait(self, number: int) -> None:
        """Return when ``number`` tickets are free, or all of them; after twice ``LEASE`` in any case."""
        end = self._clock() + 2 * LEASE
        while len(self._free()) < min(number, self.size) and self._clock() < end:
            time.sleep(_PAUSE)

    def take(self, number: int) -> npt.NDArray[np.int32]:
        """As many free tickets [number]; ``NONE`` for each that is lacking."""
        taken = np.full(number, NONE, np.int32)
        free = self._free()[:number]
        taken[: len(free)] = free
        for ticket in free:
            self._write(int(ticket), self._clock())
        return taken

    def give_back(self, tickets: Iterable[int]) -> None:
        """Make tickets free; what is none is passed over."""
        size = os.fstat(self._file).st_size // _BYTES if self._file != NONE else 0
        for ticket in tickets:
            if 0 <= ticket < size:
                self._write(int(ticket), 0.0)

    def close(self) -> None:
        """Close the file; nothing is held back any more."""
        if self._file != NONE:
            os.close(self._file)
        self._file, self.size = NONE, 0

    def _free(self) -> npt.NDArray[np.intp]:
        if not self.size:
            return np.empty(0, np.intp)
        taken = np.frombuffer(os.pread(self._file, self.size * _BYTES, 0), np.float64)
        away = self._clock() - taken
        # One from before the machine was started lies in the future.
        return np.flatnonzero((away < 0.0) | (away > LEASE))

    def _write(self, ticket: int, value: float) -> None:
        os.pwrite(self._file, np.float64(value).tobytes(), ticket * _BYTES)
