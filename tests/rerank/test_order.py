"""What the order of a selection means, and the unit in which relevance is weighed."""

import numpy as np
import pytest
from endcap_rerank.diversity import STRATEGIES, Cap, Exploration, SimilarityKernel
from endcap_rerank.diversity.order import shown
from endcap_rerank.errors import InvalidInputError


def request(seed: int = 3):
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((40, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return rng.random(40), SimilarityKernel(vectors)


def test_a_max_sum_list_shows_its_most_relevant_product_first():
    relevance, kernel = request()
    found = STRATEGIES["msd"](relevance, kernel, 10, 0.6, first=[7])
    listed = shown("msd", found, relevance, pinned=1)
    assert set(listed.rows) == set(found.rows)
    assert listed.rows[0] == 7
    assert (np.diff(relevance[listed.rows[1:]]) <= 0).all()
    assert (np.diff(relevance[found.rows[1:]]) > 0).any()  # there was something to put in order
    gains = dict(zip(found.rows.tolist(), found.gains.tolist(), strict=True))
    assert [gains[row] for row in listed.rows.tolist()] == listed.gains.tolist()


@pytest.mark.parametrize("algorithm", ["dpp", "mmr", "ssd", "xquad"])
def test_other_lists_keep_the_order_in_which_they_were_made(algorithm):
    relevance, kernel = request()
    found = STRATEGIES[algorithm](relevance, kernel, 10, 0.6)
    assert shown(algorithm, found, relevance) is found


def test_rules_on_what_follows_what_keep_the_order():
    relevance, kernel = request()
    found = STRATEGIES["msd"](relevance, kernel, 10, 0.6)
    windowed = Cap("brand", np.arange(40) % 5, 1, window=3)
    assert shown("msd", found, relevance, caps=[windowed]) is found
    assert shown("msd", found, relevance, exploration=Exploration(np.ones(40, bool), 0.2)) is found


@pytest.mark.parametrize("algorithm", ["dpp", "mmr", "msd", "ssd"])
def test_a_unit_makes_small_differences_of_relevance_small(algorithm):
    relevance, kernel = request()
    plain = STRATEGIES[algorithm](relevance, kernel, 10, 0.5)
    shrunk = STRATEGIES[algorithm](relevance / 1000, kernel, 10, 0.5)
    assert plain.rows.tolist() == shrunk.rows.tolist()  # without a unit the scale means nothing
    coarse = STRATEGIES[algorithm](relevance, kernel, 10, 0.5, unit=1e-3)
    assert coarse.rows.tolist() == np.argsort(-relevance)[:10].tolist()
    fine = STRATEGIES[algorithm](relevance, kernel, 10, 0.5, unit=100.0)
    alike = STRATEGIES[algorithm](np.zeros(40), kernel, 10, 0.5, first=[int(fine.rows[0])])
    assert len(set(fine.rows.tolist()) & set(alike.rows.tolist())) >= 8


@pytest.mark.parametrize("unit", [0.0, -1.0, float("nan"), float("inf")])
def test_a_unit_is_a_number_above_0(unit):
    relevance, kernel = request()
    with pytest.raises(InvalidInputError, match="unit"):
        STRATEGIES["dpp"](relevance, kernel, 5, 0.5, unit=unit)
