import json
import math

import numpy as np
import pytest
from endcap_rerank.errors import InvalidInputError, ReleaseError
from endcap_rerank.events_store import Event
from endcap_rerank.product import Product
from endcap_rerank.ranker import Ranker
from endcap_rerank.release import Release, TextSettings
from endcap_rerank.requests import RecommendRequest
from endcap_rerank.settings import Settings
from ranking_shop import BRANDS, DIMENSION, embed, open_ranker, products, search_request

SHOP = {product.id: product for product in products()}


@pytest.fixture(scope="module")
def release_directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("release")
    open_ranker(directory)
    return directory


@pytest.fixture
def ranker(release_directory, tmp_path_factory):
    return open_ranker(release_directory, state=str(tmp_path_factory.mktemp("state")))


def found(ranked) -> list[Product]:
    return [SHOP[item] for item in ranked.item_ids]


def info(ranked) -> dict:
    return json.loads(ranked.query_info)


def events(user: str, *items: str, event: str = "purchase") -> list[Event]:
    return [Event.validated(user, item, event, 1000.0 + at) for at, item in enumerate(items)]


def ids_of(**wanted) -> list[str]:
    return [
        product.id
        for product in SHOP.values()
        if all(getattr(product, name) == value for name, value in wanted.items())
    ]


# Search ----------------------------------------------------------------------------------------------


def test_a_query_finds_what_it_names(ranker):
    ranked = ranker.search(search_request("red kettle", k=8, diversity=0.0))
    assert all("red" in product.title and "kettle" in product.title for product in found(ranked))
    assert ranked.scores.tolist() == sorted(ranked.scores.tolist(), reverse=True)
    assert ranked.scores.dtype == np.float32
    assert len(ranked.explanations) == len(ranked.products) == len(ranked.scores) == 8
    assert set(ranked.explanations) == set(ranked.products) == {""}


def test_query_info_tells_what_was_understood(ranker):
    told = info(ranker.search(search_request("Acme red kettle under $50")))
    assert told["release"] == "r-test"
    assert [(tag["label"], tag["text"]) for tag in told["tags"]] == [
        ("brand", "Acme"), ("color", "red"), ("product", "kettle"), ("price", "under $50"),
    ]  # fmt: skip
    assert told["constraints"] == {
        "brand": ["Acme"], "color": ["red"], "product_type": ["kettle"], "price_max": 50.0,
    }  # fmt: skip
    assert told["filters"] == {"price_max": 50.0}
    assert told["personalized"] is False
    assert told["candidates"] > 0
    assert told["notes"] == []


def test_a_price_limit_of_the_query_filters(ranker):
    ranked = ranker.search(search_request("lamp under $20", k=20))
    assert ranked.item_ids
    assert all(product.price <= 20 for product in found(ranked))


def test_the_callers_price_filter_wins_over_the_querys(ranker):
    options = '{"filters": {"price_min": 60}}'
    ranked = ranker.search(search_request("lamp under $20", options=options))
    assert all(product.price >= 60 for product in found(ranked))
    assert info(ranked)["filters"] == {"price_min": 60.0}


def test_a_price_limit_that_leaves_nothing_is_dropped_with_a_note(ranker):
    ranked = ranker.search(search_request("lamp under $1"))
    assert ranked.item_ids
    assert "price limit" in info(ranked)["notes"][0]
    assert info(ranked)["filters"] == {}


def test_understanding_can_be_switched_off(ranker):
    ranked = ranker.search(search_request("lamp under $20", k=50, options='{"understand": false}'))
    assert any(product.price > 20 for product in found(ranked))
    assert info(ranked)["tags"] == []
    assert info(ranked)["constraints"] == {}


