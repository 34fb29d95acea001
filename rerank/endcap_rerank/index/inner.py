"""Inner products of a vector with some rows of a large matrix, read where they lie."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

# faiss's own annotations do not know what its Python layer adds.
_faiss: Any = faiss
_pointer = _faiss.swig_ptr


def inner_products(
    matrix: NDArray[np.float32], rows: NDArray[np.int64], vector: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Of ``vector`` [D] with each of ``rows`` [n] of ``matrix`` [N, D], each in 0 … N-1: float32 [n].

    numpy would copy the rows first, which takes longer than the products. Each is computed by itself, so
    that equal rows have equal products wherever they lie.
    """
    rows, vector = np.ascontiguousarray(rows, np.int64), np.ascontiguousarray(vector, np.float32)
    products = np.empty(len(rows), np.float32)
    # A model's instances are processes that share the cores: one thread a query. OpenMP keeps the number a
    # thread, so it is set where it is used.
    faiss.omp_set_num_threads(1)
    pointers = (_pointer(each) for each in (products, vector, matrix, rows))
    _faiss.fvec_inner_products_by_idx(*pointers, len(vector), 1, len(rows))
    return products
