"""Who gets which release: always the same, as many as asked for, and two rankings in one fair list."""

import math
from collections import Counter

import pytest
from endcap_client import InvalidRequest, Item, SearchResult, Split, team_draft
from endcap_client import operations as ops
from endcap_client.grpc_codec import encode_request
from hypothesis import given
from hypothesis import strategies as st

VISITORS = [f"visitor-{number}" for number in range(20_000)]
RANKINGS = st.lists(st.sampled_from("abcdefghijkl"), unique=True, max_size=10)


def answer(release, ids):
    items = tuple(Item(one, float(-place)) for place, one in enumerate(ids))
    return SearchResult(items, 0.0, f'{{"release": "{release}"}}'.encode())


def ids(drafted):
    return [one.item.id for one in drafted]


def test_shares_hold_within_chance():
    split = Split({"b": 0.1, "c": 0.3}, key="one")
    counts = Counter(split.release_of(visitor) for visitor in VISITORS)
    for release, share in (("b", 0.1), ("c", 0.3), (None, 0.6)):
        # Five standard deviations of a binomial.
        slack = 5 * math.sqrt(share * (1 - share) * len(VISITORS))
        assert abs(counts[release] - share * len(VISITORS)) < slack


def test_a_raised_share_takes_nobody_out():
    before, after = (Split({"b": share}, key="one") for share in (0.1, 0.25))
    inside = [visitor for visitor in VISITORS if before.release_of(visitor)]
    assert inside
    assert all(after.release_of(visitor) == "b" for visitor in inside)


def test_another_key_draws_anew():
    one, other = (Split({"b": 0.5}, key=key) for key in ("one", "other"))
    same = sum(one.release_of(visitor) == other.release_of(visitor) for visitor in VISITORS)
    assert abs(same / len(VISITORS) - 0.5) < 0.03


def test_the_place_of_a_visitor_is_the_same_in_every_process_and_version():
    # Of HMAC-SHA256("k", "v0" … "v5") the second and the fifth begin with a 0 bit.
    assert [Split({"b": 0.5}, key="k").release_of(f"v{number}") for number in range(6)] == [
        None,
        "b",
        None,
        "b",
        None,
        None,
    ]


@pytest.mark.parametrize("shares", [{"b": 0.0}, {"b": 1.2}, {"b": 0.6, "c": 0.6}, {"b": math.nan}])
def test_shares_that_cannot_be_are_refused(shares):
    with pytest.raises(InvalidRequest, match="shares"):
        Split(shares, key="k")


def test_a_release_is_asked_by_its_own_models():
    asked = ops.search(("sofa",), "ada", 5, None, {}, "20261124-101500-ab12cd")
    assert encode_request(asked).model_name == "search-20261124-101500-ab12cd"
    assert asked.repeatable
    assert asked.hedgeable
    assert ops.recommend("ada", None, 5, None, {}).target == "recommend"
    with pytest.raises(InvalidRequest, match="release"):
        ops.search(("sofa",), None, 5, None, {}, "../encode")


@given(RANKINGS, RANKINGS, st.integers(0, 12), st.text())
def test_a_draft_has_no_product_twice_and_every_turn_is_somebodys_best(one, other, k, seed):
    drafted = team_draft(answer("a", one), answer("b", other), k, seed=seed)
    union = set(one) | set(other)
    assert len(set(ids(drafted))) == len(drafted) == min(k, len(union))
    for place, each in enumerate(drafted):
        taken = set(ids(drafted[:place]))
        bests = {
            name: next((item for item in ranking if item not in taken), None)
            for name, ranking in (("a", one), ("b", other))
        }
        assert each.item.id in bests.values()
        if each.release:
            assert bests[each.release] == each.item.id
        else:
            assert None in bests.values()  # one of the two has nothing left to compare
    for end in range(len(drafted) + 1):
        teams = Counter(each.release for each in drafted[:end])
        assert abs(teams["a"] - teams["b"]) <= 1


@given(RANKINGS, st.integers(0, 12), st.text())
def test_equal_rankings_are_shown_as_they_are(ranking, k, seed):
    assert ids(team_draft(answer("a", ranking), answer("b", ranking), k, seed=seed)) == ranking[:k]


def test_each_team_is_first_half_of_the_time():
    first = [
        team_draft(answer("a", "xy"), answer("b", "yx"), 2, seed=str(seed))[0].release for seed in range(4000)
    ]
    assert abs(first.count("a") - 2000) < 5 * math.sqrt(1000)


def test_a_seed_repeats_the_coins():
    lists = answer("a", "abcdefgh"), answer("b", "hgfedcba")
    assert team_draft(*lists, 8, seed="ada sofa") == team_draft(*lists, 8, seed="ada sofa")
    assert len({tuple(ids(team_draft(*lists, 8, seed=str(n)))) for n in range(50)}) > 5


def test_answers_of_one_release_cannot_be_told_apart():
    with pytest.raises(InvalidRequest, match="second"):
        team_draft(answer("a", "xy"), answer("a", "yx"), 2)
