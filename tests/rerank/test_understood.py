"""What was asked lately is remembered, and no answer is another one by it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from endcap_rerank.constraints import NO_CONSTRAINTS
from endcap_rerank.events_store import Event
from endcap_rerank.index import Candidates
from endcap_rerank.understood import Recent, Understood, understand
from hypothesis import given
from hypothesis import strategies as st
from ranking_shop import embed, open_ranker, products, search_request

EXPLAIN = json.dumps({"explain": True})
QUERIES = ("red kettle", "blue lamp under $30", "oak", "kettel", "steel chair")


@pytest.fixture
def ranker(tmp_path):
    return open_ranker(tmp_path)


def as_text(ranked) -> str:
    return repr((ranked.item_ids, ranked.scores.tolist(), ranked.explanations, ranked.query_info))


def test_a_second_answer_is_the_first_one_bit_for_bit(ranker):
    requests = [search_request(query, k=8, options=EXPLAIN) for query in QUERIES]
    first = [as_text(ranker.search(one)) for one in requests]
    remembered = len(ranker._recent)
    assert remembered == len(QUERIES)
    assert [as_text(ranker.search(one)) for one in requests] == first
    assert len(ranker._recent) == remembered
    ranker._recent = Recent(0)
    assert [as_text(ranker.search(one)) for one in requests] == first


@pytest.mark.parametrize(
    "other",
    [
        lambda request: replace(request, query="blue lamp"),
        lambda request: replace(request, embedding=embed("blue lamp")),
        lambda request: search_request(request.query, options=json.dumps({"understand": False})),
        lambda request: search_request(request.query, options=json.dumps({"filters": {"price_max": 20}})),
        lambda request: search_request(request.query, options=json.dumps({"filters": {"in_stock": True}})),
        lambda request: search_request(request.query, options=json.dumps({"exclude": [products()[0].id]})),
    ],
)
def test_what_decides_what_is_found_is_never_mixed_up(ranker, other):
    request = search_request("red kettle")
    ranker.search(request)
    asked = other(request)
    warm = as_text(ranker.search(asked))
    ranker._recent = Recent()
    assert as_text(ranker.search(asked)) == warm


def test_a_change_of_the_catalogue_is_seen_at_once(ranker):
    request = search_request("red kettle", k=5, diversity=0.0)
    best = ranker.search(request).item_ids[0]
    ranker.delete([best])
    assert best not in ranker.search(request).item_ids
    cheap = replace(next(one for one in products() if one.id == best), price=1.0)
    ranker.upsert([(cheap, embed(cheap.title))])
    assert best in ranker.search(request).item_ids


def test_a_new_price_leaves_alone_what_no_price_decides(ranker, monkeypatch):
    read = []
    retrieve = ranker.index.retrieve
    monkeypatch.setattr(
        ranker.index, "retrieve", lambda query, *a, **k: read.append(query) or retrieve(query, *a, **k)
    )
    plain, limited = search_request("red kettle", k=5), search_request("red kettle under $30", k=5)
    best = ranker.search(limited).item_ids[0]
    ranker.search(plain)
    dear = replace(next(one for one in products() if one.id == best), price=999.0)
    ranker.upsert([(dear, embed(dear.encoder_text()))])
    read.clear()
    ranker.search(plain)
    assert read == []
    assert best not in ranker.search(limited).item_ids
    assert read == [limited.query]


def test_a_limit_that_nothing_kept_is_tried_again_after_a_new_price(ranker):
    request = search_request("red kettle under $2", k=5)
    assert "was not applied" in ranker.search(request).query_info
    cheap = replace(next(one for one in products() if "red kettle" in one.title), price=1.0)
    ranker.upsert([(cheap, embed(cheap.encoder_text()))])
    assert ranker.search(request).item_ids == [cheap.id]


def test_shoppers_with_one_query_get_answers_of_their_own(ranker):
    request = search_request("kettle", k=20, options=EXPLAIN)
    unknown = as_text(ranker.search(request))
    bought = ranker.search(request).item_ids[-1]
    ranker.feedback([Event.validated("ada", bought, "purchase", 1000.0)])
    for_ada = ranker.search(replace(request, user="ada"))
    assert as_text(for_ada) != unknown
    assert as_text(ranker.search(request)) == unknown


def test_what_is_remembered_cannot_be_written(ranker):
    meant = understand(search_request("red kettle"), ranker.index, labels=(), count=20)
    with pytest.raises(ValueError, match="read-only"):
        meant.found.rows[0] = 0


FOUND = Candidates(*(np.zeros(0, kind) for kind in (np.int64, np.float32, np.float32, np.float32)))


class Catalogue:
    version, moves = 1, (0, 0)


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(1, 5))
def test_the_least_recently_asked_is_forgotten_first(asked, size):
    nothing = Understood((), NO_CONSTRAINTS, None, None, FOUND, None, None, 0.0, ())
    recent, made, kept = Recent(size), [], []
    for number in asked:
        expected = number not in kept
        before = len(made)
        answer = replace(nothing, notes=(str(number),))
        found = recent.of(number, Catalogue(), lambda number=number, it=answer: made.append(number) or it)
        assert found.notes == (str(number),)
        kept = [*(one for one in kept if one != number), number][-size:]
        assert (len(made) > before) == expected
    assert len(recent) == len(kept)
