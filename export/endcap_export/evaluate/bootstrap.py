"""Intervals by bootstrap over queries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

DRAWS = 1000
_SEED = 7


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95% interval."""

    value: float
    low: float
    high: float


def estimate(figure: Callable[..., Doubles], *tables: Doubles) -> Estimate:
    """A figure over queries, and the 2.5th and 97.5th percentile of it over drawn queries.

    Efron's percentile bootstrap (1979). Queries are drawn for all tables together: what compares two systems
    compares them on the same queries.

    Args:
        figure: computes the figure of means over queries, [...] or [..., c], one for each table.
        tables: float64 [queries] or [queries, c], one row a query, all of one length.

    Example:
        ``estimate(lambda before, after: 1 - after / before, clean, misspelled)`` is a relative loss.
    """
    count = len(tables[0])
    weights = np.random.default_rng(_SEED).multinomial(count, np.full(count, 1 / count), size=DRAWS) / count
    value = figure(*(np.asarray(table, np.float64).mean(axis=0) for table in tables))
    drawn = figure(*(weights @ np.asarray(table, np.float64) for table in tables))
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Estimate(float(value), float(low), float(high))


def mean(values: Doubles) -> Estimate:
    """The mean over queries."""
    return estimate(lambda average: average, values)


def loss(before: Doubles, after: Doubles) -> Estimate:
    """By how much the mean is less after than before; negative where it grew."""
    return estimate(lambda first, second: first - second, before, after)


def relative_loss(before: Doubles, after: Doubles) -> Estimate:
    """Which share of the mean is lost; 0 where there was nothing to lose."""
    return estimate(share_lost, before, after)


def share_lost(before: Doubles, after: Doubles) -> Doubles:
    """1 − after / before; 0 where ``before`` is 0."""
    before, after = np.asarray(before, np.float64), np.asarray(after, np.float64)
    return np.where(before > 0, 1 - after / np.where(before > 0, before, 1), 0.0)
