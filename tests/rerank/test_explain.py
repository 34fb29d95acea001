import json

import pytest
from endcap_rerank.events_store import Event
from endcap_rerank.requests import RecommendRequest
from ranking_shop import open_ranker, products, search_request

SHOP = {product.id: product for product in products()}


@pytest.fixture(scope="module")
def ranker(tmp_path_factory):
    ranker = open_ranker(tmp_path_factory.mktemp("explain"))
    bought = [product.id for product in SHOP.values() if product.brand == "Vela"][:5]
    ranker.feedback([Event.validated("vera", item, "purchase", float(at)) for at, item in enumerate(bought)])
    return ranker


def told(ranked) -> list[dict]:
    return [json.loads(text) for text in ranked.explanations]


REQUESTS = {
    "search": search_request("acme lamp under $60", k=20, options='{"explain": true}'),
    "fitted search": search_request("lamp", user="vera", k=20, options='{"explain": true}'),
    "rules": search_request(
        "lamp",
        user="vera",
        k=30,
        diversity=0.3,
        options='{"explain": true, "boost": {"p3": 4, "p9": 0}, "pin": ["p0"], "bury": ["p21"]}',
    ),
    "session": search_request("lamp", k=20, options='{"explain": true, "recent": ["p3", "p45"]}'),
    "recommend": RecommendRequest.validated(user="vera", k=30, options='{"explain": true}'),
    "similar": RecommendRequest.validated(item="p3", user="vera", k=30, options='{"explain": true}'),
    "popular": RecommendRequest.validated(k=30, options='{"explain": true}'),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_terms_sum_to_the_score(ranker, name):
    request = REQUESTS[name]
    ranked = ranker.recommend(request) if isinstance(request, RecommendRequest) else ranker.search(request)
    assert len(ranked.explanations) == len(ranked.item_ids) > 0
    for explanation, score in zip(told(ranked), ranked.scores.tolist(), strict=True):
        assert sum(explanation["terms"].values()) == pytest.approx(score, abs=1e-5)
        assert explanation["score"] == pytest.approx(score, abs=1e-6)


def test_ranks_tell_what_diversity_changed(ranker):
    options = '{"explain": true}'
    plain = told(ranker.search(search_request("lamp", k=10, diversity=0.0, options=options)))
    assert [explanation["rank_by_score"] for explanation in plain] == list(range(1, 11))
    varied = told(ranker.search(search_request("lamp", k=10, diversity=1.0, options=options)))
    assert [explanation["rank"] for explanation in varied] == list(range(1, 11))
    moved = [explanation for explanation in varied if explanation["rank"] < explanation["rank_by_score"]]
    assert moved
    assert all("for variety" in explanation["text"] for explanation in moved)


def test_matched_demands_are_those_of_the_product(ranker):
    ranked = ranker.search(search_request("kestrel red lamp", k=40, options='{"explain": true}'))
    seen = set()
    for item, explanation in zip(ranked.item_ids, told(ranked), strict=True):
        product = SHOP[item]
        expected = {
            text
            for text, holds in (
                ("kestrel", product.brand == "Kestrel"),
                ("red", product.attributes["color"] == "red"),
                ("lamp", "lamp" in product.title or product.category.endswith("Lamps")),
            )
            if holds
        }
        assert {match["text"] for match in explanation["matched"]} == expected
        seen |= expected
    assert seen == {"kestrel", "red", "lamp"}


def test_past_events_that_mattered_are_named(ranker):
    ranked = ranker.search(
        search_request("lamp", user="vera", k=5, diversity=0.0, options='{"explain": true}')
    )
    bought = {event.item for event in ranker.events.of_user("vera", 100)}
    first = told(ranked)[0]
    assert SHOP[ranked.item_ids[0]].brand == "Vela"
    assert first["terms"]["taste"] > 0
    assert 0 < len(first["because"]["events"]) <= 3
    assert set(first["because"]["events"]) <= bought
    anonymous = ranker.search(search_request("lamp", k=5, options='{"explain": true}'))
    assert all(explanation["because"] == {} for explanation in told(anonymous))


def test_rules_are_named(ranker):
    ranked = ranker.search(REQUESTS["rules"])
    by_item = dict(zip(ranked.item_ids, told(ranked), strict=True))
    assert by_item["p0"]["rules"] == ["pin"]
    assert by_item["p0"]["rank"] == 1
    assert by_item["p3"]["rules"] == ["boost"]
    assert by_item["p3"]["terms"]["boost"] > 0


def test_the_sentence_speaks_the_language_asked_for(ranker):
    for language, mark in (("en", "."), ("zh", "。")):
        options = json.dumps({"explain": True, "language": language})
        ranked = ranker.search(search_request("kestrel lamp under $60", user="vera", options=options))
        for explanation in told(ranked):
            text = explanation["text"]
            assert text.endswith(mark)
            assert any("\u4e00" <= char <= "\u9fff" for char in text) == (language == "zh")


def test_nothing_is_explained_unasked(ranker):
    assert set(ranker.search(search_request("lamp")).explanations) == {""}
