"""The curve of relevance and diversity that an algorithm draws as ``diversity`` goes from 0 to 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from endcap_rerank.errors import InvalidInputError


@dataclass(frozen=True)
class Point:
    """Means over the queries at one setting.

    Attributes:
        setting: the value of ``diversity``.
        relevance: nDCG, say.
        diversity: ILD or entropy, say.
    """

    setting: float
    relevance: float
    diversity: float


def gain_at_loss(points: Sequence[Point], loss: float) -> float:
    """Relative gain of diversity that a relative loss of relevance buys, against the point of setting 0.

    Between two neighbouring settings the curve is a straight line; the largest diversity on the part of it
    that loses at most ``loss`` counts.

    Args:
        loss: 0.01 for at most 1%.

    Returns:
        0.2 for +20%.

    Raises:
        InvalidInputError: no point of setting 0, or one without relevance or diversity.
    """
    ordered = sorted(points, key=lambda point: point.setting)
    if not ordered or ordered[0].setting != 0.0:
        raise InvalidInputError("points", points, "a point of setting 0 is expected, to compare with")
    start = ordered[0]
    if start.relevance <= 0.0 or start.diversity <= 0.0:
        raise InvalidInputError("points", start, "relevance and diversity above 0 are expected at setting 0")
    least = (1.0 - loss) * start.relevance
    reached = max(point.diversity for point in ordered if point.relevance >= least)
    for here, there in pairwise(ordered):
        if (here.relevance >= least) != (there.relevance >= least):
            share = (least - here.relevance) / (there.relevance - here.relevance)
            reached = max(reached, here.diversity + share * (there.diversity - here.diversity))
    return reached / start.diversity - 1.0


def points_above(
    points: Sequence[Point], curves: Sequence[Sequence[Point]], *, tolerance: float = 1e-9
) -> int:
    """How many points beat every curve: more relevant than it is anywhere at that diversity or beyond.

    Curves are held against one by one. In a line through the points of all, one of a lower curve between two
    of a higher one would cut off what the higher one reaches.
    """
    return sum(all(_above(point, curve, tolerance) for curve in curves) for point in points)


def _above(point: Point, curve: Sequence[Point], tolerance: float) -> bool:
    if not curve:
        return True
    ordered = sorted(curve, key=lambda one: one.diversity)
    diversities = np.array([one.diversity for one in ordered])
    # What is reached at a greater diversity is reached at a smaller one too.
    relevances = np.maximum.accumulate([one.relevance for one in ordered][::-1])[::-1]
    reached = float(np.interp(point.diversity, diversities, relevances))
    return bool(point.diversity > diversities[-1] + tolerance or point.relevance > reached + tolerance)
