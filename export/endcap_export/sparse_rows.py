"""Rows of sparse matrices: scaled, and cut to their strongest entries."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

NEIGHBOURS = 300
"""Neighbours kept of an item."""

Floats = npt.NDArray[np.float32]


def rows_over(matrix: sparse.csr_matrix, extra: float) -> sparse.csr_matrix:
    """Rows divided by their sum plus ``extra``; empty rows stay empty."""
    sums = np.asarray(matrix.sum(axis=1)).ravel() + extra
    scale = np.divide(1.0, sums, out=np.zeros_like(sums, np.float64), where=sums > 0.0)
    return (sparse.diags(scale.astype(np.float32)) @ matrix).tocsr()


def without_diagonal(matrix: sparse.spmatrix) -> sparse.csr_matrix:
    """The matrix with nothing on its diagonal."""
    matrix = matrix.tocsr()
    matrix.setdiag(0.0)
    matrix.eliminate_zeros()
    return matrix


def pruned(matrix: sparse.spmatrix, most: int = 2 * NEIGHBOURS) -> sparse.csr_matrix:
    """The strongest entries of each row."""
    starts, items, values = strongest(matrix.tocsr(), most)
    return sparse.csr_matrix((values, items, starts), matrix.shape)


def strongest(
    matrix: sparse.csr_matrix, most: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], Floats]:
    """CSR arrays of the ``most`` largest entries of each row, largest first; the diagonal is left out."""
    sizes = np.diff(matrix.indptr)
    rows = np.repeat(np.arange(matrix.shape[0]), sizes)
    order = np.lexsort((-matrix.data, rows))
    order = order[(matrix.indices[order] != rows[order]) & (matrix.data[order] > 0.0)]
    rows = rows[order]
    kept_sizes = np.bincount(rows, minlength=matrix.shape[0])
    within = np.arange(len(rows)) - np.repeat(np.cumsum(kept_sizes) - kept_sizes, kept_sizes)
    order, rows = order[within < most], rows[within < most]
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=matrix.shape[0]))]).astype(np.int64)
    return starts, matrix.indices[order].astype(np.int32), matrix.data[order].astype(np.float32)
