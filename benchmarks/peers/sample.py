"""What one stretch of load measured, and when its requests were due."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from endcap_rerank.errors import EndcapError

REQUEST_SECONDS = 20.0
"""How long one request may take before the run counts as broken."""

BEHIND_SECONDS = 0.5
"""Requests of so many seconds may wait for a free connection; with more, the rate is beyond the server."""


class LoadError(EndcapError):
    """A server answered with an error, or not at all."""


@dataclass
class Sample:
    """Answers of one stretch.

    Attributes:
        milliseconds: latency of each answer; in an open loop from when the request was due.
        seconds: from the first request to the last answer.
        kept_up: false where the server fell so far behind that sending was stopped, or refused a request.
        refused: requests that the server did not take because too many waited.
        processor_seconds: of the server's processes in that time.
        client_seconds: of this process.
    """

    milliseconds: list[float] = field(default_factory=list)
    seconds: float = 0.0
    kept_up: bool = True
    refused: int = 0
    processor_seconds: float = 0.0
    client_seconds: float = 0.0

    def percentile(self, share: float) -> float:
        """Milliseconds; infinite without an answer."""
        return float(np.percentile(self.milliseconds, share)) if self.milliseconds else math.inf

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.milliseconds) / self.seconds if self.seconds else 0.0

    @property
    def processor_ms(self) -> float:
        """Milliseconds of processor time of the server per answer."""
        return 1e3 * self.processor_seconds / len(self.milliseconds) if self.milliseconds else math.inf

    @property
    def client_ms(self) -> float:
        """Milliseconds of processor time of the client per answer."""
        return 1e3 * self.client_seconds / len(self.milliseconds) if self.milliseconds else math.inf


def arrivals(rate: float, seconds: float, seed: int = 7) -> Iterator[float]:
    """Seconds at which requests are due: independent arrivals (Poisson), the same for every server."""
    numbers = random.Random(seed)
    due = numbers.expovariate(rate)
    while due < seconds:
        yield due
        due += numbers.expovariate(rate)
