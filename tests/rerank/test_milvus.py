"""The Milvus retriever beside the local index, in a real milvus-lite."""

import logging

import numpy as np
import pytest
from endcap_rerank.errors import InvalidInputError, StoreError
from endcap_rerank.index.dense import DenseIndex, write_dense
from endcap_rerank.milvus import MilvusAddress, MilvusDense, publish_vectors
from small_catalog import clustered_vectors

pytest.importorskip("pymilvus", reason="pymilvus is not installed (the extra milvus)")
pytest.importorskip("milvus_lite", reason="milvus-lite is not installed (the extra milvus-lite)")

COUNT, DIMENSION = 9000, 32


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    folder = tmp_path_factory.mktemp("index")
    write_dense(folder, clustered_vectors(COUNT, DIMENSION))
    return folder


@pytest.fixture(scope="module")
def address(directory, tmp_path_factory):
    address = MilvusAddress.parse(f"milvus://{tmp_path_factory.mktemp('milvus')}/vectors.db", "r-1.2")
    assert publish_vectors(directory, address) == COUNT
    return address


@pytest.fixture(scope="module")
def remote(directory, address):
    return MilvusDense(directory, address, timeout=20.0)


@pytest.fixture
def asked(remote, monkeypatch):
    """How often Milvus was asked, and what it answered."""
    answers = []
    nearest = remote._nearest
    monkeypatch.setattr(remote, "_nearest", lambda *given: answers.append(nearest(*given)) or answers[-1])
    return answers


def queries(count=8, seed=1):
    rng = np.random.default_rng(seed)
    near = clustered_vectors(COUNT, DIMENSION)[rng.integers(0, COUNT, count)]
    near = near + 0.1 * rng.standard_normal(near.shape).astype(np.float32)
    return near / np.linalg.norm(near, axis=1, keepdims=True)


def exact(local, query, count, passing=None):
    scores = local.vectors @ query
    if passing is not None:
        scores = np.where(passing, scores, -np.inf)
    return np.argsort(-scores, kind="stable")[:count]


def test_it_finds_what_is_nearest(remote, asked):
    for query in queries():
        rows, scores = remote.search(query, 100)
        wanted = exact(remote, query, 100)
        assert len(set(rows.tolist()) & set(wanted.tolist())) >= 98
        np.testing.assert_allclose(scores, remote.vectors[rows] @ query, rtol=1e-5)
        assert (np.diff(scores) <= 0).all()
        assert rows.dtype == np.int64
        assert scores.dtype == np.float32
    assert len(asked) == 8
    assert None not in asked


@pytest.mark.parametrize("share", [0.9, 0.6, 0.3, 0.01, 0.0005, 0.0])
def test_filters_stay_exact_in_count(remote, share):
    passing = np.random.default_rng(3).random(COUNT) < share
    for query in queries(4, seed=2):
        rows, _ = remote.search(query, 50, passing)
        wanted = exact(remote, query, min(50, int(passing.sum())), passing)
        assert len(rows) == len(wanted) == len(set(rows.tolist()))
        assert passing[rows].all()
        assert len(set(rows.tolist()) & set(wanted.tolist())) >= 0.98 * len(wanted)


def test_a_broad_filter_is_asked_of_milvus_and_a_narrow_one_is_not(remote, asked):
    query = queries(1)[0]
    remote.search(query, 20, np.arange(COUNT) % 10 != 0)
    assert len(asked) == 1
    remote.search(query, 20, np.arange(COUNT) % 10 == 0)
    assert len(asked) == 1


def test_a_filter_against_the_query_is_filled_all_the_same(remote):
    query = queries(1)[0]
    order = exact(remote, query, COUNT)
    passing = np.ones(COUNT, bool)
    passing[order[:2000]] = False
    rows, _ = remote.search(query, 40, passing)
    assert len(set(rows.tolist()) & set(order[2000:2040].tolist())) >= 39


def test_a_batch_finds_what_single_queries_find(remote, asked):
    batch = queries(5)
    found = remote.search_many(batch, 30)
    assert len(asked) == 1
    for query, (rows, scores) in zip(batch, found, strict=True):
        alone, alone_scores = remote.search(query, 30)
        assert rows.tolist() == alone.tolist()
        np.testing.assert_allclose(scores, alone_scores, rtol=1e-5)


@pytest.mark.parametrize("count", [0, 1, COUNT, 2 * COUNT])
def test_any_count(remote, count):
    assert len(remote.search(queries(1)[0], count)[0]) == min(count, COUNT)


def test_publishing_again_sends_nothing(directory, address, remote):
    assert publish_vectors(directory, address) == 0


def test_publishing_completes_what_was_begun(directory, tmp_path, caplog):
    address = MilvusAddress.parse(f"milvus://{tmp_path}/vectors.db", "r")
    publish_vectors(directory, address)
    client = address.connect(10.0)
    client.delete(address.collection, filter="row < 100")
    client.close()
    with caplog.at_level(logging.WARNING):
        half = MilvusDense(directory, address)
        rows, _ = half.search(queries(1)[0], 10)
    assert rows.tolist() == DenseIndex(directory).search(queries(1)[0], 10)[0].tolist()
    assert "8900 of 9000" in caplog.text
    assert publish_vectors(directory, address) == COUNT
    assert MilvusDense(directory, address)._nearest(queries(1), 10) is not None


def test_while_milvus_is_down_the_local_index_answers(directory, caplog):
    gone = MilvusDense(directory, MilvusAddress.parse("milvus://user:secret-word@127.0.0.1:1", "r"))
    local = DenseIndex(directory)
    with caplog.at_level(logging.WARNING, logger="endcap_rerank"):
        for query in queries(3):
            assert gone.search(query, 20)[0].tolist() == local.search(query, 20)[0].tolist()
        assert len(gone.search_many(queries(3), 20)) == 3
    assert len([record for record in caplog.records if "local index" in record.message]) == 1
    assert "secret-word" not in caplog.text
    with pytest.raises(StoreError) as caught:
        publish_vectors(directory, gone._address, timeout=1.0)
    assert "secret-word" not in str(caught.value)


def test_addresses():
    lite = MilvusAddress.parse("milvus:///data/shop.db", "2026-1.a")
    assert (lite.uri, lite.collection) == ("/data/shop.db", "endcap_2026_1_a")
    server = MilvusAddress.parse("milvuss://me:p%40ss@host", "r")
    assert (server.uri, server.user, server.password) == ("https://host:19530", "me", "p@ss")
    assert "p@ss" not in repr(server)
    assert server.name == "milvuss://host:19530"


@pytest.mark.parametrize("url", ["vectors.db", "milvus://", "http://u:secret@h:1", "milvus://u:secret@h:x"])
def test_another_url_is_refused_without_telling_its_password(url):
    with pytest.raises(InvalidInputError, match="ENDCAP_VECTORS") as caught:
        MilvusAddress.parse(url, "r")
    assert "secret" not in str(caught.value)
