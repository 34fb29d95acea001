"""A run cut into pieces: by time for pictures and the CSV file, by phase for latency over load."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.arrivals import WARM_UP
from benchmarks.load_run import Requests, Run

PERCENTILES = (50, 95, 99)
PIECES = 120
"""Pieces of a long run at most: a picture has no room for more."""


@dataclass(frozen=True)
class Piece:
    """Requests that were due in a stretch of time.

    Attributes:
        phase: the plan's.
        begin: seconds from the start of the run.
        offered, answered: requests a second that were due and that were answered.
        p50, p95, p99: latency of what shoppers waited for, in milliseconds; NaN where there is none.
        errors: requests that failed.
    """

    phase: str
    begin: float
    seconds: float
    offered: float
    answered: float
    p50: float
    p95: float
    p99: float
    errors: int


def by_time(run: Run) -> list[Piece]:
    """Pieces of a second or more, each within one phase, the warm-up too."""
    step = max(1.0, run.load.plan.seconds / PIECES)
    pieces = []
    for phase, begin, end in run.load.plan.bounds():
        count = max(1, round((end - begin) / step))
        edges = np.linspace(begin, end, count + 1)
        for low, high in pairwise(edges):
            pieces.append(_piece(run.requests.during(low, high), phase.name, float(low), float(high - low)))
    return pieces


def by_phase(run: Run) -> list[Piece]:
    """One piece a phase, without the warm-up."""
    return [
        _piece(run.requests.during(begin, end), phase.name, begin, end - begin)
        for phase, begin, end in run.load.plan.bounds()
        if phase.name != WARM_UP
    ]


def write_csv(pieces: list[Piece], file: Path) -> None:
    """One row a piece."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(Piece)])
        writer.writeheader()
        for piece in pieces:
            row = asdict(piece)
            writer.writerow({name: round(x, 4) if isinstance(x, float) else x for name, x in row.items()})


def intervals(
    requests: Requests, percentiles: tuple[int, ...] = PERCENTILES
) -> dict[int, tuple[float, float]]:
    """95% intervals of latency percentiles of the answered, by bootstrap over stretches of a second or more.

    Whole stretches are drawn, not requests: those that wait in one queue are slow together, and single draws
    would make the interval too narrow.
    """
    answered = requests.answered
    if not len(answered):
        return {}
    span = float(answered.due[-1] - answered.due[0])
    edges = np.linspace(answered.due[0], answered.due[-1] + 1e-9, max(2, min(60, int(span))) + 1)
    due, latency = answered.due, answered.latency
    cut = (latency[(due >= begin) & (due < end)] for begin, end in pairwise(edges))
    blocks = [block for block in cut if len(block)]
    numbers = np.random.default_rng(7)
    drawn: npt.NDArray[np.float64] = np.array(
        [
            np.percentile(
                np.concatenate([blocks[place] for place in numbers.integers(len(blocks), size=len(blocks))]),
                percentiles,
            )
            for _ in range(300)
        ]
    )
    lows, highs = np.percentile(drawn, (2.5, 97.5), axis=0)
    return {p: (float(low), float(high)) for p, low, high in zip(percentiles, lows, highs, strict=True)}


def _piece(requests: Requests, phase: str, begin: float, seconds: float) -> Piece:
    answered = requests.answered
    waited = answered.shoppers.latency
    p50, p95, p99 = (
        float(np.percentile(waited, each)) if len(waited) else float("nan") for each in PERCENTILES
    )
    return Piece(
        phase,
        begin,
        seconds,
        offered=len(requests) / seconds,
        answered=len(answered) / seconds,
        p50=p50,
        p95=p95,
        p99=p99,
        errors=len(requests) - len(answered),
    )
