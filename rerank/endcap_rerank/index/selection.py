"""Picking the best few of many scores, the same way every time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def best(scores: NDArray[np.float32], count: int) -> NDArray[Any]:
    """Positions of the ``count`` highest ``scores`` [n], best first; equal scores by position.

    Which of several equal scores make the cut is decided by position too, so the answer never depends
    on how a partition happens to fall.
    """
    if count <= 0:
        return np.zeros(0, np.int64)
    if len(scores) <= count:
        return np.argsort(-scores, kind="stable")
    limit = np.partition(scores, len(scores) - count)[len(scores) - count]
    kept = np.flatnonzero(scores >= limit)
    return kept[np.argsort(-scores[kept], kind="stable")][:count]
