"""Every latency of a Locust run, unrounded.

Locust's own statistics round to whole milliseconds, which is coarser than what is measured here.
"""

from __future__ import annotations

import json
import time
from array import array
from collections import Counter
from pathlib import Path
from typing import Any


class Recording:
    """Latencies and errors of a run by protocol and call.

    Attributes:
        milliseconds: (protocol, call) → latencies of successful calls.
        errors: (protocol, message) → how often.
    """

    def __init__(self) -> None:
        self.milliseconds: dict[tuple[str, str], array[float]] = {}
        self.errors: Counter[tuple[str, str]] = Counter()
        self._first: dict[str, float] = {}
        self._last: dict[str, float] = {}

    def on_request(
        self, request_type: str, name: str, response_time: float, exception: BaseException | None, **_: Any
    ) -> None:
        """Locust's ``request`` event."""
        now = time.monotonic()
        self._first.setdefault(request_type, now - response_time / 1000)
        self._last[request_type] = now
        if exception is None:
            self.milliseconds.setdefault((request_type, name), array("d")).append(response_time)
        else:
            self.errors[request_type, f"{type(exception).__name__}: {exception}"] += 1

    def document(self) -> dict[str, Any]:
        """``{protocol: {"seconds", "errors": {message: count}, "calls": {name: [milliseconds …]}}}``."""
        protocols: dict[str, Any] = {}
        for protocol, first in self._first.items():
            protocols[protocol] = {
                "seconds": self._last[protocol] - first,
                "errors": {text: count for (where, text), count in self.errors.items() if where == protocol},
                "calls": {
                    name: values.tolist()
                    for (where, name), values in self.milliseconds.items()
                    if where == protocol
                },
            }
        return protocols

    def write(self, file: Path) -> None:
        """Write the document as JSON."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(self.document()), "utf-8")
