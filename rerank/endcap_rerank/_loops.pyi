"""What _loops.c does. Arrays are C-contiguous; ``out`` ones are written."""

import numpy as np
from numpy.typing import NDArray

def top(
    scores: NDArray[np.float32],
    count: int,
    above: float,
    passing: NDArray[np.bool_] | None,
    out: NDArray[np.int64],
    /,
) -> int:
    """Positions of the ``count`` highest of the scores [n] that pass, best first, equal ones by position.

    Args:
        above: only higher scores; all for NaN.
        out: int64 [count].

    Returns:
        How many there are.
    """

def add(
    total: NDArray[np.float32], rows: NDArray[np.int32], impacts: NDArray[np.float32], weight: float, /
) -> None:
    """``total[rows] += impacts * weight``, where a row may stand more than once.

    Raises:
        IndexError: a row is none of ``total``.
    """

def dpp(
    embeddings: NDArray[np.float32],
    cosine_weight: float,
    codes: NDArray[np.int64],
    weights: NDArray[np.float32],
    relevance: NDArray[np.float32],
    floor: float,
    first: NDArray[np.int64],
    cap_codes: NDArray[np.int64],
    limits: NDArray[np.int64],
    strict: bool,
    rows: NDArray[np.int64],
    values: NDArray[np.float32],
    exceeded: NDArray[np.bool_],
    /,
) -> int:
    """What ``greedy`` selects with the criterion of the DPP, under caps on the whole list.

    Args:
        embeddings: [n, d].
        codes: [g, n] of the kernel's groups; ``weights`` [g].
        relevance: [n], in units of the logarithm.
        floor: least d².
        first: [p], positions to take first.
        cap_codes: [c, n]; ``limits`` [c].
        strict: whether the list ends where the caps cannot be kept.
        rows: out, int64 [k] for k of at most n.
        values: out, float32 [k], the gain of each.
        exceeded: out, bool [c], which caps were not kept.

    Returns:
        How many were selected.
    """
