"""A blocking HTTP call in a thread of its own, so that another can run beside it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import cast

from endcap_client.http_connection import Connection
from endcap_client.operations import Answer


class PendingHttp:
    """A call in flight. See :class:`~endcap_client.transport.Pending`."""

    def __init__(self, call: Callable[[Callable[[Connection | None], None]], Answer]) -> None:
        self._call = call
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._cancelled = False
        self._answer: Answer | None = None
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()

    def start(self, done: Callable[[], None]) -> None:
        """Begin; ``done`` is called at the end."""
        self._thread = threading.Thread(target=self._run, args=(done,), name="endcap-hedge", daemon=True)
        self._thread.start()

    def finished(self) -> bool:
        """Whether :meth:`result` will not wait."""
        return self._ended.is_set()

    def result(self) -> Answer:
        """The answer, or the error."""
        self._ended.wait()
        if self._error is not None:
            raise self._error
        return cast("Answer", self._answer)

    def cancel(self) -> None:
        """Cut the connection; the thread ends."""
        with self._lock:
            self._cancelled = True
            if self._connection is not None:
                self._connection.cut()

    def join(self) -> None:
        """Wait for the thread."""
        if self._thread is not None:
            self._thread.join()

    def _watch(self, connection: Connection | None) -> None:
        with self._lock:
            if self._cancelled and connection is not None:
                raise ConnectionAbortedError("the call was given up")
            self._connection = connection

    def _run(self, done: Callable[[], None]) -> None:
        try:
            self._answer = self._call(self._watch)
        except BaseException as error:
            # Whoever waits for the result gets it.
            self._error = error
        finally:
            self._ended.set()
            done()
