"""Products come, change and go while the server runs."""

import json

import numpy as np
import pytest


def test_upserted_product_is_found_and_deleted_one_is_gone(shop):
    product = {"id": f"new-{id(shop)}", "title": "Vela crystal xylophone", "brand": "Vela", "price": 12.5}
    assert product["id"] not in shop.search("crystal xylophone").ids
    assert shop.upsert(product) == 1
    found = shop.search("crystal xylophone", fields=["title", "price"], diversity=0)
    assert found.ids[0] == product["id"]
    assert found.items[0].product["price"] == 12.5
    shop.upsert({**product, "price": 99.0})
    assert product["id"] not in shop.search("crystal xylophone", filters={"price_max": 50}).ids
    assert shop.similar(product["id"], k=3).ids
    assert shop.delete(product["id"]) == 1
    assert product["id"] not in shop.search("crystal xylophone", k=50).ids


def test_every_instance_sees_a_change_at_once(grpc):
    for number in range(10):
        document = json.dumps({"id": "flicker", "title": f"flickering gizmo {number}"})
        grpc.infer("catalog", operation="upsert", document=document)
        for _ in range(3):
            assert "flicker" in grpc.search("flickering gizmo", k=5)[0]
        grpc.infer("catalog", operation="delete", document='{"id": "flicker"}')
        for _ in range(3):
            assert "flicker" not in grpc.search("flickering gizmo", k=50)[0]


def test_product_of_the_release_can_be_deleted_and_restored(shop, shop_products):
    product = shop_products[42]
    assert product.id in shop.search(product.title, diversity=0).ids
    shop.delete(product.id)
    assert product.id not in shop.search(product.title, k=50).ids
    shop.upsert(product.as_mapping())
    assert shop.search(product.title, diversity=0).ids[0] == product.id


def test_request_of_several_products_is_all_or_nothing(grpc):
    documents = [
        {"id": "both-1", "title": "first trombone"},
        {"id": "both-2", "title": "second trombone", "price": -1},
    ]
    with pytest.raises(Exception, match=r"document.price \(row 1\): got -1"):
        grpc.infer("catalog", operation=["upsert"] * 2, document=[json.dumps(each) for each in documents])
    assert not {"both-1", "both-2"} & set(grpc.search("trombone", k=50)[0])
    documents[1]["price"] = 5
    answer = grpc.infer(
        "catalog", operation=["upsert"] * 2, document=[json.dumps(each) for each in documents]
    )
    assert answer["accepted"].tolist() == [[1], [1]]
    assert {"both-1", "both-2"} <= set(grpc.search("trombone", k=50)[0])
    grpc.infer("catalog", operation=["delete"] * 2, document=['{"id": "both-1"}', '{"id": "both-2"}'])


def test_upserted_vector_is_what_a_release_would_hold(grpc, local, shop_products):
    product = shop_products[7]
    row = local.ranker.index.row(product.id)
    before = local.ranker.index.embeddings(np.array([row]))[0].copy()
    grpc.infer("catalog", operation="upsert", document=json.dumps(product.as_mapping()))
    local.ranker.index.refresh()
    after = local.ranker.index.embeddings(np.array([local.ranker.index.row(product.id)]))[0]
    np.testing.assert_allclose(after, before, atol=2e-3)


@pytest.mark.parametrize(
    ("field", "operation", "document"),
    [
        ("operation", "replace", "{}"),
        ("operation", "", "{}"),
        ("document", "upsert", "{"),
        ("document", "upsert", "[]"),
        ("document", "upsert", b"\xff\xfe"),
        ("document", "upsert", '{"id": "x", "title": "\\ud800"}'),
        ("document", "upsert", '{"id": "x", "title": "y", "price": NaN}'),
        ("document.title", "upsert", '{"id": "x"}'),
        ("document.id", "upsert", '{"title": "x"}'),
        ("document.price", "upsert", '{"id": "x", "title": "y", "price": -3}'),
        ("document.colour", "upsert", '{"id": "x", "title": "y", "colour": "red"}'),
        ("document", "delete", "{}"),
        ("document", "delete", '{"id": 7}'),
    ],
)
def test_bad_change_is_refused_by_field(raw, field, operation, document):
    with pytest.raises(Exception, match=rf"{field}: got"):
        raw.infer("catalog", operation=operation, document=document)


def test_operations_of_one_request_are_one_kind(grpc):
    with pytest.raises(Exception, match="operation: got 'delete, upsert'"):
        grpc.infer(
            "catalog", operation=["upsert", "delete"], document=['{"id": "x", "title": "y"}', '{"id": "x"}']
        )


def test_query_with_the_words_of_an_upserted_product_keeps_its_tags(shop):
    """Triton's response cache does not tell apart who asked `encode` for what."""
    shop.upsert({"id": "twin", "title": "green leather boots"})
    assert {tag.label for tag in shop.search("green leather boots").tags} == {"color", "material", "product"}
    shop.delete("twin")
