"""Feedback that is sent while the shop goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from endcap_client.connection import seconds
from endcap_client.errors import EndcapError, FeedbackLost, InvalidRequest
from endcap_client.events import Event
from endcap_client.feedback_buffer import FeedbackBuffer, log


class FeedbackStream:
    """Made by :meth:`Client.feedback_stream <endcap_client.client.Client.feedback_stream>`; thread-safe.

    One thread, from the first event to :meth:`close`, sends what waits in batches of up to 256. While the
    server cannot be reached, events wait and are sent again; an event has an id and is stored once.
    A program that ends without closing sends what waits first, and logs what it could not send.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Event], float], object],
        *,
        max_buffer: int,
        timeout: float,
        closed: Callable[[FeedbackStream], None],
    ) -> None:
        self._send = send
        self._timeout = timeout
        self._closed = closed
        self._buffer = FeedbackBuffer(max_buffer, timeout)
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, event: Event | Mapping[str, Any], *, timeout: float | None = None) -> None:
        """Take an event; it is sent soon after. Waits while the buffer is full.

        Args:
            event: an :class:`~endcap_client.events.Event` or a mapping of its fields.
            timeout: seconds to wait for room; None is the client's ``timeout``.

        Raises:
            TypeError, InvalidRequest: the event has a field that cannot be sent.
            BufferFull: no room in time; the event was not taken.
            FeedbackLost: the server refused as many events as the buffer holds; this one was not taken.
            ClientClosed: the stream is closed.
        """
        checked = self._buffer.checked(event)
        wait = self._timeout if timeout is None else seconds("timeout", timeout)
        with self._changed:
            self._buffer.check_open()
            if not self._changed.wait_for(lambda: not self._buffer.full or self._buffer.closing, wait):
                raise self._buffer.no_room(wait) from self._buffer.error
            self._buffer.check_open()
            self._buffer.push(checked)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="endcap-feedback")
                self._thread.start()
            self._changed.notify_all()

    def flush(self, timeout: float | None = None) -> None:
        """Wait until everything that was added is stored.

        Args:
            timeout: seconds at most; None is the client's ``timeout``.

        Raises:
            FeedbackLost: events were refused by the server.
            Timeout: events still wait, and go on to be sent.
        """
        wait = self._timeout if timeout is None else seconds("timeout", timeout)
        with self._changed:
            if not self._changed.wait_for(lambda: not len(self._buffer), wait):
                raise self._buffer.still_waiting() from self._buffer.error
            self._buffer.check_refused()

    def close(self, timeout: float | None = None) -> None:
        """Send what waits and end the thread. Closing twice is fine.

        Args:
            timeout: seconds to go on trying; None is the client's ``timeout``.

        Raises:
            FeedbackLost: events were not stored; it has them.
        """
        wait = self._timeout if timeout is None else seconds("timeout", timeout)
        with self._changed:
            self._buffer.close(wait)
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
        self._closed(self)
        with self._changed:
            self._buffer.check_refused()

    def __len__(self) -> int:
        """How many events wait."""
        return len(self._buffer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except FeedbackLost as lost:
            if error is None:
                raise
            # The error of the block is the one to see; this one must not get lost behind it.
            error.add_note(str(lost))
            log.error("%s", lost)

    def _run(self) -> None:
        while self._more():
            events = self._buffer.batch()
            try:
                self._send(events, self._buffer.seconds())
            except InvalidRequest as error:
                with self._changed:
                    self._buffer.refused(len(events), error)
                    self._changed.notify_all()
            except EndcapError as error:
                with self._changed:
                    pause = self._buffer.failed(error)
                    if pause is None:
                        self._give_up(error)
                        return
                    self._changed.wait(pause)
            else:
                with self._changed:
                    self._buffer.stored(len(events))
                    self._changed.notify_all()

    def _give_up(self, error: EndcapError) -> None:
        self._buffer.give_up(error)
        self._changed.notify_all()
        if self._abandoned():
            # Nobody is left to raise it to.
            try:
                self._buffer.check_refused()
            except FeedbackLost as lost:
                log.error("%s", lost)

    def _more(self) -> bool:
        """Wait for events; False when none will come."""
        with self._changed:
            while not len(self._buffer):
                if self._buffer.closing or self._abandoned():
                    return False
                self._changed.wait(0.5)
            if self._abandoned():
                self._buffer.close(self._timeout)
            return True

    def _abandoned(self) -> bool:
        """Whether the program has ended around this thread, which it waits for."""
        return not threading.main_thread().is_alive()