def test_tags_raise_what_satisfies_them(ranker):
    weighted = ranker.search(search_request("kestrel lamp", k=10, diversity=0.0))
    assert {product.brand for product in found(weighted)[:6]} == {"Kestrel"}
    pool = ranker.retrieve(search_request("kestrel lamp"))
    scored = ranker.rank(search_request("kestrel lamp"), pool)
    tags = dict(zip(scored.names, scored.terms, strict=True))["tags"]
    full = [
        SHOP[item] for item, tag in zip(ranker.index.item_ids(pool.rows), tags, strict=True) if tag > 0.29
    ]
    assert full
    assert all(product.brand == "Kestrel" for product in full)
    assert all("lamp" in f"{product.title} {product.category}".lower() for product in full)


@pytest.mark.parametrize(
    ("filters", "holds"),
    [
        ('{"brand": ["acme", "VELA"]}', lambda product: product.brand in ("Acme", "Vela")),
        ('{"category": "Outdoor"}', lambda product: product.category.startswith("Outdoor")),
        ('{"in_stock": true}', lambda product: product.in_stock),
        ('{"price_min": 30, "price_max": 40}', lambda product: 30 <= product.price <= 40),
        (
            '{"attributes": {"color": ["red", "blue"]}}',
            lambda product: product.attributes["color"] in ("red", "blue"),
        ),
    ],
)
def test_filters_hold(ranker, filters, holds):
    options = f'{{"filters": {filters}}}'
    for ranked in (
        ranker.search(search_request("lamp", k=30, options=options)),
        ranker.recommend(RecommendRequest.validated(k=30, options=options)),
        ranker.recommend(RecommendRequest.validated(item="p3", k=30, options=options)),
    ):
        assert ranked.item_ids
        assert all(holds(product) for product in found(ranked))


def test_nothing_left_is_an_empty_answer_with_a_note(ranker):
    options = '{"filters": {"brand": "Nobody"}, "explain": true, "fields": ["title"], "caps": {"brand": 1}}'
    for ranked in (
        ranker.search(search_request("lamp", options=options)),
        ranker.recommend(RecommendRequest.validated(options=options)),
        ranker.recommend(RecommendRequest.validated(item="p3", options=options)),
    ):
        assert ranked.item_ids == ranked.explanations == ranked.products == []
        assert len(ranked.scores) == 0
        assert info(ranked)["notes"] == ["No product fits the request."]


def test_k_beyond_the_catalogue_gives_what_there_is(ranker):
    ranked = ranker.search(search_request("kettle", k=200, options='{"filters": {"brand": "Acme"}}'))
    assert sorted(ranked.item_ids) == sorted(ids_of(brand="Acme"))


def test_wrong_tag_logits_are_refused(ranker):
    request = search_request("red kettle")
    request.__dict__["tag_logits"] = np.zeros((len(request.offsets), 3), np.float32)
    with pytest.raises(InvalidInputError) as caught:
        ranker.search(request)
    assert caught.value.field == "tag_logits"


def test_wrong_dimension_is_refused(ranker):
    request = search_request("red kettle")
    request.__dict__["embedding"] = np.ones(3, np.float32)
    with pytest.raises(InvalidInputError, match="embedding"):
        ranker.search(request)


# Diversity and rules ---------------------------------------------------------------------------------


def test_no_diversity_is_the_order_of_scores(ranker):
    request = search_request("lamp", k=15, diversity=0.0)
    pool = ranker.retrieve(request)
    scored = ranker.rank(request, pool)
    order = np.argsort(-scored.scores, kind="stable")[:15]
    assert ranker.search(request).item_ids == ranker.index.item_ids(pool.rows[order])


@pytest.mark.parametrize("algorithm", ["dpp", "mmr", "msd", "ssd", "xquad"])
def test_diversity_brings_more_brands(ranker, algorithm):
    def brands(diversity: float) -> int:
        options = f'{{"algorithm": "{algorithm}"}}'
        asked = search_request("acme red lamp", k=6, diversity=diversity, options=options)
        return len({product.brand for product in found(ranker.search(asked))})

    assert brands(1.0) > brands(0.0)


