"""Every strategy, held against its slow and obvious version on random requests."""

from itertools import combinations

import numpy as np
import pytest
from diversity_cases import cases
from endcap_rerank.diversity import STRATEGIES, SimilarityKernel, select_msd, select_xquad, sliding
from endcap_rerank.errors import InvalidInputError

from benchmarks.slow_selection import TIE, Case, mismatches, shortfall

ALL = pytest.mark.parametrize("algorithm", STRATEGIES)


@pytest.mark.usefixtures("either_loops")
@ALL
def test_a_thousand_random_requests_are_selected_as_by_the_reference(algorithm):
    assert mismatches(algorithm, range(1000)) == []


@pytest.mark.usefixtures("either_loops")
@ALL
@pytest.mark.parametrize("case", cases(), ids=str)
def test_awkward_requests_are_selected_as_by_the_reference(algorithm, case):
    # Near duplicates of what is selected are told apart by float32 noise, whose logarithm is large.
    tolerance = 0.3 if algorithm == "dpp" and ("dup" in case.name or "zero" in case.name) else 10 * TIE
    asked = Case(case.relevance, case.kernel, case.k, case.diversity, case.caps, case.first)
    assert shortfall(algorithm, asked) <= tolerance


@ALL
def test_no_diversity_is_the_order_of_relevance(algorithm):
    for case in cases():
        found = STRATEGIES[algorithm](case.relevance, case.kernel, case.k, 0.0)
        assert found.rows.tolist() == np.argsort(-case.relevance, kind="stable")[: case.k].tolist()


@ALL
def test_relevances_that_float32_cannot_tell_apart_keep_their_order(algorithm):
    relevance = 1.0 + np.array([1e-12, 3e-12, 2e-12, -1.0])
    kernel = SimilarityKernel(np.eye(4, dtype=np.float32))
    assert STRATEGIES[algorithm](relevance, kernel, 4, 0.0).rows.tolist() == [1, 2, 0, 3]


@ALL
@pytest.mark.parametrize("wrong", [{"k": -1}, {"diversity": float("nan")}, {"relevance": np.full(3, np.inf)}])
def test_arguments_that_do_not_fit(algorithm, wrong):
    valid = {
        "relevance": np.zeros(3),
        "kernel": SimilarityKernel(np.eye(3, dtype=np.float32)),
        "k": 2,
        "diversity": 0.5,
    }
    with pytest.raises(InvalidInputError):
        STRATEGIES[algorithm](**{**valid, **wrong})


@ALL
def test_candidates_are_left_as_they_were(algorithm):
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((30, 8)).astype(np.float32)
    relevance = rng.random(30)
    kept = vectors.copy(), relevance.copy()
    kernel = SimilarityKernel(vectors, [(np.arange(30) % 3, 0.2)])
    once = STRATEGIES[algorithm](relevance, kernel, 10, 0.5)
    again = STRATEGIES[algorithm](relevance, kernel, 10, 0.5)
    assert once.rows.tolist() == again.rows.tolist()
    assert (vectors == kept[0]).all()
    assert (relevance == kept[1]).all()


def test_max_sum_is_at_least_half_of_the_best_set():
    """The bound of Borodin et al., with a metric distance; by exhaustion."""
    diversity, k = 0.6, 4
    for seed in range(40):
        rng = np.random.default_rng(seed)
        brands = rng.integers(0, 3, 9)
        kernel = SimilarityKernel(np.zeros((9, 2), np.float32), [(brands, 1.0)])  # 1 - S: 0 or 1, a metric
        relevance = rng.random(9)
        values = (1 - diversity) * (relevance - relevance.min())  # the bound needs values of at least 0
        distance = 1.0 - kernel.matrix()

        def worth(chosen, values=values, distance=distance):
            pairs = sum(distance[a, b] for a, b in combinations(chosen, 2))
            return sum(values[list(chosen)]) + diversity * 2 / (k - 1) * pairs

        found = select_msd(relevance, kernel, k, diversity).rows.tolist()
        assert worth(found) >= max(worth(chosen) for chosen in combinations(range(9), k)) / 2 - 1e-6


def test_a_sliding_window_forgets():
    """Twins may return once their twin has left the window; without one they never do."""
    vectors = np.repeat(np.eye(6, dtype=np.float32), 2, axis=0)
    relevance = np.linspace(1.0, 0.9, 12)
    short = sliding(3)(relevance, SimilarityKernel(vectors), 12, 0.8).rows.tolist()
    assert all(abs(short.index(2 * twin) - short.index(2 * twin + 1)) >= 3 for twin in range(6))
    # From the fourth place on a first twin has left the window, and relevance wins again.
    assert short[:6] == [0, 2, 4, 1, 3, 5]
    long = sliding(12)(relevance, SimilarityKernel(vectors), 12, 0.8).rows.tolist()
    assert sorted(long[:6]) == [0, 2, 4, 6, 8, 10]


def test_a_window_of_one_is_refused():
    with pytest.raises(InvalidInputError, match="window"):
        sliding(1)


def test_coverage_serves_every_aspect_by_its_weight():
    brands = np.array([0, 0, 0, 1, 1, -1])
    kernel = SimilarityKernel(np.zeros((6, 2), np.float32), [(brands, 0.5)])
    found = select_xquad(np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.0]), kernel, 6, 0.9).rows.tolist()
    # Half of a brand is open after one product of it, a quarter after two. The last covers no brand.
    assert found == [0, 3, 1, 4, 2, 5]


def test_coverage_without_aspects_is_the_order_of_relevance():
    kernel = SimilarityKernel(np.eye(4, dtype=np.float32))
    assert select_xquad(np.array([0.1, 0.4, 0.3, 0.2]), kernel, 4, 0.9).rows.tolist() == [1, 2, 3, 0]
