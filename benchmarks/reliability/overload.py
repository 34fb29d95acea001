"""Five times what the server can answer: what is still answered in time, how soon the rest is refused."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from benchmarks.reliability.ground import Ground
from benchmarks.reliability.stream import Outcome, closed, opened, search_requests
from benchmarks.traffic import never_repeated
from endcap.reports import Figure

WORKERS = 16
DEADLINE = 1.0
"""Seconds that a caller waits; none at all was set while saturation was measured."""

FACTOR = 5.0
RECOVERY = 10.0
_PATIENT = 30.0


def measure_overload(
    ground: Ground, queries: Sequence[str], *, seconds: float, progress: Callable[[str], None]
) -> dict[str, Figure]:
    """The figures ``overload_*``, the server on half of the cores and the callers on the others.

    Args:
        queries: none is asked twice as it is, so that no cache helps.
        seconds: of overload; saturation is measured for a sixth of it before and after, at least 4 seconds.
    """
    with ground.apart():
        return _measured(ground, queries, seconds, progress)


def _measured(
    ground: Ground, queries: Sequence[str], seconds: float, progress: Callable[[str], None]
) -> dict[str, Figure]:
    requests = search_requests(never_repeated(queries))
    progress("saturation")
    closed(ground.grpc_url, requests, seconds=3.0, workers=WORKERS, deadline=_PATIENT)
    saturated = _saturation(ground, requests, seconds)
    calm_rate = 0.3 * saturated
    calm = _at(ground, requests, calm_rate)
    held = ground.memory()
    pid = ground.pid
    watch = _MemoryWatch(ground)
    progress(f"{FACTOR:g} times {saturated:.0f} searches a second for {seconds:g} s")
    with watch:
        flood = opened(
            ground.grpc_url,
            requests,
            seconds=seconds,
            rate=FACTOR * saturated,
            deadline=DEADLINE,
        )
    progress("calm again")
    threading.Event().wait(RECOVERY)
    after = _at(ground, requests, calm_rate)
    progress("saturation once more")
    saturated_again = _saturation(ground, requests, seconds)
    # A machine that others share is not equally fast all the time: the flood lies between the two.
    goodput = 2 * flood.throughput / max(saturated + saturated_again, 1e-9)
    refused_p99 = _percentile(flood.refused, 99)
    calm_p50, after_p50 = _percentile(calm.answered, 50), _percentile(after.answered, 50)
    counts = {
        "sent_per_s": flood.sent / flood.seconds,
        "refused": float(len(flood.refused)),
        "late": float(flood.late),
        "failed": float(len(flood.failed)),
    }
    return {
        "overload_goodput": Figure(
            goodput,
            goal=">= 0.8",
            baselines={
                "saturation_before_per_s": saturated,
                "saturation_after_per_s": saturated_again,
                "answered_per_s": flood.throughput,
            }
            | counts,
        ),
        "overload_refusal_p99_ms": Figure(
            refused_p99, "ms", goal="<= 50", baselines={"p50_ms": _percentile(flood.refused, 50)} | counts
        ),
        "overload_answered_p99_ms": Figure(
            _percentile(flood.answered, 99), "ms", baselines={"p50_ms": _percentile(flood.answered, 50)}
        ),
        "overload_recovered_ratio": Figure(
            after_p50 / max(calm_p50, 1e-9),
            goal="<= 1.5",
            baselines={
                "before_p50_ms": calm_p50,
                "after_p50_ms": after_p50,
                "before_p99_ms": _percentile(calm.answered, 99),
                "after_p99_ms": _percentile(after.answered, 99),
            },
        ),
        "overload_memory_growth_mib": Figure(
            watch.most - held, "MiB", goal="<= 200", baselines={"before": held, "after": ground.memory()}
        ),
        "overload_crashes": Figure(float(ground.pid != pid), goal="<= 0"),
    }


def _saturation(ground: Ground, requests: Iterator[bytes], flood: float) -> float:
    """Answers a second to ``WORKERS`` that ask one after the other, for a sixth of the flood's seconds."""
    seconds = max(4.0, flood / 6)
    return closed(ground.grpc_url, requests, seconds=seconds, workers=WORKERS, deadline=_PATIENT).throughput


def _at(ground: Ground, requests: Iterator[bytes], rate: float) -> Outcome:
    """A few seconds below saturation."""
    return opened(ground.grpc_url, requests, seconds=5.0, rate=rate, deadline=_PATIENT)


def _percentile(seconds: Sequence[float], percentile: float) -> float:
    return float(np.percentile(seconds, percentile)) * 1000 if seconds else 0.0


class _MemoryWatch:
    """The most memory that a server held, looked at every two seconds."""

    def __init__(self, ground: Ground) -> None:
        self.most = 0.0
        self._ground = ground
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._done.wait(2.0):
            self.most = max(self.most, self._ground.memory())

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *exception: object) -> None:
        self._done.set()
        self._thread.join()
        self.most = max(self.most, self._ground.memory())
