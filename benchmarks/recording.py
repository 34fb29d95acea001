"""Every request of a Locust run: when it was due, how long it took, how it ended.

Locust's own statistics round to whole milliseconds and forget when a request was made; both are needed here.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

Row = tuple[str, str, float, float, float, str]
"""protocol, call, due (s from the start), latency and lag of the sending from then (ms), error class."""
MESSAGES = 40
"""Kinds of messages kept; a message that quotes something random must not fill the memory."""


class Recording:
    """What one process saw, or several after ``add``.

    Attributes:
        rows: requests, as they ended.
        messages: "protocol call class: message" → how often.
        server: readings of Triton's metrics, each (seconds from the start, values by name).
        began: when the run started, seconds since 1970.
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.messages: Counter[str] = Counter()
        self.server: list[tuple[float, dict[str, float]]] = []
        self.began = 0.0

    def on_request(
        self,
        request_type: str,
        name: str,
        response_time: float,
        exception: BaseException | None,
        context: dict[str, float],
        **_: Any,
    ) -> None:
        """Locust's ``request`` event; ``context`` has ``due`` and ``lag`` of the request."""
        error = type(exception).__name__ if exception is not None else ""
        self.rows.append((request_type, name, context["due"], response_time, context["lag"], error))
        if exception is not None:
            text = f"{request_type} {name} {error}: {exception}"
            if text in self.messages or len(self.messages) < MESSAGES:
                self.messages[text] += 1

    def take(self) -> dict[str, Any]:
        """What was recorded since the last call, to be sent to the master; it is forgotten here."""
        taken = {"rows": self.rows, "messages": dict(self.messages)}
        self.rows, self.messages = [], Counter()
        return taken

    def clear(self) -> None:
        """Forget everything; another run starts."""
        self.take()
        self.server.clear()

    def add(self, taken: dict[str, Any]) -> None:
        """Add what another process took."""
        self.rows += [tuple(row) for row in taken["rows"]]
        self.messages.update(taken["messages"])

    def document(self) -> dict[str, Any]:
        """All of it as JSON takes it."""
        return {
            "began": self.began,
            "rows": self.rows,
            "messages": dict(self.messages),
            "server": self.server,
        }

    def write(self, file: Path) -> None:
        """Write the document as JSON."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(self.document()), "utf-8")
