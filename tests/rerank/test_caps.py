import numpy as np
import pytest
from endcap_rerank.diversity import STRATEGIES as BY_NAME
from endcap_rerank.diversity import Cap, SimilarityKernel
from endcap_rerank.diversity.selection import RelevanceOnly, Rules, greedy
from endcap_rerank.errors import InvalidInputError
from hypothesis import given
from hypothesis import strategies as st

STRATEGIES = pytest.mark.parametrize("select", BY_NAME.values(), ids=BY_NAME.keys())
DIVERSITIES = pytest.mark.parametrize("diversity", [0.0, 0.4, 1.0])


def kernel(size: int) -> SimilarityKernel:
    vectors = np.random.default_rng(size).standard_normal((size, 8)).astype(np.float32)
    return SimilarityKernel(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


@STRATEGIES
@DIVERSITIES
def test_caps_hold_while_any_candidate_can_keep_them(select, diversity):
    brands = np.arange(60) % 6
    categories = np.arange(60) // 10
    caps = [Cap("brand", brands, 2), Cap("category", categories, 3)]
    found = select(-np.arange(60.0), kernel(60), 12, diversity, caps=caps)
    assert np.bincount(brands[found.rows]).max() <= 2
    assert np.bincount(categories[found.rows]).max() <= 3
    assert found.exceeded == ()


@STRATEGIES
@DIVERSITIES
def test_caps_hold_when_candidates_run_out(select, diversity):
    """One brand fills the rest of the list only after every other brand has had its share."""
    brands = np.array([0] * 10 + [1, 1, 2])
    found = select(-np.arange(13.0), kernel(13), 8, diversity, caps=[Cap("brand", brands, 2)])
    assert len(found.rows) == 8
    assert sorted(brands[found.rows[:5]].tolist()) == [0, 0, 1, 1, 2]
    assert brands[found.rows[5:]].tolist() == [0, 0, 0]
    assert found.exceeded == ("brand",)


@STRATEGIES
@DIVERSITIES
def test_a_strict_list_ends_where_its_caps_cannot_be_kept(select, diversity):
    brands = np.array([0] * 10 + [1, 1, 2])
    caps = [Cap("brand", brands, 2)]
    found = select(-np.arange(13.0), kernel(13), 8, diversity, caps=caps, strict=True)
    lenient = select(-np.arange(13.0), kernel(13), 8, diversity, caps=caps)
    assert found.rows.tolist() == lenient.rows[:5].tolist()
    assert found.exceeded == ()
    pinned = select(-np.arange(13.0), kernel(13), 8, diversity, caps=caps, first=[0, 1, 2], strict=True)
    assert pinned.rows.tolist() == [0, 1]


@STRATEGIES
def test_a_cap_that_cannot_hold_does_not_undo_the_others(select):
    brands = np.arange(12) % 6
    one_category = np.zeros(12, int)
    caps = [Cap("brand", brands, 1), Cap("category", one_category, 2)]
    found = select(-np.arange(12.0), kernel(12), 6, 0.2, caps=caps)
    assert len(set(brands[found.rows].tolist())) == 6
    assert found.exceeded == ("category",)


@STRATEGIES
def test_the_unknown_brand_is_no_brand(select):
    found = select(-np.arange(6.0), kernel(6), 6, 0.0, caps=[Cap("brand", np.full(6, -1), 1)])
    assert found.rows.tolist() == [0, 1, 2, 3, 4, 5]
    assert found.exceeded == ()


@STRATEGIES
def test_pins_go_first_and_count_towards_caps(select):
    brands = np.array([0, 0, 0, 1, 1])
    found = select(-np.arange(5.0), kernel(5), 3, 0.0, caps=[Cap("brand", brands, 1)], first=[2])
    assert found.rows.tolist() == [2, 3, 0]


@pytest.mark.parametrize("select", [BY_NAME[name] for name in ("dpp", "mmr", "msd", "ssd")])
def test_pins_repel_what_is_like_them(select):
    vectors = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    found = select(np.array([1.0, 0.9, 0.8, 0.7]), SimilarityKernel(vectors), 3, 0.8, first=[2])
    assert found.rows.tolist() == [2, 0, 3]


@STRATEGIES
@DIVERSITIES
@pytest.mark.parametrize(("limit", "window"), [(1, 2), (1, 3), (2, 6)])
def test_a_windowed_cap_holds_in_every_stretch(select, diversity, limit, window):
    brands = np.repeat(np.arange(4), 15)  # the most relevant fifteen are of one brand
    found = select(-np.arange(60.0), kernel(60), 20, diversity, caps=[Cap("brand", brands, limit, window)])
    chosen = brands[found.rows]
    for start in range(20 - window + 1):
        assert np.bincount(chosen[start : start + window]).max() <= limit
    assert found.exceeded == ()
    if diversity == 0.0:  # and it takes no more than it must from what is relevant
        assert (chosen == 0).sum() >= 20 * limit // window


@STRATEGIES
def test_a_window_shorter_than_the_gap_lets_a_brand_return(select):
    brands = np.array([0, 0, 0, 1, 1, 1])
    found = select(-np.arange(6.0), kernel(6), 6, 0.0, caps=[Cap("brand", brands, 1, 2)])
    assert found.rows.tolist() == [0, 3, 1, 4, 2, 5]


@STRATEGIES
def test_a_windowed_cap_that_cannot_hold_is_reported(select):
    found = select(-np.arange(4.0), kernel(4), 4, 0.0, caps=[Cap("brand", np.array([0, 0, 0, 1]), 1, 3)])
    assert found.rows.tolist() == [0, 3, 1, 2]
    assert found.exceeded == ("brand",)


def test_a_window_of_one_is_refused():
    with pytest.raises(InvalidInputError, match="window"):
        BY_NAME["dpp"](np.zeros(4), kernel(4), 2, 0.5, caps=[Cap("brand", np.zeros(4, int), 1, 1)])


@given(st.lists(st.integers(-1, 4), min_size=1, max_size=30), st.integers(1, 4))
def test_room_is_the_longest_list_that_keeps_the_cap(codes, limit):
    cap = Cap("brand", np.array(codes), limit)
    relevance = np.zeros(len(codes), np.float32)
    longest = 0
    for k in range(1, len(codes) + 1):
        kept = greedy(relevance, RelevanceOnly(), k, rules=Rules(caps=[cap]))
        longest = k if not kept.exceeded else longest
    assert cap.room() == longest
    assert Cap("brand", np.array(codes), limit, window=2).room() == len(codes)


def test_a_cap_among_some_of_the_candidates():
    assert Cap("brand", np.array([3, 4, 5]), 2).among(np.array([2, 0])).codes.tolist() == [5, 3]
