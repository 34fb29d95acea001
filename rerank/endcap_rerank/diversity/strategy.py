"""What every strategy has in common: its arguments, their checks, and the list at diversity 0."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from endcap_rerank.diversity.calibration import Calibration
from endcap_rerank.diversity.caps import Cap
from endcap_rerank.diversity.exploration import Exploration
from endcap_rerank.diversity.kernel import SimilarityKernel
from endcap_rerank.diversity.selection import (
    NEGLIGIBLE,
    NO_RULES,
    Doubles,
    Rules,
    Selection,
    by_relevance,
    check,
    scaled,
)
from endcap_rerank.diversity.shares import Share

Relevance = npt.NDArray[np.floating[Any]]
Core = Callable[[Doubles, SimilarityKernel, int, float, Rules], Selection]


class Strategy(Protocol):
    """Selects k of n candidates, relevant and unlike one another."""

    def __call__(
        self,
        relevance: Relevance,
        kernel: SimilarityKernel,
        k: int,
        diversity: float,
        *,
        caps: Sequence[Cap] = (),
        first: Sequence[int] = (),
        calibration: Calibration | None = None,
        exploration: Exploration | None = None,
        shares: Sequence[Share] = (),
        unit: float | None = None,
        strict: bool = False,
    ) -> Selection:
        """Select.

        Args:
            relevance: float [n], any scale.
            kernel: similarities of the n candidates, positive semi-definite with unit diagonal.
            k: how many to select; all n, reordered, when k > n.
            diversity: θ. 0 gives the order of relevance; at 1 relevance decides only between equals.
            caps: most candidates per code; kept while any candidate can keep them.
            first: positions to take first, in this order.
            calibration: the mix that the list should have.
            exploration: places for new products.
            shares: of groups, at least and at most, of every beginning of the list.
            unit: difference of relevance that weighs as much as two candidates that have nothing in common
                against two copies; that between the best and the median candidate when None.
            strict: whether the list ends where caps and shares at most cannot be kept any more.

        Raises:
            InvalidInputError: an argument does not fit the others.
        """


def strategy(core: Core) -> Strategy:
    """A strategy of its greedy part: called with scaled relevance, checked arguments, a diversity above 0."""

    @wraps(core)
    def select(
        relevance: Relevance,
        kernel: SimilarityKernel,
        k: int,
        diversity: float,
        *,
        caps: Sequence[Cap] = (),
        first: Sequence[int] = (),
        calibration: Calibration | None = None,
        exploration: Exploration | None = None,
        shares: Sequence[Share] = (),
        unit: float | None = None,
        strict: bool = False,
    ) -> Selection:
        rules = NO_RULES
        if caps or first or calibration or exploration or shares:
            rules = Rules(caps, first, calibration, exploration, shares, strict)
        check(relevance, len(kernel), k, diversity, rules, unit)
        values = scaled(relevance, unit)
        if diversity <= NEGLIGIBLE:
            return by_relevance(values, k, rules)
        return core(values, kernel, k, diversity, rules)

    return select
