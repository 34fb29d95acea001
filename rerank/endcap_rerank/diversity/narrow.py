"""Selection among the candidates that can be selected at all; the result is that of selecting among all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from endcap_rerank.diversity.kernel import SimilarityKernel
from endcap_rerank.diversity.selection import Criterion, Floats, Rules, Selection, greedy

SHARE = 0.45
"""Largest share of the candidates with which a narrowed selection is worth its preparation."""


def narrowed(
    relevance: Floats,
    kernel: SimilarityKernel,
    criterion: Callable[[SimilarityKernel], Criterion],
    k: int,
    unit: float,
    rules: Rules,
    *,
    slack: float,
    ceiling: float | None = None,
) -> Selection:
    """As :func:`greedy` over all candidates, in less time when relevance leaves out many.

    A step costs one similarity to every candidate. One whose gain can never reach that of any selected one
    need not be looked at. Those within ``slack`` of the k-th largest possible gain are tried alone; should a
    gain fall to what is possible for the rest, all are tried instead. Caps, calibration, exploration and
    shares reach far down, so that beside them all are tried at once.

    Args:
        relevance, k, unit, rules: as of ``greedy``.
        criterion: made for the kernel it is given.
        slack: guess of how far below the k-th largest possible gain a selected one may lie.
        ceiling: largest spread of any candidate at any time, so that relevance + ceiling is what is possible.
            None where a spread never grows: there it is the gain beside the first one selected.
    """
    size = len(kernel)
    if 0 < 2 * k < size and rules.free:
        possible = relevance
        if ceiling is None:
            possible = np.empty_like(relevance)
            start = rules.first[0] if rules.first else int(relevance.argmax())
            criterion(kernel).take(start, relevance, possible)
            possible[start] = np.inf
        kept = possible >= np.partition(possible, size - k)[size - k] - np.float32(slack)
        if rules.first:
            kept[list(rules.first)] = True
        positions = kept.nonzero()[0]
        if len(positions) <= SHARE * size:
            part = Rules(first=positions.searchsorted(rules.first).tolist()) if rules.first else rules
            near = kernel.among(positions)
            bound = float(possible[~kept].max()) + (ceiling or 0.0)
            found = greedy(relevance[positions], criterion(near), k, unit, part, bound)
            if found is not None:
                return replace(found, rows=positions[found.rows])
    return greedy(relevance, criterion(kernel), k, unit, rules)
