"""When requests are due: a rate that changes over time, and Poisson arrivals that follow it.

The arrivals are fixed by the clock, not by the answers (an open loop): where the server falls behind,
requests pile up, and each one's latency is counted from when it was due. A closed loop, whose users wait for
an answer before they ask again, would send less just when the server is slow, and so hide the queue.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate

from endcap_rerank.errors import InvalidInputError

WARM_UP = "warm-up"
"""Name of the phase that no figure counts."""
SHAPES = ("steady", "ramp", "steps", "spike", "saturate")
STEPS = 5
SPIKE = 3.0
"""How many times the rate a spike is."""


@dataclass(frozen=True)
class Phase:
    """A part of a run: ``seconds`` long, its rate going straight from ``start`` to ``end`` (1/s)."""

    name: str
    seconds: float
    start: float
    end: float


@dataclass(frozen=True)
class Plan:
    """Phases in turn. An infinite rate means: as fast as answers come (a closed loop)."""

    phases: tuple[Phase, ...]

    @classmethod
    def of_shape(cls, shape: str, rate: float, seconds: float, warm_up: float) -> Plan:
        """A plan by the name of its shape.

        ``steady``: one rate. ``ramp``: from nothing to the rate. ``steps``: five steps up to the rate.
        ``spike``: the rate, three times as much for a fifth of the time, the rate again. ``saturate``: as
        fast as answers come. Each begins with a warm-up that rises to its first rate.

        Raises:
            InvalidInputError: an unknown shape, or a rate or a time that is not positive.
        """
        for name, value in (("rate", rate), ("seconds", seconds)):
            if not value > 0:
                raise InvalidInputError(name, value, "a number above 0 is expected")
        if shape == "steady":
            phases = [Phase("steady", seconds, rate, rate)]
        elif shape == "ramp":
            phases = [Phase("ramp", seconds, 0.0, rate)]
        elif shape == "steps":
            heights = [rate * step / STEPS for step in range(1, STEPS + 1)]
            phases = [Phase(f"{height:.4g}/s", seconds / STEPS, height, height) for height in heights]
        elif shape == "spike":
            high = SPIKE * rate
            phases = [
                Phase("before", 0.4 * seconds, rate, rate),
                Phase("spike", 0.2 * seconds, high, high),
                Phase("after", 0.4 * seconds, rate, rate),
            ]
        elif shape == "saturate":
            phases = [Phase("saturate", seconds, math.inf, math.inf)]
        else:
            raise InvalidInputError("shape", shape, f"one of {', '.join(SHAPES)} is expected")
        if warm_up > 0:
            first = phases[0].start
            phases.insert(0, Phase(WARM_UP, warm_up, first if math.isinf(first) else 0.1 * first, first))
        return cls(tuple(phases))

    @property
    def seconds(self) -> float:
        """Length of the run."""
        return sum(phase.seconds for phase in self.phases)

    @property
    def peak(self) -> float:
        """The highest rate."""
        return max(max(phase.start, phase.end) for phase in self.phases)

    def bounds(self) -> list[tuple[Phase, float, float]]:
        """Each phase with its begin and end in seconds."""
        ends = list(accumulate(phase.seconds for phase in self.phases))
        return [(phase, end - phase.seconds, end) for phase, end in zip(self.phases, ends, strict=True)]

    def rate(self, at: float) -> float:
        """Requests a second, ``at`` seconds from the start; 0 outside the run."""
        for phase, begin, end in self.bounds():
            if begin <= at < end:
                if phase.start == phase.end:
                    return phase.start
                return phase.start + (phase.end - phase.start) * (at - begin) / phase.seconds
        return 0.0


class Arrivals:
    """Hands out the times at which requests are due; every user of the process takes the next one.

    A Poisson process whose rate follows the plan, by thinning (Lewis and Shedler, 1979): arrivals at the
    peak rate, each kept with probability rate / peak. Several processes share a plan by taking a part each:
    the sum of Poisson processes is one.

    Args:
        plan: what the whole run sends.
        share: the part of this process, at most 1.
        now: seconds since the run began.
    """

    def __init__(
        self, plan: Plan, now: Callable[[], float], *, share: float = 1.0, seed: int | None = None
    ) -> None:
        self._plan = plan
        self._now = now
        self._share = share
        self._random = random.Random(seed)
        self._last = 0.0

    def next(self) -> float | None:
        """When the next request is due, in seconds since the run began; None when the run is over.

        It lies in the past when no user was free to take it in time.
        """
        peak = self._plan.peak
        if math.isinf(peak):
            now = self._now()
            return now if now < self._plan.seconds else None
        while True:
            self._last += self._random.expovariate(peak * self._share)
            if self._last >= self._plan.seconds:
                return None
            if self._random.random() * peak < self._plan.rate(self._last):
                return self._last
