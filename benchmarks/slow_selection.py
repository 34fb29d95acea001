"""Slow and obvious versions of the selections, to hold the fast ones against."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
from endcap_rerank.diversity import STRATEGIES, Cap, SimilarityKernel
from endcap_rerank.diversity.orthogonal import FLOOR
from endcap_rerank.diversity.selection import TIE_BREAK, scaled
from endcap_rerank.diversity.ssd import WINDOW
from endcap_rerank.diversity.xquad import SATISFACTION

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """One request for a selection."""

    relevance: Matrix
    kernel: SimilarityKernel
    k: int
    diversity: float
    caps: list[Cap] = field(default_factory=list)
    first: list[int] = field(default_factory=list)

    @property
    def size(self) -> int:
        """How many candidates."""
        return len(self.relevance)

    @cached_property
    def weighed(self) -> Matrix:
        """(1-θ)·r, float64 [n]."""
        weighed: Matrix = max(1.0 - self.diversity, TIE_BREAK) * scaled(self.relevance)
        return weighed


def random_case(seed: int) -> Case:
    """5 to 25 candidates, alike in half of the cases, capped in a third, pinned in a fifth."""
    rng = np.random.default_rng(seed)
    size, dimension = int(rng.integers(5, 26)), int(rng.integers(4, 33))
    vectors = rng.standard_normal((size, dimension))
    if seed % 2:
        vectors += 2.0 * rng.standard_normal((4, dimension))[rng.integers(0, 4, size)]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    brands, categories = rng.integers(-1, 6, size), rng.integers(-1, 4, size)
    caps = []
    if seed % 3 == 0:
        caps = [Cap("brand", brands, int(rng.integers(1, 3)), int(rng.integers(2, 7)) if seed % 2 else None)]
        caps.append(Cap("category", categories, 3))
    return Case(
        relevance=rng.standard_normal(size) * 10.0 ** rng.integers(-2, 3),
        kernel=SimilarityKernel(
            vectors.astype(np.float32), [(brands, 0.2), (categories, 0.15)] if seed % 4 else []
        ),
        k=int(rng.integers(2, 13)),
        diversity=float(rng.uniform(0.02, 1.0)),
        caps=caps,
        first=rng.permutation(size)[: int(rng.integers(1, 3))].tolist() if seed % 5 == 0 else [],
    )


def allowed(caps: Sequence[Cap], taken: Sequence[int], size: int) -> list[int]:
    """The candidates left whose taking exceeds the caps by the least."""

    def excess(candidate: int) -> int:
        total = 0
        for cap in caps:
            code = cap.codes[candidate]
            near = taken if cap.window is None else taken[max(0, len(taken) - cap.window + 1) :]
            if code >= 0:
                total += max(0, 1 + sum(cap.codes[other] == code for other in near) - cap.limit)
        return total

    left = [candidate for candidate in range(size) if candidate not in taken]
    least = min((excess(candidate) for candidate in left), default=0)
    return [candidate for candidate in left if excess(candidate) == least]


def mmr_gains(case: Case, similarity: Matrix, taken: Sequence[int]) -> list[float]:
    """Relevance less the similarity to the nearest."""
    nearest = [max((similarity[each, other] for other in taken), default=0.0) for each in range(case.size)]
    return [case.weighed[each] - case.diversity * nearest[each] for each in range(case.size)]


def msd_gains(case: Case, similarity: Matrix, taken: Sequence[int]) -> list[float]:
    """Relevance plus the weighted distances to all."""
    weight = case.diversity * 4.0 / max(min(case.k, case.size) - 1, 1)
    distances = [sum(1.0 - similarity[each, other] for other in taken) for each in range(case.size)]
    return [case.weighed[each] + weight * distances[each] for each in range(case.size)]


def dpp_gains(case: Case, similarity: Matrix, taken: Sequence[int]) -> list[float]:
    """By determinants: the share of a candidate that is new is det(S ∪ {c}) / det(S)."""
    basis: list[int] = []
    for item in taken:  # what adds nothing new leaves the determinant at 0, so it is passed over
        if _ratio(similarity, basis, item) > FLOOR:
            basis.append(item)
    shares = [max(_ratio(similarity, basis, each), FLOOR) for each in range(case.size)]
    return [case.weighed[each] + case.diversity * math.log(shares[each]) for each in range(case.size)]


def ssd_gains(case: Case, similarity: Matrix, taken: Sequence[int]) -> list[float]:
    """By Gram-Schmidt on explicit vectors, with a queue of window - 1 basis vectors."""
    values, directions = np.linalg.eigh(similarity)
    residuals = directions * np.sqrt(np.maximum(values, 0.0))
    queue: list[tuple[Matrix, Matrix]] = []
    for item in taken:
        if len(queue) == WINDOW - 1:
            basis, coefficients = queue.pop(0)
            residuals = residuals + np.outer(coefficients, basis)
        basis = residuals[item].copy()
        if basis @ basis <= FLOOR:
            basis[:] = 0.0
        coefficients = residuals @ basis / max(basis @ basis, 1e-300)
        residuals = residuals - np.outer(coefficients, basis)
        queue.append((basis, coefficients))
    lengths = [max(float(np.linalg.norm(residual)), math.sqrt(FLOOR)) for residual in residuals]
    return [case.weighed[each] + case.diversity * lengths[each] for each in range(case.size)]


def xquad_gains(case: Case, similarity: Matrix, taken: Sequence[int]) -> list[float]:
    """Relevance plus the coverage of the candidate's aspects that the taken ones leave open."""
    values = scaled(case.relevance)
    total = sum(float(weight) for _, weight in case.kernel.groups)
    gains: list[float] = case.weighed.tolist()
    for codes, weight in case.kernel.groups:
        for each, aspect in enumerate(codes.tolist()):
            if aspect >= 0:
                best = values[codes == aspect].max()
                chance = SATISFACTION * np.exp(values - best)
                uncovered = math.prod(1.0 - chance[other] for other in taken if codes[other] == aspect)
                gains[each] += case.diversity * float(weight) / total * chance[each] * uncovered
    return gains


