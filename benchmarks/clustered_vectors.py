"""Synthetic product vectors in clusters, made so that no index has an easy time with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DIMENSION = 384
CLUSTERS = 5000
FAMILIES = 150
RANK = 24
_CHUNK = 20_000


@dataclass(frozen=True)
class Mixture:
    """A mixture like a shop's catalogue: families of clusters, few of them large and most small.

    A vector is its family's direction, plus its cluster's, plus a place within the cluster, plus noise.
    Cluster sizes follow a power law. The place within a cluster lies in ``RANK`` directions of that
    cluster with falling spread; the noise is the same in all directions, so that codes cannot describe a
    vector by its cluster and few numbers. Queries are new draws from the mixture, not copies of products.
    The count of clusters is none that an index would choose.

    Attributes:
        shares: float64 [CLUSTERS], how much of the catalogue each cluster holds.
        centres: float32 [CLUSTERS, DIMENSION].
        directions: float32 [FAMILIES, RANK, DIMENSION], the spread within each cluster of a family.
        families: int64 [CLUSTERS].
        noise: length of the noise beside a centre's length of 1.
    """

    shares: NDArray[np.float64]
    centres: NDArray[np.float32]
    directions: NDArray[np.float32]
    families: NDArray[np.int64]
    noise: float

    @classmethod
    def make(cls, seed: int = 0, *, spread: float = 0.65, noise: float = 0.45) -> Mixture:
        """A mixture by its seed; ``spread`` is the length of the place within a cluster."""
        rng = np.random.default_rng(seed)
        shares = np.arange(1, CLUSTERS + 1) ** -0.8
        rng.shuffle(shares)
        families = rng.integers(0, FAMILIES, CLUSTERS)
        own = _normals(rng, (CLUSTERS, DIMENSION))
        centres = 0.7 * _normals(rng, (FAMILIES, DIMENSION))[families] + 0.7 * own
        directions = _normals(rng, (FAMILIES, RANK, DIMENSION))
        fall = np.exp(-np.arange(RANK) / (RANK / 3)).astype(np.float32)
        directions *= spread * (fall / np.linalg.norm(fall))[:, None]
        return cls(shares / shares.sum(), centres, directions, families, noise)

    def draw(self, count: int, seed: int) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        """``count`` L2-normalized vectors in chunks, each with its cluster."""
        rng = np.random.default_rng((seed, 1))
        for start in range(0, count, _CHUNK):
            size = min(_CHUNK, count - start)
            clusters = rng.choice(CLUSTERS, size, p=self.shares)
            places = rng.standard_normal((size, RANK), np.float32)
            vectors = self.noise * _normals(rng, (size, DIMENSION))
            vectors += self.centres[clusters]
            families = self.families[clusters]
            order = np.argsort(families, kind="stable")
            for group in np.split(order, np.flatnonzero(np.diff(families[order])) + 1):
                vectors[group] += places[group] @ self.directions[families[group[0]]]
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            yield vectors, clusters


def fill(mixture: Mixture, count: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """``count`` vectors [count, DIMENSION] and their clusters [count]."""
    vectors, clusters = np.empty((count, DIMENSION), np.float32), np.empty(count, np.int64)
    done = 0
    for part, its_clusters in mixture.draw(count, seed):
        vectors[done : done + len(part)] = part
        clusters[done : done + len(part)] = its_clusters
        done += len(part)
    return vectors, clusters


def local_dimension(
    vectors: NDArray[np.float32], queries: NDArray[np.float32], neighbours: int = 100
) -> float:
    """Local intrinsic dimension around ``queries``: the median maximum-likelihood estimate.

    Amsaleg et al., "Estimating Local Intrinsic Dimensionality" (2015): the higher, the harder.
    """
    estimates = []
    for query in queries:
        squared = np.sort(np.partition(2 - 2 * (vectors @ query), neighbours)[: neighbours + 1])
        distances = np.sqrt(np.maximum(squared[1:], 1e-12))
        estimates.append(-1 / np.mean(np.log(distances[:-1] / distances[-1])))
    return float(np.median(estimates))


def _normals(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Normal vectors whose expected length is 1."""
    vectors: NDArray[np.float32] = rng.standard_normal(shape, np.float32)
    vectors /= np.sqrt(np.float32(shape[-1]))
    return vectors
