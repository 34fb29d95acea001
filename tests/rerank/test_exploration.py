import math

import numpy as np
import pytest
from endcap_rerank.diversity import STRATEGIES, Cap, Exploration, SimilarityKernel
from endcap_rerank.errors import InvalidInputError


def kernel(size: int) -> SimilarityKernel:
    vectors = np.random.default_rng(size).standard_normal((size, 16)).astype(np.float32)
    return SimilarityKernel(
        vectors / np.linalg.norm(vectors, axis=1, keepdims=True), [(np.arange(size) % 5, 0.1)]
    )


@pytest.mark.parametrize("algorithm", STRATEGIES)
@pytest.mark.parametrize("diversity", [0.0, 0.5])
@pytest.mark.parametrize("share", [0.1, 0.25, 1.0])
def test_every_beginning_of_the_list_has_its_share_of_new_products(algorithm, diversity, share):
    new = np.arange(80) >= 50  # the least relevant ones
    found = STRATEGIES[algorithm](
        -np.arange(80.0), kernel(80), 20, diversity, exploration=Exploration(new, share)
    )
    assert len(set(found.rows.tolist())) == 20
    taken = np.cumsum(new[found.rows])
    for length in range(1, 21):
        assert taken[length - 1] >= math.floor(share * length)
    if diversity == 0.0:
        assert taken[-1] == math.floor(share * 20)
        assert new[found.rows].nonzero()[0][0] == math.ceil(1 / share) - 1


def test_new_products_run_out():
    new = np.arange(20) >= 18
    exploration = Exploration(new, 0.5)
    found = STRATEGIES["dpp"](-np.arange(20.0), kernel(20), 12, 0.0, exploration=exploration)
    assert found.rows.tolist() == [0, 18, 1, 19, 2, 3, 4, 5, 6, 7, 8, 9]


def test_a_new_product_that_relevance_brings_counts():
    new = np.array([False, True, False, False, False, True])
    found = STRATEGIES["dpp"](
        -np.arange(6.0), kernel(6), 3, 0.0, exploration=Exploration(new, 0.4), first=[2]
    )
    assert found.rows.tolist() == [2, 0, 1]


def test_caps_go_before_exploration():
    new = np.arange(12) >= 8
    brands = np.where(new, 0, np.arange(12) + 1)
    found = STRATEGIES["mmr"](
        -np.arange(12.0),
        kernel(12),
        8,
        0.0,
        caps=[Cap("brand", brands, 1)],
        exploration=Exploration(new, 0.5),
    )
    assert found.rows.tolist() == [0, 8, 1, 2, 3, 4, 5, 6]
    assert found.exceeded == ()


@pytest.mark.parametrize("wrong", [Exploration(np.zeros(3, bool), 0.5), Exploration(np.zeros(6, bool), 1.5)])
def test_an_exploration_that_does_not_fit(wrong):
    with pytest.raises(InvalidInputError, match="exploration"):
        STRATEGIES["dpp"](np.zeros(6), kernel(6), 3, 0.3, exploration=wrong)
