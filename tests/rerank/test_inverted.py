import shutil

import numpy as np
import pytest
from endcap_rerank.errors import ReleaseError
from endcap_rerank.index import inverted
from endcap_rerank.index.dense import EXACT_LIMIT, DenseIndex, write_dense
from endcap_rerank.index.placing import REACH, REACH_BELOW, nearest_holding
from small_catalog import clustered_vectors

COUNT = 6 * EXACT_LIMIT


@pytest.fixture(scope="module")
def vectors():
    return clustered_vectors(COUNT)


@pytest.fixture(scope="module")
def directory(tmp_path_factory, vectors):
    directory = tmp_path_factory.mktemp("inverted")
    write_dense(directory, vectors, inverted_from=COUNT)
    assert (directory / "lists.bin").is_file()
    assert not (directory / "codes.faiss").exists()
    return directory


@pytest.fixture(scope="module")
def large(directory):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(inverted, "CODES_READ", COUNT // 3)  # not all of them, as in so small a catalogue
        return DenseIndex(directory)


def exact(vectors, query, count, passing=None):
    scores = vectors @ query
    if passing is not None:
        scores = np.where(passing, scores, -np.inf)
    return np.argsort(-scores, kind="stable")[:count]


def recall(index, vectors, queries, count, passing=None):
    found = []
    for query in queries:
        rows, scores = index.search(query, count, passing)
        expected = exact(vectors, query, count, passing)
        assert len(rows) == count
        np.testing.assert_allclose(scores, vectors[rows] @ query, atol=1e-6)
        assert (np.diff(scores) <= 0).all()
        assert passing is None or passing[rows].all()
        found.append(len(np.intersect1d(rows, expected)) / count)
    return np.mean(found)


def test_the_nearest_are_found_with_their_true_scores(large, vectors):
    assert recall(large, vectors, clustered_vectors(40, seed=7), 100) >= 0.98


def test_a_batch_finds_what_its_queries_find_alone(large, vectors):
    queries = clustered_vectors(16, seed=7)
    for query, (rows, scores) in zip(queries, large.search_many(queries, 50), strict=True):
        alone = large.search(query, 50)
        np.testing.assert_array_equal(rows, alone[0])
        np.testing.assert_allclose(scores, alone[1], atol=1e-6)


@pytest.mark.parametrize("share", [0.6, 0.09, 0.04, 0.005])
def test_a_filter_that_knows_no_clusters(large, vectors, share):
    passing = np.random.default_rng(1).random(COUNT) < share
    assert recall(large, vectors, vectors[::1200], 20, passing) >= 0.98


@pytest.mark.parametrize("share", [0.5, 0.2, 0.05])
def test_a_filter_that_follows_the_clusters(large, vectors, share):
    about = clustered_vectors(1, seed=9)[0]
    closeness = vectors @ about
    passing = closeness >= np.quantile(closeness, 1 - share)
    assert recall(large, vectors, vectors[::1200], 20, passing) >= 0.98


def test_a_kept_filter_answers_alike_and_another_one_anew(large, vectors):
    query = vectors[0]
    for share in (0.6, 0.04, 0.3):
        passing = np.random.default_rng(int(100 * share)).random(COUNT) < share
        first = large.search(query, 20, passing)[0]
        passing.flags.writeable = False
        for _ in range(2):
            np.testing.assert_array_equal(large.search(query, 20, passing)[0], first)


def test_a_few_hidden_rows_never_come_back_and_leave_the_list_full(large, vectors):
    query = vectors[0]
    passing = np.ones(COUNT, bool)
    passing[exact(vectors, query, 300)[:150]] = False  # all around the query
    assert recall(large, vectors, [query], 100, passing) >= 0.98


def test_a_filter_that_contradicts_the_query_still_fills_the_list(large, vectors):
    query = vectors[0]
    passing = vectors @ query < np.quantile(vectors @ query, 0.3)
    rows, _ = large.search(query, 100, passing)
    assert len(rows) == 100
    assert passing[rows].all()


def test_more_is_asked_than_there_is(large):
    rows, _ = large.search(clustered_vectors(1)[0], COUNT + 5)
    assert sorted(rows) == list(range(COUNT))
    (many,) = large.search_many(clustered_vectors(1), COUNT + 5)
    assert len(many[0]) == COUNT


def test_a_moved_index_opens(tmp_path, directory, large):
    moved = DenseIndex(shutil.copytree(directory, tmp_path / "elsewhere"))
    query = clustered_vectors(1, seed=7)[0]
    np.testing.assert_array_equal(moved.search(query, 50)[0], large.search(query, 50)[0])


@pytest.mark.parametrize("name", ["lists.bin", "lists.faiss", "lists.table.npy", "lists.of_row.npy"])
def test_a_damaged_file_is_refused(tmp_path, directory, name):
    copy = shutil.copytree(directory, tmp_path / "copy")
    data = (copy / name).read_bytes()
    (copy / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(ReleaseError):
        DenseIndex(copy)


def test_the_codes_are_mapped_not_copied(directory, large):
    large.search(clustered_vectors(1)[0], 10)
    with open("/proc/self/maps") as maps:
        assert any(str(directory / "lists.bin") in line for line in maps)


def test_an_odd_dimension_works(tmp_path):
    vectors = clustered_vectors(EXACT_LIMIT + 1, dimension=7)
    write_dense(tmp_path, vectors, inverted_from=EXACT_LIMIT)
    assert DenseIndex(tmp_path).search(vectors[9], 3)[0][0] == 9


def test_a_batch_leaves_out_what_is_hidden(large, vectors):
    queries = clustered_vectors(8, seed=7)
    visible = np.random.default_rng(2).random(COUNT) < 0.97
    for query, (rows, _) in zip(queries, large.search_many(queries, 50, visible), strict=True):
        assert visible[rows].all()
        assert len(np.intersect1d(rows, exact(vectors, query, 50, visible))) >= 48


class TestWhichListsAreRead:
    CLOSENESS = np.linspace(0.9, -0.1, 1000, dtype=np.float32)[::-1].copy()  # the last list is the nearest

    def near(self, held, count=20, enough=1e9, probes=20, **options):
        held = np.broadcast_to(held, 1000)
        return nearest_holding(self.CLOSENESS, held.take, count, enough, probes, **options)

    @pytest.mark.parametrize("at_first", [8, 512])
    def test_those_far_beyond_where_enough_rows_pass_are_left_out(self, at_first):
        lists, counts = self.near(10, at_first=at_first)
        there = self.CLOSENESS[lists[3]]  # with four lists of ten, twice twenty rows pass
        expected = np.flatnonzero(min(REACH * there, there - REACH_BELOW) <= self.CLOSENESS)[::-1]
        np.testing.assert_array_equal(lists, expected)
        assert (counts == 10).all()

    def test_no_more_than_hold_enough_rows(self):
        assert len(self.near(10, enough=400)[0]) == 40

    def test_half_of_the_usual_number_in_any_case(self):
        assert len(self.near(10, count=1, probes=1800)[0]) == 900

    def test_all_that_hold_rows_where_few_pass(self):
        held = np.zeros(1000, np.int64)
        held[[5, 400, 990]] = 2
        lists, counts = self.near(held)
        assert lists.tolist() == [990, 400, 5]
        assert counts.tolist() == [2, 2, 2]
