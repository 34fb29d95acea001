"""What a shopper's query gets from a real tritonserver."""

import numpy as np
import pytest
from asking import alike, decoded, documents

QUERIES = [
    "red cotton dress",
    "oakline chair under $80",
    "steel knife",
    "boots",
    "something that no product is called zzz",
    "blue harbor backpack, leather! for hiking & camping in the rain (2 pieces)",
]


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize(
    ("k", "diversity", "options"),
    [
        (10, 0.0, ""),
        (7, 0.5, '{"explain": true, "fields": ["title", "price"]}'),
        (20, 1.0, '{"algorithm": "mmr"}'),
    ],
)
def test_ensemble_answers_as_the_pipeline_in_process(raw, local, query, k, diversity, options):
    answer = raw.infer("search", query=query, k=k, diversity=diversity, options=options)
    expected = local.search(query, k=k, diversity=diversity, options=options)
    assert [item.decode() for item in answer["item_id"][0]] == expected.item_ids
    np.testing.assert_allclose(answer["score"][0], expected.scores, atol=1e-5)
    assert alike(documents(answer["explanation"][0]), documents(expected.explanations))
    assert decoded(answer["product"][0]) == expected.products
    assert alike(documents(answer["query_info"][0]), documents([expected.query_info]))


def test_recommendation_answers_as_the_pipeline_in_process(raw, local, shop_products):
    item = shop_products[3].id
    answer = raw.infer("recommend", item=item, k=8, diversity=0.5)
    expected = local.recommend(item=item, k=8, diversity=0.5)
    assert [value.decode() for value in answer["item_id"][0]] == expected.item_ids
    assert item not in expected.item_ids


def test_sdk_answers_as_the_pipeline_in_process(shop, local):
    result = shop.search("red cotton dress", k=6, diversity=0.5, caps={"brand": 1}, explain=True)
    expected = local.search(
        "red cotton dress", k=6, diversity=0.5, options='{"caps": {"brand": 1}, "explain": true}'
    )
    assert result.ids == expected.item_ids
    assert {tag.label for tag in result.tags} == {"color", "material", "product"}
    assert alike([item.explanation for item in result], documents(expected.explanations))


def test_batch_of_queries_equals_single_queries(raw):
    options = '{"explain": true}'
    together = raw.infer("search", query=QUERIES, k=[9] * 6, diversity=[0.5] * 6, options=[options] * 6)
    for row, query in enumerate(QUERIES):
        alone = raw.infer("search", query=query, k=9, diversity=0.5, options=options)
        assert together["item_id"][row].tolist() == alone["item_id"][0].tolist()
        for name in ("explanation", "query_info"):
            assert alike(documents(together[name][row]), documents(alone[name][0]))
        np.testing.assert_allclose(together["score"][row], alone["score"][0], atol=1e-6)


def test_sdk_batch_equals_single_queries(shop):
    assert [result.ids for result in shop.search_many(QUERIES, k=5)] == [
        shop.search(query, k=5).ids for query in QUERIES
    ]


def test_shorter_rows_of_a_batch_end_in_empty_ids_and_nan(raw):
    answer = raw.infer("search", query=["boots", "boots"], k=[3, 5])
    assert (answer["item_id"][0] != b"").tolist() == [True] * 3 + [False] * 2
    assert np.isnan(answer["score"][0]).tolist() == [False] * 3 + [True] * 2
    assert (answer["item_id"][1] != b"").all()


def test_padded_and_unpadded_encodings_agree(raw, local):
    tokens = local.tokenizer.encode(["red cotton dress"])
    size = int(tokens.attention_mask.sum())
    exact = raw.infer(
        "encode", input_ids=tokens.input_ids[:, :size], attention_mask=tokens.attention_mask[:, :size]
    )
    for padding in (1, 3, 11, 40):
        wider = [
            np.pad(array[:, :size], ((0, 0), (0, padding)))
            for array in (tokens.input_ids, tokens.attention_mask)
        ]
        padded = raw.infer("encode", input_ids=wider[0], attention_mask=wider[1])
        np.testing.assert_allclose(padded["query_embedding"], exact["query_embedding"], atol=1e-6)
        np.testing.assert_allclose(padded["tag_logits"][:, :size], exact["tag_logits"], atol=1e-6)


def test_only_requested_outputs_come_back(raw):
    answer = raw.infer("search", ["item_id"], query="boots")
    assert list(answer) == ["item_id"]
    assert answer["item_id"].shape == (1, 10)


def test_tokenize_tells_where_pieces_stand(raw):
    answer = raw.infer("tokenize", query="Red dress")
    assert answer["offsets"][0].tolist() == [[0, 0], [0, 3], [4, 9], [0, 0]]
    assert answer["attention_mask"][0].tolist() == [1, 1, 1, 1]


def test_filters_hold(shop, shop_products):
    by_id = {product.id: product for product in shop_products}
    result = shop.search(
        "lamp",
        k=50,
        filters={"price_max": 60, "category": "Home", "in_stock": True, "brand": ["Acme", "Oakline"]},
    )
    assert len(result) > 0
    for item in result:
        product = by_id[item.id]
        assert product.price <= 60
        assert product.category.startswith("Home > ")
        assert product.in_stock
        assert product.brand in ("Acme", "Oakline")


def test_caps_hold(shop, shop_products):
    brand = {product.id: product.brand for product in shop_products}
    capped = [brand[item] for item in shop.search("red dress", k=10, caps={"brand": 1}).ids]
    assert len(set(capped)) == len(capped) == 10
    free = [brand[item] for item in shop.search("red dress", k=10, diversity=0).ids]
    assert len(set(free)) < 10


def test_diversity_widens_the_answer(shop, shop_products):
    category = {product.id: product.category for product in shop_products}
    narrow = {category[item] for item in shop.search("oakline dress", k=10, diversity=0).ids}
    wide = {category[item] for item in shop.search("oakline dress", k=10, diversity=1).ids}
    assert len(wide) > len(narrow)


def test_repeated_query_is_answered_from_the_cache_with_the_same_result(grpc, server):
    before = _cache_hits(server)
    first = grpc.search("a query for the cache", k=5, diversity=0.5)
    second = grpc.search("a query for the cache", k=5, diversity=0.5)
    assert first[0] == second[0]
    assert _cache_hits(server) > before


def _cache_hits(server):
    import urllib.request

    text = urllib.request.urlopen(server.metrics_url, timeout=5).read().decode()
    lines = [
        line for line in text.splitlines() if line.startswith('nv_cache_num_hits_per_model{model="encode"')
    ]
    return float(lines[0].split()[-1])
