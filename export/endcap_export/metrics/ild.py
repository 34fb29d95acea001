"""Intra-list diversity (Smyth & McClave, ICCBR 2001; Ziegler et al., WWW 2005)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def ild(embeddings: npt.NDArray[np.floating]) -> float:
    """Mean distance of two products of a list: 2/(k·(k-1))·Σ_{i<j} (1 - cos(i, j)).

    Args:
        embeddings: float [k, d], L2-normalized, of the list's products.

    Returns:
        0 for copies of one product, 1 for unrelated ones, at most k/(k-1); 0 for fewer than two.
    """
    count = len(embeddings)
    if count < 2:
        return 0.0
    # Σ_{i≠j} cos(i, j) = ‖Σ v‖² - Σ ‖v‖²
    vectors = np.asarray(embeddings, np.float64)
    total = vectors.sum(axis=0)
    similar = total @ total - (vectors * vectors).sum()
    return float(1.0 - similar / (count * (count - 1)))
