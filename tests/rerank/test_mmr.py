import numpy as np
import pytest
from endcap_rerank.diversity import SimilarityKernel, select_dpp, select_mmr


@pytest.mark.parametrize("select", [select_mmr, select_dpp])
def test_at_full_diversity_relevance_decides_between_equals_only(select):
    vectors = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.float32)
    found = select(np.array([0.1, 0.9, 0.2, 0.3]), SimilarityKernel(vectors), 4, 1.0)
    assert found.rows.tolist() == [1, 3, 2, 0]


@pytest.mark.parametrize("select", [select_mmr, select_dpp])
def test_a_duplicate_waits_for_everything_else(select):
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((8, 32)).astype(np.float32)
    vectors[1] = vectors[0]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    relevance = np.array([1.0, 0.99, 0.8, 0.8, 0.7, 0.7, 0.7, 0.7])
    assert select(relevance, SimilarityKernel(vectors), 8, 0.8).rows.tolist()[-1] == 1
