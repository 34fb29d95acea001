import numpy as np
import pytest
from diversity_cases import cases
from diversity_reference import allowed, mmr_gain
from endcap_rerank.diversity import SimilarityKernel, select_dpp, select_mmr


@pytest.mark.parametrize("case", cases(), ids=str)
def test_every_step_takes_the_largest_marginal_relevance(case):
    taken: list[int] = []
    matrix = case.kernel.matrix().astype(np.float64)
    found = select_mmr(case.relevance, case.kernel, case.k, case.diversity, caps=case.caps, first=case.first)
    assert len(found.rows) == min(case.k, case.size) == len(set(found.rows.tolist()))
    for step, (chosen, value) in enumerate(zip(found.rows.tolist(), found.gains.tolist(), strict=True)):
        gain = mmr_gain(case.relevance, matrix, taken, chosen, case.diversity)
        if step < len(case.first):
            assert chosen == case.first[step]
        else:
            open_now = allowed(case.caps, taken, case.size)
            assert chosen in open_now
            best = max(mmr_gain(case.relevance, matrix, taken, other, case.diversity) for other in open_now)
            assert gain >= best - 1e-5
            assert value == pytest.approx(gain, abs=1e-5)
        taken.append(chosen)


@pytest.mark.parametrize("select", [select_mmr, select_dpp])
def test_no_diversity_is_the_order_of_relevance(select):
    for case in cases():
        found = select(case.relevance, case.kernel, case.k, 0.0)
        assert found.rows.tolist() == np.argsort(-case.relevance, kind="stable")[: case.k].tolist()


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
