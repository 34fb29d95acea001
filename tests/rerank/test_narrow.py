"""Narrowed selections are those among all candidates, whether the guess holds or not."""

import numpy as np
import pytest
from endcap_rerank import loops
from endcap_rerank.diversity import STRATEGIES, Cap, SimilarityKernel, narrow
from endcap_rerank.diversity.selection import greedy


@pytest.mark.parametrize("algorithm", ["mmr", "dpp", "ssd"])
@pytest.mark.parametrize("pinned", [False, True])
def test_a_narrowed_selection_is_that_among_all(algorithm, pinned, monkeypatch):
    tried: list[tuple[int, bool]] = []

    def watched(relevance, *rest):
        found = greedy(relevance, *rest)
        tried.append((len(relevance), found is not None))
        return found

    monkeypatch.setattr(narrow, "greedy", watched)
    monkeypatch.setattr(loops, "COMPILED", False)  # those do not narrow
    for seed in range(60):
        rng = np.random.default_rng(seed)
        size = int(rng.integers(400, 700))
        vectors = rng.standard_normal((12, 24))[rng.integers(0, 12, size)] * (seed % 3)
        vectors += rng.standard_normal((size, 24))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        brands = rng.integers(-1, 20, size)
        kernel = SimilarityKernel(vectors.astype(np.float32), [(brands, 0.2)] if seed % 2 else [])
        relevance = rng.exponential(size=size)
        diversity = float((0.1, 0.3, 0.6, 0.95)[seed % 4])
        first = rng.permutation(size)[:3].tolist() if pinned else []
        quick = STRATEGIES[algorithm](relevance, kernel, 20, diversity, first=first)
        with monkeypatch.context() as patch:
            patch.setattr(narrow, "SHARE", 0.0)
            whole = STRATEGIES[algorithm](relevance, kernel, 20, diversity, first=first)
        # BLAS sums in another order for another number of rows: gains agree to float32, rows but for ties.
        assert np.allclose(quick.gains, whole.gains, atol=2e-4)
        assert (quick.rows == whole.rows).mean() > 0.85
    assert any(length < 400 and held for length, held in tried)
    assert any(length < 700 and not held for length, held in tried) or algorithm == "ssd"


def test_caps_are_kept_among_all_candidates():
    rng = np.random.default_rng(4)
    vectors = rng.standard_normal((600, 16))
    kernel = SimilarityKernel((vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32))
    brands = np.repeat(np.arange(30), 20)  # the most relevant products are all of few brands
    for algorithm in STRATEGIES:
        caps = [Cap("brand", brands, 1)]
        found = STRATEGIES[algorithm](-np.arange(600.0), kernel, 20, 0.3, caps=caps)
        assert len(set(brands[found.rows].tolist())) == 20
        assert found.exceeded == ()
