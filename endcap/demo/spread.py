"""How different the products of a list are from each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from endcap_rerank.index import Index, LiveIndex
from endcap_rerank.release import Release


class Spread:
    """Measures lists with the vectors of the release that answered."""

    def __init__(self, release: Path) -> None:
        self._index = LiveIndex(Index.open(Release.open(release).index))

    def intra_list_distance(self, ids: Sequence[str]) -> float:
        """ILD: the mean of 1 − cosine over all pairs of the list; NaN for fewer than two products.

        Ziegler et al., "Improving Recommendation Lists Through Topic Diversification", WWW 2005.
        """
        rows = [row for item in ids if (row := self._index.row(item)) is not None]
        if len(rows) < 2:
            return float("nan")
        vectors = self._index.embeddings(np.asarray(rows))
        similarity = (vectors @ vectors.T)[np.triu_indices(len(rows), 1)]
        return float(1.0 - similarity.mean())
