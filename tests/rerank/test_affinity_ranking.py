"""How learnt affinities change what is recommended and found, on a real index."""

import json

import numpy as np
import pytest
from endcap_rerank.affinities import affinities_path, write_affinities
from endcap_rerank.events_store import Event
from endcap_rerank.requests import RecommendRequest
from ranking_shop import embed, open_ranker, products, search_request

SHOP = {product.id: product for product in products()}
EXPLAIN = '{"explain": true}'


def teach(ranker, folder, pairs, repeats=0.0):
    """Let the affinities of the shop be these: (item, following item) → chance."""
    count = ranker.index.index.count
    rows = {item: ranker.index.index.catalog.ids.find(item) for item in SHOP}
    table = np.zeros((count, count), np.float32)
    for (item, following), chance in pairs.items():
        table[rows[item], rows[following]] = chance
    items = [np.flatnonzero(row) for row in table]
    write_affinities(
        affinities_path(folder / "state", "r-test"),
        starts=np.concatenate([[0], np.cumsum([len(row) for row in items])]).astype(np.int64),
        items=np.concatenate(items).astype(np.int32),
        values=table[table > 0],
        prior=np.full(count, 1e-4, np.float32),
        repeats=np.full(count, repeats, np.float32),
        fade=0.5,
        record={},
    )


@pytest.fixture
def shop(tmp_path):
    ranker = open_ranker(tmp_path)
    ranker.feedback([Event.validated("ada", "p1", "purchase", 5.0)])
    return ranker, tmp_path


def terms(ranked):
    return [json.loads(text)["terms"] for text in ranked.explanations]


def test_a_shopper_is_recommended_what_others_took_next(shop):
    ranker, folder = shop
    request = RecommendRequest.validated(user="ada", k=5, diversity=0.0, options=EXPLAIN)
    before = ranker.recommend(request).item_ids
    far = "p100"
    assert far not in before
    teach(ranker, folder, {("p1", far): 0.4})
    after = ranker.recommend(request)
    assert after.item_ids[0] == far
    assert "p1" not in after.item_ids


def test_beside_an_item_stands_what_is_bought_with_it(shop):
    ranker, folder = shop
    teach(ranker, folder, {("p3", "p100"): 0.4})
    ranked = ranker.recommend(RecommendRequest.validated(item="p3", k=10, diversity=0.0, options=EXPLAIN))
    place = ranked.item_ids.index("p100")
    assert terms(ranked)[place]["affinity"] > 0
    assert "together" in json.loads(ranked.explanations[place])["text"]
    assert "p3" not in ranked.item_ids


def test_a_basket_speaks_with_all_its_items(shop):
    ranker, folder = shop
    teach(ranker, folder, {("p3", "p100"): 0.4, ("p7", "p200"): 0.4})
    found = []
    for options in ('{"explain": true}', '{"explain": true, "recent": ["p7"]}'):
        ranked = ranker.recommend(
            RecommendRequest.validated(item="p3", k=100, diversity=0.0, options=options)
        )
        told = dict(zip(ranked.item_ids, terms(ranked), strict=True))
        found.append({item for item, mine in told.items() if mine.get("affinity", 0.0) > 0.0})
    assert found == [{"p100"}, {"p100", "p200"}]


def test_a_session_without_a_shopper_is_enough(shop):
    ranker, folder = shop
    teach(ranker, folder, {("p7", "p200"): 0.4})
    request = RecommendRequest.validated(k=5, diversity=0.0, options='{"recent": ["p7"]}')
    assert ranker.recommend(request).item_ids[0] == "p200"


def test_a_search_leans_to_what_is_taken_next_and_only_for_whom_it_is_known(shop):
    ranker, folder = shop
    request = search_request("lamp", user="ada", k=40, diversity=0.0, options=EXPLAIN)
    stranger = search_request("lamp", user="eve", k=40, diversity=0.0, options=EXPLAIN)
    plain, unknown = ranker.search(request), ranker.search(stranger)
    chosen = plain.item_ids[20]
    teach(ranker, folder, {("p1", chosen): 0.4})
    fitted = ranker.search(request)
    assert fitted.item_ids.index(chosen) < 20
    assert terms(fitted)[fitted.item_ids.index(chosen)]["affinity"] > 0
    assert ranker.search(stranger).item_ids == unknown.item_ids
    assert np.array_equal(ranker.search(stranger).scores, unknown.scores)


def test_filters_hold_for_what_is_taken_next(shop):
    ranker, folder = shop
    teach(ranker, folder, {("p1", "p100"): 0.4, ("p1", "p200"): 0.3})
    options = json.dumps({"filters": {"brand": SHOP["p200"].brand}})
    found = ranker.recommend(RecommendRequest.validated(user="ada", k=50, options=options)).item_ids
    assert "p200" in found
    assert {SHOP[item].brand for item in found} == {SHOP["p200"].brand}


def test_what_is_usually_bought_again_is_not_held_back(shop):
    ranker, folder = shop
    request = RecommendRequest.validated(item="p7", user="ada", k=200, diversity=0.0, options=EXPLAIN)

    def taken_off():
        ranked = ranker.recommend(request)
        return terms(ranked)[ranked.item_ids.index("p1")].get("bought", 0.0)

    penalties = []
    for repeats in (0.0, 0.15, 0.5):
        teach(ranker, folder, {("p7", "p1"): 0.4}, repeats)
        penalties.append(taken_off())
    assert penalties == pytest.approx([-ranker.weights.bought, -ranker.weights.bought / 2, 0.0], abs=1e-6)


def test_personalize_off_is_the_popular_list(shop):
    ranker, folder = shop
    teach(ranker, folder, {("p1", "p100"): 0.4})
    off = ranker.recommend(RecommendRequest.validated(user="ada", k=5, options='{"personalize": false}'))
    nobody = ranker.recommend(RecommendRequest.validated(k=5))
    assert off.item_ids == nobody.item_ids


def test_a_changed_product_keeps_its_affinities_and_a_deleted_one_is_gone(shop):
    ranker, folder = shop
    teach(ranker, folder, {("p1", "p100"): 0.4, ("p1", "p200"): 0.35})
    cheaper = SHOP["p100"]
    cheaper = type(cheaper)(**{**cheaper.__dict__, "price": 1.0})
    ranker.upsert([(cheaper, embed(cheaper.encoder_text()))])
    ranker.delete(["p200"])
    ranked = ranker.recommend(RecommendRequest.validated(user="ada", k=5, diversity=0.0))
    assert ranked.item_ids[0] == "p100"
    assert "p200" not in ranked.item_ids


def test_a_new_product_can_be_recommended_by_its_content(shop):
    ranker, folder = shop
    teach(ranker, folder, {("p1", "p100"): 0.4})
    new = type(SHOP["p1"])(**{**SHOP["p1"].__dict__, "id": "fresh"})
    ranker.upsert([(new, embed(new.encoder_text()))])
    found = ranker.recommend(RecommendRequest.validated(user="ada", k=20, diversity=0.0)).item_ids
    assert "fresh" in found
