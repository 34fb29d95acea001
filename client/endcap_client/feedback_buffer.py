"""Events that wait to be sent, and those that the server refused."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from endcap_client import operations, schema
from endcap_client.errors import EndcapError, FeedbackLost, InvalidRequest, Timeout
from endcap_client.events import Event

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
DEFAULT_BUFFER = 1000


class FeedbackBuffer:
    """The bookkeeping of a feedback stream: every event is waiting, stored, or in a ``FeedbackLost``."""

    def __init__(self, max_buffer: int) -> None:
        if isinstance(max_buffer, bool) or not isinstance(max_buffer, int):
            raise TypeError(f"max_buffer: an int is expected, got {type(max_buffer).__name__}")
        if max_buffer < 1:
            raise InvalidRequest(f"max_buffer: got {max_buffer}; 1 or more is expected", "max_buffer")
        self._most = max_buffer
        self._waiting: deque[Event] = deque()
        self._refused: list[tuple[Event, EndcapError]] = []
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

    def push(self, event: Event) -> None:
        """Take an event.

        Raises:
            FeedbackLost: so many events were refused that they are handed over now; ``event`` is not taken.
        """
        if len(self._refused) >= self._most:
            raise self._handed_over()
        self._waiting.append(event)

    def batch(self) -> list[Event]:
        """The events to send next; they stay until :meth:`stored` or :meth:`refuse`."""
        count = min(len(self._waiting), schema.MAX_BATCH[schema.FEEDBACK])
        return [self._waiting[position] for position in range(count)]

    def stored(self, count: int) -> None:
        """The first ``count`` events are on the server."""
        self.error = None
        for _ in range(count):
            self._waiting.popleft()

    def refuse(self, error: EndcapError) -> None:
        """The server does not want the first event."""
        self._refused.append((self._waiting.popleft(), error))

    def check_refused(self) -> None:
        """Hand refused events over.

        Raises:
            FeedbackLost: there are some; they are forgotten here.
        """
        if self._refused:
            raise self._handed_over()

    def failed(self, error: EndcapError) -> None:
        """An attempt to send did not succeed; the events wait on."""
        # The last attempt has little time left: that it was late says less than what came before.
        if self.error is None or not isinstance(error, Timeout):
            self.error = error

    def give_up(self, error: EndcapError) -> None:
        """The events that still wait will not be sent."""
        self._refused += [(event, self.error or error) for event in self._waiting]
        self._waiting.clear()

    def _handed_over(self) -> FeedbackLost:
        lost, self._refused = FeedbackLost(self._refused), []
        return lost
