"""Picking the best few of many scores, the same way every time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endcap_rerank import loops

_SAMPLE = 2048
"""Scores by which it is told how high the best few of many are."""


def best(scores: NDArray[np.float32], count: int) -> NDArray[Any]:
    """Positions of the ``count`` highest ``scores`` [n], best first; equal scores by position.

    Which of several equal scores make the cut is decided by position too, so the answer never depends
    on how a partition happens to fall.
    """
    if count <= 0:
        return np.zeros(0, np.int64)
    if loops.COMPILED and scores.dtype == np.float32:
        return top(scores, min(count, len(scores)), math.nan)
    if len(scores) <= count:
        return np.argsort(-scores, kind="stable")
    limit = np.partition(scores, len(scores) - count)[len(scores) - count]
    kept = np.flatnonzero(scores >= limit)
    return kept[np.argsort(-scores[kept], kind="stable")][:count]


def positive(
    scores: NDArray[np.float32], count: int, passing: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """Positions of the ``count`` highest of the ``scores`` [n] above 0, best first; equal scores by position.

    Args:
        passing: bool [n], which may be taken.
    """
    if loops.COMPILED:
        return top(scores, min(max(count, 0), len(scores)), 0.0, passing)
    admitted = scores if passing is None else np.where(passing, scores, np.float32(0.0))
    rows = leading(admitted, count)
    if rows is None:
        rows = np.flatnonzero(admitted > 0)  # four times as fast as on the floats themselves
    found: NDArray[np.int64] = rows[best(admitted[rows], count)]
    return found


def top(
    scores: NDArray[np.float32], count: int, above: float, passing: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """The compiled ``top``: see ``_loops.pyi``."""
    found = np.empty(count, np.int64)
    if passing is not None:
        passing = np.ascontiguousarray(passing)
    return found[: loops.top(np.ascontiguousarray(scores), count, above, passing, found)]


def distinct(rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The distinct ``rows`` [n], ascending, and one place of each; sooner than ``np.unique``."""
    order = rows.argsort()
    ordered = rows[order]
    first = np.ones(len(rows), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first], order[first]


def leading(scores: NDArray[np.float32], count: int) -> NDArray[np.int64] | None:
    """Ascending positions of a small part of ``scores`` [n] that has the ``count`` highest and their ties.

    A sample tells a limit that somewhat more than ``count`` scores should reach. None where fewer do, where
    a large part does, as many are equal, and where so few are given that all are looked at as quickly.
    """
    every = len(scores) // _SAMPLE
    if every < 4 or count <= 0:
        return None
    sample = scores[::every]
    place = len(sample) - (2 * count // every + 8)
    if place < 0:
        return None
    rows = np.flatnonzero(scores >= np.partition(sample, place)[place])
    return rows if count <= len(rows) <= len(scores) // 4 else None
