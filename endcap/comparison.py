"""Two reports, or two sets of runs, held against each other: what changed beyond noise."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from endcap_rerank.errors import InvalidInputError

from endcap.reports import Figure, Report

Z = 1.96
"""Of a 95% interval; the intervals of reports are such."""
# 97.5% quantiles of Student's t, by degrees of freedom; beyond the last the normal one is near enough.
_T = (12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
LOWER_IS_BETTER = frozenset({"ms", "us", "s", "MiB", "GiB", "bytes"})
HIGHER_IS_BETTER = frozenset({"1/s"})


@dataclass(frozen=True)
class Estimate:
    """A figure of one side: its value and half the width of its 95% interval; None where that is unknown."""

    value: float
    half: float | None


@dataclass(frozen=True)
class Change:
    """A figure before and after.

    Attributes:
        verdict: ``better``, ``worse``, ``changed`` (no direction is known) or empty: within the noise.
        noise: how large a difference may be by chance.
    """

    name: str
    unit: str
    before: Estimate
    after: Estimate
    noise: float
    verdict: str

    @property
    def relative(self) -> float | None:
        """(after - before) / |before|; None where before is 0."""
        if self.before.value == 0:
            return None
        return (self.after.value - self.before.value) / abs(self.before.value)


def read_runs(path: Path) -> list[Report]:
    """One report, or the reports of a folder: several runs of one benchmark.

    Raises:
        InvalidInputError: no report, or reports of several benchmarks in one folder.
    """
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    runs = [Report.read(file) for file in files if path.is_file() or b'"figures"' in file.read_bytes()]
    names = sorted({run.name for run in runs})
    if len(names) != 1:
        found = ", ".join(names) or "none"
        raise InvalidInputError(
            str(path), found, "a report, or a folder with runs of one benchmark, is expected"
        )
    return runs


def compare(before: Sequence[Report], after: Sequence[Report], *, tolerance: float = 0.05) -> list[Change]:
    """Every figure that both sides have.

    The noise of a figure with several runs is the 95% interval of their mean (Student's t); of one run, its
    own interval. Differences beyond the root of the sum of squares of both sides count. Where neither is
    there, a relative difference above ``tolerance`` counts, and any from or to 0.

    Raises:
        InvalidInputError: the two are of different benchmarks, or share no figure.
    """
    if before[0].name != after[0].name:
        raise InvalidInputError(
            "report", after[0].name, f"a report of the same benchmark, {before[0].name}, is expected"
        )
    shared = [name for name in before[0].figures if _in_all(name, before) and _in_all(name, after)]
    if not shared:
        raise InvalidInputError("report", after[0].name, "a figure that both sides have is expected")
    return [_change(name, before, after, tolerance) for name in shared]


def _in_all(name: str, runs: Sequence[Report]) -> bool:
    return all(name in run.figures for run in runs)


def _change(name: str, before: Sequence[Report], after: Sequence[Report], tolerance: float) -> Change:
    one = [run.figures[name] for run in before]
    two = [run.figures[name] for run in after]
    earlier, later = _estimate(one), _estimate(two)
    if earlier.half is None and later.half is None:
        noise = tolerance * max(abs(earlier.value), abs(later.value))
        noise = noise if earlier.value and later.value else 0.0
    else:
        noise = math.hypot(earlier.half or 0.0, later.half or 0.0)
    difference = later.value - earlier.value
    verdict = ""
    if abs(difference) > noise:
        sign = _direction(two[-1])
        verdict = "changed" if sign == 0 else ("better" if difference * sign > 0 else "worse")
    return Change(name, two[-1].unit, earlier, later, noise, verdict)


def _estimate(figures: Sequence[Figure]) -> Estimate:
    values = [figure.value for figure in figures]
    if len(values) > 1:
        quantile = _T[len(values) - 2] if len(values) - 2 < len(_T) else Z
        return Estimate(
            statistics.fmean(values), quantile * statistics.stdev(values) / math.sqrt(len(values))
        )
    figure = figures[0]
    if figure.low is None or figure.high is None:
        return Estimate(figure.value, None)
    return Estimate(figure.value, (figure.high - figure.low) / 2)


def _direction(figure: Figure) -> int:
    """1 when more is better, -1 when less is, 0 when nothing says it."""
    goal = figure.goal.strip()
    if goal[:1] in (">", "<"):
        return 1 if goal[0] == ">" else -1
    if goal.replace(" ", "") == "=0":
        return -1
    if figure.unit in LOWER_IS_BETTER:
        return -1
    return 1 if figure.unit in HIGHER_IS_BETTER else 0