@pytest.mark.parametrize(
    ("cap", "of"),
    [
        ("brand", lambda product: product.brand),
        ("category", lambda product: product.category),
        ("top_category", lambda product: product.category.split(" > ")[0]),
    ],
)
@pytest.mark.parametrize("diversity", [0.0, 0.5, 1.0])
def test_caps_hold(ranker, cap, of, diversity):
    options = f'{{"caps": {{"{cap}": 2}}}}'
    ranked = ranker.search(search_request("lamp", k=6, diversity=diversity, options=options))
    values = [of(product) for product in found(ranked)]
    assert len(values) == 6
    assert max(map(values.count, values)) <= 2
    assert info(ranked)["notes"] == []


def test_a_cap_in_a_window_holds(ranker):
    options = '{"caps": {"brand": {"limit": 1, "window": 4}}}'
    ranked = ranker.search(search_request("acme lamp", k=20, options=options))
    brands = [product.brand for product in found(ranked)]
    assert len(brands) == 20
    assert all(len(set(brands[start : start + 4])) == 4 for start in range(17))
    assert info(ranked)["notes"] == []


def test_a_share_of_the_list_is_for_new_products(release_directory, tmp_path):
    ranker = open_ranker(release_directory, state=str(tmp_path))
    newcomer = Product(
        id="new", title="Acme red lamp number 900", brand="Acme", category="Home > Lighting", created_at=1e9
    )
    ranker.upsert([(newcomer, embed("lamp"))])
    plain = ranker.search(search_request("red lamp", k=10, diversity=0.0, options='{"boost": {"new": 0}}'))
    assert "new" not in plain.item_ids
    options = '{"explore": 0.2, "boost": {"new": 0}}'
    explored = ranker.search(search_request("red lamp", k=10, diversity=0.0, options=options))
    unrated = [item for item in explored.item_ids if item == "new" or SHOP[item].review_count == 0]
    assert "new" in unrated[:2]
    again = ranker.search(search_request("red lamp", k=10, diversity=0.0, options=options))
    assert explored.item_ids == again.item_ids


def test_calibration_draws_the_mix_to_the_shoppers(ranker):
    ranker.feedback(events("tess", *ids_of(category="Outdoor > Tents")[:3], *ids_of(brand="Vela")[:1]))

    def tents(options: str, user: str) -> int:
        asked = search_request("acme blue", user=user, k=10, options=options)
        return sum(product.category == "Outdoor > Tents" for product in found(ranker.search(asked)))

    assert tents('{"calibrate": 1.0}', "tess") > tents("{}", "tess")
    assert tents('{"calibrate": 1.0}', "stranger") == tents("{}", "stranger")


def test_diversity_may_be_adapted_to_the_query(ranker):
    def same(query: str, diversity: float) -> bool:
        adapted = search_request(query, k=10, diversity=diversity, options='{"adapt_diversity": true}')
        plain = search_request(query, k=10, diversity=diversity)
        return ranker.search(adapted).item_ids == ranker.search(plain).item_ids

    assert same("lamp", 0.8)
    assert not same("Vela blue lamp for the garden", 0.8)
    assert same("Vela blue lamp for the garden", 0.0)


def test_a_cap_that_cannot_hold_is_noted(ranker):
    ranked = ranker.search(search_request("lamp", k=20, options='{"caps": {"brand": 2}}'))
    assert len(ranked.item_ids) == 20
    assert all(sum(product.brand == brand for product in found(ranked)) >= 2 for brand in BRANDS)
    assert "brand" in info(ranked)["notes"][0]


def test_pins_stand_first_in_their_order(ranker):
    options = '{"pin": ["p7", "p200", "nowhere", "p5"], "filters": {"in_stock": true}, "caps": {"brand": 1}}'
    ranked = ranker.search(search_request("lamp", k=5, options=options))
    assert ranked.item_ids[:3] == ["p7", "p200", "p5"]
    assert len(set(ranked.item_ids)) == 5
    assert "nowhere" in info(ranked)["notes"][0]


