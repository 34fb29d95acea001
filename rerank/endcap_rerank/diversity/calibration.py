"""Calibration: a list whose mix is that of the shopper's taste (Steck, RecSys 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

SMOOTHING = 0.01
"""α: share of the taste mixed into the list's, so that no logarithm is infinite; the paper's value."""


@dataclass(frozen=True)
class Calibration:
    """Which mix of codes the list should have, and how much that counts.

    Attributes:
        codes: int [n], of the category of each candidate; a negative code is unknown.
        shares: float [n], p, the share of the candidate's code in the taste; over all codes they sum to
            at most 1. What is not known of a shopper pulls nowhere.
        weight: of the divergence, beside a relevance of weight 1.
    """

    codes: npt.NDArray[np.integer[Any]]
    shares: npt.NDArray[np.floating[Any]]
    weight: float


class Pull:
    """What each candidate would take off (t + 1)·KL(p ‖ q̃) of a list of t, in the units of its gains.

    q̃ = (1-α)·q + α·p for the mix q of the list. Taking a candidate of code c changes only the c-th term, so
    the pull is (t + 1)·p_c·log(q̃'_c / q̃_c) where q and q' count c among the t + 1 places before and after.
    The paper's objective has one KL for the whole list; the factor keeps it worth as much at place 20 as at
    place 1.
    """

    def __init__(self, calibration: Calibration, unit: float) -> None:
        known = calibration.codes >= 0
        self._codes = calibration.codes
        self._shares: Floats = np.where(known, calibration.shares, 0.0).astype(np.float32)
        self._weighted: Floats = self._shares * np.float32(calibration.weight / unit)
        self._floor: Floats = np.maximum(self._shares, np.float32(1e-6)) * np.float32(SMOOTHING)
        self._counts: Floats = np.zeros(len(known), np.float32)
        self._taken = 0

    def take(self, position: int) -> None:
        """Count the candidate at ``position``."""
        self._taken += 1
        self._counts += self._codes == self._codes[position]

    def values(self) -> Floats:
        """The pull of each candidate now: float32 [n]."""
        places = self._taken + 1
        one = np.float32((1.0 - SMOOTHING) / places)
        before = self._counts * one + self._floor
        values: Floats = self._weighted * np.float32(places) * np.log1p(one / before)
        return values
