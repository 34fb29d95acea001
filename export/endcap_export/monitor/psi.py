"""The population stability index: how far a distribution has moved.

PSI = Σ (a_i - e_i) · ln(a_i / e_i) over buckets with shares e before and a now: the Jeffreys divergence
(Kullback and Leibler 1951). It and its thresholds come from credit scoring: below 0.1 little has changed,
from 0.25 on much has (Siddiqi, "Credit Risk Scorecards", 2006). Where nothing has changed, samples of n and m
still give (1/n + 1/m) · χ² with one degree of freedom less than buckets (Yurdakul and Naranjo, "Statistical
properties of the population stability index", 2020), so few events can say nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MOVED = 0.1
CHANGED = 0.25
"""From here on a distribution has moved, or changed."""

_HALF = 0.5
_Z95 = 1.6449


@dataclass(frozen=True)
class Drift:
    """How far one distribution has moved.

    Attributes:
        psi: the index; NaN where one of the samples is empty.
        chance: what 19 of 20 pairs of samples of these sizes stay below where nothing has changed.
        before, now: sizes of the samples.
    """

    psi: float
    chance: float
    before: int
    now: int

    @property
    def verdict(self) -> str:
        """``stable``, ``moved`` or ``changed``; ``too few`` where chance makes moves as large as this."""
        if math.isnan(self.psi) or MOVED < self.chance >= self.psi:
            return "too few"
        if self.psi < MOVED:
            return "stable"
        return "moved" if self.psi < CHANGED else "changed"


def psi(before: Sequence[float], now: Sequence[float]) -> float:
    """The index of two rows of counts of the same buckets; NaN where one of them is all zeros.

    Half a case is added to each bucket: one that was empty shall count, but not without bound.
    """
    counts = np.array([before, now], np.float64)
    if not counts.sum(axis=1).all():
        return math.nan
    counts += _HALF
    expected, actual = counts / counts.sum(axis=1, keepdims=True)
    return float(((actual - expected) * np.log(actual / expected)).sum())


def drift(before: Sequence[float], now: Sequence[float]) -> Drift:
    """The index, and what chance makes of it.

    Args:
        before, now: counts of the same buckets, at least one of them.
    """
    buckets = sum(bool(one or other) for one, other in zip(before, now, strict=True))
    sizes = int(sum(before)), int(sum(now))
    if not all(sizes):
        return Drift(math.nan, math.nan, *sizes)
    return Drift(psi(before, now), chance(buckets, *sizes), *sizes)


def chance(buckets: int, before: int, now: int) -> float:
    """The 95th percentile of the index without any change, for samples of these sizes.

    The quantile of χ² by Wilson and Hilferty (1931), at most 2.5 % below the exact one.
    """
    freedom = buckets - 1
    if freedom < 1:
        return 0.0
    part = 2.0 / (9.0 * freedom)
    return (1.0 / before + 1.0 / now) * freedom * (1.0 - part + _Z95 * math.sqrt(part)) ** 3