def test_pins_obey_filters_and_exclusion(ranker):
    options = '{"pin": ["p11", "p7"], "exclude": ["p7"], "filters": {"in_stock": true}}'
    ranked = ranker.search(search_request("lamp", k=5, options=options))  # p11 is out of stock
    assert not {"p11", "p7"} & set(ranked.item_ids)
    assert len(info(ranked)["notes"]) == 2


def test_more_pins_than_places(ranker):
    ranked = ranker.search(search_request("lamp", k=2, options='{"pin": ["p1", "p2", "p3"]}'))
    assert ranked.item_ids == ["p1", "p2"]


def test_buried_products_come_last(ranker):
    plain = ranker.search(search_request("lamp", k=5, diversity=0.3)).item_ids
    options = json.dumps({"bury": plain[:2], "pin": ["p1"]})
    assert not set(plain[:2]) & set(ranker.search(search_request("lamp", k=5, options=options)).item_ids)
    options = json.dumps({"bury": plain[:2], "filters": {"brand": "Acme"}, "pin": ["p7"]})
    whole = ranker.search(search_request("lamp", k=200, options=options)).item_ids
    acme = [item for item in plain[:2] if SHOP[item].brand == "Acme"]
    assert sorted(whole) == sorted(ids_of(brand="Acme"))
    assert whole[0] == "p7"
    assert set(whole[len(whole) - len(acme) :]) >= set(acme)


def test_excluded_and_shown_products_are_gone(ranker):
    plain = ranker.search(search_request("lamp", k=6)).item_ids
    options = json.dumps({"exclude": plain[:2], "shown": plain[2:4]})
    assert not set(plain[:4]) & set(ranker.search(search_request("lamp", k=6, options=options)).item_ids)


def test_boost_raises_and_lowers(ranker):
    plain = ranker.search(search_request("lamp", k=30, diversity=0.0)).item_ids
    up, down = plain[20], plain[0]
    options = json.dumps({"boost": {up: 3.0, down: 0.1, "nowhere": 2}})
    ranked = ranker.search(search_request("lamp", k=30, diversity=0.0, options=options)).item_ids
    assert ranked.index(up) < 3
    assert down not in ranked[:5]


# Shoppers --------------------------------------------------------------------------------------------


def test_two_shoppers_get_different_answers(ranker):
    ranker.feedback(events("kate", *ids_of(brand="Kestrel", category="Outdoor > Tents")[:4]))
    ranker.feedback(events("vera", *ids_of(brand="Vela", category="Outdoor > Tents")[:4]))
    kate = ranker.search(search_request("lamp", user="kate", diversity=0.0))
    vera = ranker.search(search_request("lamp", user="vera", diversity=0.0))
    assert kate.item_ids != vera.item_ids
    assert found(kate)[0].brand == "Kestrel"
    assert found(vera)[0].brand == "Vela"
    assert info(kate)["personalized"] is True


def test_a_stranger_gets_exactly_the_anonymous_answer(ranker):
    anonymous = ranker.search(search_request("lamp"))
    stranger = ranker.search(search_request("lamp", user="stranger"))
    assert stranger.item_ids == anonymous.item_ids
    assert stranger.scores.tolist() == anonymous.scores.tolist()
    assert info(stranger)["personalized"] is False
    assert "Nothing is known" in info(stranger)["notes"][0]
    assert info(anonymous)["notes"] == []


def test_personalization_can_be_switched_off(ranker):
    anonymous = ranker.search(search_request("lamp"))
    ranker.feedback(events("kate", *ids_of(brand="Kestrel")[:4]))
    options = '{"personalize": false, "recent": ["p3"]}'
    ranked = ranker.search(search_request("lamp", user="kate", options=options))
    assert ranked.scores.tolist() == anonymous.scores.tolist()
    assert info(ranked)["personalized"] is False


