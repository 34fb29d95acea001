"""Exploration: places kept for products that nobody has had a chance to like yet."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Exploration:
    """A share of the places of every list, and of every beginning of it, for new products.

    Attributes:
        new: bool [n].
        share: at least floor(share·m) of the first m products are new, for every m, while new ones are open.
    """

    new: npt.NDArray[np.bool_]
    share: float

    def due(self, place: int, taken: int) -> bool:
        """Whether the product at ``place`` (from 0) must be new, when ``taken`` of those before it are."""
        return math.floor((place + 1) * self.share + 1e-9) > taken
