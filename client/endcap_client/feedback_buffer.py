"""A feedback stream without its waiting: what to send next, for how long, what became of each event."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from endcap_client import operations, schema
from endcap_client.errors import (
    BufferFull,
    ClientClosed,
    EndcapError,
    FeedbackLost,
    InvalidRequest,
    Timeout,
)
from endcap_client.events import Event
from endcap_client.failures import timeout_of

log = logging.getLogger("endcap_client")

DEFAULT_BUFFER = 1000
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0


class FeedbackBuffer:
    """The bookkeeping of a feedback stream: every event is waiting, stored, or in a ``FeedbackLost``.

    Args:
        max_buffer: how many events may wait.
        timeout: seconds that a request may take.
    """

    def __init__(self, max_buffer: int, timeout: float) -> None:
        if isinstance(max_buffer, bool) or not isinstance(max_buffer, int):
            raise TypeError(f"max_buffer: an int is expected, got {type(max_buffer).__name__}")
        if max_buffer < 1:
            raise InvalidRequest(f"max_buffer: got {max_buffer}; 1 or more is expected", "max_buffer")
        self._most = max_buffer
        self._timeout = timeout
        self._waiting: deque[Event] = deque()
        self._refused: list[tuple[Event, EndcapError]] = []
        self._parts: list[int] = []
        self._pause = _FIRST_PAUSE
        self._ends: float | None = None
        self.error: EndcapError | None = None
        """Why the last attempt to send did not succeed; None when it did."""

    @staticmethod
    def checked(event: Event | Mapping[str, Any]) -> Event:
        """The event, if it can be sent at all.

        Raises:
            TypeError, InvalidRequest: a field is missing, unknown or of another type.
        """
        checked = Event.of(event)
        operations.feedback(checked)
        return checked

    @property
    def full(self) -> bool:
        """Whether no further event fits."""
        return len(self._waiting) >= self._most

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def closing(self) -> bool:
        """Whether no further event is taken."""
        return self._ends is not None

    def close(self, seconds: float) -> None:
        """Take no further event, and give up on those that wait after so many seconds."""
        if self._ends is None:
            self._ends = time.monotonic() + seconds

    def check_open(self) -> None:
        """Make sure that an event can be taken.

        Raises:
            ClientClosed: it cannot.
        """
        if self._ends is not None:
            raise ClientClosed("the feedback stream is closed; the event was not taken")

    def no_room(self, waited: float) -> BufferFull:
        """The error of an event that found no room in so many seconds; :attr:`error` is its cause."""
        return BufferFull(f"{len(self)} events wait and none was stored within {waited:g} s; see the cause")

    def still_waiting(self) -> Timeout:
        """The error of a flush that did not end in time; :attr:`error` is its cause."""
        return timeout_of(f"{len(self)} events of feedback")

    def push(self, event: Event) -> None:
        """Take an event.

        Raises:
            FeedbackLost: so many events were refused that they are handed over now; ``event`` is not taken.
        """
        if len(self._refused) >= self._most:
            raise self._handed_over()
        self._waiting.append(event)

    def batch(self) -> list[Event]:
        """The events to send next; they stay until :meth:`stored` or :meth:`refused`."""
        count = self._parts[-1] if self._parts else min(len(self), schema.MAX_BATCH[schema.FEEDBACK])
        return [self._waiting[position] for position in range(count)]

    def seconds(self) -> float:
        """How long the next request may take."""
        if self._ends is None:
            return self._timeout
        return min(self._timeout, max(self._ends - time.monotonic(), 0.001))

    def stored(self, count: int) -> None:
        """The first ``count`` events, a whole batch, are on the server."""
        self.error = None
        self._pause = _FIRST_PAUSE
        for _ in range(count):
            self._waiting.popleft()
        self._part_done()

    def refused(self, count: int, error: InvalidRequest) -> None:
        """The server does not want the first ``count`` events, a whole batch, as they are.

        Nothing of a request is stored when one event of it cannot be used: its halves are sent next, until
        that event is found.
        """
        self._part_done()
        if count > 1:
            self._parts += [count - count // 2, count // 2]
            return
        self._pause = _FIRST_PAUSE
        self._refused.append((self._waiting.popleft(), error))
        log.warning("an event of feedback was refused: %s", error)

    def failed(self, error: EndcapError) -> float | None:
        """An attempt to send did not succeed; the events wait on.

        Returns:
            Seconds until the next attempt; None when the stream ends before.
        """
        # The last attempt has little time left: that it was late says less than what came before.
        if self.error is None or not isinstance(error, Timeout):
            self.error = error
        pause = self._pause
        if self._ends is not None and time.monotonic() + pause >= self._ends:
            return None
        self._pause = min(2 * pause, _LONGEST_PAUSE)
        return pause

    def give_up(self, error: EndcapError) -> None:
        """The events that still wait will not be sent."""
        self._refused += [(event, self.error or error) for event in self._waiting]
        self._waiting.clear()
        self._parts.clear()

    def check_refused(self) -> None:
        """Hand refused events over.

        Raises:
            FeedbackLost: there are some; they are forgotten here.
        """
        if self._refused:
            raise self._handed_over()

    def _part_done(self) -> None:
        if self._parts:
            self._parts.pop()

    def _handed_over(self) -> FeedbackLost:
        lost, self._refused = FeedbackLost(self._refused), []
        return lost
