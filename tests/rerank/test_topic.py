import numpy as np
import pytest
from endcap_rerank.diversity.topic import MARGIN, on_topic


def test_a_gap_parts_the_topic_from_the_rest():
    relevance = np.concatenate([np.linspace(1.0, 0.9, 30), np.linspace(0.3, 0.0, 170)]).astype(np.float32)
    assert on_topic(relevance, 10).tolist() == list(range(30))


def test_more_than_the_topic_has_reaches_beyond_it():
    relevance = np.concatenate([np.linspace(1.0, 0.9, 30), np.linspace(0.3, 0.0, 170)]).astype(np.float32)
    assert len(on_topic(relevance, 40)) >= 40


@pytest.mark.parametrize("k", [1, 5, 20])
def test_at_least_k_and_every_better_one(k):
    relevance = np.random.default_rng(k).random(200).astype(np.float32)
    kept = on_topic(relevance, k)
    assert len(kept) >= k
    assert relevance[kept].min() >= np.delete(relevance, kept).max()
    limit = np.sort(relevance)[-k] - MARGIN * (relevance.max() - np.sort(relevance)[::-1][100])
    assert kept.tolist() == np.flatnonzero(relevance >= np.float32(limit)).tolist()


def test_scale_does_not_matter():
    relevance = np.random.default_rng(1).random(100)
    assert on_topic(relevance, 10).tolist() == on_topic(7.0 * relevance - 3.0, 10).tolist()


@pytest.mark.parametrize("size", [0, 1, 5])
def test_few_candidates_all_take_part(size):
    assert len(on_topic(np.linspace(1, 0, size), 5)) == size


def test_equal_candidates_all_take_part():
    assert len(on_topic(np.ones(50), 5)) == 50
