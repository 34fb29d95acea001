"""How alike two candidates are: the kernel that every strategy reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from endcap_rerank.errors import InvalidInputError

Floats = npt.NDArray[np.float32]


class SimilarityKernel:
    """S = w₀·cosine + Σ w_g·[same group g], with unit diagonal; rows are made when they are asked for.

    Each part is a Gram matrix (of the embeddings; of one-hot group codes), so S is positive
    semi-definite, as a determinantal point process needs. A greedy selection reads k rows of the n×n
    matrix, so the whole of it is never made.

    Args:
        embeddings: float32 [n, d], L2-normalized; a zero vector resembles nothing but itself.
        groups: pairs (codes int [n], weight), such as brand and category. A negative code is unknown and
            equals no other. The weights sum to at most 1; the cosine takes the rest.

    Raises:
        InvalidInputError: shapes differ, or the weights do not fit.
    """

    def __init__(
        self,
        embeddings: Floats,
        groups: Sequence[tuple[npt.NDArray[np.integer[Any]], float]] = (),
    ) -> None:
        if embeddings.ndim != 2:
            raise InvalidInputError("embeddings", embeddings.shape, "a matrix [n, d] is expected")
        for codes, weight in groups:
            if codes.shape != (len(embeddings),):
                raise InvalidInputError("groups", codes.shape, f"{len(embeddings)} codes are expected")
            if not 0.0 <= weight <= 1.0:
                raise InvalidInputError("groups", weight, "a weight from 0 to 1 is expected")
        rest = 1.0 - sum(weight for _, weight in groups)
        if rest < -1e-9:
            raise InvalidInputError("groups", [weight for _, weight in groups], "weights of at most 1 in all")
        self._embeddings = np.ascontiguousarray(embeddings, dtype=np.float32)
        self._cosine_weight = np.float32(max(0.0, rest))
        counted = [(codes, weight) for codes, weight in groups if weight > 0.0]
        self._weights: Floats = np.array([weight for _, weight in counted], np.float32)
        self._codes = np.empty((len(counted), len(embeddings)), np.int64)
        for codes, (own, _) in zip(self._codes, counted, strict=True):
            codes[:] = own
        if counted:
            np.copyto(self._codes, -1 - np.arange(len(embeddings)), where=self._codes < 0)

    def __len__(self) -> int:
        return len(self._embeddings)

    @property
    def groups(self) -> list[tuple[npt.NDArray[np.int64], np.float32]]:
        """Those of a weight above 0; unknown codes are negative, and no two of a group are equal."""
        return list(zip(self._codes, self._weights, strict=True))

    @property
    def vectors(self) -> Floats | None:
        """float32 [n, d] whose products alone are the similarities; None where groups count as well."""
        return None if len(self._codes) else self._embeddings

    @property
    def parts(self) -> tuple[Floats, float, npt.NDArray[np.int64], Floats]:
        """What the similarities are made of: embeddings [n, d], the weight of their cosine, codes [g, n] of
        the groups, the groups' weights [g]."""
        return self._embeddings, float(self._cosine_weight), self._codes, self._weights

    def row(self, position: int, out: Floats | None = None) -> Floats:
        """Similarity of every candidate to the one at ``position``: float32 [n].

        Args:
            out: written and returned instead of a new array.
        """
        embeddings, codes = self._embeddings, self._codes
        if not len(codes):
            row: Floats = embeddings.dot(embeddings[position], out)
        else:
            row = embeddings.dot(embeddings[position] * self._cosine_weight, out)
            row += self._weights.dot(codes == codes[:, position, None])
        row[position] = 1.0
        return row

    def among(self, positions: npt.NDArray[np.int64]) -> SimilarityKernel:
        """The kernel of some of the candidates, in this order."""
        kernel = object.__new__(SimilarityKernel)
        kernel._embeddings = self._embeddings.take(positions, axis=0)
        kernel._cosine_weight = self._cosine_weight
        kernel._weights = self._weights
        kernel._codes = self._codes.take(positions, axis=1)
        return kernel

    def matrix(self) -> Floats:
        """All rows: float32 [n, n]."""
        if not len(self):
            return np.zeros((0, 0), np.float32)
        return np.stack([self.row(position) for position in range(len(self))])
