"""How many brands or categories a list shows, how evenly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np


def coverage(values: Sequence[Hashable], possible: int) -> float:
    """Share of the possible values that a list shows: |set(values)| / min(possible, k).

    Args:
        values: of the list's products, such as their brands; None for an unknown one, which shows nothing.
        possible: how many different values the candidates have.

    Returns:
        From 0 to 1; 0 for an empty list.
    """
    reachable = min(possible, len(values))
    return len({value for value in values if value is not None}) / reachable if reachable > 0 else 0.0


def entropy(values: Sequence[Hashable]) -> float:
    """Shannon entropy of the mix of values of a list: -Σ p·log2 p, in bits.

    0 where all are the same, log2 k where no two are. Each unknown value (None) counts as one of its own.
    """
    if not values:
        return 0.0
    counts = list(Counter(value for value in values if value is not None).values())
    counts += [1] * sum(value is None for value in values)
    shares = np.array(counts, np.float64) / len(values)
    return float(-(shares * np.log2(shares)).sum() + 0.0)
