"""Requests that ran together get what each would have got alone."""

import numpy as np
import ort_batching
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ort_contract import Contract


def request(rows, length, seed):
    ids = np.random.default_rng(seed).integers(0, 9, (rows, length))
    return [ids.astype(np.int64), np.ones((rows, length), dtype=np.int64)]


@pytest.fixture
def contract(config, session):
    return Contract.of(config, session)


def assert_same(answers, expected):
    for answer, alone in zip(answers, expected, strict=True):
        for one, other in zip(answer, alone, strict=True):
            assert one.shape == other.shape
            np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("lengths", [(4, 4, 4), (4, 9, 1), (1, 64)])
def test_batch_equals_each_alone(contract, session, lengths):
    requests = [request(rows, length, length) for rows, length in enumerate(lengths, start=1)]
    answers = ort_batching.run(contract, session, requests)
    assert_same(answers, [ort_batching.run(contract, session, [each])[0] for each in requests])


def test_any_mixture_equals_each_alone(config, session):
    contract = Contract.of(config, session)

    @settings(max_examples=40, deadline=None)
    @given(
        st.lists(st.tuples(st.integers(1, 4), st.integers(1, 20)), min_size=1, max_size=8), st.integers(0, 99)
    )
    def check(sizes, seed):
        requests = [request(rows, length, seed + position) for position, (rows, length) in enumerate(sizes)]
        answers = ort_batching.run(contract, session, requests)
        assert_same(answers, [ort_batching.run(contract, session, [each])[0] for each in requests])

    check()


def test_rows_of_equal_length_are_views_of_the_batch(contract, session):
    answers = ort_batching.run(contract, session, [request(1, 4, 1), request(2, 4, 2)])
    for output in (0, 1):
        assert answers[0][output].base is answers[1][output].base
        assert answers[0][output].base is not None
        assert answers[1][output].flags.c_contiguous


def test_ragged_requests_form_one_group_others_one_for_each_shape(config, session):
    requests = [request(1, 4, 1), request(1, 9, 2), request(3, 4, 3)]
    assert ort_batching.groups(Contract.of(config, session), requests) == [[0, 1, 2]]
    for entry in config["input"]:
        entry["allow_ragged_batch"] = False
    assert ort_batching.groups(Contract.of(config, session), requests) == [[0, 2], [1]]


def test_request_that_contradicts_itself_stays_alone(contract):
    odd = [np.zeros((1, 4), dtype=np.int64), np.zeros((1, 5), dtype=np.int64)]
    groups = ort_batching.groups(contract, [request(1, 4, 1), odd, request(1, 6, 2)])
    assert sorted(groups) == [[0, 2], [1]]
