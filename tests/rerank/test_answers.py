from dataclasses import replace

import numpy as np
import pytest
from endcap_rerank.answers import Answer, Answers
from endcap_rerank.options import NO_OPTIONS, Options
from endcap_rerank.requests import RecommendRequest
from ranking_shop import embed, open_ranker, products, search_request


@pytest.fixture
def ranker(tmp_path):
    return open_ranker(tmp_path)


def answered(ranker, answers, request):
    """The answer as a model gives it, and whether it was a remembered one."""
    stale = ranker.take_in()
    key, state = answers.key(request), ranker.state()
    assert key is not None
    if (known := answers.find(key, state)) is not None:
        return known.ranked, True
    pool = ranker.retrieve(request, stale)
    scored = ranker.rank(request, pool)
    ranked = ranker.answer(request, pool, scored, ranker.diversify(request, pool, scored))
    answers.keep(key, state, Answer(ranked, ()))
    return ranked, False


def same(one, other):
    return one.item_ids == other.item_ids and np.array_equal(one.scores, other.scores)


def test_an_answer_is_remembered_until_the_catalogue_changes(ranker):
    answers, request = Answers(), search_request("kestrel lamp")
    first, repeated = answered(ranker, answers, request)
    assert not repeated
    again, repeated = answered(ranker, answers, request)
    assert repeated
    assert same(again, first)
    top = next(product for product in products() if product.id == first.item_ids[0])
    gone = replace(top, in_stock=False)
    ranker.upsert([(gone, embed(gone.encoder_text()))])
    changed, repeated = answered(ranker, answers, request)
    assert not repeated
    assert same(changed, ranker.search(request))
    assert not same(changed, first)


def test_requests_that_differ_have_answers_of_their_own(ranker):
    request = search_request("kestrel lamp")
    others = [
        search_request("kestrel lamps"),
        replace(request, k=request.k - 1),
        replace(request, diversity=0.9),
        replace(request, embedding=-request.embedding),
        replace(request, tag_logits=request.tag_logits + 1.0),
        replace(request, offsets=request.offsets + 1),
    ]
    assert len({Answers.key(each) for each in [request, *others]}) == 7


def test_nothing_is_kept_of_a_shopper_or_of_options():
    request = search_request("kestrel lamp")
    assert Answers.key(replace(request, options=NO_OPTIONS)) is not None
    assert Answers.key(replace(request, user="kate")) is None
    assert Answers.key(replace(request, options=Options(recent=("p1",)))) is None
    assert Answers.key(RecommendRequest()) is None


def test_what_was_asked_longest_ago_is_forgotten(ranker):
    answers = Answers(size=2)
    requests = [search_request(query) for query in ("lamp", "tent", "drill")]
    for request in (requests[0], requests[1], requests[0], requests[2]):
        answered(ranker, answers, request)
    assert [answered(ranker, answers, request)[1] for request in (requests[0], requests[2])] == [True, True]
    assert len(answers) == 2