def test_a_click_changes_the_next_answer_also_through_another_process(release_directory, ranker, tmp_path):
    serving, other = (open_ranker(release_directory, state=str(tmp_path)) for _ in range(2))
    before = serving.search(search_request("lamp", user="u", k=30, diversity=0.0))
    clicked = before.item_ids[12]
    assert other.feedback(events("u", clicked, event="click")) == 1
    after = serving.search(search_request("lamp", user="u", k=30, diversity=0.0))
    assert after.item_ids.index(clicked) < 12
    for event in ("dislike", "dislike"):
        other.feedback([Event.validated("u", clicked, event, 5000.0)])
    hated = serving.search(search_request("lamp", user="u", k=30, diversity=0.0)).item_ids
    assert clicked not in hated[:12]
    other.events.forget("u")
    forgotten = serving.search(search_request("lamp", user="u", k=30, diversity=0.0))
    assert forgotten.item_ids == before.item_ids


def test_a_precise_query_leaves_less_to_taste(ranker):
    ranker.feedback(events("kate", *ids_of(brand="Kestrel")[:6]))
    vague = ranker.retrieve(search_request("lamp", user="kate"))
    precise = ranker.retrieve(search_request("Vela blue lamp for the garden", user="kate"))
    assert precise.openness < vague.openness
    assert found(ranker.search(search_request("Vela blue lamp", user="kate")))[0].brand == "Vela"


def test_the_session_counts_without_a_user(ranker):
    recent = json.dumps({"recent": ids_of(brand="Solis", category="Home > Lighting")[:2]})
    ranked = ranker.search(search_request("lantern", diversity=0.0, options=recent))
    assert found(ranked)[0].brand == "Solis"
    assert info(ranked)["personalized"] is True


def test_refused_products_are_gone_and_what_is_like_them_sinks(ranker):
    plain = ranker.search(search_request("lamp", k=30, diversity=0.0))
    brand = found(plain)[0].brand
    refused = [product.id for product in found(plain) if product.brand == brand][:2]
    options = json.dumps({"refused": [*refused, "nowhere"], "explain": True})
    ranked = ranker.search(search_request("lamp", k=30, diversity=0.0, options=options))
    assert not set(refused) & set(ranked.item_ids)

    def mean_place(items: list[str]) -> float:
        places = [place for place, item in enumerate(items) if SHOP[item].brand == brand]
        return sum(places) / max(1, len(places))

    kept = [item for item in plain.item_ids if item not in refused]
    assert mean_place(ranked.item_ids) > mean_place(kept)
    assert any("turned down" in json.loads(text)["text"] for text in ranked.explanations)
    ignored = json.dumps({"refused": refused, "personalize": False})
    other = ranker.search(search_request("lamp", k=30, diversity=0.0, options=ignored)).item_ids
    assert other[:10] == kept[:10]  # candidates that move up change the scale of relevance a little


def test_a_refusal_outweighs_the_look_before_it(ranker):
    looked = ids_of(brand="Solis", category="Home > Lighting")[:2]
    liked = ranker.search(search_request("lantern", diversity=0.0, options=json.dumps({"recent": looked})))
    options = json.dumps({"recent": looked, "refused": looked})
    turned_down = ranker.search(search_request("lantern", diversity=0.0, options=options))
    assert found(liked)[0].brand == "Solis"
    assert found(turned_down)[0].brand != "Solis"


@pytest.mark.parametrize("user", ["", "ina"])
def test_recommendations_after_nothing_but_refusals(ranker, user):
    if user:
        ranker.feedback([Event(user, "p0", "dislike", 10.0)])
    refused = ranker.recommend(RecommendRequest.validated(user=user, k=5)).item_ids[:2]
    options = json.dumps({"refused": refused})
    ranked = ranker.recommend(RecommendRequest.validated(user=user, k=5, options=options))
    assert len(ranked.item_ids) == 5
    assert not set(refused) & set(ranked.item_ids)