GAINS: dict[str, Callable[[Case, Matrix, Sequence[int]], list[float]]] = {
    "mmr": mmr_gains,
    "msd": msd_gains,
    "dpp": dpp_gains,
    "ssd": ssd_gains,
    "xquad": xquad_gains,
}


def shortfall(algorithm: str, case: Case) -> float:
    """By how much the fast selection falls short of the reference at its worst step, in gain.

    0 where it takes at every step what the reference takes, ties aside; infinity where it takes what it
    must not. Each step is held against the reference after the same earlier choices, so that one tie does not
    count as a different list.
    """
    matrix = case.kernel.matrix().astype(np.float64)
    size = len(case.relevance)
    found = STRATEGIES[algorithm](
        case.relevance, case.kernel, case.k, case.diversity, caps=case.caps, first=case.first
    ).rows.tolist()
    if len(found) != min(case.k, size) or len(set(found)) != len(found):
        return math.inf
    worst = 0.0
    for step, chosen in enumerate(found):
        taken = found[:step]
        if step < len(case.first):
            if chosen != case.first[step]:
                return math.inf
            continue
        open_now = allowed(case.caps, taken, size)
        if chosen not in open_now:
            return math.inf
        gains = GAINS[algorithm](case, matrix, taken)
        worst = max(worst, max(gains[other] for other in open_now) - gains[chosen])
    return worst


TIE = 1e-4
"""Gains that differ by less are ties: the fast selections compute in float32."""


def mismatches(algorithm: str, seeds: Sequence[int]) -> list[int]:
    """The seeds whose case is not selected as the reference selects it."""
    return [seed for seed in seeds if shortfall(algorithm, random_case(seed)) > TIE]


def _ratio(similarity: Matrix, basis: list[int], candidate: int) -> float:
    below = np.linalg.det(similarity[np.ix_(basis, basis)]) if basis else 1.0
    joined = [*basis, candidate]
    return float(np.linalg.det(similarity[np.ix_(joined, joined)]) / below)
