import numpy as np
import pytest
from endcap_rerank.errors import InvalidInputError
from endcap_rerank.requests import RecommendRequest, SearchRequest
from endcap_rerank.schema import DEFAULT_DIVERSITY, DEFAULT_K, MAX_ID_CHARS, MAX_K, MAX_QUERY_CHARS

VECTOR = np.full(4, 0.5, np.float32)


def test_defaults():
    request = SearchRequest.validated("drill", VECTOR)
    assert (request.user, request.k, request.diversity) == ("", DEFAULT_K, DEFAULT_DIVERSITY)
    assert RecommendRequest.validated() == RecommendRequest()


@pytest.mark.parametrize("user", [None, "", "  "])
def test_no_user_is_anonymous(user):
    assert RecommendRequest.validated(user=user).user == ""


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("k", 0),
        ("k", -1),
        ("k", MAX_K + 1),
        ("k", 10_000),
        ("k", 3.0),
        ("k", True),
        ("diversity", -0.01),
        ("diversity", 1.01),
        ("diversity", float("nan")),
        ("diversity", float("inf")),
        ("diversity", "0.3"),
        ("user", "u" * (MAX_ID_CHARS + 1)),
        ("user", 7),
        ("options", "{"),
    ],
)
def test_out_of_range_is_named(field, value):
    with pytest.raises(InvalidInputError) as caught:
        RecommendRequest.validated(**{field: value})
    assert caught.value.field == field
    with pytest.raises(InvalidInputError):
        SearchRequest.validated("drill", VECTOR, **{field: value})


@pytest.mark.parametrize(("k", "diversity"), [(1, 0.0), (MAX_K, 1.0), (np.int32(5), np.float32(0.5))])
def test_the_limits_themselves_are_allowed(k, diversity):
    request = RecommendRequest.validated(k=k, diversity=diversity)
    assert (request.k, request.diversity) == (int(k), float(diversity))


@pytest.mark.parametrize("query", ["", "   ", "\n\t", "x" * (MAX_QUERY_CHARS + 1), "a\ud800"])
def test_unusable_queries(query):
    with pytest.raises(InvalidInputError) as caught:
        SearchRequest.validated(query, VECTOR)
    assert caught.value.field == "query"


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"embedding": np.zeros((2, 4), np.float32)}, "query_embedding"),
        ({"embedding": np.array([np.nan, 1], np.float32)}, "query_embedding"),
        ({"offsets": np.zeros((3, 3), np.int32)}, "offsets"),
        ({"offsets": np.array([[0, 99]], np.int32)}, "offsets"),
        ({"offsets": np.zeros((3, 2), np.int32), "tag_logits": np.zeros((2, 5), np.float32)}, "tag_logits"),
    ],
)
def test_tensors_that_do_not_fit(arguments, field):
    with pytest.raises(InvalidInputError) as caught:
        SearchRequest.validated("drill", **{"embedding": VECTOR, **arguments})
    assert caught.value.field == field
