"""When a server that fails is left alone, and when it is tried again."""

from __future__ import annotations

from typing import Literal

Circuit = Literal["closed", "open", "half-open"]


class Breaker:
    """A circuit breaker: closed, open after failures in a row, then half-open for a single probe.

    Times are seconds of any clock that does not go back. Not locked: :class:`~endcap_client.fleet.Fleet` is.

    Args:
        failures: this many in a row open it.
        pause: seconds that it stays open before one call may probe.
    """

    __slots__ = ("_failures", "_in_a_row", "_pause", "_probing", "_until")

    def __init__(self, failures: int, pause: float) -> None:
        self._failures = failures
        self._pause = pause
        self._in_a_row = 0
        self._until: float | None = None
        self._probing = False

    def state(self, now: float) -> Circuit:
        """``open`` lets no call through, ``half-open`` one."""
        if self._until is None:
            return "closed"
        return "half-open" if now >= self._until else "open"

    def admits(self, now: float) -> bool:
        """Whether a call may begin."""
        return self._until is None or (now >= self._until and not self._probing)

    def wait(self, now: float) -> float:
        """Seconds until the next probe may begin; 0 when that is now."""
        return 0.0 if self._until is None else max(0.0, self._until - now)

    def begin(self) -> None:
        """A call begins."""
        if self._until is not None:
            self._probing = True

    def end(self, reached: bool | None, now: float) -> None:
        """A call ended.

        Args:
            reached: whether the server was reached; None when the call was given up before it showed.
            now: the time.
        """
        if reached:
            self._in_a_row, self._until, self._probing = 0, None, False
        elif reached is False:
            self._in_a_row += 1
            if self._until is not None or self._in_a_row >= self._failures:
                self._until = now + self._pause
            self._probing = False
        elif self._probing:
            self._probing = False
