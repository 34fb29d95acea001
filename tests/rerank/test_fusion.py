import numpy as np
import pytest
from endcap_rerank.index.fusion import fuse, redirected
from endcap_rerank.index.selection import best

ROWS = np.array([3, 5, 8])


def fused(dense, lexical, count=3, **options):
    return fuse(ROWS, np.array(dense, np.float32), np.array(lexical, np.float32), count, **options)


def test_the_sum_is_weighted_after_normalization():
    found = fused([0.2, 0.6, 0.4], [10.0, 0.0, 5.0], lexical_weight=0.25)
    assert found.rows.tolist() == [5, 8, 3]
    np.testing.assert_allclose(found.fused, [0.75, 0.75 * 0.5 + 0.25 * 0.5, 0.25], rtol=1e-6)
    np.testing.assert_allclose(found.dense, [0.6, 0.4, 0.2], rtol=1e-6)
    np.testing.assert_allclose(found.lexical, [0.0, 5.0, 10.0])


@pytest.mark.parametrize(("weight", "order"), [(0.0, [5, 8, 3]), (1.0, [3, 8, 5])])
def test_the_weight_decides_who_leads(weight, order):
    assert fused([0.2, 0.6, 0.4], [10.0, 0.0, 5.0], lexical_weight=weight).rows.tolist() == order


def test_ties_go_by_row():
    assert fused([0.5, 0.5, 0.5], [1.0, 1.0, 1.0]).rows.tolist() == [3, 5, 8]


def test_no_word_matched():
    found = fused([0.1, 0.9, 0.5], [0.0, 0.0, 0.0])
    assert found.rows.tolist() == [5, 8, 3]
    assert np.isfinite(found.fused).all()


def test_only_the_best_are_kept():
    assert fused([0.1, 0.9, 0.5], [0.0, 0.0, 0.0], count=2).rows.tolist() == [5, 8]


def test_a_product_without_vector_leaves_the_scale_to_the_others():
    alone = fuse(ROWS[:2], np.array([0.4, 0.6], np.float32), np.zeros(2, np.float32), 2)
    beside = fused([0.4, 0.6, 0.0], [0.0, 0.0, 0.0], comparable=np.array([True, True, False]))
    np.testing.assert_array_equal(beside.fused[:2], alone.fused)
    assert beside.fused[2] == 0


def test_no_candidates():
    empty = np.zeros(0, np.float32)
    assert len(fuse(np.zeros(0, np.int64), empty, empty, 10)) == 0


def test_scores_stay_within_zero_and_one():
    rng = np.random.default_rng(0)
    found = fuse(np.arange(500), rng.normal(size=500).astype("f4"), rng.random(500).astype("f4") * 30, 100)
    assert found.fused.dtype == np.float32
    assert found.fused.min() >= 0
    assert found.fused.max() <= 1


def test_best_equals_a_full_stable_sort():
    rng = np.random.default_rng(0)
    for _ in range(50):
        scores = rng.integers(0, 20, 300).astype(np.float32)  # full of ties
        count = int(rng.integers(0, 320))
        np.testing.assert_array_equal(best(scores, count), np.argsort(-scores, kind="stable")[:count])


def test_what_is_named_has_the_upper_half():
    found = fused(
        [0.2, 0.6, 0.4], [10.0, 0.0, 5.0], lexical_weight=0.25, named=np.array([True, False, False])
    )
    assert found.rows.tolist() == [3, 5, 8]
    np.testing.assert_allclose(found.fused, [0.625, 0.375, 0.25], rtol=1e-6)


def test_a_query_is_drawn_to_what_its_words_find():
    query, found = np.eye(3, dtype=np.float32)[0], np.eye(3, dtype=np.float32)[1:2]
    drawn = redirected(query, found, np.ones(1, np.float32))
    assert drawn.dtype == np.float32
    np.testing.assert_allclose(drawn, [0.5**0.5, 0.5**0.5, 0], rtol=1e-6)
    np.testing.assert_array_equal(redirected(query, np.zeros_like(found), np.ones(1, np.float32)), query)
    np.testing.assert_array_equal(redirected(query, -query[None], np.ones(1, np.float32)), query)
