"""Slow and obvious versions of the selections, to hold the fast ones against."""

import numpy as np
from endcap_rerank.diversity import Cap
from endcap_rerank.diversity.orthogonal import FLOOR
from endcap_rerank.diversity.selection import TIE_BREAK, scaled


def allowed(caps: list[Cap], taken: list[int], size: int) -> list[int]:
    """The candidates left whose taking exceeds the caps by the least."""

    def excess(candidate: int) -> int:
        total = 0
        for cap in caps:
            code = cap.codes[candidate]
            if code >= 0:
                total += max(0, 1 + sum(cap.codes[other] == code for other in taken) - cap.limit)
        return total

    left = [candidate for candidate in range(size) if candidate not in taken]
    least = min((excess(candidate) for candidate in left), default=0)
    return [candidate for candidate in left if excess(candidate) == least]


def mmr_gain(relevance, similarity, taken, candidate, diversity):
    nearest = max((similarity[candidate, other] for other in taken), default=0.0)
    return max(1 - diversity, TIE_BREAK) * scaled(relevance)[candidate] - diversity * nearest


def dpp_gain(relevance, similarity, taken, candidate, diversity):
    """By determinants: the share of the candidate that is new is det(S ∪ {c}) / det(S)."""
    basis: list[int] = []
    for item in taken:  # what adds nothing new leaves the determinant at 0, so it is passed over
        if ratio(similarity, basis, item) > FLOOR:
            basis.append(item)
    share = max(ratio(similarity, basis, candidate), FLOOR)
    return max(1 - diversity, TIE_BREAK) * scaled(relevance)[candidate] + diversity * np.log(share)


def ratio(similarity, basis, candidate):
    below = np.linalg.det(similarity[np.ix_(basis, basis)]) if basis else 1.0
    joined = [*basis, candidate]
    return np.linalg.det(similarity[np.ix_(joined, joined)]) / below
