"""What the selected candidates do not span of each other one: the geometry of the DPP and of SSD."""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy import maximum, multiply, subtract  # names of this module are found faster in the loop

from endcap_rerank.diversity.kernel import SimilarityKernel
from endcap_rerank.diversity.selection import Floats

FLOOR = 1e-5
"""Least share of a candidate that counts as new. Below it float32 similarities are noise: what the
selection spans already counts as FLOOR whatever it is, and relevance decides."""


class Residual:
    """d_i², the squared length of each candidate outside the span of the selected ones.

    S is the Gram matrix of some unit vectors v, one a candidate. Selecting one adds a basis vector b to
    an orthonormal basis, of which only the coordinates c_i = b·v_i are needed: the next row of a Cholesky
    factor of S, O(n·(d + k)), and d_i² = 1 - Σ c_i². No vector but the embeddings themselves is touched.

    Args:
        window: how many basis vectors are kept; when one more comes, the oldest is forgotten and its
            c_i² returns to d_i². None keeps all.
    """

    def __init__(self, kernel: SimilarityKernel, k: int, window: int | None = None) -> None:
        size = len(kernel)
        self._row = kernel.row
        self._vectors = kernel.vectors
        self._slots = min(k, size) if window is None else min(window, k, size)
        # The similarities of the candidate that is taken, above the basis vectors.
        self._table = np.empty((1 + self._slots, size), np.float32)
        self._similar = self._table[0]
        self._scratch = np.empty(size, np.float32)
        self._filled = 0
        self._oldest = 0
        self._factors = np.empty(1 + self._slots, np.float32)
        self._floor = np.full(size, FLOOR, np.float32)
        self._squared: Floats = np.ones(size, np.float32)

    def floored(self) -> Floats:
        """max(d², FLOOR): a new float32 [n]."""
        return maximum(self._squared, self._floor)

    def take(self, position: int, out: Floats) -> None:
        """Make the candidate at ``position`` part of what is spanned; write max(d², FLOOR) to ``out``."""
        squared, scratch, table, filled = self._squared, self._scratch, self._table, self._filled
        if filled < self._slots:
            slot = self._filled = filled + 1
        else:
            slot = self._forget_oldest()
        share = squared.item(position)
        if share > FLOOR:
            similar = self._similar
            if (vectors := self._vectors) is None:
                self._row(position, similar)
            else:
                vectors.dot(vectors[position], similar)
            # b ∝ S - Σ c·c, by one product; its sign means nothing, and here it is -1.
            similar[position] = -1.0
            # numpy multiplies two short vectors sooner than one by a number.
            factors = self._factors
            factors.fill(1.0 / sqrt(share))
            above = filled + 1
            known = table[:above]
            coordinates = known[:, position] * factors[:above]
            row = table[slot]
            if slot == above:
                coordinates.dot(known, row)
            else:  # the place of the oldest is one of those read
                row[:] = coordinates.dot(known)
            multiply(row, row, scratch)
            subtract(squared, scratch, squared)
        else:
            table[slot] = 0.0
        maximum(squared, self._floor, out)

    def _forget_oldest(self) -> int:
        slot = 1 + self._oldest
        self._oldest = slot % self._slots
        row = self._table[slot]
        self._squared += row * row
        row.fill(0.0)
        return slot
