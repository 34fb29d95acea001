"""Feedback that is sent while the shop goes on, for asyncio."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from endcap_client.connection import seconds
from endcap_client.errors import BufferFull, ClientClosed, EndcapError, FeedbackLost, InvalidRequest
from endcap_client.events import Event
from endcap_client.failures import timeout_of
from endcap_client.feedback_buffer import FIRST_PAUSE, LONGEST_PAUSE, FeedbackBuffer

log = logging.getLogger("endcap_client")


class AsyncFeedbackStream:
    """:class:`~endcap_client.feedback_stream.FeedbackStream` for asyncio: a task takes the thread's place.

    Made by ``AsyncClient.feedback_stream``. Close it before the event loop ends: what waits then is lost.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Event], float], Awaitable[object]],
        *,
        max_buffer: int,
        timeout: float,
        closed: Callable[[AsyncFeedbackStream], None],
    ) -> None:
        self._send = send
        self._timeout = timeout
        self._closed = closed
        self._buffer = FeedbackBuffer(max_buffer)
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._ends: float | None = None

    async def add(self, event: Event | Mapping[str, Any], *, timeout: float | None = None) -> None:
        """See :meth:`FeedbackStream.add <endcap_client.feedback_stream.FeedbackStream.add>`."""
        checked = self._buffer.checked(event)
        wait = self._timeout if timeout is None else seconds("timeout", timeout)
        async with self._changed:
            self._check_open()
            room = self._changed.wait_for(lambda: not self._buffer.full or self._ends is not None)
            try:
                async with asyncio.timeout(wait):
                    await room
            except TimeoutError:
                raise BufferFull(
                    f"{len(self._buffer)} events wait and none was stored within {wait:g} s; see the cause"
                ) from self._buffer.error
            self._check_open()
            self._buffer.push(checked)
            if self._task is None:
                self._task = asyncio.create_task(self._run(), name="endcap-feedback")
            self._changed.notify_all()

    async def flush(self, timeout: float | None = None) -> None:
        """See :meth:`FeedbackStream.flush <endcap_client.feedback_stream.FeedbackStream.flush>`."""
        wait = self._timeout if timeout is None else seconds("timeout", timeout)
        async with self._changed:
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait_for(lambda: not len(self._buffer))
            except TimeoutError:
                raise timeout_of(f"{len(self._buffer)} events of feedback") from self._buffer.error
            self._buffer.check_refused()

    async def close(self, timeout: float | None = None) -> None:
        """See :meth:`FeedbackStream.close <endcap_client.feedback_stream.FeedbackStream.close>`."""
        wait = self._timeout if timeout is None else seconds("timeout", timeout)
        async with self._changed:
            if self._ends is None:
                self._ends = time.monotonic() + wait
            self._changed.notify_all()
        if self._task is not None:
            await self._task
        self._closed(self)
        self._buffer.check_refused()

    def __len__(self) -> int:
        """How many events wait."""
        return len(self._buffer)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.close()
        except FeedbackLost as lost:
            if error is None:
                raise
            # The error of the block is the one to see; this one must not get lost behind it.
            error.add_note(str(lost))
            log.error("%s", lost)

    def _check_open(self) -> None:
        if self._ends is not None:
            raise ClientClosed("the feedback stream is closed; the event was not taken")

    async def _run(self) -> None:
        pause = FIRST_PAUSE
        while await self._more():
            try:
                await self._deliver(self._buffer.batch())
                pause = FIRST_PAUSE
            except EndcapError as error:
                self._buffer.failed(error)
                if self._ends is not None and time.monotonic() + pause >= self._ends:
                    async with self._changed:
                        self._buffer.give_up(error)
                        self._changed.notify_all()
                    return
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    async def _more(self) -> bool:
        """Wait for events; False when none will come."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._buffer) or self._ends is not None)
            return len(self._buffer) > 0

    async def _deliver(self, events: list[Event]) -> None:
        try:
            await self._send(events, self._patience())
        except InvalidRequest as error:
            if len(events) > 1:
                # Nothing of a request is stored when one event of it cannot be used: find that one.
                middle = len(events) // 2
                await self._deliver(events[:middle])
                await self._deliver(events[middle:])
                return
            async with self._changed:
                self._buffer.refuse(error)
                self._changed.notify_all()
            log.warning("an event of feedback was refused: %s", error)
            return
        async with self._changed:
            self._buffer.stored(len(events))
            self._changed.notify_all()

    def _patience(self) -> float:
        if self._ends is None:
            return self._timeout
        return min(self._timeout, max(self._ends - time.monotonic(), 0.001))
