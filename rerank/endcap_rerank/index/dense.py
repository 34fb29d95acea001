"""Nearest products by cosine similarity: exact for small catalogues, a graph (HNSW) for large ones.

The vectors lie in one memory-mapped float32 array; they give the scores of every candidate and every
exact answer. Above :data:`EXACT_LIMIT` products a graph (Malkov and Yashunin, 2018, as faiss builds
it) with its own half-precision copy finds the candidates. The graph is memory-mapped too.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from endcap_rerank.errors import ReleaseError
from endcap_rerank.index.arrays import open_array, save_array
from endcap_rerank.index.selection import best

EXACT_LIMIT = 4096
"""Most vectors that are compared one by one: beyond it the graph is faster (docs/index.md)."""

_GRAPH = "graph.faiss"
_LINKS = 32
_CONSTRUCTION_BREADTH = 100
_SEARCH_BREADTH = 320


def write_dense(directory: Path, vectors: NDArray[np.float32]) -> None:
    """Write what :class:`DenseIndex` reads.

    Args:
        vectors: [N, D], L2-normalized.
    """
    save_array(directory, "vectors", vectors)
    if len(vectors) <= EXACT_LIMIT:
        return
    graph = faiss.IndexHNSWSQ(
        vectors.shape[1], faiss.ScalarQuantizer.QT_fp16, _LINKS, faiss.METRIC_INNER_PRODUCT
    )
    graph.hnsw.efConstruction = _CONSTRUCTION_BREADTH
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(os.cpu_count() or 1)
    try:
        graph.train(vectors)
        graph.add(vectors)
    finally:
        faiss.omp_set_num_threads(before)
    faiss.write_index(graph, str(directory / _GRAPH))


class DenseIndex:
    """The vectors of a release's base catalogue.

    Attributes:
        vectors: float32 [N, D], L2-normalized, memory-mapped.
    """

    def __init__(self, directory: Path) -> None:
        self.vectors: NDArray[np.float32] = open_array(directory, "vectors")
        self._graph: Any = None
        file = directory / _GRAPH
        if file.is_file():
            # The instances of a model are processes: each query has one thread.
            faiss.omp_set_num_threads(1)
            try:
                self._graph = faiss.read_index(str(file), faiss.IO_FLAG_MMAP_IFC)
            except RuntimeError as error:
                raise ReleaseError(f"{file}: cannot be read ({error})") from error

    def search(
        self, query: NDArray[np.float32], count: int, passing: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Rows nearest to ``query`` [D], best first, and their cosine similarities.

        Returns exactly ``min(count, rows that pass)`` rows.

        Args:
            passing: bool [N], rows that may be returned.
        """
        allowed = len(self.vectors) if passing is None else int(np.count_nonzero(passing))
        count = min(count, allowed)
        if self._graph is not None and allowed > EXACT_LIMIT:
            rows = self._walk(query, count, passing)
            if len(rows) == count:
                return self._ordered(rows, query, count)
        if passing is None:
            scores = self.vectors @ query
            rows = best(scores, count)
            return rows, scores[rows]
        return self._ordered(np.flatnonzero(passing), query, count)

    def scores(self, rows: NDArray[np.int64], query: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cosine similarity of ``query`` [D] with each of ``rows`` [n]."""
        return self.vectors[rows] @ query

    def _ordered(
        self, rows: NDArray[np.int64], query: NDArray[np.float32], count: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        scores = self.vectors[rows] @ query
        order = best(scores, count)
        return rows[order], scores[order]

    def _walk(
        self, query: NDArray[np.float32], count: int, passing: NDArray[np.bool_] | None
    ) -> NDArray[np.int64]:
        breadth = max(_SEARCH_BREADTH, 2 * count)
        if passing is None:
            parameters = faiss.SearchParametersHNSW(efSearch=breadth)
        else:
            selector = faiss.IDSelectorBitmap(np.packbits(passing, bitorder="little"))
            parameters = faiss.SearchParametersHNSW(efSearch=breadth, sel=selector)
        _, found = self._graph.search(query[None], count, params=parameters)
        rows: NDArray[np.int64] = found[0]
        rows = rows[rows >= 0]
        rows.sort()  # ascending rows: ties are broken by row, and memory is read in order
        return rows
