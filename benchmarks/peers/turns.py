"""One turn of one system: warm-up, saturation, 60% of it, a fixed rate, the highest rate within the limit."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from benchmarks.peers.sample import Sample, arrivals
from benchmarks.traffic import Zipf, never_repeated

SLO_MS = 50.0
STEADY_SHARE = 0.6
LOWEST_SHARE, HIGHEST_SHARE = 0.25, 1.2
"""Of the saturation: between them the highest rate within the limit is looked for."""


class Load(Protocol):
    """A client of one server."""

    def closed_loop(self, requests: Iterator[bytes], concurrency: int, seconds: float) -> Sample:
        """So many requests at a time."""

    def open_loop(self, requests: Iterator[bytes], due: Iterator[float], rate: float) -> Sample:
        """Requests at their times."""


@dataclass(frozen=True)
class Plan:
    """How long each stretch is.

    Attributes:
        rounds: in each of which every system has one turn.
        warm_up, closed, steady, fixed, step: seconds.
        steps: tries of the search for the highest rate.
        concurrency: requests at a time, of the closed loops.
        fixed_rate: requests a second, the same for all.
        checked: queries on which the answers are held against each other.
    """

    rounds: int = 3
    warm_up: float = 1.5
    closed: float = 2.0
    steady: float = 5.0
    fixed: float = 3.0
    step: float = 2.5
    steps: int = 4
    concurrency: tuple[int, ...] = (4, 16)
    fixed_rate: float = 30.0
    checked: int = 100


QUICK = Plan(rounds=1, warm_up=1.0, closed=1.5, steady=2.5, fixed=1.5, step=1.5, steps=3, checked=30)


@dataclass(frozen=True)
class Turn:
    """What a turn measured, nothing cached: the samples, and answers a second.

    Attributes:
        saturated: the closed loop that had most answers.
        steady: at 60% of its rate.
        fixed: at the rate that is the same for all.
    """

    saturated: Sample
    steady: Sample
    fixed: Sample


@dataclass(frozen=True)
class ZipfTurn:
    """What a turn under repeated queries measured.

    Attributes:
        saturation: answers a second in the better closed loop.
        rate: the highest tried one at which p99 was at most SLO_MS; 0 where none was.
    """

    saturation: float
    rate: float


def fresh(queries: Sequence[str], request: Callable[[str], bytes], seed: int) -> Iterator[bytes]:
    """Requests of which none is sent twice; the same ones for every system."""
    return map(request, never_repeated(queries, seed))


def popular(queries: Sequence[str], request: Callable[[str], bytes], seed: int) -> Iterator[bytes]:
    """Requests for queries by Zipf's law; the same ones for every system."""
    order = list(queries)
    random.Random(7).shuffle(order)
    zipf, numbers = Zipf(len(order)), random.Random(seed)
    while True:
        yield request(order[zipf.draw(numbers)])


def saturation(load: Load, requests: Iterator[bytes], plan: Plan, spent: Callable[[], float]) -> Sample:
    """The closed loop with most answers a second, after a warm-up."""
    load.closed_loop(requests, plan.concurrency[0], plan.warm_up)
    samples = [
        metered(spent, partial(load.closed_loop, requests, many, plan.closed)) for many in plan.concurrency
    ]
    return max(samples, key=lambda sample: sample.rate)


def take_turn(load: Load, requests: Iterator[bytes], plan: Plan, spent: Callable[[], float]) -> Turn:
    """Measure with queries that are not repeated.

    Args:
        spent: processor seconds of the server so far.
    """
    saturated = saturation(load, requests, plan, spent)

    def at(rate: float, seconds: float) -> Sample:
        return metered(spent, lambda: load.open_loop(requests, arrivals(rate, seconds), rate))

    return Turn(saturated, at(STEADY_SHARE * saturated.rate, plan.steady), at(plan.fixed_rate, plan.fixed))


def take_zipf_turn(load: Load, requests: Iterator[bytes], plan: Plan) -> ZipfTurn:
    """Look for the highest rate within the limit."""
    top = saturation(load, requests, plan, lambda: 0.0).rate

    def holds(rate: float) -> bool:
        sample = load.open_loop(requests, arrivals(rate, plan.step), rate)
        return sample.kept_up and sample.percentile(99) <= SLO_MS

    return ZipfTurn(top, highest(holds, LOWEST_SHARE * top, HIGHEST_SHARE * top, plan.steps))


def highest(holds: Callable[[float], bool], low: float, high: float, steps: int) -> float:
    """The highest rate that was tried and held, by halving the interval; 0 where none held."""
    best = 0.0
    for _ in range(steps):
        rate = (low * high) ** 0.5
        if holds(rate):
            best = low = rate
        else:
            high = rate
    return best


def metered(spent: Callable[[], float], run: Callable[[], Sample]) -> Sample:
    """Run, and note the server's processor time."""
    before = spent()
    sample = run()
    sample.processor_seconds = spent() - before
    return sample
