"""Selection of k products out of many candidates: relevant, and unlike one another."""

from __future__ import annotations

from endcap_rerank.diversity.calibration import Calibration
from endcap_rerank.diversity.caps import Cap
from endcap_rerank.diversity.dpp import select_dpp
from endcap_rerank.diversity.exploration import Exploration
from endcap_rerank.diversity.kernel import SimilarityKernel
from endcap_rerank.diversity.mmr import select_mmr
from endcap_rerank.diversity.msd import select_msd
from endcap_rerank.diversity.selection import Selection
from endcap_rerank.diversity.shares import Share
from endcap_rerank.diversity.ssd import select_ssd, sliding
from endcap_rerank.diversity.strategy import Strategy
from endcap_rerank.diversity.xquad import select_xquad

STRATEGIES: dict[str, Strategy] = {
    "dpp": select_dpp,
    "mmr": select_mmr,
    "msd": select_msd,
    "ssd": select_ssd,
    "xquad": select_xquad,
}
"""By the name that requests use."""

__all__ = [
    "STRATEGIES",
    "Calibration",
    "Cap",
    "Exploration",
    "Selection",
    "Share",
    "SimilarityKernel",
    "Strategy",
    "select_dpp",
    "select_mmr",
    "select_msd",
    "select_ssd",
    "select_xquad",
    "sliding",
]
