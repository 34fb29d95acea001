import numpy as np
import pytest
from endcap_rerank.index.lexical import LexicalIndex
from endcap_rerank.index.selection import best, leading

pytestmark = pytest.mark.usefixtures("either_loops")
MANY = 60_000


def scores(distinct, share, seed=0):
    """Of a share of the rows, with so many distinct values; 0 of the others."""
    rng = np.random.default_rng(seed)
    values = rng.integers(1, distinct + 1, MANY) * (rng.random(MANY) < share)
    return values.astype(np.float32)


def expected(scores, count, passing=None):
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > 0]
    return (order if passing is None else order[passing[order]])[:count]


@pytest.mark.parametrize("count", [1, 20, 200, 5000])
@pytest.mark.parametrize("distinct", [3, 50, 1_000_000])
@pytest.mark.parametrize("share", [0.0, 0.0005, 0.2, 1.0])
def test_the_best_of_many_are_those_of_all(count, distinct, share):
    values = scores(distinct, share)
    np.testing.assert_array_equal(LexicalIndex.best(values, count), expected(values, count))
    for passed in (0.5, 0.01, 0.0):
        passing = np.random.default_rng(1).random(MANY) < passed
        found = LexicalIndex.best(values, count, passing)
        np.testing.assert_array_equal(found, expected(values, count, passing))


@pytest.mark.parametrize("count", [0, 1, 7, 63, 64, 200, 300])
def test_the_best_of_few_are_ordered_by_score_and_position(count):
    for size in (0, 1, 15, 16, 17, 64, 199, 200, 201, 250):
        values = np.random.default_rng(size).integers(-3, 4, size).astype(np.float32) * np.float32(0.5)
        values[::5] *= -1.0  # zeros of either sign are equal
        values[3::7] = -np.inf
        np.testing.assert_array_equal(best(values, count), np.argsort(-values, kind="stable")[:count])


def test_the_best_of_every_other_number_and_of_doubles():
    values = scores(1_000_000, 1.0)
    np.testing.assert_array_equal(best(values[::2], 50), expected(values[::2], 50))
    fine = 1.0 + np.arange(40.0) * 1e-12
    assert best(fine, 3).tolist() == [39, 38, 37]


def test_a_small_part_of_many_has_the_best():
    values = scores(1_000_000, 0.5)
    rows = leading(values, 200)
    assert 200 <= len(rows) < MANY // 20
    assert np.isin(best(values, 200), rows).all()


def test_scores_in_an_order_that_misleads_the_sample_lose_nothing():
    values = np.zeros(MANY, np.float32)
    values[:: MANY // 2048] = np.arange(
        1, len(values[:: MANY // 2048]) + 1
    )  # only what the sample sees is high
    np.testing.assert_array_equal(LexicalIndex.best(values, 200), expected(values, 200))


def test_of_few_or_of_equals_there_is_no_small_part():
    assert leading(np.arange(500, dtype=np.float32), 10) is None
    assert leading(np.ones(MANY, np.float32), 10) is None
