"""Miscalibration: how far a list's mix is from the shopper's (Steck, RecSys 2018)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence

import numpy as np

SMOOTHING = 0.01
"""α of the paper, which keeps the divergence finite."""


def miscalibration(values: Sequence[Hashable], taste: Mapping[Hashable, float]) -> float:
    """KL(p ‖ (1-α)·q + α·p) = Σ p·log(p / q̃), in nats.

    Args:
        values: of the list's products, such as their categories.
        taste: p, the share of each value in what the shopper liked; made to sum to 1.

    Returns:
        0 for a list with the shopper's mix, at most log(1/α) = 4.6; 0 where no taste is known.
    """
    total = sum(taste.values())
    if total <= 0.0:
        return 0.0
    counts = Counter(values)
    divergence = 0.0
    for value, amount in taste.items():
        if amount > 0.0:
            wanted = amount / total
            found = counts[value] / len(values) if values else 0.0
            divergence += wanted * float(np.log(wanted / ((1.0 - SMOOTHING) * found + SMOOTHING * wanted)))
    return divergence
