"""Random and awkward inputs that every strategy must handle."""

from dataclasses import dataclass, field

import numpy as np
from endcap_rerank.diversity import Cap, SimilarityKernel


@dataclass
class Case:
    name: str
    relevance: np.ndarray
    kernel: SimilarityKernel
    k: int
    diversity: float
    caps: list[Cap] = field(default_factory=list)
    first: list[int] = field(default_factory=list)

    @property
    def size(self) -> int:
        return len(self.kernel)

    def __str__(self) -> str:
        return self.name


def unit(vectors: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(norms == 0, 1, norms)).astype(np.float32)


def cases() -> list[Case]:
    made = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        size, dimension = int(rng.integers(1, 24)), int(rng.integers(1, 12))
        vectors = unit(rng.standard_normal((size, dimension)) + rng.random())
        kind = ("plain", "duplicates", "zeros", "ties", "capped", "pinned")[seed % 6]
        relevance = rng.standard_normal(size) * 10.0 ** rng.integers(-3, 3)
        brands, categories = rng.integers(-1, 4, size), rng.integers(-1, 3, size)
        caps: list[Cap] = []
        first: list[int] = []
        if kind == "duplicates":
            vectors = vectors[rng.integers(0, max(1, size // 3), size)]
        elif kind == "zeros":
            vectors[rng.random(size) < 0.5] = 0.0
        elif kind == "ties":
            relevance = np.round(relevance)
        elif kind == "capped":
            caps = [Cap("brand", brands, int(rng.integers(1, 3))), Cap("category", categories, 2)]
        elif kind == "pinned":
            first = rng.permutation(size)[: int(rng.integers(0, 4))].tolist()
            caps = [Cap("brand", brands, 1)]
        groups = [(brands, 0.2), (categories, 0.1)] if rng.random() < 0.5 else []
        k = (1, size, size + 5, max(1, size // 2))[seed % 4]
        diversity = float((0.0, 0.3, 0.7, 1.0, rng.random())[seed % 5])
        made.append(
            Case(f"{kind}-{seed}", relevance, SimilarityKernel(vectors, groups), k, diversity, caps, first)
        )
    nothing = SimilarityKernel(np.zeros((0, 4), np.float32))
    made.append(Case("empty", np.zeros(0), nothing, 5, 0.5))
    made.append(Case("none wanted", np.ones(3), SimilarityKernel(np.eye(3, dtype=np.float32)), 0, 0.5))
    made.append(Case("all zero", np.arange(5.0), SimilarityKernel(np.zeros((5, 4), np.float32)), 4, 0.6))
    return made


def similarity_cases() -> list[SimilarityKernel]:
    return [case.kernel for case in cases() if case.size]
