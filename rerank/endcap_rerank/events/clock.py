"""A clock that a jump of the machine's own does not take along."""

from __future__ import annotations

import time
from collections.abc import Callable

LEAD = 3600.0
"""Seconds that the machine's clock may run ahead of the time that has passed since the start."""


class SteadyClock:
    """Seconds since 1970 for what is deleted by age.

    A machine whose clock is set years ahead by mistake would find every event too old, and delete it. So the
    time is that of the start plus what has passed since, sleep of the machine included, and LEAD at most; a
    clock that is set back is believed, since less is deleted by it.

    Args:
        wall: the machine's clock.
        passed: seconds that have passed since any moment.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        passed: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
    ) -> None:
        self._wall = wall
        self._passed = passed
        self._offset = wall() - passed()

    def now(self) -> float:
        """The time by which events are too old."""
        return min(self._wall(), self._offset + self._passed() + LEAD)


STEADY = SteadyClock()
"""Since this process has begun."""
