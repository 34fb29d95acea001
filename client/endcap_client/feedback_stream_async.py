"""Feedback that is sent while the shop goes on, for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from endcap_client.connection import seconds
from endcap_client.errors import EndcapError, FeedbackLost, InvalidRequest
from endcap_client.events import Event
from endcap_client.feedback_buffer import FeedbackBuffer, log


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
        self._buffer = FeedbackBuffer(max_buffer, timeout)
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    async def add(self, event: Event | Mapping[str, Any], *, timeout: float | None = None) -> None:
        """See :meth:`FeedbackStream.add <endcap_client.feedback_stream.FeedbackStream.add>`."""
        checked = self._buffer.checked(event)
        wait = self._timeout if timeout is None else seconds("timeout", timeout)
        async with self._changed:
            self._buffer.check_open()
            room = self._changed.wait_for(lambda: not self._buffer.full or self._buffer.closing)
            try:
                async with asyncio.timeout(wait):
                    await room
            except TimeoutError:
                raise self._buffer.no_room(wait) from self._buffer.error
            self._buffer.check_open()
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
                raise self._buffer.still_waiting() from self._buffer.error
            self._buffer.check_refused()

    async def close(self, timeout: float | None = None) -> None:
        """See :meth:`FeedbackStream.close <endcap_client.feedback_stream.FeedbackStream.close>`."""
        wait = self._timeout if timeout is None else seconds("timeout", timeout)
        async with self._changed:
            self._buffer.close(wait)
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

    async def _run(self) -> None:
        while await self._more():
            events = self._buffer.batch()
            try:
                await self._send(events, self._buffer.seconds())
            except InvalidRequest as error:
                async with self._changed:
                    self._buffer.refused(len(events), error)
                    self._changed.notify_all()
            except EndcapError as error:
                pause = self._buffer.failed(error)
                if pause is None:
                    async with self._changed:
                        self._buffer.give_up(error)
                        self._changed.notify_all()
                    return
                await asyncio.sleep(pause)
            else:
                async with self._changed:
                    self._buffer.stored(len(events))
                    self._changed.notify_all()

    async def _more(self) -> bool:
        """Wait for events; False when none will come."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._buffer) or self._buffer.closing)
            return len(self._buffer) > 0
