import itertools

import numpy as np
import pytest
from diversity_cases import similarity_cases
from endcap_rerank.diversity import Cap, SimilarityKernel, select_dpp
from endcap_rerank.errors import InvalidInputError

pytestmark = pytest.mark.usefixtures("either_loops")


def test_gains_add_up_to_the_objective():
    rng = np.random.default_rng(5)
    vectors = rng.standard_normal((30, 12)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    kernel = SimilarityKernel(vectors)
    found = select_dpp(np.zeros(30), kernel, 6, 1.0)
    chosen = kernel.matrix().astype(np.float64)[np.ix_(found.rows, found.rows)]
    assert np.isclose(found.gains.sum(), np.log(np.linalg.det(chosen)), atol=1e-4)


def test_greedy_finds_the_best_pair_of_three():
    vectors = np.array([[1, 0], [0.99, np.sqrt(1 - 0.99**2)], [0, 1]], np.float32)
    kernel = SimilarityKernel(vectors)
    found = select_dpp(np.array([1.0, 0.95, 0.9]), kernel, 2, 0.7)
    best = max(
        itertools.combinations(range(3), 2),
        key=lambda pair: np.linalg.det(kernel.matrix()[np.ix_(pair, pair)]),
    )
    assert set(found.rows.tolist()) == set(best) == {0, 2}


def test_relevance_scale_does_not_matter():
    rng = np.random.default_rng(9)
    vectors = rng.standard_normal((40, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    relevance = rng.random(40)
    kernel = SimilarityKernel(vectors)
    for diversity in (0.0, 0.3, 1.0):
        once = select_dpp(relevance, kernel, 10, diversity)
        again = select_dpp(relevance * 1000 - 7, kernel, 10, diversity)
        assert once.rows.tolist() == again.rows.tolist()


def test_more_diversity_spreads_the_selection():
    rng = np.random.default_rng(2)
    centers = rng.standard_normal((6, 16))
    vectors = (np.repeat(centers, 30, axis=0) + 0.3 * rng.standard_normal((180, 16))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    relevance = np.linspace(1, 0, 180)  # the first cluster is the most relevant one
    kernel = SimilarityKernel(vectors)
    clusters = [
        len({row // 30 for row in select_dpp(relevance, kernel, 6, diversity).rows.tolist()})
        for diversity in (0.0, 0.3, 1.0)
    ]
    assert clusters[0] == 1
    assert clusters[0] <= clusters[1] <= clusters[2]
    assert clusters[2] >= 5


def test_same_brand_counts_as_alike():
    vectors = np.eye(3, dtype=np.float32)
    kernel = SimilarityKernel(vectors, [(np.array([0, 0, 1]), 0.5)])
    assert select_dpp(np.array([1.0, 0.99, 0.98]), kernel, 2, 0.9).rows.tolist() == [0, 2]


@pytest.mark.parametrize("kernel", similarity_cases(), ids=str)
def test_the_kernel_is_positive_semidefinite_with_unit_diagonal(kernel):
    matrix = kernel.matrix().astype(np.float64)
    assert np.allclose(np.diag(matrix), 1.0)
    assert np.allclose(matrix, matrix.T, atol=1e-6)
    assert np.linalg.eigvalsh(matrix).min() > -1e-5


@pytest.mark.parametrize(
    "arguments",
    [
        {"relevance": np.zeros(4)},
        {"relevance": np.array([0.0, np.nan, 1.0])},
        {"k": -1},
        {"diversity": 1.5},
        {"diversity": float("nan")},
        {"caps": [Cap("brand", np.zeros(2, int), 1)]},
        {"caps": [Cap("brand", np.zeros(3, int), 0)]},
        {"first": [3]},
        {"first": [1, 1]},
    ],
)
def test_arguments_that_do_not_fit(arguments):
    valid = {
        "relevance": np.zeros(3),
        "kernel": SimilarityKernel(np.eye(3, dtype=np.float32)),
        "k": 2,
        "diversity": 0.5,
    }
    with pytest.raises(InvalidInputError):
        select_dpp(**{**valid, **arguments})