def test_events_of_unknown_products_do_no_harm(ranker):
    ranker.feedback(events("u", "gone", "never"))
    assert ranker.search(search_request("lamp", user="u")).item_ids
    assert ranker.recommend(RecommendRequest.validated(user="u")).item_ids


# Recommendations -------------------------------------------------------------------------------------


def test_beside_an_item(ranker):
    ranked = ranker.recommend(RecommendRequest.validated(item="p3", k=10, diversity=0.0))
    assert "p3" not in ranked.item_ids
    assert found(ranked)[0].category == SHOP["p3"].category


def test_an_unknown_item_is_refused(ranker):
    with pytest.raises(InvalidInputError) as caught:
        ranker.recommend(RecommendRequest.validated(item="nowhere"))
    assert caught.value.field == "item"


def test_for_a_shopper(ranker):
    owned = ids_of(brand="Kestrel", category="Tools > Power")[:3]
    ranker.feedback(events("kate", *owned))
    ranked = ranker.recommend(RecommendRequest.validated(user="kate", k=5, diversity=0.0))
    assert not set(owned) & set(ranked.item_ids)
    assert all(product.category == "Tools > Power" or product.brand == "Kestrel" for product in found(ranked))


def test_every_interest_is_served(ranker):
    tents, drills = ids_of(category="Outdoor > Tents")[:3], ids_of(category="Tools > Power")[:3]
    ranker.feedback(events("two", *tents, *drills))
    ranked = ranker.recommend(RecommendRequest.validated(user="two", k=10, diversity=0.5))
    assert {"Outdoor > Tents", "Tools > Power"} <= {product.category for product in found(ranked)}


def test_item_and_user_together(ranker):
    ranker.feedback(events("vera", *ids_of(brand="Vela", category="Outdoor > Tents")[:4]))
    alone = ranker.recommend(RecommendRequest.validated(item="p3", k=10, diversity=0.0))
    fitted = ranker.recommend(RecommendRequest.validated(item="p3", user="vera", k=10, diversity=0.0))
    vela = [sum(product.brand == "Vela" for product in found(ranked)[:5]) for ranked in (alone, fitted)]
    assert vela[1] > vela[0]


def test_for_nobody_what_is_popular(ranker):
    ranked = ranker.recommend(
        RecommendRequest.validated(k=10, diversity=0.0, options='{"filters": {"in_stock": true}}')
    )
    assert all(product.review_count > 80 for product in found(ranked))
    stranger = ranker.recommend(RecommendRequest.validated(user="stranger", k=10))
    assert stranger.item_ids
    assert info(stranger)["notes"]


def test_one_dislike_alone_still_gets_an_answer(ranker):
    ranker.feedback(events("sour", "p3", event="dislike"))
    ranked = ranker.recommend(RecommendRequest.validated(user="sour", k=5))
    assert len(ranked.item_ids) == 5
    assert "p3" not in ranked.item_ids


# Living catalogue, fields, opening -------------------------------------------------------------------


def test_an_upserted_product_is_found_and_a_deleted_one_is_gone(release_directory, tmp_path):
    serving, other = (open_ranker(release_directory, state=str(tmp_path)) for _ in range(2))
    new = Product(
        id="new", title="Zephyr violet samovar", brand="Zephyr", category="Home > Kitchen", price=9.0
    )
    other.upsert([(new, embed(new.encoder_text()))])
    ranked = serving.search(
        search_request("violet samovar", options='{"fields": ["title"], "caps": {"brand": 1}}')
    )
    assert ranked.item_ids[0] == "new"
    assert json.loads(ranked.products[0]) == {"title": "Zephyr violet samovar"}
    serving.feedback(events("u", "new"))
    assert serving.recommend(RecommendRequest.validated(item="new", user="u", k=3)).item_ids
    other.delete(["new"])
    assert "new" not in serving.search(search_request("violet samovar", user="u")).item_ids
    with pytest.raises(InvalidInputError):
        serving.recommend(RecommendRequest.validated(item="new"))


