"""Greedy MAP inference of a determinantal point process (Chen, Zhang & Zhou, NeurIPS 2018)."""

from __future__ import annotations

import numpy as np
from numpy import add, log, multiply

from endcap_rerank import loops
from endcap_rerank.diversity.kernel import SimilarityKernel
from endcap_rerank.diversity.narrow import narrowed
from endcap_rerank.diversity.orthogonal import FLOOR, Residual
from endcap_rerank.diversity.selection import (
    Doubles,
    Floats,
    Rules,
    Selection,
    weighted,
)
from endcap_rerank.diversity.strategy import strategy


@strategy
def select_dpp(
    relevance: Doubles, kernel: SimilarityKernel, k: int, diversity: float, rules: Rules
) -> Selection:
    """Greedily maximize (1-θ)·Σ r_i + θ·log det S_selected.

    This is the MAP of the DPP with L = diag(exp(αr))·S·diag(exp(αr)), α = (1-θ)/2θ, the trade-off of
    section 4.2 of the paper, scaled by θ so that θ = 0 is defined. The gain of i is
    (1-θ)·r_i + θ·log d_i², where d_i² is the share of i that the selected ones do not span
    (:class:`Residual`): O(k²n) in all, beside the k rows of S.
    """
    base = weighted(relevance, diversity)
    if loops.COMPILED and _by_gains_and_caps(rules):
        return _compiled(base, kernel, k, diversity, rules)
    # Of few, half remain when they are narrowed: as much is lost in finding them as is won.
    if rules.free and 0 < len(kernel) < FEW and base.item(base.argmin()) > LOWEST:
        return _by_products(base, kernel, k, diversity, rules)
    return narrowed(base, kernel, lambda near: _LogDeterminant(near, k), k, diversity, rules, slack=SLACK)


def _by_gains_and_caps(rules: Rules) -> bool:
    """Whether nothing but gains, pins, and caps on the whole list decides."""
    others = rules.calibration is not None or rules.exploration is not None or bool(rules.shares)
    return not others and all(cap.window is None for cap in rules.caps)


def _compiled(base: Floats, kernel: SimilarityKernel, k: int, unit: float, rules: Rules) -> Selection:
    """As :func:`greedy`, in less time: a candidate is compared with the selected ones only while its gain of
    earlier still leads."""
    caps, count = rules.caps, min(k, len(base))
    rows, values = np.empty(count, np.int64), np.empty(count, np.float32)
    exceeded = np.zeros(len(caps), bool)
    taken = loops.dpp(
        *kernel.parts,
        base,
        FLOOR,
        np.array(rules.first[:count], np.int64),
        np.array([cap.codes for cap in caps], np.int64),
        np.array([cap.limit for cap in caps], np.int64),
        rules.strict,
        rows,
        values,
        exceeded,
    )
    names = [cap.name for cap, beyond in zip(caps, exceeded.tolist(), strict=True) if beyond]
    return Selection(
        rows[:taken], values[:taken].astype(np.float64) * unit, exceeded=tuple(dict.fromkeys(names))
    )


FEW = 400
"""Candidates below which all are looked at in every step."""

LOWEST = -75.0
"""Least exponent for whose exponential, times FLOOR, float32 has room."""

SLACK = 1.05
"""The last of twenty taken is seldom less than e^-1.05 = 35% as new as the second; measured on groups of
near duplicates, which ask for most."""


def _by_products(base: Floats, kernel: SimilarityKernel, k: int, unit: float, rules: Rules) -> Selection:
    """Without rules but ``first``: exp(gain) = exp(base)·d² orders alike, without a logarithm a step."""
    weights = np.exp(base)
    residual = Residual(kernel, k)
    gains = weights.copy()
    rows: list[int] = []
    values: list[float] = []
    count, first = min(k, len(base)), rules.first
    pinned = len(first)
    for step in range(count):
        best = first[step] if step < pinned else int(gains.argmax())
        rows.append(best)
        values.append(gains.item(best))
        weights[best] = 0.0
        if step + 1 < count:
            residual.take(best, gains)
            multiply(gains, weights, gains)
    return Selection(np.array(rows, np.int64), np.log(values) * unit)


class _LogDeterminant:
    """log d²."""

    common = 0.0

    def __init__(self, kernel: SimilarityKernel, k: int) -> None:
        self._residual = Residual(kernel, k)

    def take(self, position: int, base: Floats, gains: Floats) -> None:
        self._residual.take(position, gains)
        log(gains, gains)
        add(base, gains, gains)

    def spread(self) -> Floats:
        spread: Floats = np.log(self._residual.floored())
        return spread
