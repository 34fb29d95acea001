import numpy as np
import pytest
from endcap_rerank.index.dense import EXACT_LIMIT, DenseIndex, write_dense
from small_catalog import clustered_vectors

LARGE = 3 * EXACT_LIMIT


@pytest.fixture(scope="module")
def vectors():
    return clustered_vectors(LARGE)


@pytest.fixture(scope="module")
def large(tmp_path_factory, vectors):
    directory = tmp_path_factory.mktemp("dense")
    write_dense(directory, vectors)
    assert (directory / "codes.faiss").is_file()
    return DenseIndex(directory)


def exact(vectors, query, count, passing=None):
    scores = vectors @ query
    if passing is not None:
        scores = np.where(passing, scores, -np.inf)
    return np.argsort(-scores, kind="stable")[:count]


def test_a_small_catalogue_is_searched_exactly(tmp_path):
    vectors = clustered_vectors(500)
    write_dense(tmp_path, vectors)
    rows, scores = DenseIndex(tmp_path).search(vectors[7], 20)
    assert rows[0] == 7
    np.testing.assert_array_equal(rows, exact(vectors, vectors[7], 20))
    np.testing.assert_allclose(scores, vectors[rows] @ vectors[7], atol=1e-6)


def test_a_large_catalogue_finds_nearly_all_of_the_nearest_with_their_true_scores(large, vectors):
    found = []
    for query in clustered_vectors(40, seed=5)[:40]:
        rows, scores = large.search(query, 200)
        assert len(rows) == 200
        np.testing.assert_allclose(scores, vectors[rows] @ query, atol=1e-6)
        assert (np.diff(scores) <= 0).all()
        found.append(len(np.intersect1d(rows, exact(vectors, query, 200))) / 200)
    assert np.mean(found) >= 0.98


@pytest.mark.parametrize("share", [0.6, 0.35, 0.05, 0.0005])
def test_filters_neither_shorten_the_list_nor_lower_its_quality(large, vectors, share):
    rng = np.random.default_rng(1)
    passing = rng.random(LARGE) < share
    found = []
    for query in vectors[::600]:
        rows, _ = large.search(query, 100, passing)
        expected = exact(vectors, query, min(100, int(passing.sum())), passing)
        assert passing[rows].all()
        assert len(rows) == len(expected)
        found.append(len(np.intersect1d(rows, expected)) / len(expected))
    assert np.mean(found) >= 0.98


def test_a_filter_that_contradicts_the_query_still_fills_the_list(large, vectors):
    query = vectors[0]
    passing = vectors @ query < np.median(vectors @ query)
    rows, _ = large.search(query, 100, passing)
    np.testing.assert_array_equal(rows, exact(vectors, query, 100, passing))


def test_nothing_passes(large, vectors):
    rows, scores = large.search(vectors[0], 10, np.zeros(LARGE, bool))
    assert len(rows) == len(scores) == 0


def test_more_is_asked_than_there_is(large, vectors):
    rows, _ = large.search(vectors[0], LARGE + 5)
    assert sorted(rows) == list(range(LARGE))


def test_equal_vectors_are_ordered_by_row(tmp_path):
    vectors = np.repeat(clustered_vectors(1), EXACT_LIMIT + 500, axis=0)
    write_dense(tmp_path, vectors)
    rows, _ = DenseIndex(tmp_path).search(vectors[0], 5, np.arange(len(vectors)) % 2 == 1)
    assert len(rows) == 5
    assert (rows % 2 == 1).all()
    assert (np.diff(rows) > 0).all()


def test_two_builds_answer_alike(tmp_path, large, vectors):
    write_dense(tmp_path, vectors)
    again = DenseIndex(tmp_path)
    for query in vectors[::1000]:
        np.testing.assert_array_equal(again.search(query, 50)[0], large.search(query, 50)[0])


def test_an_odd_dimension_works(tmp_path):
    vectors = clustered_vectors(EXACT_LIMIT + 1, dimension=7)
    write_dense(tmp_path, vectors)
    assert DenseIndex(tmp_path).search(vectors[9], 3)[0][0] == 9
