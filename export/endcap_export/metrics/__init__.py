"""Offline metrics of lists: how diverse, how fair, how new they are; one subject a module."""

from __future__ import annotations

from endcap_export.metrics.alpha_ndcg import alpha_ndcg
from endcap_export.metrics.calibration import miscalibration
from endcap_export.metrics.curve import Point, gain_at_loss, points_above
from endcap_export.metrics.exposure import exposure, gini
from endcap_export.metrics.ild import ild
from endcap_export.metrics.novelty import novelty
from endcap_export.metrics.variety import coverage, entropy

__all__ = [
    "Point",
    "alpha_ndcg",
    "coverage",
    "entropy",
    "exposure",
    "gain_at_loss",
    "gini",
    "ild",
    "miscalibration",
    "novelty",
    "points_above",
]