def test_only_the_fields_asked_for(ranker):
    options = '{"fields": ["title", "price", "image_url", "attributes"]}'
    ranked = ranker.search(search_request("lamp", k=3, options=options))
    for item, document in zip(ranked.item_ids, ranked.products, strict=True):
        product = SHOP[item]
        assert json.loads(document) == {
            "title": product.title, "price": product.price, "attributes": dict(product.attributes),
        }  # fmt: skip


def test_stages_in_order_are_the_search(ranker):
    request = search_request("red lamp", user="u", k=7)
    pool = ranker.retrieve(request)
    scored = ranker.rank(request, pool)
    by_hand = ranker.answer(request, pool, scored, ranker.diversify(request, pool, scored))
    assert by_hand.item_ids == ranker.search(request).item_ids


def test_a_catalogue_without_brands_prices_or_ratings(tmp_path):
    bare = [Product(id=f"b{n}", title=f"plain {'lamp' if n % 2 else 'drill'} {n}") for n in range(20)]
    ranker = open_ranker(tmp_path, bare)
    options = '{"explain": true, "caps": {"brand": 1, "category": 1}}'
    ranked = ranker.search(search_request("lamp under $20", k=20, options=options))
    assert len(ranked.item_ids) == 20
    assert np.isfinite(ranked.scores).all()
    assert any("price limit" in note for note in info(ranked)["notes"])
    assert not any("cap" in note for note in info(ranked)["notes"])
    assert all(not math.isnan(json.loads(told)["score"]) for told in ranked.explanations)


def test_weights_come_with_the_release(tmp_path):
    ranker = open_ranker(tmp_path)
    assert ranker.weights.popularity == 0.1
    (tmp_path / "ranking.json").write_text('{"popularity": 50}')
    popular = open_ranker(tmp_path).search(search_request("lamp", k=5, diversity=0.0))
    assert all(product.review_count > 85 for product in found(popular))
    for wrong in ('{"popularity": -1}', '{"fame": 1}', '{"specific": 2}', "[1]", "{", '{"taste": "much"}'):
        (tmp_path / "ranking.json").write_text(wrong)
        with pytest.raises(ReleaseError, match=r"ranking\.json"):
            open_ranker(tmp_path)


def test_an_index_of_another_encoder_is_refused(tmp_path):
    open_ranker(tmp_path)
    release = Release(tmp_path, "r", (), DIMENSION, TextSettings(), "encoder-b", manifest={})
    with pytest.raises(ReleaseError, match="another encoder"):
        Ranker.open(release, Settings(state=tmp_path / "state"))


def test_a_misspelled_word_is_reported_and_found(ranker):
    ranked = ranker.search(search_request("red ketle", k=5, diversity=0.0))
    assert all("kettle" in product.title for product in found(ranked))
    assert info(ranked)["corrections"] == [{"word": "ketle", "read_as": ["kettle"]}]
    assert any("ketle" in note for note in info(ranked)["notes"])
    plain = ranker.search(search_request("red ketle", options='{"understand": false}'))
    assert info(plain)["corrections"] == []


def test_an_id_finds_its_product_first_whatever_diversity(ranker):
    wanted = list(SHOP)[37]
    for diversity in (0.0, 0.3, 1.0):
        ranked = ranker.search(search_request(wanted, k=5, diversity=diversity))
        assert ranked.item_ids[0] == wanted


def test_the_most_diverse_list_stays_on_topic(ranker):
    request = search_request("lamp", k=6, diversity=1.0)
    pool = ranker.retrieve(request)
    scores = ranker.rank(request, pool).scores
    on_topic = np.sort(scores)[::-1]
    limit = on_topic[5] - 0.5 * (on_topic[0] - on_topic[len(scores) // 2])
    assert ranker.search(request).scores.min() >= limit - 1e-6
