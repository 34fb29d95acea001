"""In which order a selection is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from endcap_rerank.diversity.caps import Cap
from endcap_rerank.diversity.exploration import Exploration
from endcap_rerank.diversity.selection import Selection
from endcap_rerank.diversity.shares import Share

OF_SETS = frozenset({"msd"})
"""Strategies whose objective is that of a set: in which order it was gathered means nothing to a shopper."""


def shown(
    algorithm: str,
    found: Selection,
    relevance: npt.NDArray[np.floating[Any]],
    *,
    caps: Sequence[Cap] = (),
    pinned: int = 0,
    exploration: Exploration | None = None,
    shares: Sequence[Share] = (),
) -> Selection:
    """The selection, the most relevant first after the pins, where the strategy leaves the order open.

    Where a window, exploration or a share says what may follow what, the order of selection stays.

    Args:
        algorithm: the strategy's name.
        relevance: float [n] of all candidates.
        pinned: how many stay in front.
    """
    ordered = exploration is not None or bool(shares) or any(cap.window is not None for cap in caps)
    if algorithm not in OF_SETS or ordered:
        return found
    order = np.argsort(-relevance[found.rows[pinned:]], kind="stable") + pinned
    order = np.concatenate([np.arange(pinned), order])
    return replace(found, rows=found.rows[order], gains=found.gains[order])
