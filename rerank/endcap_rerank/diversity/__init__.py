"""Selection of k products out of many candidates: relevant, and unlike one another."""

from __future__ import annotations

from endcap_rerank.diversity.caps import Cap
from endcap_rerank.diversity.dpp import select_dpp
from endcap_rerank.diversity.kernel import SimilarityKernel
from endcap_rerank.diversity.mmr import select_mmr
from endcap_rerank.diversity.selection import Selection

__all__ = ["Cap", "Selection", "SimilarityKernel", "select_dpp", "select_mmr"]
